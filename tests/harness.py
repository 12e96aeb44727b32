"""What the end-to-end tests share: a server process, a client of its API, and test results for Bazel.

A test file is a unittest that ends with

    if __name__ == "__main__":
        harness.main()
"""

import contextlib
import hashlib
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ElementTree

# Where Bazel puts a test's data. Not found by __file__: Python follows the links there to the sources.
ROOT = os.path.join(os.environ["TEST_SRCDIR"], os.environ["TEST_WORKSPACE"])

# The generated modules; `google` is protobuf's own package, which has to find our google.rpc too.
_GENERATED = os.path.join(ROOT, "tests")
sys.path.insert(0, _GENERATED)
import google  # noqa: E402

google.__path__.append(os.path.join(_GENERATED, "google"))

import crc32c  # noqa: E402
import grpc  # noqa: E402
from google.rpc import error_details_pb2, status_pb2  # noqa: E402
from vxa.v1 import vxa_pb2, vxa_pb2_grpc  # noqa: E402

VXAD = os.path.join(ROOT, "server", "vxad")
VXA = os.path.join(ROOT, "client", "vxa")


def guest(name):
    """The image of a test guest (decoders/testing)."""
    with open(os.path.join(ROOT, "decoders", "testing", name + ".vx"), "rb") as image:
        return image.read()


def with_note(image, *lines):
    """The image with these lines, of any bytes, as what it says of itself, in place of its own PT_NOTE segment."""
    text = b"".join(line + b"\n" for line in lines)
    note = struct.pack("<3I4s", 4, len(text), 1, b"VXA") + text + bytes(-len(text) % 4)
    spoilt = bytearray(image)
    headers, = struct.unpack_from("<I", image, 28)
    [header] = [at for at in range(headers, headers + 32 * image[44], 32) if spoilt[at] == 4]  # PT_NOTE
    spoilt += bytes(-len(spoilt) % 4)
    struct.pack_into("<I", spoilt, header + 4, len(spoilt))
    struct.pack_into("<II", spoilt, header + 16, len(note), len(note))
    return bytes(spoilt + note)


PIECE = 1 << 20  # bytes of data in a message


class Server:
    """A vxad on a directory of its own, on a port that the system chose. A context manager."""

    def __init__(self, directory=None, options=(), listen="127.0.0.1:0", preexec_fn=None):
        self.listen = listen
        self.preexec_fn = preexec_fn  # called in vxad's process before it is vxad
        self._own = directory is None
        self.directory = directory or tempfile.mkdtemp(prefix="vxa-test-", dir=os.environ.get("TEST_TMPDIR"))
        self.options = list(options)
        self.log_path = os.path.join(tempfile.gettempdir(), f"vxad-{os.getpid()}-{id(self)}.log")
        self.process = None
        self.start()

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [VXAD, "--data", self.directory, "--listen", self.listen, *self.options],
                stdout=subprocess.PIPE, stderr=log, text=True,
                preexec_fn=self.preexec_fn,
                restore_signals=False)  # SIGXFSZ stays ignored: a file too large is an error, not the end
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            raise AssertionError(f"vxad did not start: {line!r}; its log:\n{self.log()}")
        self.address = line.split()[-1]

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def kill(self):
        self.process.kill()
        self._reap()

    def restart(self):
        if self.process is not None:
            self.kill()
        self.start()

    def _reap(self):
        status = self.process.wait(timeout=60)
        self.process.stdout.close()
        self.process = None
        return status

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def peak_memory(self):
        """The most resident memory it ever had, in bytes (proc(5), VmHWM)."""
        with open(f"/proc/{self.process.pid}/status") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def workers(self):
        """Process ids of the workers of this server's zygotes."""
        processes = {}  # name and parent by process id, but for those that have ended
        for entry in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                with open(f"/proc/{entry}/stat") as stat:
                    name, rest = stat.read().split("(", 1)[1].rsplit(")", 1)
                state, parent = rest.split()[:2]
                if state != "Z":
                    processes[int(entry)] = name, int(parent)

        def is_ours(process):
            while process in processes and process != self.process.pid:
                process = processes[process][1]
            return process == self.process.pid

        return [process for process, (name, parent) in processes.items()
                if name == "vxworker" and processes.get(parent, ("",))[0] == "vxzygote" and is_ours(process)]

    def lose_index(self):
        """Starts again with nothing but the packs."""
        self.stop()
        shutil.rmtree(os.path.join(self.directory, "index"))
        self.start()

    def packs(self):
        folder = os.path.join(self.directory, "packs")
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process is not None:
            self.kill()
        with contextlib.suppress(OSError):
            os.unlink(self.log_path)
        if self._own:
            shutil.rmtree(self.directory, ignore_errors=True)


