"""Every error that the API knows, as its callers get it. The rows are those of the table at the head of vxa.proto."""

import gzip
import os
import re
import resource
import signal
import subprocess
import threading

import grpc

import harness
from harness import Client, Server, TestCase, data_message, decoding, digest, find, finish, flip, guest, noise, spec
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode
PROTO = os.path.join(harness.ROOT, "proto", "vxa", "v1", "vxa.proto")

# The rows that have a test: (code, reason), None for the codes without one.
tested = set()


def row(code, reason):
    """A test of this row. It ends with `yield`s: calls, each of which has to fail with that code and reason."""
    tested.add((code, reason))

    def decorate(test):
        def run(self):
            for call in test(self):
                self.assert_fails(Code[code], reason, call)
            self.assertEqual(self.client.get("object"), b"object")  # the server serves on
        return run
    return decorate


def rows_of_the_table():
    """(code, reason) of each row, in its order."""
    with open(PROTO, encoding="utf-8") as proto:
        head = proto.read().split("\nsyntax")[0]
    rows = []
    for line in re.findall(r"^//   (\S.*)", head, re.MULTILINE):
        if match := re.match(r"([A-Z_]+)  +([A-Z_]+)  +\S", line):
            rows.append(match.groups())
        elif match := re.match(r"([A-Z_]+(?:, [A-Z_]+)*)  +.*without ErrorInfo", line):
            rows += [(code, None) for code in match.group(1).split(", ")]
    return rows


