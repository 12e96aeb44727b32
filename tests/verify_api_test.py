"""VerifyObjects: reproduces what is asked for, tells of each version, and records the outcome."""

import functools
import gzip

import grpc

import harness
from harness import Client, Server, TestCase, decoding, digest, find, flip, guest, noise, put_messages, text
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode
DAMAGED = Code.DATA_LOSS.value[0]


@functools.cache
def bomb():
    """Little that becomes much: to reproduce it takes its time, however fast its decoder runs."""
    return gzip.compress(bytes(400_000_000), 9)


class Verifying(TestCase):
    def setUp(self):
        self.server = Server()
        self.addCleanup(self.server.__exit__)
        self.client = Client(self.server)
        self.addCleanup(self.client.__exit__)

    def put(self, *names):
        for name in names:
            self.client.put(name, name.encode())

    def verified(self, *names, **fields):
        """(name, version) of those that were reproduced, in the order in which they came."""
        versions, summary = self.client.verify(*names, **fields)
        self.assertTrue(all(version.status.code == 0 for version in versions.values()), versions)
        self.assertEqual((summary.objects, summary.damaged), (len(versions), 0))
        return list(versions)

    def test_everything_is_verified_unless_names_or_a_prefix_are_given(self):
        self.put("b", "a/1", "a/2", "c")
        self.assertEqual(self.verified(), [("a/1", 1), ("a/2", 1), ("b", 1), ("c", 1)])
        self.assertEqual(self.verified(prefix="a/"), [("a/1", 1), ("a/2", 1)])
        self.assertEqual(self.verified("c", "a/1"), [("c", 1), ("a/1", 1)])
        self.assertEqual(self.verified(prefix="nothing"), [])

    def test_the_latest_visible_version_is_verified_unless_all_are_wanted(self):
        for data in b"1", b"2", b"3":
            self.client.put("v", data)
        self.client.delete("v", version=2)
        self.put("v/below", "hidden")
        self.client.delete("hidden")
        self.assertEqual(self.verified(), [("v", 3), ("v/below", 1)])
        self.assertEqual(self.verified("v"), [("v", 3)])
        self.assertEqual(self.verified("v", versions=True), [("v", 3), ("v", 1)])
        self.assertEqual(self.verified(versions=True), [("hidden", 1), ("v", 3), ("v", 1), ("v/below", 1)])

    def test_a_name_that_is_not_there_is_an_answer_of_its_own(self):
        self.put("there", "there/below")
        versions, summary = self.client.verify("missing", "there", "ther")
        self.assertEqual(list(versions), [("missing", 0), ("there", 1), ("ther", 0)])
        self.assertEqual(versions["missing", 0].status.code, Code.NOT_FOUND.value[0])
        self.assertEqual(harness.error_reason(versions["missing", 0].status), "OBJECT_NOT_FOUND")
        self.assertEqual((summary.objects, summary.damaged), (1, 0))

    def test_originals_and_views_are_reproduced_through_their_decoders(self):
        plain = text(200_000)
        packed = gzip.compress(plain, mtime=0)
        self.client.put("plain", plain)
        self.client.put("viewed.gz", packed)
        xor = self.client.register(guest("xor")).id
        encoded = bytes(byte ^ ord("k") for byte in plain)
        self.client.put("encoded", encoded, decoding=decoding(xor, plain, "k"))
        versions, summary = self.client.verify()
        self.assertEqual(versions["viewed.gz", 1].size, len(packed))
        self.assertEqual([cost.decoder_name for cost in versions["viewed.gz", 1].cost], ["zlib"])
        self.assertIn(xor, [cost.decoder for cost in versions["encoded", 1].cost])
        self.assertTrue(all(cost.instructions for version in versions.values() for cost in version.cost))
        self.assertEqual(summary.bytes, 3 * len(plain) + len(packed))

    def test_a_view_that_was_never_verified_is_no_damage(self):
        self.client.put("broken.gz", gzip.compress(text(10_000))[:-3])
        self.assertEqual(self.verified(), [("broken.gz", 1)])

    def test_damage_is_told_where_and_why_recorded_and_nobody_elses(self):
        hurt, sound = noise(50_000, seed=1), noise(50_000, seed=2)
        self.client.put("hurt", hurt)
        self.client.put("sound", sound)
        [pack] = self.server.packs()
        offset = find(pack, hurt[1000:1100])
        flip(pack, offset)
        versions, summary = self.client.verify()
        self.assertEqual(versions["sound", 1].status.code, 0)
        status = versions["hurt", 1].status
        self.assertEqual((status.code, harness.error_reason(status)), (DAMAGED, "DATA_DAMAGED"))
        self.assertIn("hurt", status.message)
        self.assertEqual((summary.objects, summary.damaged, summary.bytes), (2, 1, len(sound)))
        verification = self.client.stat("hurt").verification
        self.assertFalse(verification.reproduced)
        self.assertEqual(verification.detail, status.message)

        flip(pack, offset)
        self.assertEqual(self.verified("hurt"), [("hurt", 1)])
        self.assertTrue(self.client.stat("hurt").verification.reproduced)
        self.assertEqual(self.client.stat("hurt").verification.detail, "")

    def test_a_view_alone_can_be_damaged_even_if_its_decoder_is_in_memory(self):
        packed = gzip.compress(text(100_000), mtime=0)
        self.client.put("viewed.gz", packed)
        self.client.get("viewed.gz", form=vxa_pb2.VIEW)
        [zlib] = [use.decoder for use in self.client.stat("viewed.gz").decoders]
        image = self.client.decoder(zlib, include_image=True).image
        [pack] = self.server.packs()
        flip(pack, find(pack, image) + len(image) // 2)
        versions, _ = self.client.verify()
        status = versions["viewed.gz", 1].status
        self.assertEqual(harness.error_reason(status), "DATA_DAMAGED")
        self.assertIn("decoder at pack", status.message)
        self.assertEqual(self.client.get("viewed.gz"), packed)

    def test_outcomes_are_recorded_with_who_asked_and_outlast_the_index(self):
        names = [f"o/{i:03}" for i in range(320)]
        for response in self.client.write(message for name in names for message in put_messages(name, name.encode())):
            self.assertTrue(response.HasField("result"))
        self.assertFalse(self.client.stat("o/000").HasField("verification"))
        self.assertEqual(self.verified(), [(name, 1) for name in names])

        verification = self.client.stat("o/000").verification
        self.assertTrue(verification.reproduced)
        self.assertTrue(verification.agent.startswith("ipv4:127.0.0.1:"), verification.agent)
        self.assertGreater(verification.time.seconds, 1_600_000_000)
        self.assertEqual(self.client.read("o/000")[0].object.verification, verification)
        self.assertEqual(self.client.put("o/000", b"o/000").object.verification, verification)
        before = self.client.list()
        self.assertTrue(all(entry.verification.reproduced for entry in before.objects))
        for again in self.server.restart, self.server.lose_index:
            again()
            with Client(self.server) as client:
                self.assertEqual(client.list(), before)

    def test_a_new_version_has_not_been_verified(self):
        self.put("name")
        self.verified()
        self.client.put("name", b"new")
        self.assertFalse(self.client.stat("name").HasField("verification"))
        self.assertTrue(self.client.stat("name", version=1).verification.reproduced)

    def put_bomb(self):
        """An object "a" that is verified at once, and then one whose view takes its time."""
        self.put("a")
        self.client.put("b.gz", bomb())

    def test_a_client_that_goes_away_ends_it_and_what_was_done_is_recorded(self):
        self.put_bomb()
        call = self.client.stub.VerifyObjects(vxa_pb2.VerifyObjectsRequest(namespace="default"))
        self.assertEqual(next(call).object.name, "a")
        progress = next(call).progress
        self.assertEqual((progress.name, progress.version), ("b.gz", 1))
        self.assertGreater(progress.bytes, 0)
        call.cancel()
        self.assertTrue(harness.wait_until(lambda: not self.server.workers()))
        self.assertTrue(harness.wait_until(lambda: self.client.stat("a").verification.reproduced))
        self.assertFalse(self.client.stat("b.gz").HasField("verification"))

    def test_a_deadline_ends_it(self):
        self.put_bomb()
        with self.assertRaises(grpc.RpcError) as raised:
            self.client.verify(timeout=0.05)
        self.assertEqual(raised.exception.code(), Code.DEADLINE_EXCEEDED)
        self.assertTrue(harness.wait_until(lambda: not self.server.workers()))
        self.assertFalse(self.client.stat("b.gz").HasField("verification"))

    def test_a_client_that_does_not_read_cannot_keep_the_server(self):
        missing = [f"{i:03}" + "x" * 1000 for i in range(1000)]  # 2 MB of answers
        small_window = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 16)]
        with Server(options=["--grace", "0.2"]) as server, Client(server, options=small_window) as client:
            call = client.stub.VerifyObjects(vxa_pb2.VerifyObjectsRequest(namespace="default", names=missing))
            next(call)
            self.assertEqual(server.stop(), 0)
            with self.assertRaises(grpc.RpcError):
                list(call)

    def test_it_counts_as_a_stream(self):
        with Server(options=["--max-streams", "1"]) as server, Client(server) as client:
            client.put("b.gz", bomb())
            call = client.stub.VerifyObjects(vxa_pb2.VerifyObjectsRequest(namespace="default"))
            next(call)
            self.assert_fails(Code.UNAVAILABLE, "OVERLOADED", client.verify)
            call.cancel()

    def test_requests_that_make_no_sense_are_refused(self):
        invalid = (Code.INVALID_ARGUMENT, "INVALID_REQUEST")
        self.assert_fails(*invalid, self.client.verify, "a", prefix="b")
        self.assert_fails(*invalid, self.client.verify, *["a"] * 1001)
        self.assert_fails(*invalid, self.client.verify, prefix="x" * 1025)
        self.assert_fails(Code.INVALID_ARGUMENT, "INVALID_NAME", self.client.verify, "/bad")
        self.assert_fails(Code.NOT_FOUND, "NAMESPACE_NOT_FOUND", self.client.verify, namespace="nowhere")


if __name__ == "__main__":
    harness.main()
