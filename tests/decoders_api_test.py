"""Decoders of one's own, and objects that are put encoded: registered, named in a put, proved, read back."""

import gzip
import struct

import grpc

import harness
from harness import Client, Server, TestCase, decoding, digest, find, flip, guest, noise, put_messages, text
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode
REJECTED = (Code.INVALID_ARGUMENT, "DECODER_REJECTED")
INVALID = (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
PROOF_FAILED = (Code.INVALID_ARGUMENT, "PROOF_FAILED")


def without_notes(entry):
    """An Object of GetObject's, as all other calls tell of it."""
    result = vxa_pb2.Object()
    result.CopyFrom(entry)
    for use in result.decoders:
        use.ClearField("note")
    return result


def xor(data, key):
    return bytes(byte ^ key[i % len(key)] for i, byte in enumerate(data))


class Elf:
    """An ELF32 image to spoil: field offsets from the ELF specification 1.2, figures 1-3 and 2-1."""

    def __init__(self, image):
        self.bytes = bytearray(image)

    def headers(self):
        """Offsets of the program headers."""
        start, = struct.unpack_from("<I", self.bytes, 28)
        count, = struct.unpack_from("<H", self.bytes, 44)
        return [start + 32 * i for i in range(count)]

    def with_word(self, offset, value):
        struct.pack_into("<I", self.bytes, offset, value)
        return bytes(self.bytes)

    def with_type(self, segment, value):
        return self.with_word(self.headers()[segment], value)

    def with_flags(self, segment, value):
        return self.with_word(self.headers()[segment] + 24, value)

    def with_code_at_entry(self, code):
        entry, = struct.unpack_from("<I", self.bytes, 24)
        for header in self.headers():
            _, offset, address, _, size = struct.unpack_from("<5I", self.bytes, header)
            if address <= entry < address + size:
                at = offset + entry - address
                self.bytes[at:at + len(code)] = code
                return bytes(self.bytes)
        raise AssertionError("the entry is in no segment")


class Api(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = Client(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.client.__exit__()
        cls.server.__exit__()

    def built_in(self, name):
        [found] = [decoder for decoder in self.client.decoders().decoders
                   if decoder.name == name and decoder.origin == vxa_pb2.Decoder.BUILT_IN]
        return found.id


class Registering(Api):
    def test_a_registered_decoder_is_told_of_as_it_was_registered(self):
        image = guest("xor")
        decoder = self.client.register(image, name="my xor", profile="vx-2026-int", sample=xor(b"plain", b"key"),
                                       sample_arguments=["key"], sample_digest=digest(b"plain"))
        self.assertEqual(decoder.id, digest(image))
        self.assertEqual(decoder.origin, vxa_pb2.Decoder.REGISTERED)
        self.assertEqual(decoder.name, "my xor")
        self.assertEqual(decoder.size, len(image))
        self.assertEqual(decoder.profile, "vx-2026-int")
        self.assertTrue(decoder.registered_by.startswith("ipv4:127.0.0.1:"), decoder.registered_by)
        self.assertGreater(decoder.register_time.seconds, 1_600_000_000)
        self.assertFalse(decoder.approved)
        self.assertFalse(decoder.disabled)
        self.assertEqual(self.client.decoder(decoder.id), vxa_pb2.GetDecoderResponse(decoder=decoder))
        self.assertEqual(self.client.decoder(decoder.id, include_image=True).image, image)
        self.assertIn(decoder, self.client.decoders().decoders)

    def test_registering_again_changes_nothing(self):
        first = self.client.register(guest("cat"), name="first")
        self.assertEqual(first.profile, "vx-2026")
        self.assertEqual(self.client.register(guest("cat"), name="second", profile="vx-2026-int"), first)

    def test_a_built_in_decoder_stays_built_in(self):
        zlib = self.client.decoder(self.built_in("zlib"), include_image=True)
        self.assertTrue(zlib.decoder.approved)
        self.assertFalse(zlib.decoder.HasField("register_time"))
        self.assertEqual(zlib.decoder.size, len(zlib.image))
        self.assertEqual(self.client.register(zlib.image, name="mine"), zlib.decoder)

    def test_images_that_the_engine_does_not_take_are_rejected_with_the_reason(self):
        cat = guest("cat")
        rejected = {
            "an ELF file": b"#!/bin/sh\nexec cat\n" + bytes(100),
            "takes 52": cat[:20],
            "32-bit": cat[:4] + b"\x02" + cat[5:],
            "ET_EXEC": cat[:16] + b"\x03" + cat[17:],
            "PT_DYNAMIC": Elf(cat).with_type(0, 2),
            "PT_INTERP": Elf(cat).with_type(0, 3),
            "writable and executable": Elf(cat).with_flags(0, 7),
            "behind the file": cat[:len(cat) // 2],
        }
        for words, image in rejected.items():
            with self.subTest(words=words):
                message = self.assert_fails(*REJECTED, self.client.register, image)
                self.assertIn(words, message)
                self.assert_fails(Code.NOT_FOUND, "DECODER_NOT_FOUND", self.client.decoder, digest(image))

    def test_a_trap_in_the_trial_run_rejects_a_decoder(self):
        ud2 = b"\x0f\x0b"
        message = self.assert_fails(*REJECTED, self.client.register, Elf(guest("cat")).with_code_at_entry(ud2))
        self.assertIn("invalid opcode", message)

    def test_a_trial_run_on_a_sample_has_to_succeed(self):
        failures = {
            ("exit", "3"): "exit status 3",
            ("read", "0"): "page fault",
            ("flood",): "limit",
            ("diagnose", "5"): "it says: !!!!!",
        }
        for arguments, words in failures.items():
            with self.subTest(arguments=arguments):
                message = self.assert_fails(*REJECTED, self.client.register, guest("fault"),
                                            sample=b"sample", sample_arguments=arguments)
                self.assertIn(words, message)

    def test_the_sample_has_to_come_out_as_said(self):
        image = Elf(guest("cat")).bytes + b"of its own"  # what is in no segment is nobody's business
        message = self.assert_fails(*REJECTED, self.client.register, bytes(image),
                                    sample=b"sample", sample_digest=digest(b"other"))
        self.assertIn(digest(b"sample").value.hex(), message)
        self.client.register(bytes(image), sample=b"sample", sample_digest=digest(b"sample"))

    def test_without_a_sample_a_decoder_may_refuse_the_empty_input(self):
        self.assertEqual(self.client.register(guest("fault")).name, "")

    def test_a_profile_that_is_not_known_is_rejected(self):
        message = self.assert_fails(*REJECTED, self.client.register, guest("cat"), profile="vx-1993")
        self.assertIn("vx-2026", message)

    def test_fields_out_of_bounds_are_refused(self):
        cat = guest("cat")
        for image, fields in [
                (b"", {}),
                (cat + bytes(2 << 20), {}),
                (cat, {"name": "x" * 65}),
                (cat, {"name": "a/b"}),
                (cat, {"name": "a\nb"}),
                (cat, {"sample": bytes((512 << 10) + 1)}),
                (cat, {"sample_arguments": ["x"]}),
                (cat, {"sample_digest": digest(b"")}),
                (cat, {"sample": b"", "sample_digest": vxa_pb2.Digest(algorithm=1, value=b"short")}),
                (cat, {"sample": b"", "sample_arguments": ["a\0b"]}),
                (cat, {"sample": b"", "sample_arguments": ["x" * 0x10000]}),
        ]:
            with self.subTest(size=len(image), fields=list(fields)):
                self.assert_fails(*INVALID, self.client.register, image, **fields)

    def test_an_image_and_a_sample_of_the_largest_size_are_taken(self):
        image = guest("cat")
        image += bytes((2 << 20) - len(image))
        sample = noise(512 << 10)
        decoder = self.client.register(image, sample=sample, sample_digest=digest(sample))
        self.assertEqual(self.client.decoder(decoder.id, include_image=True).image, image)

    def test_a_deadline_ends_a_trial_run(self):
        with Server() as server, Client(server) as client:
            request = vxa_pb2.RegisterDecoderRequest(namespace="default", image=guest("fault"),
                                                     sample=b"x", sample_arguments=["spin"])
            with self.assertRaises(grpc.RpcError) as raised:
                client.stub.RegisterDecoder(request, timeout=0.5)
            self.assertEqual(raised.exception.code(), Code.DEADLINE_EXCEEDED)
            self.assertTrue(harness.wait_until(lambda: not server.workers()))
            self.assert_fails(Code.NOT_FOUND, "DECODER_NOT_FOUND", client.decoder, digest(guest("fault")))

    def test_a_decoder_that_is_not_there_is_not_found(self):
        message = self.assert_fails(Code.NOT_FOUND, "DECODER_NOT_FOUND", self.client.decoder, digest(b"no such"))
        self.assertIn(digest(b"no such").value.hex(), message)
        for call in self.client.decoders, lambda **fields: self.client.register(guest("cat"), **fields):
            self.assert_fails(Code.NOT_FOUND, "NAMESPACE_NOT_FOUND", call, namespace="nowhere")
        self.assert_fails(Code.NOT_FOUND, "NAMESPACE_NOT_FOUND", self.client.decoder, digest(b""), namespace="nowhere")


class Notes(Api):
    def note(self, *lines):
        return self.client.register(harness.with_note(guest("cat"), *lines)).note

    def test_what_a_decoder_says_of_itself_is_told(self):
        source = vxa_pb2.UpstreamSource(
            name="zlib", version="1.2.13", license="Zlib OR (MIT AND X11)", file="zlib.tar.xz", digest=digest(b"zlib"),
            patches=[vxa_pb2.UpstreamPatch(name="CVE-1.patch", digest=digest(b"patch"))])
        expected = vxa_pb2.DecoderNote(
            output=vxa_pb2.OutputType(media_type="audio/wav", extension=".wav"),
            parameters=[
                vxa_pb2.DecoderParameter(syntax="--png", description="for the web", preview=True,
                                         output=vxa_pb2.OutputType(media_type="image/png", extension=".png")),
                vxa_pb2.DecoderParameter(syntax="--mode=a|b", description="how")],
            sources=[source], kit="vxa 1", compiler="gcc 12")
        image = harness.with_note(
            guest("cat"), b"output: audio/wav .wav", b"preview: --png -> image/png .png; for the web",
            b"parameter: --mode=a|b; how",
            b"source: zlib 1.2.13 (Zlib OR (MIT AND X11)) zlib.tar.xz sha256:" + digest(b"zlib").value.hex().encode(),
            b"patch: CVE-1.patch sha256:" + digest(b"patch").value.hex().encode(), b"kit: vxa 1", b"compiler: gcc 12")
        decoder = self.client.register(image)
        self.assertEqual(decoder.note, expected)
        self.assertEqual(self.client.decoder(decoder.id).decoder, decoder)
        self.assertIn(decoder, self.client.decoders().decoders)
        self.client.put("noted", b"noted", decoding=decoding(decoder.id, b"noted"))
        self.assertEqual([use.note for use in self.client.stat("noted").decoders if use.decoder == decoder.id], [expected])
        self.assertFalse(any(use.HasField("note") for use in self.client.list(prefix="noted").objects[0].decoders))

    def test_built_in_decoders_tell_of_their_output_and_parameters(self):
        note = self.client.decoder(self.built_in("jpeg")).decoder.note
        self.assertEqual(note.output, vxa_pb2.OutputType(media_type="image/x-portable-anymap", extension=".pnm"))
        [scale] = [parameter for parameter in note.parameters if parameter.syntax == "--scale=2|4|8"]
        self.assertTrue(scale.preview)
        self.assertRegex(note.compiler, "^gcc ")
        self.client.put("x.gz", gzip.compress(b"x"))
        uses = {use.name: use.note for use in self.client.stat("x.gz").decoders}
        self.assertIn("--format=raw|zlib|gzip", [parameter.syntax for parameter in uses["zlib"].parameters])

    def test_what_is_no_note_is_no_hindrance_and_is_not_told(self):
        for lines in [], [b""], [b"\xff\xfe"], [b"kit: \x1b[2J"], [b"compiler: \xc2\x9b2J"], [b"output: a b c"], [b"x" * 20_000]:
            with self.subTest(lines=lines):
                self.assertEqual(self.note(*lines), vxa_pb2.DecoderNote())
        image = bytearray(harness.with_note(guest("cat"), b"kit: x"))
        image[-16:-12] = b"\xff" * 4  # the note's text size
        self.assertFalse(self.client.register(bytes(image)).HasField("note"))

    def test_a_note_is_told_again_by_every_server_that_has_the_decoder(self):
        with Server() as server:
            with Client(server) as client:
                decoder = client.register(harness.with_note(guest("cat"), b"kit: mine"))
            server.restart()
            with Client(server) as client:
                self.assertEqual(client.decoder(decoder.id).decoder.note.kit, "mine")

    def test_a_decoder_that_is_damaged_is_told_of_without_its_note(self):
        with Server() as server:
            with Client(server) as client:
                decoder = client.register(harness.with_note(guest("cat"), b"kit: damaged"))
                client.put("x", b"x", decoding=decoding(decoder.id, b"x"))
            for pack in server.packs():
                flip(pack, find(pack, b"kit: damaged"))
            server.restart()
            with Client(server) as client:
                decoder.ClearField("note")
                self.assertEqual(client.decoder(decoder.id).decoder, decoder)
                self.assertIn(decoder, client.decoders().decoders)
                self.assertFalse(any(use.HasField("note") for use in client.stat("x").decoders
                                     if use.decoder == decoder.id))


class LostRegistrations(TestCase):
    def test_a_decoder_whose_registration_is_lost_is_not_taken_for_an_approved_one(self):
        with Server() as server:
            with Client(server) as client:
                decoder = client.register(guest("cat"), name="registered in vain").id
            [pack] = server.packs()
            flip(pack, find(pack, b"registered in vain"))
            server.lose_index()
            with Client(server) as client:
                self.assertFalse(client.decoder(decoder).decoder.approved)
                [zlib] = [entry for entry in client.decoders().decoders if entry.name == "zlib"]
                self.assertTrue(zlib.approved)


class ListingDecoders(TestCase):
    def test_decoders_come_in_the_order_of_their_digests_page_by_page(self):
        with Server() as server, Client(server) as client:
            built_in = [decoder.id.value for decoder in client.decoders().decoders]
            self.assertGreaterEqual(len(built_in), 1)
            registered = [client.register(guest("cat") + bytes([i])).id.value for i in range(7)]
            expected = sorted(built_in + registered)
            for page_size in 1, 2, len(expected) - 1, len(expected), 1000, 0:
                got, token = [], ""
                while True:
                    page = client.decoders(page_size=page_size, page_token=token)
                    self.assertLessEqual(len(page.decoders), page_size or 1000)
                    got += [decoder.id.value for decoder in page.decoders]
                    token = page.next_page_token
                    if not token:
                        break
                self.assertEqual(got, expected, page_size)
            self.assert_fails(*INVALID, client.decoders, page_token="made up")
            self.assert_fails(*INVALID, client.decoders, page_size=1001)


    def test_a_page_is_never_larger_than_a_client_takes(self):
        with Server() as server, Client(server) as client:
            lines = [b"parameter: --p%d; " % i + b"x" * 900 for i in range(17)]
            registered = {client.register(harness.with_note(guest("cat"), b"kit: %d" % i, *lines)).id.value
                          for i in range(300)}
            got, token, pages = [], "", 0
            while True:
                page = client.decoders(page_token=token)  # gRPC refuses an answer of more than 4 MiB
                got += [decoder.id.value for decoder in page.decoders]
                self.assertTrue(all(len(decoder.note.parameters) == 17 for decoder in page.decoders
                                    if decoder.id.value in registered))
                token, pages = page.next_page_token, pages + 1
                if not token:
                    break
            self.assertEqual(got, sorted(set(got)))
            self.assertLessEqual(registered, set(got))
            self.assertGreater(pages, 1)


class EncodedObjects(Api):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.xor = cls.client.register(guest("xor"), name="xor").id

    def test_the_object_is_what_the_decoder_makes_and_its_stored_form_what_was_put(self):
        plain = text(300_000)
        encoded = xor(plain, b"secret")
        result = self.client.put("letter", encoded, decoding=decoding(self.xor, plain, "secret"))
        entry = result.object
        self.assertEqual((entry.size, entry.digest), (len(plain), digest(plain)))
        self.assertEqual(entry.media_type, "text/plain")
        self.assertEqual(entry.decoding.decoder, self.xor)
        self.assertEqual(entry.decoding.decoder_name, "")  # its name is a claim
        self.assertEqual(list(entry.decoding.arguments), ["secret"])
        self.assertEqual(entry.decoding.stored_form_size, len(encoded))
        self.assertEqual(entry.decoding.stored_form_digest, digest(encoded))
        self.assertEqual(entry.decoding.cost.decoded_bytes, len(plain))
        self.assertGreater(entry.decoding.cost.instructions, len(plain))
        self.assertIn(self.xor, [use.decoder for use in entry.decoders])
        self.assertIn(self.xor, [cost.decoder for cost in result.proof])
        self.assertEqual(list(entry.views), [])
        self.assertEqual(without_notes(self.client.stat("letter")), entry)
        self.assertEqual(list(self.client.list(prefix="letter").objects), [entry])

        metadata, back, end = self.client.read("letter")
        self.assertEqual(back, plain)
        self.assertEqual((metadata.size, metadata.media_type), (len(plain), "text/plain"))
        self.assertEqual(metadata.object, entry)
        self.assertEqual((end.verified, end.digest), (True, digest(plain)))
        self.assertIn(self.xor, [cost.decoder for cost in end.cost])
        metadata, back, end = self.client.read("letter", form=vxa_pb2.STORED)
        self.assertEqual(back, encoded)
        self.assertEqual((metadata.size, metadata.media_type), (len(encoded), "application/octet-stream"))
        self.assertEqual((end.verified, end.digest), (True, digest(encoded)))

    def test_a_built_in_decoder_decodes_what_is_compressed_already(self):
        plain = noise(5_000_000) + text(2_000_000)
        packed = gzip.compress(plain, mtime=0)
        result = self.client.put("notes", packed, decoding=decoding(self.built_in("zlib"), plain, "--format=gzip"))
        self.assertEqual(result.object.decoding.decoder_name, "zlib")
        self.assertEqual(result.object.chunks, 2)
        self.assertEqual(self.client.get("notes"), plain)
        self.assertEqual(self.client.get("notes", form=vxa_pb2.STORED), packed)

    def test_ranges_of_both_forms_are_exact(self):
        plain = text(600_000)
        packed = gzip.compress(plain, 1, mtime=0)
        self.client.put("range", packed, decoding=decoding(self.built_in("zlib"), plain, "--format=gzip"))
        for form, whole in (vxa_pb2.ORIGINAL, plain), (vxa_pb2.STORED, packed):
            for offset, limit in [(0, 10), (10_000, 7_000), (len(whole) - 10, 100), (len(whole), 5), (7, 0)]:
                with self.subTest(form=form, offset=offset, limit=limit):
                    metadata, back, end = self.client.read("range", form=form, read_offset=offset, read_limit=limit)
                    self.assertEqual(back, whole[offset:offset + limit])
                    self.assertEqual(metadata.size, len(whole))
                    self.assertTrue(end.verified)
            self.assert_fails(Code.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE", self.client.read, "range", form=form,
                              read_offset=len(whole) + 1)

    def test_the_size_of_the_original_need_not_be_known(self):
        plain = text(1000)
        self.client.put("unsized", xor(plain, b"k"), decoding=decoding(self.xor, plain, "k", size=False))
        self.assertEqual(self.client.get("unsized"), plain)

    def test_an_empty_original_comes_back(self):
        self.client.put("empty", b"", decoding=decoding(self.xor, b"", "k"))
        self.assertEqual(self.client.get("empty"), b"")

    def test_the_bytes_that_come_may_be_encoded_once_more(self):
        plain = text(200_000)
        encoded = xor(plain, b"k")
        result = self.client.put("twice", encoded, codec="deflate", decoding=decoding(self.xor, plain, "k"))
        self.assertEqual(result.object.codec, "deflate")
        self.assertLess(result.object.stored_size, len(encoded) // 2)
        self.assertEqual(self.client.get("twice"), plain)
        self.assertEqual(self.client.get("twice", form=vxa_pb2.STORED), encoded)

    def test_finish_is_about_what_was_sent(self):
        plain = text(100)
        encoded = gzip.compress(plain)
        responses = self.client.write([
            harness.spec("sent", decoding=decoding(self.built_in("zlib"), plain)),
            harness.data_message(encoded), harness.finish(len(plain), digest(plain))])
        self.assertEqual([harness.error_reason(response.error) for response in responses], ["CHECKSUM_MISMATCH"])

    def test_the_same_encoding_again_changes_nothing_another_one_is_a_version(self):
        plain = text(10_000)

        def put(key):
            result = self.client.put("again", xor(plain, key), decoding=decoding(self.xor, plain, key.decode()))
            return result.object.version, result.unchanged

        self.assertEqual(self.client.put("again", plain).object.version, 1)
        self.assertEqual(put(b"k"), (2, False))  # the encoding is what this put is about
        self.assertEqual(put(b"k"), (2, True))
        self.assertEqual(put(b"l"), (3, False))
        plainly = self.client.put("again", plain)  # whoever has the original has it already
        self.assertEqual((plainly.object.version, plainly.unchanged), (3, True))
        self.assertEqual([self.client.get("again", version=version) for version in (1, 2, 3)], [plain] * 3)

    def test_a_retry_with_the_same_request_id_finds_the_same_version(self):
        plain = text(1000)
        fields = {"decoding": decoding(self.xor, plain, "k"), "request_id": "id"}
        first = self.client.put("retry", xor(plain, b"k"), **fields)
        self.client.put("retry", b"later")
        retry = self.client.put("retry", xor(plain, b"k"), **fields)
        self.assertEqual((retry.object.version, retry.unchanged), (first.object.version, True))
        self.assertEqual(retry.object, without_notes(self.client.stat("retry", version=1)))
        fields["decoding"] = decoding(self.xor, plain, "l")
        self.assert_fails(*INVALID, self.client.put, "retry", xor(plain, b"l"), **fields)

    def test_everything_outlasts_a_restart_and_the_loss_of_the_index(self):
        with Server() as server:
            plain = text(50_000)
            with Client(server) as client:
                decoder = client.register(guest("xor"), name="xor", profile="vx-2026-int")
                client.register(guest("fault"))
                client.put("kept", xor(plain, b"k"), decoding=decoding(decoder.id, plain, "k"), request_id="id")
                client.verify()
                entry, decoders = client.stat("kept"), client.decoders()
            for again in server.restart, server.lose_index:
                again()
                with Client(server) as client:
                    self.assertEqual(client.stat("kept"), entry)
                    self.assertEqual(client.get("kept"), plain)
                    self.assertEqual(client.decoders(), decoders)
                    self.assertEqual(client.decoder(decoder.id, include_image=True).image, guest("xor"))
                    self.assertEqual(client.register(guest("xor"), name="other"), decoder)
                    retry = client.put("kept", xor(plain, b"k"), decoding=decoding(decoder.id, plain, "k"),
                                       request_id="id")
                    self.assertTrue(retry.unchanged)
                    self.assertEqual(retry.object, without_notes(entry))


class FailingProofs(Api):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cat, cls.fault, cls.hog = (cls.client.register(guest(name)).id for name in ("cat", "fault", "hog"))

    def failures(self):
        """(words of the error, encoded bytes, decoding)"""
        plain = b"plain"
        zlib = self.built_in("zlib")
        packed = gzip.compress(plain)
        return [
            ("exit status 3", plain, decoding(self.fault, plain, "exit", "3")),
            ("trap: invalid opcode", plain, decoding(self.fault, plain, "ud2")),
            ("page fault reading 0x00000000", plain, decoding(self.fault, plain, "read", "0")),
            ("page fault writing", plain, decoding(self.fault, plain, "overflow-stack")),
            (digest(b"other").value.hex(), b"other", decoding(self.cat, plain)),
            (digest(b"longer").value.hex(), b"longer", decoding(self.cat, plain, size=False)),
            ("limit", b"too long", decoding(self.cat, plain)),
            ("3 bytes, 5 were to come", b"few", decoding(self.cat, plain)),
            ("limit", plain, decoding(self.fault, plain, "flood")),
            ("exit status 0", plain, decoding(self.hog, plain, size=False)),
            ("unknown argument nonsense", packed, decoding(zlib, plain, "nonsense")),
            ("the input ends within a stream", packed[:-9], decoding(zlib, plain)),
        ]

    def test_nothing_is_stored_without_its_proof_and_the_stream_lives_on(self):
        failures = self.failures()
        messages = []
        for i, (_, encoded, decoding_) in enumerate(failures):
            messages += put_messages(f"bad/{i:02}", encoded, decoding=decoding_)
            messages += put_messages(f"good/{i:02}", b"%d" % i)
        responses = self.client.write(messages)
        self.assertEqual(len(responses), 2 * len(failures))
        for (words, _, _), bad, good in zip(failures, responses[::2], responses[1::2]):
            with self.subTest(words=words):
                self.assertEqual((harness.grpc_code(bad.error.code), harness.error_reason(bad.error)), PROOF_FAILED)
                self.assertIn(words, bad.error.message)
                self.assertTrue(good.HasField("result"))
        self.assertEqual(self.client.names(prefix="bad/"), [])
        self.assertEqual(len(self.client.names(prefix="good/")), len(failures))
        self.assertFalse(self.server.workers())

    def complaint(self, words):
        return self.assert_fails(*PROOF_FAILED, self.client.put, "complaint", words,
                                 decoding=decoding(self.fault, b"", "complain", "1"))

    def test_the_first_4_kib_of_what_the_decoder_says_are_passed_on(self):
        words = "".join(f"line {i}\n" for i in range(1000))
        message = self.complaint(words.encode())
        self.assertIn(words[:4096].strip(), message)
        self.assertNotIn(words[:4100].strip(), message)

    def test_what_could_harm_a_terminal_in_what_it_says_is_made_safe(self):
        words = b"\x1b[2J\x00\xffxy"
        self.assertIn(r"\x1b[2J\x00\xffxy" * 512, self.complaint(words * 600))
        self.assertIn(r"\xc2\x9bü", self.complaint("\x9bü".encode()))

    def test_a_deadline_ends_a_decoder_that_loops(self):
        call = self.client.stub.WriteObject(
            put_messages("loop", b"x", decoding=decoding(self.fault, b"x", "spin")), timeout=1)
        with self.assertRaises(grpc.RpcError) as raised:
            list(call)
        self.assertEqual(raised.exception.code(), Code.DEADLINE_EXCEEDED)
        self.assertTrue(harness.wait_until(lambda: not self.server.workers()))
        self.assertEqual(self.client.names(prefix="loop"), [])

    def test_a_client_that_goes_away_takes_the_decoder_of_its_put_with_it(self):
        call = self.client.stub.WriteObject(
            put_messages("endless", b"x", decoding=decoding(self.fault, b"x", "flood", size=False)))
        self.assertTrue(harness.wait_until(self.server.workers))
        call.cancel()
        self.assertTrue(harness.wait_until(lambda: not self.server.workers()))
        self.assertEqual(self.client.names(prefix="endless"), [])

    def test_a_decoder_has_to_be_known_before_the_bytes_are_sent(self):
        unknown = harness.spec("unknown", decoding=decoding(digest(b"no decoder"), b""))
        [response] = self.client.write([unknown])
        self.assertEqual(harness.error_reason(response.error), "DECODER_NOT_FOUND")
        self.assertIn(digest(b"no decoder").value.hex(), response.error.message)

    def test_a_decoding_has_to_be_whole(self):
        sound = decoding(self.cat, b"x")
        for field, value in [("decoder", vxa_pb2.Digest()), ("decoder", vxa_pb2.Digest(algorithm=1, value=b"short")),
                             ("original_digest", vxa_pb2.Digest())]:
            bad = vxa_pb2.Decoding()
            bad.CopyFrom(sound)
            getattr(bad, field).CopyFrom(value)
            with self.subTest(field=field):
                self.assertIn("decoding." + field,
                              self.assert_fails(*INVALID, self.client.put, "whole", b"x", decoding=bad))
        for arguments in ["a\0b"], ["x" * 0x10000], ["x"] * 0x8001:
            self.assertIn("arguments", self.assert_fails(*INVALID, self.client.put, "whole", b"x",
                                                         decoding=decoding(self.cat, b"x", *arguments)))


if __name__ == "__main__":
    harness.main()
