"""What a crash may take: nothing that was acknowledged. And how a server starts and stops."""

import random
import signal
import subprocess
import tempfile
import threading
import time

import grpc

import harness
from harness import Client, Server, TestCase, data_message, digest, finish, noise, spec, text


class Crash(TestCase):
    def test_nothing_acknowledged_is_lost_when_the_server_is_killed(self):
        rng = random.Random(7)
        acknowledged = {}
        attempted = {}
        with Server() as server:
            for round_number in range(6):
                with Client(server) as client:
                    stop = threading.Event()

                    def put_until_killed(worker):
                        n = 0
                        while not stop.is_set():
                            name = f"{round_number}/{worker}/{n}"
                            size = random.Random(name).choice([10, 3_000, 200_000, 5_000_000])
                            data = (text if n % 2 else noise)(size, seed=name)
                            attempted[name] = digest(data)
                            try:
                                acknowledged[name] = (client.put(name, data).object.version, digest(data))
                            except (grpc.RpcError, harness.Failed):
                                return
                            n += 1

                    threads = [threading.Thread(target=put_until_killed, args=(i,)) for i in range(3)]
                    for thread in threads:
                        thread.start()
                    time.sleep(rng.uniform(0.1, 1.0))
                    server.kill()
                    stop.set()
                    for thread in threads:
                        thread.join()
                server.restart()
                with Client(server) as client:
                    for name, (version, sha256) in acknowledged.items():
                        entry = client.stat(name)
                        self.assertEqual((entry.version, entry.digest), (version, sha256), name)
                    for name in client.names():
                        self.assertEqual(digest(client.get(name)), attempted[name], name)
                    client.delete(client.names()[0], version=1) if acknowledged else None
                    acknowledged = {name: value for name, value in acknowledged.items() if name in client.names()}
        self.assertGreater(len(acknowledged), 5)

    def test_a_put_in_flight_at_the_kill_does_not_show(self):
        with Server() as server:
            with Client(server) as client:
                client.put("before", b"before")
                sent = threading.Event()
                release = threading.Event()

                def hang():
                    yield spec("half")
                    for i in range(20):
                        yield data_message(noise(harness.PIECE, seed=i), i * harness.PIECE)
                    sent.set()
                    release.wait(60)

                call = client.stub.WriteObject(hang())
                self.assertTrue(sent.wait(60))
                server.kill()
                release.set()
                with self.assertRaises(grpc.RpcError):
                    list(call)
            server.restart()
            with Client(server) as client:
                self.assertEqual(client.names(), ["before"])
                self.assertEqual(client.get("before"), b"before")
                self.assertEqual(client.put("half", b"whole").object.version, 1)

    def test_no_worker_outlives_a_killed_server(self):
        import gzip
        from vxa.v1 import vxa_pb2
        with Server() as server, Client(server) as client:
            client.put("bomb.gz", gzip.compress(bytes(300_000_000), 9))
            call = client.stub.ReadObject(
                vxa_pb2.ReadObjectRequest(namespace="default", name="bomb.gz", form=vxa_pb2.VIEW))
            for _ in range(3):
                next(call)
            workers = server.workers()
            self.assertTrue(workers)
            server.kill()

            def gone(pid):
                try:
                    with open(f"/proc/{pid}/stat") as stat:
                        return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
                except OSError:
                    return True

            self.assertTrue(harness.wait_until(lambda: all(gone(pid) for pid in workers)))


class StartAndStop(TestCase):
    def run_vxad(self, *arguments):
        return subprocess.run([harness.VXAD, *arguments], capture_output=True, text=True, timeout=60)

    def test_a_second_server_on_the_same_directory_is_refused(self):
        with Server() as server, Client(server) as client:
            client.put("first", b"1")
            second = self.run_vxad("--data", server.directory, "--listen", "127.0.0.1:0")
            self.assertEqual(second.returncode, 1)
            self.assertIn(server.directory, second.stderr)
            self.assertEqual(len(second.stderr.strip().splitlines()), 1, second.stderr)
            self.assertEqual(client.get("first"), b"1")

    def test_a_port_in_use_is_told(self):
        with Server() as server, tempfile.TemporaryDirectory() as directory:
            second = self.run_vxad("--data", directory, "--listen", server.address)
            self.assertEqual(second.returncode, 1)
            self.assertIn(server.address, second.stderr)

    def test_wrong_command_lines_are_told_in_a_line(self):
        for arguments in [[], ["--data"], ["--data", "x", "--listen", "nowhere"], ["--data", "x", "--bogus"],
                          ["--data", "x", "extra"]]:
            with self.subTest(arguments=arguments):
                result = self.run_vxad(*arguments)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(len(result.stderr.strip().splitlines()), 1, result.stderr)

    def test_a_missing_worker_is_told(self):
        with tempfile.TemporaryDirectory() as directory:
            result = self.run_vxad("--data", directory, "--listen", "127.0.0.1:0", "--worker", "/no/such/worker")
            self.assertEqual(result.returncode, 1)
            self.assertIn("/no/such/worker", result.stderr)

    def test_sigterm_lets_a_put_end_and_its_object_is_there_afterwards(self):
        with Server() as server:
            data = text(3_000_000)
            with Client(server) as client:
                client.put("warm", b"up")
                under_way = threading.Event()
                stopping = threading.Event()

                def slowly():
                    yield spec("slow")
                    yield data_message(data[:harness.PIECE])
                    under_way.set()
                    stopping.wait(30)
                    yield data_message(data[harness.PIECE:2 * harness.PIECE], harness.PIECE)
                    yield data_message(data[2 * harness.PIECE:], 2 * harness.PIECE)
                    yield finish(len(data), digest(data))

                call = client.stub.WriteObject(slowly())
                self.assertTrue(under_way.wait(30))
                server.process.send_signal(signal.SIGTERM)
                self.assertTrue(harness.wait_until(lambda: "stopping" in server.log()))
                stopping.set()
                [result] = [response.result for response in call if response.HasField("result")]
                self.assertEqual(result.object.version, 1)
            self.assertEqual(server.process.wait(timeout=60), 0)
            server.process.stdout.close()
            server.process = None
            server.start()
            with Client(server) as client:
                self.assertEqual(client.get("slow"), data)

    def test_an_idle_server_stops_at_once(self):
        with Server(options=["--grace", "3600"]) as server:
            self.assertEqual(server.stop(), 0)

    def test_a_unix_socket_serves_too(self):
        with tempfile.TemporaryDirectory() as directory:
            process = subprocess.Popen(
                [harness.VXAD, "--data", directory + "/data", "--listen", f"unix:{directory}/socket"],
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                self.assertTrue(process.stdout.readline().startswith("listening on unix:"))
                with grpc.insecure_channel(f"unix:{directory}/socket") as channel:
                    check = channel.unary_unary("/grpc.health.v1.Health/Check")
                    self.assertEqual(check(b""), b"\x08\x01")
            finally:
                process.terminate()
                self.assertEqual(process.wait(timeout=60), 0)
                process.stdout.close()


if __name__ == "__main__":
    harness.main()
