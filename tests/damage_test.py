"""Damaged files: told as DATA_LOSS, never presented as right, and nobody else's loss."""

import os
import random
import shutil

import grpc

import harness
from harness import Client, Server, TestCase, find, flip, noise, text

Code = grpc.StatusCode


class Damage(TestCase):
    def test_a_flipped_byte_in_a_stored_object_is_data_loss_and_hurts_no_other(self):
        with Server() as server, Client(server) as client:
            hurt, sound = noise(50_000, seed=1), noise(50_000, seed=2)
            client.put("hurt", hurt)
            client.put("sound", sound)
            [pack] = server.packs()
            flip(pack, find(pack, hurt[1000:1100]))
            message = self.assert_fails(Code.DATA_LOSS, "DATA_DAMAGED", client.read, "hurt")
            self.assertIn("hurt", message)
            self.assertEqual(client.get("sound"), sound)

    def test_no_damaged_byte_leaves_before_the_error(self):
        with Server() as server, Client(server) as client:
            data = noise(10_000_000)
            client.put("object", data)
            [pack] = server.packs()
            flip(pack, find(pack, data[9_000_000:9_000_100]))
            received = b""
            with self.assertRaises(grpc.RpcError) as raised:
                for response in client.stub.ReadObject(
                        harness.vxa_pb2.ReadObjectRequest(namespace="default", name="object")):
                    self.assertFalse(response.HasField("end"))
                    received += response.data.data
            self.assertEqual(raised.exception.code(), Code.DATA_LOSS)
            self.assertEqual(received, data[:8 << 20])  # the two sound chunks

    def test_every_flip_is_caught_or_harmless(self):
        with Server() as server:
            objects = {f"o/{i}": maker(size, seed=i) for i, (maker, size) in enumerate(
                [(noise, 3_000), (text, 20_000), (noise, 1), (text, 70_000)])}
            with Client(server) as client:
                for name, data in objects.items():
                    client.put(name, data)
            server.stop()
            [pack] = server.packs()
            size = os.path.getsize(pack)
            rng = random.Random(3)
            pristine = server.directory + ".pristine"
            shutil.copytree(server.directory, pristine)
            try:
                for offset in sorted(rng.sample(range(64, size), 40)):
                    flip(pack, offset, rng.randrange(8))
                    server.start()
                    with Client(server) as client:
                        for name, data in objects.items():
                            try:
                                self.assertEqual(client.get(name), data, f"{name} after a flip at {offset}")
                            except grpc.RpcError as error:
                                self.assertIn(error.code(), (Code.DATA_LOSS, Code.NOT_FOUND), error.details())
                    server.kill()
                    shutil.rmtree(server.directory)
                    shutil.copytree(pristine, server.directory)
            finally:
                shutil.rmtree(pristine)

    def test_a_lost_index_is_rebuilt_from_the_packs(self):
        with Server() as server:
            with Client(server) as client:
                for i in range(20):
                    client.put(f"i/{i}", text(10_000, seed=i))
                client.put("i/3", b"second version", metadata={"k": "v"})
                client.delete("i/4")
                client.delete("i/5", version=1)
                before = client.list(versions=True)
            server.stop()
            shutil.rmtree(os.path.join(server.directory, "index"))
            server.start()
            with Client(server) as client:
                self.assertEqual(client.list(versions=True), before)
                self.assertEqual(client.get("i/7"), text(10_000, seed=7))

    def test_an_unknown_format_version_is_refused(self):
        with Server() as server:
            server.stop()
            with open(os.path.join(server.directory, "VERSION"), "w") as version:
                version.write("vxa-archive 9\n")
            with self.assertRaises(AssertionError) as raised:
                server.start()
            server.process.wait(timeout=60)
            server.process.stdout.close()
            server.process = None
            self.assertIn("vxa-archive 9", str(raised.exception))


if __name__ == "__main__":
    harness.main()
