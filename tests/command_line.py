"""What the tests of the vxa command line share: a server, a folder to run vxa in, and its exit statuses."""

import concurrent.futures
import json
import os
import subprocess
import tempfile

import grpc

import harness
from harness import Server, TestCase
from vxa.v1 import vxa_pb2_grpc

OK, ERROR, USAGE, NOT_FOUND, DAMAGED, PRECONDITION, UNAVAILABLE = range(7)


class CommandLine(TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, *segments):
        return os.path.join(self.folder, *segments)

    def write(self, name, data):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as file:
            file.write(data)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def environment(self):
        return {**os.environ, "VXA_SERVER": self.server.address}

    def vxa(self, *arguments, status=OK, stdin=b"", **options):
        """Runs vxa in the test's folder; (stdout, stderr)."""
        return self.run_vxa(harness.VXA, *arguments, status=status, input=stdin, **options)

    def run_vxa(self, *command, status, **options):
        run = subprocess.run(command, capture_output=True, cwd=self.folder, env=self.environment(), timeout=60,
                             **options)
        self.assertEqual(run.returncode, status, run.stderr)
        if status != OK:
            self.assertNotEqual(run.stderr, b"")
        return run.stdout, run.stderr

    def vxa_with_output(self, output, *arguments, status):
        """Runs vxa with its standard output redirected as a shell writes it; its stderr."""
        return self.run_vxa("sh", "-c", f'exec "$@" >{output}', "sh", harness.VXA, *arguments, status=status)[1]

    def json(self, *arguments, **options):
        """The JSON lines that it prints."""
        return [json.loads(line) for line in self.vxa("--json", *arguments, **options)[0].splitlines()]

    def put(self, name, data):
        return self.json("put", "-", name, stdin=data)[0]


class ScriptedServer:
    """A server that says what `servicer`, a vxa_pb2_grpc.ArchiveServicer, makes it say. A context manager."""

    def __init__(self, servicer):
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        vxa_pb2_grpc.add_ArchiveServicer_to_server(servicer, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()