class Failed(Exception):
    """An object's own error on a WriteObject stream."""

    def __init__(self, status):
        super().__init__(f"{status.code}: {status.message}")
        self.code = grpc_code(status.code)
        self.message = status.message
        self.reason = error_reason(status)


def grpc_code(number):
    return next(code for code in grpc.StatusCode if code.value[0] == number)


def error_reason(status):
    """The ErrorInfo reason in a google.rpc.Status, or None."""
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            assert info.domain == "vxa", info
            return info.reason
    return None


def rpc_reason(error):
    """The ErrorInfo reason of a failed call (grpc.RpcError), or None."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            return error_reason(status_pb2.Status.FromString(value))
    return None


def digest(data):
    return vxa_pb2.Digest(algorithm=vxa_pb2.Digest.SHA256, value=hashlib.sha256(data).digest())


def spec(name, namespace="default", **fields):
    return vxa_pb2.WriteObjectRequest(spec=vxa_pb2.WriteObjectSpec(namespace=namespace, name=name, **fields))


def data_message(data, offset=0, crc=None):
    return vxa_pb2.WriteObjectRequest(data=vxa_pb2.WriteObjectData(
        write_offset=offset, data=data, crc32c=crc32c.crc32c(data) if crc is None else crc))


def finish(size, sha256):
    return vxa_pb2.WriteObjectRequest(finish=vxa_pb2.WriteObjectFinish(size=size, digest=sha256))


def decoding(decoder, original, *arguments, size=True):
    """A Decoding with this decoder's digest, of this original."""
    return vxa_pb2.Decoding(decoder=decoder, arguments=arguments, original_digest=digest(original),
                            original_size=len(original) if size else None)


def find(path, needle):
    """The offset of these bytes, which are in the file."""
    with open(path, "rb") as file:
        offset = file.read().find(needle)
    assert offset >= 0
    return offset


def flip(path, offset, bit=0):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1 << bit]))


def put_messages(name, data, **fields):
    yield spec(name, **fields)
    for offset in range(0, len(data), PIECE):
        yield data_message(data[offset:offset + PIECE], offset)
    yield finish(len(data), digest(data))


