"""recover.py, the tool of those who have only FORMAT.md and an emulator: what the server wrote comes back without it."""

import contextlib
import filecmp
import gzip
import hashlib
import json
import os
import random
import re
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

import grpc

import harness
import pack_builder
from harness import Client, Server, TestCase, decoding, flip, noise, text
from pack_builder import BARRIER, BLOB, CHUNK_LIST, DECODER, MANIFEST, UPDATE, Pack, blob, chunk, manifest, message
from vxa.v1 import vxa_pb2

RECOVER = os.path.join(harness.ROOT, "tests", "recover.py")
VXRUN = os.path.join(harness.ROOT, "vxengine", "vxrun")
FORMAT = os.path.join(harness.ROOT, "archive", "FORMAT.md")
ZLIB = os.path.join(harness.ROOT, "decoders", "zlib", "zlib.vx")

OK, DAMAGED, REFUSED = range(3)
SMALL_PACKS = ["--pack-size", "16M"]


def read(*path):
    with open(os.path.join(*path), "rb") as file:
        return file.read()


def overwrite(path, offset, data):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def machine_code(code):
    """A decoder's image with this machine code, at 0x08048054."""
    base, code_at = 0x08048000, 52 + 32
    size = code_at + len(code)
    return (struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\1\1\1", 2, 3, 1, base + code_at, 52, 0, 0, 52, 32, 1, 0, 0, 0)
            + struct.pack("<8I", 1, 0, base, base, size, size, 5, 0x1000) + code)


def xor(data, key):
    """What decoders/testing/xor.c undoes with this argument."""
    return bytes(byte ^ key[i % len(key)] for i, byte in enumerate(data))


class Recovered:
    """What recover.py made of an archive: exit status, what it said, its report, its files."""

    def __init__(self, data, outdir, *options, **how):
        self.outdir = outdir
        run = subprocess.run([sys.executable, RECOVER, "--vxrun", VXRUN, *options, data, outdir], capture_output=True,
                             text=True, **how)
        self.status, self.error = run.returncode, run.stderr
        self.report = []
        with contextlib.suppress(FileNotFoundError):
            self.report = [json.loads(line) for line in read(outdir, "report.jsonl").splitlines()]
        self.versions = {(line["name"], line["version"]): line for line in self.report
                         if "version" in line and "view" not in line}
        self.views = {(line["name"], line["version"]): line for line in self.report if "view" in line}
        self.notes = [line for line in self.report if "file" in line]

    def data(self, line):
        return read(self.outdir, line["path"])

    def files(self):
        return sorted(os.path.relpath(os.path.join(folder, name), self.outdir)
                      for folder, _, names in os.walk(self.outdir) for name in names)


