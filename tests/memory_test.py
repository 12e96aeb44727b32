"""Flow control end to end: however much streams in and out, and however slowly, the server stays small."""

import hashlib
import threading

import grpc

import harness
from harness import Client, Server, TestCase
from vxa.v1 import vxa_pb2

GIB = 1 << 30
LIMIT = 256 << 20


class Memory(TestCase):
    def test_several_1_gib_objects_stream_in_and_out_within_256_mb(self):
        # Not random, but no chunk like another: each MiB carries its number.
        piece = bytearray(harness.noise(harness.PIECE))

        def pieces(seed):
            for i in range(GIB // harness.PIECE):
                piece_i = bytearray(piece)
                piece_i[:16] = seed.to_bytes(8, "big") + i.to_bytes(8, "big")
                yield bytes(piece_i)

        def messages(name, seed, sha256):
            yield harness.spec(name, codec="store")
            for i, data in enumerate(pieces(seed)):
                sha256.update(data)
                yield harness.data_message(data, i * harness.PIECE)
            yield harness.finish(GIB, vxa_pb2.Digest(algorithm=vxa_pb2.Digest.SHA256, value=sha256.digest()))

        with Server(options=["--client-streams", "32"]) as server:
            failures = []

            def put_and_get(seed):
                name = f"big/{seed}"
                sent = hashlib.sha256()
                with Client(server) as client:
                    results = [response for response in client.stub.WriteObject(messages(name, seed, sent))
                               if not response.persisted_offset]
                    if len(results) != 1 or not results[0].HasField("result"):
                        failures.append((name, results))
                        return
                    received = hashlib.sha256()
                    for response in client.stub.ReadObject(
                            vxa_pb2.ReadObjectRequest(namespace="default", name=name)):
                        received.update(response.data.data)
                    if received.digest() != sent.digest():
                        failures.append((name, "came back different"))

            threads = [threading.Thread(target=put_and_get, args=(seed,)) for seed in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(failures, [])
            self.assertLess(server.peak_memory(), LIMIT)

    def test_readers_that_do_not_read_cost_no_memory(self):
        with Server(options=["--client-streams", "32"]) as server, Client(server) as client:
            client.put("object", harness.noise(64 << 20), codec="store")
            calls = []
            for _ in range(12):
                reader = Client(server)
                call = reader.stub.ReadObject(vxa_pb2.ReadObjectRequest(namespace="default", name="object"))
                next(call)
                calls.append((reader, call))
            self.assertEqual(len(client.get("object")), 64 << 20)
            self.assertLess(server.peak_memory(), LIMIT)
            for reader, call in calls:
                call.cancel()
                reader.__exit__()

    def test_more_greedy_writers_than_it_takes_cost_no_memory(self):
        with Server(options=["--client-streams", "32"]) as server:
            release = threading.Event()
            sent = [0] * 60

            def greedy(number):
                yield harness.spec(f"greedy/{number}", codec="store")
                for i in range(40):
                    yield harness.data_message(bytes(2 << 20), i * (2 << 20))
                    sent[number] += 1
                release.wait(60)

            clients = [Client(server) for _ in sent]
            calls = [client.stub.WriteObject(greedy(number)) for number, client in enumerate(clients)]
            self.assertTrue(harness.settles(lambda: sum(sent)))
            self.assertLess(server.peak_memory(), LIMIT)
            release.set()
            for client, call in zip(clients, calls):
                call.cancel()
                client.__exit__()
            with Client(server) as client:
                self.assertTrue(harness.wait_until(lambda: self.takes_a_put(client)))

    def test_more_registrations_than_it_takes_cost_no_memory(self):
        with Server(options=["--client-streams", "32"]) as server:
            image = harness.guest("fault")
            request = vxa_pb2.RegisterDecoderRequest(
                namespace="default", image=image + bytes((2 << 20) - len(image)), sample=bytes(512 << 10),
                sample_arguments=["spin"])
            clients = [Client(server) for _ in range(40)]
            calls = [client.stub.RegisterDecoder.future(request) for client in clients]
            # Those that are let in wait for their trial runs, the others are told to come back.
            self.assertTrue(harness.wait_until(lambda: sum(call.done() for call in calls) == 40 - 32))
            self.assertEqual({call.code() for call in calls if call.done()}, {grpc.StatusCode.UNAVAILABLE})
            self.assertLess(server.peak_memory(), LIMIT)
            for client, call in zip(clients, calls):
                call.cancel()
                client.__exit__()
            self.assertTrue(harness.wait_until(lambda: not server.workers()))

    def takes_a_put(self, client):
        try:
            client.put("after", b"after")
            return True
        except grpc.RpcError as error:
            self.assertEqual(harness.rpc_reason(error), "OVERLOADED")
            return False


if __name__ == "__main__":
    harness.main()