class Client:
    """The API's calls, with data gathered and errors raised. A context manager."""

    def __init__(self, server, options=(), host=None):
        """`host`: in place of the one that the server listens on."""
        port = server.address.rsplit(":", 1)[1]
        self.channel = grpc.insecure_channel(f"{host}:{port}" if host else server.address, options=[
            ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), *options])
        self.stub = vxa_pb2_grpc.ArchiveStub(self.channel)

    def write(self, messages):
        """All responses but persisted offsets to one WriteObject stream."""
        return [response for response in self.stub.WriteObject(iter(messages))
                if response.WhichOneof("message") != "persisted_offset"]

    def put(self, name, data, **fields):
        """The WriteObjectResult; raises Failed."""
        responses = self.write(put_messages(name, data, **fields))
        assert len(responses) == 1, responses
        if responses[0].HasField("error"):
            raise Failed(responses[0].error)
        return responses[0].result

    def read(self, name, namespace="default", **fields):
        """(metadata, data, end)."""
        metadata, end, pieces = None, None, []
        request = vxa_pb2.ReadObjectRequest(namespace=namespace, name=name, **fields)
        offset = request.read_offset
        for response in self.stub.ReadObject(request):
            kind = response.WhichOneof("message")
            if kind == "metadata":
                assert metadata is None and not pieces
                metadata = response.metadata
            elif kind == "data":
                assert metadata is not None and end is None
                assert response.data.read_offset == offset
                assert response.data.crc32c == crc32c.crc32c(response.data.data)
                offset += len(response.data.data)
                pieces.append(response.data.data)
            else:
                assert kind == "end" and end is None
                end = response.end
        return metadata, b"".join(pieces), end

    def get(self, name, **fields):
        """The data; asserts that the server says it is verified."""
        _, data, end = self.read(name, **fields)
        assert end.verified
        return data

    def stat(self, name, namespace="default", version=0):
        return self.stub.GetObject(vxa_pb2.GetObjectRequest(namespace=namespace, name=name, version=version))

    def list(self, namespace="default", **fields):
        return self.stub.ListObjects(vxa_pb2.ListObjectsRequest(namespace=namespace, **fields))

    def names(self, **fields):
        return [entry.name for entry in self.list(**fields).objects]

    def delete(self, name, namespace="default", **fields):
        return self.stub.DeleteObject(
            vxa_pb2.DeleteObjectRequest(namespace=namespace, name=name, **fields)).version

    def verify(self, *names, namespace="default", timeout=None, **fields):
        """The VerifiedObjects by (name, version), and the VerifySummary."""
        request = vxa_pb2.VerifyObjectsRequest(namespace=namespace, names=names, **fields)
        verified, summary = {}, None
        for response in self.stub.VerifyObjects(request, timeout=timeout):
            assert summary is None, response
            if response.HasField("object"):
                key = (response.object.name, response.object.version)
                assert key not in verified, response
                verified[key] = response.object
            elif response.HasField("summary"):
                summary = response.summary
        return verified, summary

    def register(self, image, namespace="default", **fields):
        return self.stub.RegisterDecoder(
            vxa_pb2.RegisterDecoderRequest(namespace=namespace, image=image, **fields))

    def decoder(self, decoder_id, namespace="default", **fields):
        return self.stub.GetDecoder(vxa_pb2.GetDecoderRequest(namespace=namespace, id=decoder_id, **fields))

    def decoders(self, namespace="default", **fields):
        return self.stub.ListDecoders(vxa_pb2.ListDecodersRequest(namespace=namespace, **fields))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()


class TestCase(unittest.TestCase):
    def assert_fails(self, code, reason, call, *args, **kwargs):
        """That the call fails with this code and reason; returns the message."""
        try:
            call(*args, **kwargs)
        except Failed as error:
            self.assertEqual((error.code, error.reason), (code, reason), error.message)
            return error.message
        except grpc.RpcError as error:
            self.assertEqual((error.code(), rpc_reason(error)), (code, reason), error.details())
            return error.details()
        raise AssertionError(f"the call succeeded; {code} {reason} was expected")


def wait_until(condition, seconds=30):
    """Waits for what has to come, and says whether it did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def settles(value, still=1.0, seconds=60):
    """Waits until `value()` has not changed for `still` seconds, and says whether it came to that."""
    last, since = value(), time.monotonic()

    def unchanged():
        nonlocal last, since
        now = value()
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= still

    return wait_until(unchanged, seconds)


def text(size, seed=1):
    """Bytes that deflate well."""
    words = random.Random(seed).choices([b"archive", b"decoder", b"guest", b"pack", b"blob", b"manifest"], k=size // 5 + 1)
    return b" ".join(words)[:size]


def noise(size, seed=1):
    """Bytes that do not."""
    return random.Random(seed).randbytes(size)


class _Result(unittest.TextTestResult):
    """Remembers each case for Bazel's test.xml (JUnit's format)."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cases = []

    def _add(self, test, kind=None, error=None):
        case = ElementTree.Element("testcase", classname=type(test).__name__,
                                   name=getattr(test, "_testMethodName", str(test)))
        if kind:
            ElementTree.SubElement(case, kind).text = self._exc_info_to_string(error, test) if error else ""
        self.cases.append(case)

    def addSuccess(self, test):
        super().addSuccess(test)
        self._add(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._add(test, "failure", err)

    def addError(self, test, err):
        super().addError(test, err)
        self._add(test, "error", err)


def main():
    result = unittest.TextTestRunner(verbosity=2, resultclass=_Result).run(
        unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]))
    path = os.environ.get("XML_OUTPUT_FILE")
    if path:
        suite = ElementTree.Element("testsuite", name=os.path.basename(sys.argv[0]), tests=str(len(result.cases)))
        suite.extend(result.cases)
        ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)
    sys.exit(not result.wasSuccessful())
