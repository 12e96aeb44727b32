"""Views with further arguments for their decoder, by the API and by vxa view."""

import bz2
import gzip
import json
import os
import subprocess

import grpc

import harness
from command_line import ERROR, PRECONDITION, USAGE, CommandLine
from harness import Client, Server, TestCase, decoding, digest, guest
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode
INVALID = (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
VXRUN = os.path.join(harness.ROOT, "vxengine", "vxrun")
JPEG_DECODER = os.path.join(harness.ROOT, "decoders", "jpeg", "jpeg.vx")

# ITU-T T.81, K.3.1: how many codes there are of each length from 1 on, for the categories 0 to 11 in their order.
DC_LENGTHS = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0]


def dc_codes():
    codes, code = [], 0
    for length, count in enumerate(DC_LENGTHS, 1):
        codes += [f"{code + i:0{length}b}" for i in range(count)]
        code = (code + count) << 1
    return codes


def segment(marker, content):
    return bytes([0xff, marker]) + (len(content) + 2).to_bytes(2, "big") + content


def jpeg(columns, rows):
    """A gray baseline JPEG (ITU-T T.81) of so many blocks, each of one gray value."""
    codes, bits, last = dc_codes(), "", 0
    for block in range(columns * rows):
        value = block * 37 % 250 - 125
        difference, last = value - last, value
        size = abs(difference).bit_length()
        amplitude = difference if difference > 0 else difference + (1 << size) - 1
        bits += codes[size] + (f"{amplitude:0{size}b}" if size else "") + "0"  # and no AC coefficients
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\x00")
    return (b"\xff\xd8" + segment(0xdb, b"\0" + bytes([8] * 64)) +
            segment(0xc0, b"\x08" + (8 * rows).to_bytes(2, "big") + (8 * columns).to_bytes(2, "big") + b"\x01\x01\x11\0") +
            segment(0xc4, b"\0" + bytes(DC_LENGTHS + list(range(12)))) +
            segment(0xc4, b"\x10" + bytes([1] + [0] * 15 + [0])) +
            segment(0xda, b"\x01\x01\0\0\x3f\0") + scan + b"\xff\xd9")


def run_by_hand(data, *arguments):
    return subprocess.run([VXRUN, JPEG_DECODER, *arguments], input=data, capture_output=True, check=True,
                          timeout=60).stdout