class Errors(TestCase):
    def setUp(self):
        self.start()

    def start(self, *options):
        """A server with these options in place of the one before, if any."""
        self.doCleanups()
        self.server = Server(options=options)
        self.addCleanup(self.server.__exit__)
        self.client = Client(self.server)
        self.addCleanup(self.client.__exit__)
        self.client.put("object", b"object")

    def test_every_row_of_the_table_has_a_test_and_every_test_a_row(self):
        rows = rows_of_the_table()
        self.assertGreater(len(rows), 20)
        self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual(tested, set(rows))

    @row("INVALID_ARGUMENT", "INVALID_NAME")
    def test_invalid_name(self):
        yield lambda: self.client.put("a//b", b"")
        yield lambda: self.client.stat("/a")
        yield lambda: self.client.list(namespace="a/b")

    @row("INVALID_ARGUMENT", "INVALID_REQUEST")
    def test_invalid_request(self):
        yield lambda: self.client.list(page_size=1001)
        yield lambda: self.write(spec("x"), spec("y"))

    def write(self, *messages):
        for response in self.client.write(messages):
            if response.HasField("error"):
                raise harness.Failed(response.error)

    @row("INVALID_ARGUMENT", "CHECKSUM_MISMATCH")
    def test_checksum_mismatch(self):
        yield lambda: self.write(spec("x"), data_message(b"x", crc=1))
        yield lambda: self.write(spec("x"), data_message(b"x"), finish(2, digest(b"x")))
        yield lambda: self.write(spec("x"), data_message(b"x"), finish(1, digest(b"y")))

    @row("INVALID_ARGUMENT", "PROOF_FAILED")
    def test_proof_failed(self):
        cat = self.client.register(guest("cat")).id
        yield lambda: self.client.put("x", b"x", decoding=decoding(cat, b"y"))

    @row("INVALID_ARGUMENT", "DECODER_REJECTED")
    def test_decoder_rejected(self):
        yield lambda: self.client.register(b"no program")
        yield lambda: self.client.register(guest("cat"), profile="vx-1993")
        yield lambda: self.client.register(guest("fault"), sample=b"", sample_arguments=["ud2"])

    @row("NOT_FOUND", "NAMESPACE_NOT_FOUND")
    def test_namespace_not_found(self):
        yield lambda: self.client.put("x", b"x", namespace="nowhere")
        yield lambda: self.client.read("x", namespace="nowhere")
        yield lambda: self.client.verify(namespace="nowhere")
        yield lambda: self.client.decoders(namespace="nowhere")

    @row("NOT_FOUND", "OBJECT_NOT_FOUND")
    def test_object_not_found(self):
        self.client.put("deleted", b"")
        self.client.delete("deleted")
        yield lambda: self.client.stat("deleted")
        yield lambda: self.client.read("no object")
        yield lambda: self.client.stat("object", version=2)
        yield lambda: self.client.delete("object", version=2)

    @row("NOT_FOUND", "VIEW_NOT_FOUND")
    def test_view_not_found(self):
        yield lambda: self.client.read("object", form=vxa_pb2.VIEW)

    @row("NOT_FOUND", "CODEC_NOT_FOUND")
    def test_codec_not_found(self):
        yield lambda: self.client.put("x", b"x", codec="lzw")

    @row("NOT_FOUND", "DECODER_NOT_FOUND")
    def test_decoder_not_found(self):
        yield lambda: self.client.decoder(digest(b"no decoder"))
        yield lambda: self.client.put("x", b"x", decoding=decoding(digest(b"no decoder"), b"x"))

    @row("ALREADY_EXISTS", "OBJECT_EXISTS")
    def test_object_exists(self):
        yield lambda: self.client.put("object", b"other", if_absent=True)

    @row("FAILED_PRECONDITION", "VERSION_MISMATCH")
    def test_version_mismatch(self):
        yield lambda: self.client.put("object", b"other", if_version=2)
        yield lambda: self.client.read("object", if_version=2)
        yield lambda: self.client.delete("object", if_version=2)

    @row("FAILED_PRECONDITION", "VIEW_NOT_VERIFIED")
    def test_view_not_verified(self):
        self.client.put("broken.gz", gzip.compress(b"x" * 1000)[:-3])
        yield lambda: self.client.read("broken.gz", form=vxa_pb2.VIEW)

    @row("FAILED_PRECONDITION", "VIEW_FAILED")
    def test_view_failed(self):
        self.client.put("x.gz", gzip.compress(b"x" * 1000))
        yield lambda: self.client.read("x.gz", form=vxa_pb2.VIEW, view_arguments=["--dictionary=7"])

    @row("FAILED_PRECONDITION", "DECODER_DISABLED")
    def test_decoder_disabled_by_the_operator(self):
        cat = self.client.register(guest("cat")).id
        self.client.put("old", b"old", decoding=decoding(cat, b"old"))
        self.server.stop()
        subprocess.run([harness.VXAD, "decoder", "--data", self.server.directory, "disable", "sha256:" + cat.value.hex(),
                        "--reason", "it is wrong"], check=True, timeout=60)
        self.server.start()
        self.client.__exit__()
        self.client = Client(self.server)
        self.assertEqual(self.client.get("old"), b"old")
        entry = self.client.decoder(cat).decoder
        self.assertEqual((entry.disabled, entry.disabled_reason), (True, "it is wrong"))
        yield lambda: self.client.put("new", b"new", decoding=decoding(cat, b"new"))

    @row("OUT_OF_RANGE", "OFFSET_OUT_OF_RANGE")
    def test_offset_out_of_range(self):
        yield lambda: self.client.read("object", read_offset=7)

    @row("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED")
    def test_limit_exceeded(self):
        # With a data segment of 2 GiB it needs more memory than a decoder gets.
        image = bytearray(guest("cat"))
        header = int.from_bytes(image[28:32], "little") + 32 * (int.from_bytes(image[44:46], "little") - 1)
        while image[header + 24] != 6 or image[header] != 1:  # PT_LOAD, readable and writable
            header -= 32
        image[header + 20:header + 24] = (2 << 30).to_bytes(4, "little")
        yield lambda: self.client.register(bytes(image))

    @row("RESOURCE_EXHAUSTED", "DISK_FULL")
    def test_disk_full(self):
        # A file system of which statvfs(2) says that nothing is free, in the packs' place.
        packs = os.path.join(self.server.directory, "packs")
        os.rename(packs, packs + ".real")
        os.symlink("/proc", packs)
        yield lambda: self.client.put("x", b"x")
        yield lambda: self.client.register(guest("cat"))
        os.unlink(packs)
        os.rename(packs + ".real", packs)

    @row("UNAVAILABLE", "OVERLOADED")
    def test_overloaded(self):
        self.start("--max-streams", "1")
        release = threading.Event()

        def hold():
            yield from harness.put_messages("held", b"")
            release.wait(60)

        call = self.client.stub.WriteObject(hold())
        next(call)  # it is in
        yield lambda: self.client.read("object")
        yield lambda: self.client.verify()
        yield lambda: self.client.register(guest("cat"))
        release.set()
        list(call)

    @row("UNAVAILABLE", "STORE_FAILED")
    def test_store_failed(self):
        unlimited = resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, (8 << 20, resource.RLIM_INFINITY))
        yield lambda: self.client.put("x", noise(20 << 20), codec="store")
        resource.prlimit(self.server.process.pid, resource.RLIMIT_FSIZE, unlimited)

    @row("DATA_LOSS", "DATA_DAMAGED")
    def test_data_damaged(self):
        data = noise(1000)
        self.client.put("hurt", data)
        [pack] = self.server.packs()
        flip(pack, find(pack, data))
        yield lambda: self.client.read("hurt")

    @row("INTERNAL", "DECODER_FAILED")
    def test_decoder_failed(self):
        self.client.put("large.gz", gzip.compress(bytes(256 << 20)))

        def read_and_kill_the_decoder():
            call = self.client.stub.ReadObject(
                vxa_pb2.ReadObjectRequest(namespace="default", name="large.gz", form=vxa_pb2.VIEW))
            for _ in range(3):
                next(call)  # then nobody reads on, so it can't come to its end
            for worker in self.server.workers():
                os.kill(worker, signal.SIGKILL)
            list(call)

        yield read_and_kill_the_decoder

    @row("DEADLINE_EXCEEDED", None)
    def test_deadline_exceeded(self):
        fault = self.client.register(guest("fault")).id
        messages = harness.put_messages("x", b"x", decoding=decoding(fault, b"x", "spin"))
        yield lambda: list(self.client.stub.WriteObject(messages, timeout=0.5))

    @row("CANCELLED", None)
    def test_cancelled(self):
        self.client.put("large", noise(8 << 20), codec="store")

        def read_and_cancel():
            call = self.client.stub.ReadObject(vxa_pb2.ReadObjectRequest(namespace="default", name="large"))
            next(call)
            call.cancel()
            list(call)

        yield read_and_cancel


if __name__ == "__main__":
    harness.main()
