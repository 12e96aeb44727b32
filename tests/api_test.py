"""The API as a client in another language sees it, from the same .proto."""

import gzip
import io
import tarfile
import threading
import unittest

import grpc

import harness
from harness import Client, Server, TestCase, data_message, digest, finish, noise, put_messages, spec, text
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode


class Api(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.client = Client(cls.server)

    @classmethod
    def tearDownClass(cls):
        cls.client.__exit__()
        cls.server.__exit__()


class Objects(Api):
    def test_text_comes_back_through_the_archived_zstd_decoder(self):
        data = text(300_000)
        result = self.client.put("text", data)
        self.assertFalse(result.unchanged)
        self.assertEqual(result.object.version, 1)
        self.assertEqual(result.object.codec, "zstd")
        self.assertLess(result.object.stored_size, len(data) // 2)
        [proof] = result.proof
        self.assertEqual(proof.decoded_bytes, len(data))
        self.assertGreater(proof.instructions, len(data) // 10)
        metadata, back, end = self.client.read("text")
        self.assertEqual(back, data)
        self.assertEqual(metadata.size, len(data))
        self.assertTrue(end.verified)
        self.assertEqual(end.digest, digest(data))
        self.assertEqual([cost.decoder_name for cost in end.cost], ["zstd"])
        self.assertEqual(end.cost[0].decoder, proof.decoder)

    def test_noise_is_stored_as_it_is(self):
        data = noise(100_000)
        self.assertEqual(self.client.put("noise", data).object.codec, "store")
        _, back, end = self.client.read("noise")
        self.assertEqual(back, data)
        self.assertEqual(list(end.cost), [])

    def test_an_object_of_many_chunks_comes_back(self):
        data = text(9_000_000) + noise(5_000_000)
        result = self.client.put("large", data)
        self.assertEqual(result.object.chunks, 4)
        self.assertEqual(result.object.codec, "mixed")
        self.assertEqual(self.client.get("large"), data)

    def test_an_empty_object_comes_back(self):
        self.client.put("empty", b"")
        self.assertEqual(self.client.get("empty"), b"")

    def test_the_codec_can_be_chosen(self):
        self.assertEqual(self.client.put("codec/store", text(50_000), codec="store").object.codec, "store")
        self.assertEqual(self.client.put("codec/deflate", noise(50_000), codec="deflate").object.codec, "deflate")
        self.assertEqual(self.client.get("codec/deflate"), noise(50_000))
        message = self.assert_fails(Code.NOT_FOUND, "CODEC_NOT_FOUND",
                                    self.client.put, "codec/none", b"x", codec="lzw")
        self.assertIn("lzw", message)

    def test_what_came_with_an_object_is_kept(self):
        source = vxa_pb2.Source(path=b"/tmp/\xff.txt", mode=0o640)
        source.modified.FromJsonString("2001-02-03T04:05:06.789Z")
        self.client.put("kept", b"x", media_type="text/x-test", metadata={"b": "2", "a": "1"}, source=source)
        entry = self.client.stat("kept")
        self.assertEqual(entry.media_type, "text/x-test")
        self.assertEqual(dict(entry.metadata), {"a": "1", "b": "2"})
        self.assertEqual(entry.source, source)
        self.assertEqual(entry.digest, digest(b"x"))
        self.assertEqual(entry.size, 1)

    def test_the_namespace_has_to_exist(self):
        self.assert_fails(Code.NOT_FOUND, "NAMESPACE_NOT_FOUND", self.client.put, "x", b"x", namespace="nowhere")
        self.assert_fails(Code.NOT_FOUND, "NAMESPACE_NOT_FOUND", self.client.stat, "x", namespace="nowhere")
        self.assert_fails(Code.NOT_FOUND, "NAMESPACE_NOT_FOUND", self.client.list, namespace="nowhere")

    def test_an_unknown_name_is_not_found(self):
        for call in self.client.get, self.client.stat, self.client.delete:
            message = self.assert_fails(Code.NOT_FOUND, "OBJECT_NOT_FOUND", call, "not/there")
            self.assertIn("not/there", message)
        self.client.put("one version", b"1")
        self.assert_fails(Code.NOT_FOUND, "OBJECT_NOT_FOUND", self.client.get, "one version", version=2)

    def test_names_that_break_the_rules_are_refused(self):
        for name in ["", "/abs", "a//b", "a/", "./a", "a/../b", "line\nbreak", "nul\0", "x" * 1025]:
            with self.subTest(name=name[:20]):
                self.assert_fails(Code.INVALID_ARGUMENT, "INVALID_NAME", self.client.put, name, b"x")
                self.assert_fails(Code.INVALID_ARGUMENT, "INVALID_NAME", self.client.stat, name)
        self.client.put("ünï/中文 " + "x" * 1000, b"x")

    def test_ranges_are_exact(self):
        data = text(5_000_000)
        self.client.put("range", data)
        chunk = 4 << 20
        for offset, limit in [(0, 10), (chunk - 5, 10), (chunk, 1), (4_999_990, 100), (5_000_000, 5), (7, 0)]:
            with self.subTest(offset=offset, limit=limit):
                metadata, back, end = self.client.read("range", read_offset=offset, read_limit=limit)
                self.assertEqual(back, data[offset:offset + limit])
                self.assertEqual(metadata.size, len(data))
                self.assertTrue(end.verified)
        self.assert_fails(Code.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE", self.client.read, "range", read_offset=5_000_001)

    def test_the_stored_form_is_the_chunks_together(self):
        data = text(100_000, seed=5)
        self.client.put("stored", data)
        self.assertEqual(self.client.get("stored", form=vxa_pb2.STORED), data)


class Versions(Api):
    def test_each_put_adds_a_version_that_stays_readable(self):
        for version, data in enumerate([b"one", b"two", b"three"], 1):
            self.assertEqual(self.client.put("v", data).object.version, version)
        self.assertEqual(self.client.get("v"), b"three")
        self.assertEqual(self.client.get("v", version=1), b"one")
        self.assertEqual([entry.version for entry in self.client.list(prefix="v", versions=True).objects], [3, 2, 1])

    def test_the_same_bytes_again_change_nothing(self):
        self.client.put("same", b"bytes")
        again = self.client.put("same", b"bytes")
        self.assertTrue(again.unchanged)
        self.assertEqual(again.object.version, 1)

    def test_a_deleted_name_is_hidden_and_its_versions_stay(self):
        self.client.put("hidden", b"1")
        self.assertEqual(self.client.delete("hidden"), 2)
        self.assert_fails(Code.NOT_FOUND, "OBJECT_NOT_FOUND", self.client.get, "hidden")
        self.assertNotIn("hidden", self.client.names())
        self.assertEqual(self.client.get("hidden", version=1), b"1")
        markers = [(entry.version, entry.delete_marker)
                   for entry in self.client.list(prefix="hidden", versions=True).objects]
        self.assertEqual(markers, [(2, True), (1, False)])
        self.assertEqual(self.client.put("hidden", b"1").object.version, 3)

    def test_a_deleted_version_is_gone_and_its_number_is_not_used_again(self):
        self.client.put("gone", b"1")
        self.client.put("gone", b"2")
        self.assertEqual(self.client.delete("gone", version=2), 2)
        self.assert_fails(Code.NOT_FOUND, "OBJECT_NOT_FOUND", self.client.get, "gone", version=2)
        self.assertEqual(self.client.get("gone"), b"1")
        self.assertEqual(self.client.put("gone", b"2").object.version, 3)

    def test_preconditions_hold(self):
        self.client.put("pre", b"1", if_absent=True)
        self.assert_fails(Code.ALREADY_EXISTS, "OBJECT_EXISTS", self.client.put, "pre", b"2", if_absent=True)
        self.assert_fails(Code.FAILED_PRECONDITION, "VERSION_MISMATCH", self.client.put, "pre", b"2", if_version=7)
        self.assertEqual(self.client.put("pre", b"2", if_version=1).object.version, 2)
        self.assert_fails(Code.FAILED_PRECONDITION, "VERSION_MISMATCH", self.client.read, "pre", if_version=1)
        self.assert_fails(Code.FAILED_PRECONDITION, "VERSION_MISMATCH", self.client.delete, "pre", if_version=1)
        self.client.put("pre/new", b"1", if_version=0)
        self.assert_fails(Code.FAILED_PRECONDITION, "VERSION_MISMATCH", self.client.put, "pre/new", b"2", if_version=0)

    def test_of_two_puts_with_if_absent_one_wins(self):
        for round_number in range(5):
            outcomes = []

            def put(data):
                try:
                    outcomes.append(self.client.put(f"race/{round_number}", data, if_absent=True).object.version)
                except harness.Failed as error:
                    outcomes.append(error.reason)

            threads = [threading.Thread(target=put, args=(bytes([i]) * 100_000,)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(sorted(outcomes, key=str), [1] + ["OBJECT_EXISTS"] * 3)

    def test_a_retry_with_the_same_request_id_finds_the_same_version(self):
        first = self.client.put("retry", b"1", request_id="id-1")
        self.client.put("retry", b"2", request_id="id-2")
        retry = self.client.put("retry", b"1", request_id="id-1")
        self.assertTrue(retry.unchanged)
        self.assertEqual(retry.object.version, first.object.version)
        self.assertEqual(self.client.get("retry"), b"2")


class Streams(Api):
    def test_many_objects_share_a_stream_and_an_error_ends_only_its_own(self):
        messages = [
            *put_messages("s/1", b"one"),
            *put_messages("/bad", b"refused"),
            *put_messages("s/2", b"two"),
            spec("s/3"), data_message(b"three", crc=1), finish(5, digest(b"three")),
            *put_messages("s/4", text(5_000_000)),
            spec("s/5"), data_message(b"short"), finish(9, digest(b"short")),
            spec("s/6"), data_message(b"other"), finish(5, digest(b"OTHER")),
            spec("s/7"), data_message(b"gap"), data_message(b"gap", offset=4), finish(6, digest(b"gapgap")),
            spec("s/8"), data_message(b"unfinished"),
            *put_messages("s/9", b""),
        ]
        responses = self.client.write(messages)
        told = [response.result.object.name if response.HasField("result") else harness.error_reason(response.error)
                for response in responses]
        self.assertEqual(told, ["s/1", "INVALID_NAME", "s/2", "CHECKSUM_MISMATCH", "s/4", "CHECKSUM_MISMATCH",
                                "CHECKSUM_MISMATCH", "INVALID_REQUEST", "INVALID_REQUEST", "s/9"])
        self.assertEqual(self.client.names(prefix="s/"), ["s/1", "s/2", "s/4", "s/9"])

    def test_a_put_cut_off_half_way_leaves_nothing(self):
        responses = self.client.write([spec("cut"), data_message(noise(1_000_000))])
        self.assertEqual([harness.error_reason(response.error) for response in responses], ["INVALID_REQUEST"])
        started = threading.Event()
        release = threading.Event()

        def hang():
            yield spec("cut")
            yield data_message(noise(1_000_000))
            started.set()
            release.wait(30)

        call = self.client.stub.WriteObject(hang())
        started.wait(30)
        call.cancel()
        release.set()
        with self.assertRaises(grpc.RpcError):
            list(call)
        self.assertEqual(self.client.names(prefix="cut"), [])

    def test_progress_of_a_long_put_is_told(self):
        data = noise(40_000_000)
        offsets = [response.persisted_offset for response in self.client.stub.WriteObject(put_messages("long", data))
                   if response.WhichOneof("message") == "persisted_offset"]
        self.assertTrue(offsets)
        self.assertEqual(offsets, sorted(offsets))

    def test_a_client_that_goes_away_takes_its_decoder_with_it(self):
        self.client.put("bomb.gz", gzip.compress(bytes(300_000_000), 9))
        call = self.client.stub.ReadObject(
            vxa_pb2.ReadObjectRequest(namespace="default", name="bomb.gz", form=vxa_pb2.VIEW))
        for _ in range(3):
            next(call)
        self.assertTrue(self.server.workers())
        call.cancel()
        self.assertTrue(harness.wait_until(lambda: not self.server.workers()))


class Listing(Api):
    def test_names_come_in_bytewise_order_page_by_page(self):
        names = sorted([f"p/{i}" for i in range(25)] + ["p/é", "p/Z", "p/a b"], key=str.encode)
        for name in names:
            self.client.put(name, name.encode())
        got, token = [], ""
        while True:
            page = self.client.list(prefix="p/", page_size=7, page_token=token)
            self.assertLessEqual(len(page.objects), 7)
            got += [entry.name for entry in page.objects]
            token = page.next_page_token
            if not token:
                break
        self.assertEqual(got, names)

    def test_a_delimiter_folds_what_is_below_it(self):
        for name in ["d/a/1", "d/a/2", "d/b", "d/c/1", "d/c.txt"]:
            self.client.put(name, b"x")
        page = self.client.list(prefix="d/", delimiter="/")
        self.assertEqual([entry.name for entry in page.objects], ["d/b", "d/c.txt"])
        self.assertEqual(list(page.prefixes), ["d/a/", "d/c/"])

    def test_a_page_token_that_was_not_given_out_is_refused(self):
        self.assert_fails(Code.INVALID_ARGUMENT, "INVALID_REQUEST", self.client.list, page_token="made up")


class Views(Api):
    def test_a_gzip_file_is_kept_as_it_is_and_has_a_view(self):
        plain = text(500_000)
        packed = gzip.compress(plain, mtime=0)
        result = self.client.put("notes.txt.gz", packed)
        self.assertEqual(result.object.media_type, "application/gzip")
        self.assertEqual(self.client.get("notes.txt.gz"), packed)
        metadata, back, end = self.client.read("notes.txt.gz", form=vxa_pb2.VIEW)
        self.assertEqual(back, plain)
        self.assertTrue(end.verified)
        self.assertEqual(end.digest, digest(plain))
        self.assertEqual(metadata.extension, ".txt")
        [view] = self.client.stat("notes.txt.gz").views
        self.assertEqual(view.status, vxa_pb2.View.VERIFIED)
        self.assertEqual(view.size, len(plain))
        self.assertEqual(view.digest, digest(plain))

    def test_the_view_of_a_tar_gz_is_a_tar(self):
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            info = tarfile.TarInfo("hello")
            info.size = 5
            archive.addfile(info, io.BytesIO(b"hello"))
        self.client.put("x.tar.gz", packed.getvalue())
        metadata, back, _ = self.client.read("x.tar.gz", form=vxa_pb2.VIEW)
        self.assertEqual(metadata.extension, ".tar")
        self.assertEqual(tarfile.open(fileobj=io.BytesIO(back)).extractfile("hello").read(), b"hello")

    def test_a_broken_gzip_file_is_still_an_object(self):
        broken = gzip.compress(text(100_000), mtime=0)[:-3]
        self.client.put("broken.gz", broken)
        self.assertEqual(self.client.get("broken.gz"), broken)
        [view] = self.client.stat("broken.gz").views
        self.assertEqual(view.status, vxa_pb2.View.FAILED)
        self.assertIn("zlib", view.failure)
        self.assert_fails(Code.FAILED_PRECONDITION, "VIEW_NOT_VERIFIED",
                          self.client.read, "broken.gz", form=vxa_pb2.VIEW)

    def test_an_object_without_a_view_says_so(self):
        self.client.put("plain", b"plain")
        self.assert_fails(Code.NOT_FOUND, "VIEW_NOT_FOUND", self.client.read, "plain", form=vxa_pb2.VIEW)


class Standards(Api):
    def test_health_says_serving(self):
        check = self.client.channel.unary_unary("/grpc.health.v1.Health/Check")
        self.assertEqual(check(b""), b"\x08\x01")

    def test_reflection_lists_the_service(self):
        info = self.client.channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        [answer] = info(iter([b"\x3a\x01*"]))  # list_services
        self.assertIn(b"vxa.v1.Archive", answer)


if __name__ == "__main__":
    harness.main()
