"""Messages that no good client sends: each gets an error that says what is wrong, and the server serves on."""

import random

import grpc

import harness
from harness import Client, Server, TestCase, data_message, decoding, digest, finish, guest, put_messages, spec
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode


class HostileMessages(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = Client(cls.server)
        cls.client.put("sound", b"sound")

    @classmethod
    def tearDownClass(cls):
        cls.client.__exit__()
        cls.server.__exit__()

    def tearDown(self):
        self.assertEqual(self.client.get("sound"), b"sound")

    def reasons(self, *messages):
        return [harness.error_reason(response.error) if response.HasField("error") else "ok"
                for response in self.client.write(messages)]

    def test_messages_out_of_order(self):
        empty = vxa_pb2.WriteObjectRequest()
        self.assertEqual(self.reasons(empty), ["INVALID_REQUEST"])
        self.assertEqual(self.reasons(data_message(b"x")), ["INVALID_REQUEST"])
        self.assertEqual(self.reasons(finish(0, digest(b""))), ["INVALID_REQUEST"])
        self.assertEqual(self.reasons(spec("x"), empty), ["INVALID_REQUEST"])
        self.assertEqual(self.reasons(spec("x"), spec("y"), finish(0, digest(b""))), ["INVALID_REQUEST", "ok"])
        self.assertEqual(self.reasons(spec("z"), finish(0, digest(b"")), finish(0, digest(b""))),
                         ["ok", "INVALID_REQUEST"])
        self.assertEqual(self.reasons(), [])

    def test_digests_that_are_none(self):
        for value, algorithm in [(b"", 1), (b"short", 1), (bytes(33), 1), (bytes(32), 0), (bytes(32), 99)]:
            with self.subTest(size=len(value), algorithm=algorithm):
                bad = vxa_pb2.Digest(algorithm=algorithm, value=value)
                self.assertEqual(self.reasons(spec("digest"), finish(0, bad)), ["INVALID_REQUEST"])

    def test_sizes_at_the_limits(self):
        most = bytes(2 << 20)
        self.assertEqual(self.reasons(spec("most"), data_message(most), finish(len(most), digest(most))), ["ok"])
        self.assertEqual(self.reasons(spec("more"), data_message(most + b"x")), ["INVALID_REQUEST"])
        with self.assertRaises(grpc.RpcError) as raised:
            self.client.write([spec("huge"), data_message(bytes(16 << 20))])
        self.assertEqual(raised.exception.code(), Code.RESOURCE_EXHAUSTED)

    def test_fields_that_are_too_large(self):
        many = {str(i): "x" * 1000 for i in range(100)}
        self.assertEqual(self.reasons(spec("metadata", metadata=many)), ["INVALID_REQUEST"])
        self.assertEqual(self.reasons(spec("id", request_id="x" * 129)), ["INVALID_REQUEST"])
        self.assertEqual(self.reasons(spec("size"), finish(2**64 - 1, digest(b""))), ["CHECKSUM_MISMATCH"])
        self.assertEqual(self.reasons(spec("offset"), data_message(b"x", offset=2**64 - 1)), ["INVALID_REQUEST"])

    def test_names_that_are_not_utf8(self):
        raw = spec("AAAA").SerializeToString().replace(b"AAAA", b"\xff\xfe\xfd\xfc")
        call = self.client.channel.stream_stream("/vxa.v1.Archive/WriteObject")
        [answer] = call(iter([raw]))
        error = vxa_pb2.WriteObjectResponse.FromString(answer).error
        self.assertIn(harness.error_reason(error), ("INVALID_NAME", "INVALID_REQUEST"))
        get = self.client.channel.unary_unary("/vxa.v1.Archive/GetObject")
        request = vxa_pb2.GetObjectRequest(namespace="default", name="AAAA").SerializeToString()
        self.assert_fails_somehow(get, request.replace(b"AAAA", b"\xff\xfe\xfd\xfc"))

    def test_random_bytes_as_messages(self):
        rng = random.Random(11)
        unary = [self.client.channel.unary_unary(f"/vxa.v1.Archive/{name}")
                 for name in ("GetObject", "ListObjects", "DeleteObject", "RegisterDecoder", "GetDecoder",
                              "ListDecoders")]
        streams = [self.client.channel.unary_stream(f"/vxa.v1.Archive/{name}")
                   for name in ("ReadObject", "VerifyObjects")]
        write = self.client.channel.stream_stream("/vxa.v1.Archive/WriteObject")
        for _ in range(100):
            junk = rng.randbytes(rng.randrange(1, 200))
            for call in unary:
                self.assert_fails_somehow(call, junk)
            for stream in streams:
                self.assert_fails_somehow(lambda message, call=stream: list(call(message)), junk)
            try:
                for answer in write(iter([spec("junk").SerializeToString(), junk])):
                    self.assertTrue(vxa_pb2.WriteObjectResponse.FromString(answer).HasField("error"))
            except grpc.RpcError as error:
                self.assertNotIn(error.code(), (Code.UNAVAILABLE, Code.UNKNOWN))

    def assert_fails_somehow(self, call, request):
        """An error that is the request's, not a server that went away; or an answer to what parsed as sense."""
        try:
            call(request)
        except grpc.RpcError as error:
            self.assertNotIn(error.code(), (Code.UNAVAILABLE, Code.UNKNOWN), error.details())

    def test_requests_with_wild_numbers(self):
        for fields in [{"read_offset": 2**64 - 1}, {"read_offset": 2**64 - 1, "read_limit": 2**64 - 1}]:
            self.assert_fails(Code.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE", self.client.read, "sound", **fields)
        self.assertEqual(self.client.read("sound", read_offset=1, read_limit=2**64 - 1)[1], b"ound")
        self.assert_fails(Code.NOT_FOUND, "OBJECT_NOT_FOUND", self.client.stat, "sound", version=2**64 - 1)
        request = vxa_pb2.ReadObjectRequest(namespace="default", name="sound")
        request = request.SerializeToString() + b"\x38\x63"  # form = 99
        read = self.client.channel.unary_stream("/vxa.v1.Archive/ReadObject")
        with self.assertRaises(grpc.RpcError) as raised:
            list(read(request))
        self.assertEqual(raised.exception.code(), Code.INVALID_ARGUMENT)

    def test_decodings_with_wild_values(self):
        cat = self.client.register(guest("cat")).id
        sound = decoding(cat, b"x")

        def put(**fields):
            changed = vxa_pb2.Decoding()
            changed.CopyFrom(sound)
            for field, value in fields.items():
                getattr(changed, field).CopyFrom(value)
            return self.reasons(*put_messages("decoding", b"x", decoding=changed))

        for bad in [vxa_pb2.Digest(), vxa_pb2.Digest(algorithm=99, value=bytes(32)),
                    vxa_pb2.Digest(algorithm=1, value=bytes(31)), vxa_pb2.Digest(algorithm=1, value=bytes(1 << 20))]:
            self.assertEqual(put(decoder=bad), ["INVALID_REQUEST"])
            self.assertEqual(put(original_digest=bad), ["INVALID_REQUEST"])
        self.assertEqual(self.reasons(*put_messages("decoding", b"x", decoding=vxa_pb2.Decoding())),
                         ["INVALID_REQUEST"])
        for size in 2**64 - 1, 2**63, 0:
            wild = vxa_pb2.Decoding(decoder=cat, original_digest=digest(b"x"), original_size=size)
            self.assertEqual(self.reasons(*put_messages("decoding", b"x", decoding=wild)), ["PROOF_FAILED"])
        many = decoding(cat, b"x", *[""] * 200_000)
        self.assertEqual(self.reasons(*put_messages("decoding", b"x", decoding=many)), ["INVALID_REQUEST"])
        self.assertEqual(self.client.names(prefix="decoding"), [])

    def test_requests_about_decoders_that_are_too_large(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.client.register(bytes(4 << 20))
        self.assertEqual(raised.exception.code(), Code.RESOURCE_EXHAUSTED)
        invalid = (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        self.assert_fails(*invalid, self.client.register, guest("cat") + bytes(2 << 20))
        self.assert_fails(*invalid, self.client.register, guest("cat"), sample=bytes(2 << 20))
        self.assert_fails(*invalid, self.client.register, guest("cat"), name="x" * (1 << 20))
        self.assert_fails(*invalid, self.client.decoders, page_token="x" * (1 << 20))
        self.assert_fails(*invalid, self.client.decoder, vxa_pb2.Digest(algorithm=1, value=bytes(1 << 20)))
        self.assert_fails(*invalid, self.client.verify, prefix="x" * (1 << 20))
        self.assert_fails(*invalid, self.client.verify, *["x"] * 100_000)
        self.assert_fails(Code.INVALID_ARGUMENT, "INVALID_NAME", self.client.verify, "x" * (1 << 20))

    def test_images_with_flipped_bits(self):
        rng = random.Random(5)
        cat = guest("cat")
        for _ in range(60):
            image = bytearray(cat)
            for _ in range(rng.choice([1, 3])):  # headers, mostly
                image[rng.randrange(rng.choice([116, len(image)]))] ^= 1 << rng.randrange(8)
            with self.subTest(image=image[:116].hex()):
                try:
                    decoder = self.client.stub.RegisterDecoder(
                        vxa_pb2.RegisterDecoderRequest(namespace="default", image=bytes(image)), timeout=3)
                    self.assertEqual(decoder.id, digest(bytes(image)))
                except grpc.RpcError as error:
                    self.assertIn((error.code(), harness.rpc_reason(error)),
                                  [(Code.INVALID_ARGUMENT, "DECODER_REJECTED"),
                                   (Code.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"),
                                   (Code.DEADLINE_EXCEEDED, None)], error.details())
        self.assertTrue(harness.wait_until(lambda: not self.server.workers()))

    def test_texts_about_decoders_that_are_not_utf8(self):
        sound = vxa_pb2.RegisterDecoderRequest(namespace="default", image=b"x", name="AAAA").SerializeToString()
        register = self.client.channel.unary_unary("/vxa.v1.Archive/RegisterDecoder")
        with self.assertRaises(grpc.RpcError) as raised:
            register(sound.replace(b"AAAA", b"\xff\xfe\xfd\xfc"))
        self.assertEqual(harness.rpc_reason(raised.exception), "INVALID_REQUEST")
        self.assertIn("RegisterDecoderRequest", raised.exception.details())

    def test_an_unknown_method(self):
        call = self.client.channel.unary_unary("/vxa.v1.Archive/Nothing")
        with self.assertRaises(grpc.RpcError) as raised:
            call(b"")
        self.assertEqual(raised.exception.code(), Code.UNIMPLEMENTED)


if __name__ == "__main__":
    harness.main()
