"""What decoders and clients may take, and that it costs nobody else."""

import contextlib
import ctypes
import errno
import gzip
import os
import signal
import struct
import threading
import time

import grpc

import harness
from harness import Client, Server, TestCase, decoding, guest, put_messages
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode
LIMIT_EXCEEDED = (Code.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED")
PROOF_FAILED = (Code.INVALID_ARGUMENT, "PROOF_FAILED")
OVERLOADED = (Code.UNAVAILABLE, "OVERLOADED")


class Misbehaviour:
    """A put whose decoder misbehaves, on a thread of its own. A context manager that cancels it."""

    def __init__(self, client, *arguments, name="bad"):
        decoder = client.register(guest("misbehave")).id
        messages = put_messages(name, b"input", decoding=decoding(decoder, b"original", *arguments))
        self.call = client.stub.WriteObject(messages)
        self.error = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            for response in self.call:
                if response.HasField("error"):
                    self.error = harness.Failed(response.error)
        except grpc.RpcError as error:
            self.error = error

    def ended(self):
        """How it ended, once it has: a Failed or an RpcError."""
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call.cancel()
        self.thread.join()


def is_busy(process):
    """Whether it has used 0.2 s of CPU time (proc(5), utime)."""
    with contextlib.suppress(OSError), open(f"/proc/{process}/stat") as stat:
        return int(stat.read().rsplit(")", 1)[1].split()[11]) >= os.sysconf("SC_CLK_TCK") // 5
    return False


class Limits(TestCase):
    def assert_ends(self, misbehaviour, expected, *words):
        error = misbehaviour.ended()
        self.assertEqual((error.code, error.reason), expected, error)
        for word in words:
            self.assertIn(word, error.message)

    def load(self, client):
        return client.stub.GetServerStatus(vxa_pb2.GetServerStatusRequest()).load

    def test_what_computes_for_ever_ends(self):
        with Server(options=["--decode-cpu", "1"]) as server, Client(server) as client:
            for argument in "spin", "chat":
                with self.subTest(argument), Misbehaviour(client, argument) as bad:
                    self.assert_ends(bad, LIMIT_EXCEEDED, "CPU time")
            self.assertEqual(client.names(), [])

    def test_what_stands_still_ends(self):
        with Server(options=["--decode-stall", "1"]) as server, Client(server) as client:
            with Misbehaviour(client, "spin") as bad:
                self.assertTrue(harness.wait_until(server.workers))
                os.kill(server.workers()[0], signal.SIGSTOP)
                self.assert_ends(bad, LIMIT_EXCEEDED, "stalled")
            self.assertTrue(harness.wait_until(lambda: not server.workers()))

    def test_a_slow_reader_is_no_stall(self):
        data = bytes(50_000_000)
        with Server(options=["--decode-stall", "1"]) as server, Client(server) as client:
            client.put("zeros.gz", gzip.compress(data))
            request = vxa_pb2.ReadObjectRequest(namespace="default", name="zeros.gz", form=vxa_pb2.VIEW)
            size = 0
            for number, response in enumerate(client.stub.ReadObject(request)):
                if number == 1:
                    time.sleep(3)  # gRPC's windows hold far less than all of it
                size += len(response.data.data)
            self.assertEqual(size, len(data))
            self.assertTrue(response.end.verified)

    def test_memory_is_limited_but_for_what_was_proved_with_more(self):
        with Server(options=["--decode-memory", "256M"]) as server, Client(server) as client:
            decoder = client.register(guest("misbehave")).id
            client.put("large", b"data", decoding=decoding(decoder, b"data", "fill", "200"))
            server.stop()
            server.options = ["--decode-memory", "64M"]
            server.start()
            with Client(server) as again:
                self.assertEqual(again.get("large"), b"data")
                message = self.assert_fails(*PROOF_FAILED, again.put, "other", b"data",
                                            decoding=decoding(decoder, b"data", "fill", "200"))
                self.assertIn("status 3", message)

    def test_a_bomb_is_stored_and_has_no_view(self):
        bomb = gzip.compress(bytes(20_000_000))
        with Server(options=["--decode-output", "10M"]) as server, Client(server) as client:
            view, = client.put("bomb.gz", bomb).object.views
            self.assertEqual(view.status, vxa_pb2.View.OVER_LIMIT)
            self.assertIn("output", view.failure)
            self.assertEqual(client.get("bomb.gz"), bomb)

    def test_what_a_decoder_says_is_kept_up_to_a_limit(self):
        with Server(options=["--decode-cpu", "1", "--decode-diagnostics", "12"]) as server:
            with Client(server) as client, Misbehaviour(client, "chat") as bad:
                self.assert_ends(bad, LIMIT_EXCEEDED, "chatter")
                self.assertEqual(bad.ended().message.count("chat"), 2)

    def test_a_worker_that_dies_is_told_of_with_cause_and_cost(self):
        with Server() as server, Client(server) as client:
            with Misbehaviour(client, "spin") as bad:
                # The worker of the registration's trial may still be there.
                self.assertTrue(harness.wait_until(lambda: any(map(is_busy, server.workers()))))
                os.kill(next(filter(is_busy, server.workers())), signal.SIGKILL)
                self.assert_ends(bad, PROOF_FAILED, "signal 9", "of CPU time", "5 bytes of input", "gave ")
            client.put("x", b"x" * 1000)
            self.assertEqual(client.get("x"), b"x" * 1000)

    def test_a_client_that_goes_takes_its_decoder_along(self):
        with Server(options=["--decodes", "1"]) as server, Client(server) as client:
            with Misbehaviour(client, "spin"):
                self.assertTrue(harness.wait_until(server.workers))
            self.assertTrue(harness.wait_until(lambda: not server.workers()))
            self.assertTrue(harness.wait_until(lambda: self.load(client).decodes == 0))


class Fairness(TestCase):
    """Clients are told apart by their addresses: here 127.0.0.1 and ::1."""

    def clients(self, server):
        return Client(server, host="127.0.0.1"), Client(server, host="[::1]")

    def test_who_runs_much_does_not_keep_others_from_it(self):
        with Server(options=["--decodes", "2"], listen="[::]:0") as server:
            greedy, modest = self.clients(server)
            with greedy, modest, Misbehaviour(greedy, "spin", name="1"), Misbehaviour(greedy, "spin", name="2"), \
                    Misbehaviour(greedy, "spin", name="3"):
                self.assertTrue(harness.wait_until(lambda: self.load(modest).decodes_waiting == 1))
                modest.put("text", b"text " * 10_000)
                self.assertEqual(modest.get("text"), b"text " * 10_000)
                self.assertEqual(self.load(modest).decodes, 2)

    def test_one_client_leaves_streams_to_others(self):
        with Server(options=["--max-streams", "4"], listen="[::]:0") as server:
            greedy, modest = self.clients(server)
            with greedy, modest:
                modest.put("x", b"x")
                held = [Misbehaviour(greedy, "spin", name=str(number)) for number in range(3)]
                self.assertTrue(harness.wait_until(lambda: self.load(modest).streams == 3))
                with self.assertRaises(grpc.RpcError) as raised:
                    greedy.get("x")
                self.assertEqual((raised.exception.code(), harness.rpc_reason(raised.exception)), OVERLOADED)
                self.assertIn("of this client", raised.exception.details())
                self.assertEqual(modest.get("x"), b"x")
                for bad in held:
                    bad.__exit__()

    def test_the_queue_has_an_end(self):
        with Server(options=["--decodes", "1", "--decode-queue", "1"]) as server, Client(server) as client:
            with Misbehaviour(client, "spin", name="1"):
                self.assertTrue(harness.wait_until(lambda: self.load(client).decodes == 1))
                with Misbehaviour(client, "spin", name="2"):
                    self.assertTrue(harness.wait_until(lambda: self.load(client).decodes_waiting == 1))
                    message = self.assert_fails(*OVERLOADED, client.put, "3", b"text " * 10_000)
                    self.assertIn("1 wait", message)

    def load(self, client):
        return client.stub.GetServerStatus(vxa_pb2.GetServerStatusRequest()).load


def deny_layers():
    """Denies this process unshare(2) and landlock_create_ruleset(2), as containers do (seccomp(2))."""
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    load, jump_if_equal, give_back = 0x20, 0x15, 0x06
    denied, allowed = 0x00050000 | errno.EPERM, 0x7FFF0000
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in (
        (load, 0, 0, 0),  # the system call's number
        (jump_if_equal, 2, 0, 272),
        (jump_if_equal, 1, 0, 444),
        (give_back, 0, 0, allowed),
        (give_back, 0, 0, denied),
    ))
    libc = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, filter_mode = 38, 22, 2
    program = Program(len(code) // 8, code)
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, filter_mode, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


class Status(TestCase):
    def test_the_server_tells_what_it_allows_and_how_it_confines(self):
        options = ["--max-streams=8", "--decodes=3", "--decode-cpu=90", "--decode-memory=100M"]
        with Server(options=options) as server, Client(server) as client:
            status = client.stub.GetServerStatus(vxa_pb2.GetServerStatusRequest())
            self.assertIn("vxad", status.version)
            self.assertLess(abs(status.start_time.seconds - time.time()), 600)
            limits = status.limits
            self.assertEqual((limits.streams, limits.client_streams, limits.decodes), (8, 6, 3))
            self.assertEqual((limits.decode_cpu_time.seconds, limits.decode_memory), (90, 100 << 20))
            self.assertEqual("without" in server.log(), status.missing_jail_layers != "")
            self.assertEqual((status.load.streams, status.load.decodes), (0, 0))

    def test_it_serves_where_the_system_grants_no_layers_and_says_so(self):
        with Server(preexec_fn=deny_layers) as server, Client(server) as client:
            missing = client.stub.GetServerStatus(vxa_pb2.GetServerStatusRequest()).missing_jail_layers
            for layer in ("user namespace", "mount namespace", "PID namespace", "network namespace", "Landlock"):
                self.assertIn(layer, missing)
            self.assertIn(f"doesn't grant: {missing}", server.log())
            client.put("x", b"text " * 1000)
            self.assertEqual(client.get("x"), b"text " * 1000)
        with self.assertRaisesRegex(AssertionError, "all layers of the jail: user namespace"):
            Server(preexec_fn=deny_layers, options=["--require-jail"])


if __name__ == "__main__":
    harness.main()
