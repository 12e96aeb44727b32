"""What the server does besides objects: limits, deadlines, overload, health, and its end."""

import gzip
import signal
import threading

import grpc

import harness
from harness import (Client, Server, TestCase, data_message, decoding, digest, finish, guest, noise, put_messages, spec,
                     status_pb2)
from vxa.v1 import vxa_pb2

Code = grpc.StatusCode
CHECK = "/grpc.health.v1.Health/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


class HeldPut:
    """A put that has begun and waits. A context manager."""

    def __init__(self, client, name):
        self._go_on = threading.Event()
        self.call = client.stub.WriteObject(self._messages(name))
        # Only an answer tells that the server has let the call in.
        assert next(self.call).HasField("result")

    def _messages(self, name):
        yield from put_messages(name + "/before", b"before")
        yield spec(name)
        yield data_message(b"held")
        self._go_on.wait(60)
        yield finish(4, digest(b"held"))

    def end(self):
        """Sends its finish; the responses."""
        self._go_on.set()
        return list(self.call)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._go_on.set()
        self.call.cancel()


class Limits(TestCase):
    def test_a_page_is_never_larger_than_a_client_takes(self):
        with Server() as server, Client(server) as client:
            cat = client.register(guest("cat")).id  # it takes no notice of its arguments
            names = [f"fat/{i:03}" for i in range(60)]
            for name in names:
                client.put(name, name.encode(), metadata={"k": "x" * 65_000},
                           decoding=decoding(cat, name.encode(), "x" * 65_000),
                           source=vxa_pb2.Source(path=b"x" * 4096))
            got, token, pages = [], "", 0
            while True:
                page = client.list(page_token=token)  # gRPC refuses an answer of more than 4 MiB
                got += [entry.name for entry in page.objects]
                token, pages = page.next_page_token, pages + 1
                if not token:
                    break
            self.assertEqual(got, names)
            self.assertGreater(pages, 1)

    def test_more_streams_than_the_server_takes_are_told_to_come_back(self):
        with Server(options=["--max-streams", "2"]) as server, Client(server) as client:
            client.put("x", b"x")
            with HeldPut(client, "a") as first, HeldPut(client, "b"):
                self.assertTrue(harness.wait_until(lambda: self.is_refused(client)))
                self.assertEqual(client.stat("x").version, 1)
                self.assertTrue(first.end()[-1].HasField("result"))
            self.assertTrue(harness.wait_until(lambda: not self.is_refused(client)))

    def is_refused(self, client):
        try:
            client.get("x")
            return False
        except grpc.RpcError as error:
            self.assertEqual((error.code(), harness.rpc_reason(error)), (Code.UNAVAILABLE, "OVERLOADED"))
            status = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
            self.assertIn("type.googleapis.com/google.rpc.RetryInfo", [detail.type_url for detail in status.details])
            return True

    def test_huge_headers_are_refused_and_hurt_nobody_else(self):
        with Server() as server, Client(server) as client:
            client.put("x", b"x")
            with self.assertRaises(grpc.RpcError) as raised:
                client.stub.GetObject(vxa_pb2.GetObjectRequest(namespace="default", name="x"),
                                      metadata=[("x-huge", "x" * (1 << 20))])
            self.assertIn(raised.exception.code(), (Code.RESOURCE_EXHAUSTED, Code.UNAVAILABLE))
            with Client(server) as other:
                self.assertEqual(other.get("x"), b"x")


class Deadlines(TestCase):
    def test_a_deadline_ends_a_read_and_its_decoder(self):
        with Server() as server, Client(server) as client:
            client.put("bomb.gz", gzip.compress(bytes(300_000_000), 9))
            request = vxa_pb2.ReadObjectRequest(namespace="default", name="bomb.gz", form=vxa_pb2.VIEW)
            with self.assertRaises(grpc.RpcError) as raised:
                for _ in client.stub.ReadObject(request, timeout=0.3):
                    pass
            self.assertEqual(raised.exception.code(), Code.DEADLINE_EXCEEDED)
            self.assertTrue(harness.wait_until(lambda: not server.workers()))

    def test_a_deadline_ends_a_put_that_waits(self):
        with Server() as server, Client(server) as client:
            def slowly():
                yield spec("slow")
                yield data_message(b"x")
                threading.Event().wait(2)

            with self.assertRaises(grpc.RpcError) as raised:
                list(client.stub.WriteObject(slowly(), timeout=0.3))
            self.assertEqual(raised.exception.code(), Code.DEADLINE_EXCEEDED)
            self.assertEqual(client.names(), [])


class Standards(TestCase):
    def test_reflection_describes_the_service_from_the_same_proto(self):
        with Server() as server, Client(server) as client:
            info = client.channel.stream_stream(
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
            symbol = b"vxa.v1.Archive"
            [answer] = info(iter([b"\x22" + bytes([len(symbol)]) + symbol]))  # file_containing_symbol
            self.assertIn(vxa_pb2.DESCRIPTOR.serialized_pb, answer)

    def test_health_knows_the_service_and_no_other(self):
        with Server() as server, Client(server) as client:
            check = client.channel.unary_unary(CHECK)
            self.assertEqual(check(b"\x0a\x0evxa.v1.Archive"), SERVING)
            with self.assertRaises(grpc.RpcError) as raised:
                check(b"\x0a\x04nope")
            self.assertEqual(raised.exception.code(), Code.NOT_FOUND)


class End(TestCase):
    def stop(self, server):
        server.process.send_signal(signal.SIGTERM)
        self.assertTrue(harness.wait_until(lambda: "stopping" in server.log()))

    def test_while_it_ends_it_is_not_serving_and_takes_no_call(self):
        with Server(options=["--grace", "60"]) as server, Client(server) as client:
            with HeldPut(client, "held") as held:
                self.stop(server)
                self.assertTrue(harness.wait_until(
                    lambda: client.channel.unary_unary(CHECK)(b"") == NOT_SERVING))
                self.assert_fails(Code.UNAVAILABLE, "OVERLOADED", client.stat, "held")
                self.assertEqual(held.end()[-1].result.object.version, 1)
            self.assertEqual(server._reap(), 0)

    def test_what_outlasts_the_grace_time_is_cancelled(self):
        with Server(options=["--grace", "0.2"]) as server, Client(server) as client:
            with HeldPut(client, "held") as held:
                self.stop(server)
                with self.assertRaises(grpc.RpcError) as raised:
                    list(held.call)
                self.assertIn(raised.exception.code(), (Code.CANCELLED, Code.UNAVAILABLE))
            self.assertEqual(server._reap(), 0)

    def test_a_second_signal_ends_it_without_waiting(self):
        with Server(options=["--grace", "3600"]) as server, Client(server) as client:
            with HeldPut(client, "held"):
                self.stop(server)
                server.process.send_signal(signal.SIGINT)
                self.assertEqual(server._reap(), 0)

    def test_a_reader_that_does_not_read_cannot_keep_it(self):
        with Server(options=["--grace", "0.2"]) as server, Client(server) as client:
            client.put("object", noise(64 << 20), codec="store")
            call = client.stub.ReadObject(vxa_pb2.ReadObjectRequest(namespace="default", name="object"))
            next(call)
            self.assertEqual(server.stop(), 0)
            call.cancel()


if __name__ == "__main__":
    harness.main()