class Api(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = Client(cls.server)
        cls.jpeg = jpeg(16, 8)
        cls.client.put("a.jpg", cls.jpeg)
        cls.client.put("a.gz", gzip.compress(b"x" * 1000))

    @classmethod
    def tearDownClass(cls):
        cls.client.__exit__()
        cls.server.__exit__()

    def view(self, name, *arguments, **fields):
        return self.client.read(name, form=vxa_pb2.VIEW, view_arguments=arguments, **fields)

    def refusal(self, name, *arguments, **fields):
        return self.assert_fails(*INVALID, self.view, name, *arguments, **fields)

    def test_the_decoder_gets_the_arguments(self):
        for arguments in ["--scale=8"], ["--scale=2"], ["--png"], ["--png", "--scale=4"]:
            with self.subTest(arguments=arguments):
                expected = run_by_hand(self.jpeg, *arguments)
                metadata, data, end = self.view("a.jpg", *arguments)
                self.assertEqual(data, expected)
                self.assertEqual((end.verified, end.digest), (False, digest(expected)))
                self.assertEqual((metadata.size, metadata.preview), (0, True))
                png = "--png" in arguments
                self.assertEqual((metadata.media_type, metadata.extension),
                                 ("image/png", ".png") if png else ("image/x-portable-anymap", ".pnm"))
                [cost] = [cost for cost in end.cost if cost.decoder_name == "jpeg"]
                self.assertEqual((cost.encoded_bytes, cost.decoded_bytes), (len(self.jpeg), len(expected)))
                self.assertGreater(cost.instructions, 1000)
        self.assertTrue(self.view("a.jpg", "--scale=8")[1].startswith(b"P5\n16 8\n255\n"))

    def test_a_view_without_arguments_is_the_archived_one(self):
        before = self.client.stat("a.jpg")
        self.view("a.jpg", "--scale=8")
        metadata, data, end = self.view("a.jpg", view="decoded")
        self.assertEqual(data, run_by_hand(self.jpeg))
        self.assertEqual((end.verified, end.digest), (True, before.views[0].digest))
        self.assertEqual((metadata.size, metadata.preview), (len(data), False))
        self.assertEqual((metadata.media_type, metadata.extension), (before.views[0].media_type, ".pgm"))
        self.assertEqual(self.client.stat("a.jpg"), before)
        self.assert_fails(Code.NOT_FOUND, "VIEW_NOT_FOUND", self.view, "a.jpg", view="other")
        self.assert_fails(Code.NOT_FOUND, "VIEW_NOT_FOUND", self.view, "a.jpg", "--scale=8", view="other")

    def test_ranges_are_exact(self):
        whole = run_by_hand(self.jpeg, "--scale=2")
        for offset, limit in [(0, 10), (1000, 700), (len(whole) - 10, 100), (len(whole), 5), (7, 0)]:
            with self.subTest(offset=offset, limit=limit):
                _, data, end = self.view("a.jpg", "--scale=2", read_offset=offset, read_limit=limit)
                self.assertEqual(data, whole[offset:offset + limit])
                self.assertEqual((end.verified, end.digest), (False, digest(whole)))
        self.assert_fails(Code.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE", self.view, "a.jpg", "--scale=2",
                          read_offset=len(whole) + 1)

    def test_arguments_that_the_decoder_does_not_declare_are_refused_with_those_it_does(self):
        for argument in "--scale=3", "--scale", "--scale=08", "scale=8", "--no-such", "", "--png=1":
            self.assertEqual(self.refusal("a.jpg", argument),
                             f"unknown argument {argument}; the decoder takes --png, --scale=2|4|8")
        self.assertIn("repeated argument --scale=4; the", self.refusal("a.jpg", "--scale=2", "--scale=4"))
        self.assertIn("repeated argument --format=raw", self.refusal("a.gz", "--format=raw"))  # it was put with one
        self.assertIn("the decoder takes", self.refusal("a.jpg", "x" * 2_000_000))
        self.assertIn(r"\x1b[2J;", self.refusal("a.jpg", "\x1b[2J"))

    def test_a_decoder_that_declares_no_parameters_takes_none(self):
        self.client.put("a.bz2", bz2.compress(b"x"))
        self.assertIn("the decoder declares no parameters", self.refusal("a.bz2", "--scale=8"))

    def test_arguments_are_for_views_only(self):
        for form in vxa_pb2.ORIGINAL, vxa_pb2.STORED:
            message = self.assert_fails(*INVALID, self.client.read, "a.jpg", form=form, view_arguments=["--scale=8"])
            self.assertIn("form is not VIEW", message)
        xor = self.client.register(guest("xor")).id
        self.client.put("encoded", b"\x33", decoding=decoding(xor, b"X", "k"))
        self.assert_fails(Code.NOT_FOUND, "VIEW_NOT_FOUND", self.view, "encoded", "--k")

    def test_a_decoder_that_refuses_the_object_with_them_says_why(self):
        message = self.assert_fails(Code.FAILED_PRECONDITION, "VIEW_FAILED", self.view, "a.gz", "--dictionary=7")
        self.assertIn("the view of a.gz with these arguments failed: ", message)
        self.assertIn("it says: zlib: ", message)

    def test_a_view_that_failed_at_the_put_has_none_with_arguments_either(self):
        self.client.put("broken.jpg", self.jpeg[:-30])
        self.assert_fails(Code.FAILED_PRECONDITION, "VIEW_NOT_VERIFIED", self.view, "broken.jpg", "--scale=8")

    def test_what_was_too_large_as_a_whole_has_a_preview(self):
        with Server(options=["--decode-output", "5000"]) as server, Client(server) as client:
            view, = client.put("a.jpg", self.jpeg).object.views
            self.assertEqual(view.status, vxa_pb2.View.OVER_LIMIT)
            self.assert_fails(Code.FAILED_PRECONDITION, "VIEW_NOT_VERIFIED", client.read, "a.jpg", form=vxa_pb2.VIEW)
            data = client.read("a.jpg", form=vxa_pb2.VIEW, view_arguments=["--scale=8"])[1]
            self.assertEqual(data, run_by_hand(self.jpeg, "--scale=8"))

    def test_the_server_s_limits_hold(self):
        with Server() as server:
            with Client(server) as client:
                client.put("a.jpg", self.jpeg)
                size = len(client.read("a.jpg", form=vxa_pb2.VIEW, view_arguments=["--scale=4"])[1])
            server.stop()
            server.options = ["--decode-output", str(size)]
            server.start()
            with Client(server) as client:
                self.assertGreater(len(client.get("a.jpg", form=vxa_pb2.VIEW)), size)  # as it was proved
                self.assertEqual(len(client.read("a.jpg", form=vxa_pb2.VIEW, view_arguments=["--scale=4"])[1]), size)
                message = self.assert_fails(Code.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED", client.read, "a.jpg",
                                            form=vxa_pb2.VIEW, view_arguments=["--scale=2"])
                self.assertIn("output", message)

    def test_damage_is_told(self):
        with Server() as server:
            with Client(server) as client:
                client.put("a.jpg", self.jpeg, codec="store")
            [pack] = server.packs()
            harness.flip(pack, harness.find(pack, self.jpeg) + 100)
            with Client(server) as client:
                self.assert_fails(Code.DATA_LOSS, "DATA_DAMAGED", client.read, "a.jpg", form=vxa_pb2.VIEW,
                                  view_arguments=["--scale=8"])


class View(CommandLine):
    def test_a_preview_is_written_and_called_one(self):
        image = jpeg(5, 3)
        self.put("photos/a.jpg", image)
        out, err = self.vxa("view", "--decoder-arg=--scale=8", "photos/a.jpg")
        self.assertEqual((out, err), (b"", b"vxa: a preview, and not verified: it was made now, and is not in the archive\n"))
        self.assertEqual(self.read("a.pnm"), run_by_hand(image, "--scale=8"))
        self.vxa("view", "--decoder-arg=--scale=8", "--decoder-arg", "--png", "photos/a.jpg")
        self.assertEqual(self.read("a.png"), run_by_hand(image, "--scale=8", "--png"))
        out, err = self.vxa("view", "--verbose", "--decoder-arg=--scale=8", "photos/a.jpg", "-o", "-")
        self.assertEqual(out, self.read("a.pnm"))
        self.assertIn(b", view  26 bytes, not verified: sha256:", err)
        [answer] = self.json("view", "--decoder-arg=--scale=8", "photos/a.jpg", "--force")
        self.assertEqual((answer["verified"], answer["metadata"]["preview"]), (False, True))
        self.vxa("view", "photos/a.jpg", "-o", "whole")
        self.assertEqual(self.read("whole"), run_by_hand(image))

    def test_what_is_no_preview_is_not_called_one(self):
        frame = bytes.fromhex("28b52ffd2001090000")  # RFC 8878: of one byte, which follows in a raw block
        self.put("a.zst", frame + b"x" + frame + b"y")
        self.assertEqual(self.vxa("view", "a.zst", "-o", "-"), (b"xy", b""))
        self.assertEqual(self.vxa("view", "--decoder-arg=--dictionary=10", "a.zst", "-o", "-"),
                         (b"y", b"vxa: not verified: it was made now, and is not in the archive\n"))
        err = self.vxa("view", "--decoder-arg=--dictionary=9", "a.zst", status=PRECONDITION)[1]
        self.assertIn(b"the view of a.zst with these arguments failed", err)

    def test_wrong_arguments_leave_nothing(self):
        self.put("b.jpg", jpeg(1, 1))
        err = self.vxa("view", "--decoder-arg=--small", "b.jpg", status=ERROR)[1]
        self.assertEqual(err, b"vxa: unknown argument --small; the decoder takes --png, --scale=2|4|8\n")
        error = json.loads(self.vxa("--json", "view", "--decoder-arg=--small", "b.jpg", status=ERROR)[1])["error"]
        self.assertEqual(error["reason"], "INVALID_REQUEST")
        self.assertEqual(os.listdir(self.folder), [])
        self.vxa("view", "--decoder-arg", "b.jpg", status=USAGE)
        self.vxa("view", "--decoder-arg", b"\xff", "b.jpg", status=USAGE)
        self.vxa("get", "--decoder-arg=--png", "b.jpg", status=USAGE)
        self.assertIn(b"--decoder-arg", self.vxa("view", "--help")[0])


if __name__ == "__main__":
    harness.main()