class RecoverTest(TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.archive = os.path.join(self.folder, "archive")
        self.runs = 0

    def recover(self, *options, archive=None, **how):
        self.runs += 1
        return Recovered(archive or self.archive, os.path.join(self.folder, f"out{self.runs}"), *options, **how)

    def pack(self, number):
        return os.path.join(self.archive, "packs", f"{number:08}.vxp")

    def record(self, number, kind, index=0):
        """(offset, payload) of one of a pack's records of a type."""
        return [(offset, payload) for k, offset, payload in pack_builder.records(self.pack(number)) if k == kind][index]

    def assert_recovered(self, recovered, expected):
        """That these versions are there and no others; `expected` is {(name, version): (state, data)}."""
        self.assertEqual({key: line["state"] for key, line in recovered.versions.items()},
                         {key: state for key, (state, _) in expected.items()})
        for key, (state, data) in expected.items():
            line = recovered.versions[key]
            if data is None:
                self.assertNotIn("path", line)
                continue
            self.assertEqual((line["status"], line["damage"]), ("ok", []), key)
            self.assertEqual((line["size"], line["sha256"]), (len(data), pack_builder.sha256(data).hex()), key)
            self.assertEqual(recovered.data(line), data, key)


class WhatTheServerWrote(RecoverTest):
    def test_every_version_of_every_object_comes_back(self):
        plain = text(30_000, seed=1)
        long_name = "/".join(["n" * 63] * 16)
        odd = ["a/b", "a", "a/b/c", " ", "-rf", "%2e%2e", "back\\slash", 'quo"te', "\u202egnp.exe", "ümläut/日本", "..a/...",
               "report.jsonl", "s" * 300, long_name]
        expected = {(name, 1): ("latest", name.encode()) for name in odd}
        with Server(self.archive) as server, Client(server) as client:
            for name in odd:
                client.put(name, name.encode())

            def put(name, data, state, version=1, **fields):
                self.assertEqual(client.put(name, data, **fields).object.version, version)
                expected[name, version] = state, data

            put("deflated", plain, "latest", metadata={"key": "välue"}, media_type="text/x",
                source=vxa_pb2.Source(path=b"from/\xff", mode=0o640))
            put("mixed", noise(4 << 20) + plain, "latest")
            put("empty", b"", "latest")
            put("view.txt.gz", gzip.compress(plain), "latest")
            put("no-view.gz", gzip.compress(plain)[:-3], "latest")
            own = client.register(harness.guest("xor")).id
            self.assertEqual(client.put("own", xor(plain, b"key"), decoding=decoding(own, plain, "key")).object.version, 1)
            expected["own", 1] = "latest", plain
            put("versions", b"one", "older")
            put("versions", b"two", "latest", version=2)
            put("versions", b"three", "removed", version=3)
            put("hidden", b"secret", "hidden")
            put("shown again", b"1", "older")
            client.delete("versions", version=3)
            expected["hidden", client.delete("hidden")] = "delete marker", None
            expected["shown again", client.delete("shown again")] = "delete marker", None
            put("shown again", b"3", "latest", version=3)
            self.assertEqual(server.stop(), 0)

        recovered = self.recover("--removed")
        self.assertEqual((recovered.status, recovered.error), (OK, ""))
        self.assert_recovered(recovered, expected)
        self.assertEqual(read(recovered.outdir, "objects/default/deflated"), plain)
        self.assertEqual(read(recovered.outdir, "objects/default/a/b/c"), b"a/b/c")
        self.assertEqual(read(recovered.outdir, "objects/default", long_name), long_name.encode())
        self.assertEqual(read(recovered.outdir, "versions/1/default/versions"), b"one")
        self.assertEqual(read(recovered.outdir, "versions/1/default/hidden"), b"secret")
        # "a" and "a/b" can't be beside "a/b/c", and no segment has 300 bytes on Linux.
        self.assertEqual({name for (name, _), line in recovered.versions.items()
                          if line.get("path", "").startswith("aside/")}, {"a", "a/b", "s" * 300})
        self.assertEqual({key: (line["status"], recovered.data(line)) for key, line in recovered.views.items()},
                         {("view.txt.gz", 1): ("ok", plain)})
        line = recovered.versions["deflated", 1]
        self.assertEqual((line["metadata"], line["media_type"]), ({"key": "välue"}, "text/x"))
        self.assertEqual((line["source"]["path"], line["source"]["mode"]), ("from/\udcff", 0o640))

        recovered = self.recover()
        expected["versions", 3] = "removed", None
        self.assertEqual(recovered.status, OK)
        self.assert_recovered(recovered, expected)

    def test_an_object_of_many_chunks_and_packs_takes_little_memory(self):
        original = os.path.join(self.folder, "original")
        sha256 = hashlib.sha256()

        def pieces():
            with open(original, "wb") as file:
                yield harness.spec("large", codec="store")
                for i in range(258):  # MiB: 65 chunks, so that it needs a list
                    piece = i.to_bytes(4, "big") * (harness.PIECE // 4)
                    file.write(piece)
                    sha256.update(piece)
                    yield harness.data_message(piece, i * harness.PIECE)
            yield harness.finish(258 * harness.PIECE, vxa_pb2.Digest(algorithm=1, value=sha256.digest()))

        with Server(self.archive, SMALL_PACKS) as server, Client(server) as client:
            self.assertTrue(client.write(pieces())[0].HasField("result"))
            self.assertGreater(len(server.packs()), 10)
            self.assertEqual(server.stop(), 0)
        limit = 100 << 20
        recovered = self.recover(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
        self.assertEqual((recovered.status, recovered.error), (OK, ""))
        self.assertEqual(recovered.versions["large", 1]["sha256"], sha256.hexdigest())
        self.assertTrue(filecmp.cmp(original, os.path.join(recovered.outdir, "objects/default/large"), shallow=False))

    def test_an_archive_in_use_is_left_alone(self):
        with Server(self.archive):
            recovered = self.recover()
            self.assertEqual(recovered.status, REFUSED)
            self.assertIn("in use", recovered.error)
            self.assertFalse(os.path.exists(recovered.outdir))


class Damage(RecoverTest):
    """Damaged copies of one archive of three packs: what the server still has, recover.py has, and it says the same of
    the rest."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.pristine = os.path.join(folder.name, "archive")
        cls.objects = {}
        with Server(cls.pristine, SMALL_PACKS) as server, Client(server) as client:
            own = client.register(harness.guest("xor")).id
            for i in range(6):
                cls.objects[f"{i}/own"] = data = text(3000, seed=i)
                client.put(f"{i}/own", xor(data, b"key"), decoding=decoding(own, data, "key"))
                for name, data in [(f"{i}/noise", noise(6 << 20, seed=i)), (f"{i}/text", text(20_000, seed=i)),
                                   (f"{i}/view.gz", gzip.compress(text(10_000, seed=i)))]:
                    client.put(name, data)
                    cls.objects[name] = data
            assert len(server.packs()) == 3
            assert server.stop() == 0

    def setUp(self):
        super().setUp()
        shutil.copytree(self.pristine, self.archive)

    def served(self):
        """What a server makes of the archive without its index: ({name: "ok" or "damaged"}, the same of views)."""
        copy = os.path.join(self.folder, "served")
        shutil.copytree(self.archive, copy, ignore=shutil.ignore_patterns("index"))
        objects, views = {}, {}
        with Server(copy, SMALL_PACKS) as server, Client(server) as client:
            for name in client.names():
                for found, form in (objects, vxa_pb2.ORIGINAL), (views, vxa_pb2.VIEW):
                    try:
                        client.read(name, form=form)
                        found[name] = "ok"
                    except grpc.RpcError as error:
                        if error.code() == grpc.StatusCode.DATA_LOSS:
                            found[name] = "damaged"
                        else:
                            self.assertEqual(harness.rpc_reason(error), "VIEW_NOT_FOUND")
        return objects, views

    def check(self, *damaged, lost=()):
        """That these objects are damaged, those not there, and all others as they were; for the server, too."""
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED if damaged or lost else OK, recovered.error)
        status = {name: line["status"] for (name, _), line in recovered.versions.items()}
        self.assertEqual(status, {name: "damaged" if name in damaged else "ok" for name in self.objects
                                  if name not in lost})
        views = {name: line["status"] for (name, _), line in recovered.views.items()}
        self.assertEqual((status, views), self.served())
        for (name, _), line in recovered.versions.items():
            if line["status"] == "ok":
                self.assertEqual(recovered.data(line), self.objects[name], name)
                self.assertFalse(line["path"].startswith("partial/"))
            else:
                self.assertTrue(line["path"].startswith("partial/") and line["damage"], line)
        return recovered

    def test_an_archive_without_damage_has_none(self):
        self.assertEqual(self.check().notes, [])

    def blob_of_noise(self):
        """(offset, payload) of the first chunk of 0/noise."""
        return next((offset, payload) for kind, offset, payload in pack_builder.records(self.pack(1))
                    if kind == BLOB and len(payload) > 1 << 20)

    def test_a_flipped_bit_in_a_blob_costs_its_object_only(self):
        offset, _ = self.blob_of_noise()
        flip(self.pack(1), offset + 1000)
        recovered = self.check("0/noise")
        data = recovered.data(recovered.versions["0/noise", 1])
        self.assertEqual(data[:4 << 20], bytes(4 << 20))
        self.assertEqual(data[4 << 20:], self.objects["0/noise"][4 << 20:])
        self.assertIn(f"bytes 0 to {4 << 20}", recovered.versions["0/noise", 1]["damage"][0])
        self.assertEqual([(note["file"], note["offset"]) for note in recovered.notes], [("00000001.vxp", offset)])

    def test_a_flipped_bit_in_a_blobs_header_costs_its_object_only(self):
        flip(self.pack(1), self.blob_of_noise()[0] + 20)
        self.check("0/noise")

    def test_a_flipped_bit_in_a_manifest_costs_its_version(self):
        flip(self.pack(1), self.record(1, MANIFEST)[0] + 200)
        self.check(lost=["0/own"])

    def lose_decoders(self, *numbers):
        for number in numbers:
            for kind, offset, _ in list(pack_builder.records(self.pack(number))):
                if kind == DECODER:
                    flip(self.pack(number), offset + 500)

    def test_a_flipped_bit_in_a_decoder_costs_nothing_while_another_pack_has_it(self):
        self.lose_decoders(1)
        recovered = self.recover()
        self.assertEqual([line["status"] for line in recovered.versions.values()], ["ok"] * len(self.objects))
        self.assertEqual(recovered.status, DAMAGED)
        self.assertEqual(self.served()[0], dict.fromkeys(self.objects, "ok"))

    def test_decoders_that_are_all_lost_cost_what_needs_them(self):
        self.lose_decoders(1, 2, 3)
        recovered = self.check(*(name for name in self.objects if name.endswith(("text", "own"))))
        self.assertIn("decoder", recovered.versions["0/text", 1]["damage"][0])
        self.assertEqual({line["status"] for line in recovered.views.values()}, {"damaged"})

    def test_garbage_in_the_middle_costs_what_it_hits(self):
        offset, payload = self.record(2, MANIFEST)
        [owner] = [name for name in self.objects if name.encode() in payload]
        overwrite(self.pack(2), offset - 3000, noise(3100))
        self.check(lost=[owner])

    def test_a_cut_tail_costs_what_is_behind_the_cut(self):
        last = self.record(3, MANIFEST, -1)[0]
        os.truncate(self.pack(3), last + 50)
        recovered = self.recover()
        # A tail that was never acknowledged would look the same: no damage.
        self.assertEqual((recovered.status, recovered.notes), (OK, []))
        self.assertEqual({name for name, _ in recovered.versions}, set(self.objects) - {"5/view.gz"})
        self.assertEqual(set(self.served()[0]), set(self.objects) - {"5/view.gz"})

    def test_a_missing_pack_costs_what_it_had(self):
        manifests = [payload for kind, _, payload in pack_builder.records(self.pack(2)) if kind == MANIFEST]
        lost = [name for name in self.objects if any(name.encode() in payload for payload in manifests)]
        os.unlink(self.pack(2))
        recovered = self.recover()
        self.assertEqual([note["file"] for note in recovered.notes], ["00000002.vxp"])
        status = {name: line["status"] for (name, _), line in recovered.versions.items()}
        self.assertEqual(set(status), set(self.objects) - set(lost))
        self.assertEqual(status, self.served()[0])

    def test_a_damaged_pack_header_costs_nothing(self):
        for number, offset in (1, 20), (2, 92), (3, 0):
            flip(self.pack(number), offset)
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED)
        self.assertEqual({name: line["status"] for (name, _), line in recovered.versions.items()},
                         dict.fromkeys(self.objects, "ok"))

    def test_every_flip_is_told(self):
        rng = random.Random(5)
        archive = os.path.join(self.folder, "small")
        pack = Pack(1)
        expected = {f"{i}": text(500, seed=i) for i in range(3)}
        for name, data in expected.items():
            pack.put(name, data)
        pack.barrier()
        Pack(2, previous=pack).write(archive)
        sound = pack.data
        for offset in rng.sample(range(len(sound)), 60):
            pack.data = sound[:offset] + bytes([sound[offset] ^ 1 << rng.randrange(8)]) + sound[offset + 1:]
            pack.write(archive)
            recovered = self.recover(archive=archive)
            self.assertEqual(recovered.status, DAMAGED, offset)
            self.assertTrue(recovered.notes, offset)
            for (name, _), line in recovered.versions.items():
                if line["status"] == "ok":
                    self.assertEqual(recovered.data(line), expected[name], offset)
            self.assertGreaterEqual(sum(line["status"] == "ok" for line in recovered.versions.values()), 2, offset)


class WrittenByHand(RecoverTest):
    """Archives that are made by FORMAT.md here, for what a server writes never or seldom."""

    def write(self, *packs):
        for pack in packs:
            pack.write(self.archive)

    def assert_names(self, recovered, *names):
        self.assertEqual(sorted(name for name, _ in recovered.versions), sorted(names))

    def test_the_worked_example_of_the_document_is_an_archive(self):
        lines = re.findall(r"^([0-9a-f]{8}): ((?:[0-9a-f]{4} ?)+)", read(FORMAT).decode(), re.MULTILINE)
        pack = b""
        for offset, words in lines:
            self.assertEqual(int(offset, 16), len(pack))
            pack += bytes.fromhex(words)
        os.makedirs(os.path.join(self.archive, "packs"))
        with open(os.path.join(self.archive, "VERSION"), "w") as file:
            file.write("vxa-archive 0\n")
        with open(self.pack(1), "wb") as file:
            file.write(pack)
        recovered = self.recover()
        self.assertEqual((recovered.status, recovered.error), (OK, ""))
        self.assertEqual(recovered.files(), ["objects/default/hello.txt", "report.jsonl"])
        self.assertEqual(read(recovered.outdir, "objects/default/hello.txt"), b"hello, world\n")

    def test_the_documents_table_of_fields_is_the_programs(self):
        tables = [dict(re.findall(r"^(\w+) +(1 \w.*(?:\n  .*)*)", source, re.MULTILINE))
                  for source in (read(FORMAT).decode(), read(RECOVER).decode())]
        self.assertGreater(len(tables[1]), 10)
        self.assertEqual(tables[1], {name: tables[0][name] for name in tables[1]})

    def object_with_a_decoder(self, wrong_view=False):
        """(pack, original, stored form) of an object "mine" with a decoder of its own and a view, in two blobs."""
        original, image = text(100_000), read(ZLIB)
        stored = zlib.compress(original)
        pack = Pack(1)
        pack.add(DECODER, image)
        halves = [blob(stored[:5000]), blob(stored[5000:])]
        for half in halves:
            pack.add(BLOB, half)
        decode, cost = pack_builder.decode(image, ["--format=zlib"]), message({1: 10**8})
        decoded = message({1: decode, 2: len(stored), 3: pack_builder.digest(stored), 4: cost})
        view = message({1: "decoded", 2: 1, 3: decode, 5: ".txt", 6: len(original), 7: pack_builder.digest(original), 8: cost})
        wrong = message({1: "wrong", 2: 1, 3: decode, 6: len(original), 7: pack_builder.digest(stored), 8: cost})
        failed = message({1: "failed", 2: 2, 3: decode, 9: "why"})
        pack.add(MANIFEST, manifest("mine", original, [chunk(0, 5000, halves[0]), chunk(5000, len(stored) - 5000, halves[1])],
                                    f21=decoded, f14=[view, failed, wrong] if wrong_view else [view, failed]))
        pack.barrier()
        return pack, original, stored

    def test_an_object_with_a_decoder_of_its_own_and_a_view_is_decoded(self):
        pack, original, _ = self.object_with_a_decoder()
        self.write(pack)
        recovered = self.recover()
        self.assertEqual((recovered.status, recovered.error), (OK, ""))
        self.assert_recovered(recovered, {("mine", 1): ("latest", original)})
        self.assertEqual(recovered.files(), ["objects/default/mine", "report.jsonl", "views/1/default/mine/decoded.txt"])
        self.assertEqual(read(recovered.outdir, "views/1/default/mine/decoded.txt"), original)

    def test_a_view_of_another_digest_is_damaged_and_the_object_is_not(self):
        pack, original, _ = self.object_with_a_decoder(wrong_view=True)
        self.write(pack)
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED)
        self.assertEqual(recovered.files(), ["objects/default/mine", "partial/views/1/default/mine/wrong", "report.jsonl",
                                             "views/1/default/mine/decoded.txt"])
        self.assertEqual(read(recovered.outdir, "objects/default/mine"), original)

    def test_what_is_left_of_a_stored_form_is_saved(self):
        pack, _, stored = self.object_with_a_decoder()
        self.write(pack)
        flip(self.pack(1), self.record(1, BLOB, 0)[0] + 1000)
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED)
        self.assertEqual(read(recovered.outdir, "partial/objects/default/mine"), bytes(5000) + stored[5000:])
        self.assertEqual(recovered.views["mine", 1]["status"], "damaged")

    def test_a_decoder_is_given_what_the_archive_says(self):
        # Says what brk(32 MiB) gives, and argv[1].
        asks = machine_code(b"\xb8\2\0\0\0\xba\0\x90\x04\x0a\x0f\x05\x50"
                     b"\xb8\4\0\0\0\xba\1\0\0\0\x89\xe1\xbb\4\0\0\0\x0f\x05"
                     b"\xb8\4\0\0\0\xba\1\0\0\0\x8b\x4c\x24\x0c\xbb\5\0\0\0\x0f\x05"
                     b"\xb8\1\0\0\0\x31\xd2\x0f\x05")
        # xorps xmm0, xmm0; write(1, its own first byte, 1)
        sse = machine_code(b"\x0f\x57\xc0\xb8\4\0\0\0\xba\1\0\0\0\xb9\x54\x80\x04\x08\xbb\1\0\0\0\x0f\x05"
                           b"\xb8\1\0\0\0\x31\xd2\x0f\x05")
        zero, enomem = bytes(4), struct.pack("<i", -12)
        cases = [
            ("memory", asks, {"memory": 40 << 20, "stack": 1 << 20, "arguments": ["first"]}, zero + b"first", "ok"),
            ("less", asks, {"memory": 32 << 20, "stack": 1 << 20, "arguments": ["other"]}, enomem + b"other", "ok"),
            ("stack", asks, {"memory": 40 << 20, "stack": 16 << 20, "arguments": [b"\xff -- "]}, enomem + b"\xff -- ", "ok"),
            ("profile 1", sse, {"profile": 1}, b"\x0f", "ok"),
            ("profile 2", sse, {"profile": 2}, b"\x0f", "damaged"),
            ("profile 9", sse, {"profile": 9}, b"\x0f", "damaged"),
            ("no stack", sse, {"stack": 4096}, b"\x0f", "damaged"),
            ("NUL", sse, {"arguments": ["a\0b"]}, b"\x0f", "damaged"),
            ("long", sse, {"arguments": ["x" * 200_000]}, b"\x0f", "damaged"),
        ]
        pack = Pack(1)
        pack.add(DECODER, asks)
        pack.add(DECODER, sse)
        for name, image, options, data, _ in cases:
            payload = blob(data, b"", pack_builder.decode(image, **options))
            pack.add(BLOB, payload)
            pack.add(MANIFEST, manifest(name, data, [chunk(0, len(data), payload)]))
        self.write(pack)
        recovered = self.recover()
        self.assertEqual({name: line["status"] for (name, _), line in recovered.versions.items()},
                         {name: status for name, _, _, _, status in cases}, recovered.report)

    def test_what_was_abandoned_does_not_count_but_serves_as_a_copy(self):
        first = Pack(1)
        first.put("kept", b"kept")
        end = len(first.data)
        first.put("abandoned", b"copy")
        first.add(UPDATE, message({2: "default", 3: "kept", 7: 1}))
        second = Pack(2, previous=first, end=end)
        second.add(MANIFEST, manifest("copy", b"copy", [chunk(0, 4, blob(b"copy"))]))
        self.write(first, second)
        recovered = self.recover()
        self.assertEqual((recovered.status, recovered.error), (OK, ""))
        self.assert_recovered(recovered, {("kept", 1): ("latest", b"kept"), ("copy", 1): ("latest", b"copy")})

    def test_the_last_pack_counts_up_to_damage_that_no_barrier_is_behind(self):
        pack = Pack(1)
        pack.put("first", b"first")
        hurt = len(pack.data)
        pack.put("second", b"second")
        pack.put("third", b"third")
        pack.data = pack.data[:hurt + 90] + b"\xff" + pack.data[hurt + 91:]
        self.write(pack)
        recovered = self.recover()
        self.assertEqual(recovered.status, OK)
        self.assert_names(recovered, "first")
        pack.barrier()
        self.write(pack)
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED)
        self.assert_names(recovered, "first", "second", "third")
        self.assertEqual(recovered.versions["second", 1]["status"], "damaged")

    def test_a_sealed_pack_that_is_too_short_is_told(self):
        first = Pack(1)
        first.put("first", b"first")
        cut = len(first.data)
        first.put("second", b"second")
        second = Pack(2, previous=first)
        first.data = first.data[:cut]
        self.write(first, second)
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED)
        self.assertEqual([(note["file"], note["offset"]) for note in recovered.notes], [("00000001.vxp", cut)])

    def test_a_record_of_another_pack_in_a_payload_is_not_taken_for_one(self):
        pack, forged = Pack(1), Pack(1)
        payload_at = pack_builder.PACK_HEADER + pack_builder.RECORD_HEADER
        forged.data = bytes(payload_at)
        forged.add(MANIFEST, manifest("forged", b"", []))
        pack.add(BLOB, forged.data[payload_at:])  # it lies at its offset
        pack.put("real", b"real")
        pack.barrier()
        self.write(pack)
        flip(self.pack(1), pack_builder.PACK_HEADER)  # the search for the next header comes through the payload
        recovered = self.recover()
        self.assertEqual(len(recovered.notes), 1)
        self.assert_names(recovered, "real")

    def test_records_within_what_a_damaged_record_says_is_its_own_are_found(self):
        pack = Pack(1)
        pack.add(BLOB, bytes(1000))
        pack.data = pack.data[:-800]
        pack.put("behind", b"behind")
        pack.barrier()
        self.write(pack)
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED)
        self.assert_names(recovered, "behind")

    def test_barriers_that_can_not_be_right_are_told(self):
        def other_hash(pack):
            pack.running = bytes(32)
            pack.barrier()

        def future(pack):
            pack.add(BARRIER, struct.pack("<Q", 1 << 40) + pack.running)

        def short(pack):
            pack.add(BARRIER, b"short")

        for wrong in other_hash, future, short:
            pack = Pack(1)
            pack.put("object", b"object")
            wrong(pack)
            pack.barrier()
            self.write(pack)
            recovered = self.recover()
            self.assertEqual(recovered.status, DAMAGED)
            self.assertEqual(len(recovered.notes), 1)
            self.assertIn("barrier", recovered.notes[0]["damage"][0])
            self.assertEqual(recovered.versions["object", 1]["status"], "ok")

    def test_names_of_a_hostile_archive_do_not_lead_out_of_the_folder(self):
        names = ["../../x", "/etc/x", "a/../../x", "a/./x", "", ".", "..", "a//b", "a/", "nul\0", "new\nline", "\x9b", "\udcff",
                 "x" * 1025, "x/" * 5000 + "x", os.path.join(self.folder, "x")]
        pack = Pack(1)
        for number, name in enumerate(names):
            pack.put(name, name.encode(errors="surrogateescape"), version=number + 1)
        for number, namespace in enumerate(["..", "../..", "a/b", "/tmp", "", "\0", "n" * 5000]):
            pack.put("namespace", namespace.encode(), version=number + 1, namespace=namespace)
        for number, version in enumerate([0, 2**64 - 1]):
            pack.put(f"version{number}", b"", version=version)
        image = read(ZLIB)
        pack.add(DECODER, image)
        payload = blob(zlib.compress(b"view"))
        pack.add(BLOB, payload)
        views = [message({1: name, 2: 1, 3: pack_builder.decode(image, ["--format=zlib"]), 5: extension, 6: 4,
                          7: pack_builder.digest(b"view"), 8: message({1: 10**7})})
                 for name, extension in [("../../../../x", ""), ("x", "/../../../../../x"), ("/etc/x", ""), ("", ""), ("", "..")]]
        pack.add(MANIFEST, manifest("views", zlib.compress(b"view"), [chunk(0, len(zlib.compress(b"view")), payload)],
                                    f14=views))
        self.write(pack)
        before = sorted(os.listdir(self.folder))
        recovered = self.recover()
        self.assertEqual(sorted(os.listdir(self.folder)), sorted([*before, os.path.basename(recovered.outdir)]))
        self.assertEqual(recovered.status, OK, recovered.error)
        lines = [line for line in recovered.report if "path" in line]
        self.assertEqual(len(lines), len(names) + 7 + 2 + 1 + len(views))
        self.assertEqual(recovered.files(), sorted([*(line["path"] for line in lines), "report.jsonl"]))
        for line in lines:
            if line["name"] in names or line["name"] == "namespace" or "view" in line:
                self.assertTrue(line["path"].startswith("aside/"), line)
        self.assertEqual({name: recovered.data(line) for (name, _), line in recovered.versions.items() if name in names},
                         {name: name.encode(errors="surrogateescape") for name in names})

    def test_contents_of_a_hostile_archive_are_damage_and_no_more(self):
        endless = machine_code(b"\xeb\xfe")
        # write(1, image, 84) for ever
        flood = machine_code(b"\xb8\4\0\0\0\xba\1\0\0\0\xb9\0\x80\x04\x08\xbb\x54\0\0\0\x0f\x05\xeb\xe8")
        data = text(1000)
        missing = blob(b"nowhere")
        hostile = {
            "endless": [blob(data, b"", pack_builder.decode(endless))],
            "flood": [blob(data, b"", pack_builder.decode(flood))],
            "no ELF": [blob(data, b"", pack_builder.decode(b"no ELF"))],
            "prefix": [struct.pack("<I", 0xFFFFFFFF) + bytes(100)],
            "short": [b"abc"],
            "wrong bytes": [blob(data, text(1000, seed=2))],
            "wrong length": [blob(data, length=999)],
            "min_reader": [struct.pack("<I", 2) + message({1: 1}) + data],
        }
        pack = Pack(1)
        for image in endless, flood, b"no ELF":
            pack.add(DECODER, image)
        for name, blobs in hostile.items():
            for payload in blobs:
                pack.add(BLOB, payload)
            pack.add(MANIFEST, manifest(name, data, [chunk(0, len(data), blobs[0])]))
        pack.add(MANIFEST, manifest("missing", data, [chunk(0, len(data), missing)]))
        pack.add(MANIFEST, manifest("huge", data, [chunk(0, 2**63, missing)], f6=2**64 - 1))
        pack.add(MANIFEST, manifest("too long", data, [chunk(0, 2000, missing)]))
        pack.add(MANIFEST, manifest("too short", data, []))
        pack.add(CHUNK_LIST, b"\xff\xff\xff")
        pack.add(MANIFEST, manifest("list", data, [], f9=message({1: pack_builder.digest(b"\xff\xff\xff"), 3: 2**64 - 1})))
        pack.add(MANIFEST, manifest("no digest", data, [], f7=b""))
        pack.add(MANIFEST, b"\x0b\xff\xff")  # no message
        pack.add(MANIFEST, message({1: 0, 2: 5}))  # a namespace that is a number
        pack.put("good", data)
        self.write(pack)
        recovered = self.recover()
        self.assertEqual(recovered.status, DAMAGED)
        self.assertNotIn("Traceback", recovered.error)
        self.assertEqual(len(recovered.notes), 2)
        self.assertEqual({name: line["status"] for (name, _), line in recovered.versions.items()},
                         {**dict.fromkeys([*hostile, "missing", "huge", "too long", "too short", "list", "no digest"],
                                          "damaged"), "good": "ok"})

    def test_a_field_or_record_that_is_not_known_is_passed_over_unless_it_is_critical(self):
        pack = Pack(1)
        pack.put("new", b"new", f99=[7, b"more"])
        pack.add(200, b"?", critical=False)
        self.write(pack)
        recovered = self.recover()
        self.assertEqual((recovered.status, recovered.error), (OK, ""))
        self.assert_names(recovered, "new")
        pack.add(200, b"!", critical=True)
        self.write(pack)
        self.assert_refused("critical record of type 200")

    def test_what_needs_a_later_program_is_refused(self):
        Pack(1, version=1).write(self.archive)
        self.assert_refused("format version 1")
        pack = Pack(1)
        pack.put("later", b"", f1=1)
        self.write(pack)
        self.assert_refused("min_reader is 1")

    def assert_refused(self, why):
        recovered = self.recover()
        self.assertEqual(recovered.status, REFUSED)
        self.assertIn(why, recovered.error)
        self.assertEqual(len(recovered.error.splitlines()), 1, recovered.error)

    def test_wrong_command_lines_are_told(self):
        pack = Pack(1)
        self.write(pack)
        full = os.path.join(self.folder, "full")
        os.mkdir(full)
        open(os.path.join(full, "file"), "w").close()
        for arguments, why in [([self.archive], "OUTDIR"), ([self.folder, "out"], "no archive"), ([self.archive, full], "not empty"),
                               (["--vxrun", "/no/such", self.archive, "out"], "/no/such"), (["--bogus"], "usage")]:
            run = subprocess.run([sys.executable, RECOVER, "--vxrun", VXRUN, *arguments], capture_output=True, text=True,
                                 cwd=self.folder)
            self.assertEqual(run.returncode, REFUSED, arguments)
            self.assertIn(why, run.stderr)
        self.assertEqual(os.listdir(full), ["file"])


if __name__ == "__main__":
    harness.main()
