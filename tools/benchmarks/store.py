"""The benchmark `store`: puts and gets of one large object and of many small ones, on a server of its own.

Every put is proved and on disk when it ends, every get is checked by server and client. Beside them, in the same
rounds and over the same bytes: dd and files with fsync, sha256sum, zlib at level 6 as a native program, gzip -dc.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import report

MIB = 1 << 20
STREAMS = 4  # for "several at once"
CHUNK = 4 * MIB


def make_data(path, size):
    """The same bytes every time: half text, a quarter tables, a quarter that does not compress, in turns of 4 MiB.

    32 MiB of their own, which then come again with another stamp in every 4 KiB.
    """
    rng = random.Random(1)
    words = ["".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randint(2, 9))) for _ in range(5000)]
    weights = [1 / rank for rank in range(1, len(words) + 1)]  # Zipf's law

    def text():
        return " ".join(rng.choices(words, weights, k=CHUNK // 5)).encode()

    def table():
        return "".join(
            f'{{"id":{i},"at":"2024-05-{i % 30 + 1:02}","value":{rng.random():.6f},"unit":"{words[i % 50]}"}}\n'
            for i in range(CHUNK // 55)).encode()

    def noise():
        return rng.randbytes(CHUNK)

    base = bytearray()
    for make in [text, table, text, noise] * 2:
        piece = make()
        base += (piece * (CHUNK // len(piece) + 1))[:CHUNK]
    with open(path, "wb") as file:
        for number in range(0, size, len(base)):
            for at in range(0, len(base), 4096):
                base[at:at + 16] = b"%016x" % (number + at)
            file.write(base[:size - number])


def digest_of(path, object_size):
    """The SHA-256 of the SHA-256s of the objects, as store_load gives it."""
    digests = hashlib.sha256()
    with open(path, "rb") as file:
        if object_size == 0:
            digests.update(hashlib.file_digest(file, "sha256").digest())
        else:
            while piece := file.read(object_size):
                digests.update(hashlib.sha256(piece).digest())
    return digests.hexdigest()


class Server:
    """A vxad on an empty directory. A context manager, which removes that in the end."""

    def __init__(self, bench):
        self.directory = tempfile.mkdtemp(prefix="archive-", dir=bench.directory)
        self.process = subprocess.Popen(
            [bench.binary("server/vxad"), "--data", self.directory, "--listen", "127.0.0.1:0",
             "--worker", bench.binary("vxengine/vxworker")],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            sys.exit("store: vxad did not start:\n" + self.process.communicate()[1])
        self.address = line.split()[-1]
        threading.Thread(target=self.process.stderr.read, daemon=True).start()

    def workers(self):
        return descendants(self.process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory)


def descendants(pid):
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as children:
                for child in map(int, children.read().split()):
                    yield child
                    yield from descendants(child)


def peak_memory(pid):
    """The most resident memory that a process ever had, in bytes (proc(5), VmHWM); 0 if it is gone."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:")), 0)
    return 0


class Bench:
    """What is measured, for one amount of work. The last two members are what was seen meanwhile."""

    def __init__(self, binaries, directory, large_size, objects):
        self.binaries = binaries
        self.directory = directory
        self.large, self.small = os.path.join(directory, "large"), os.path.join(directory, "small")
        self.gzipped = self.large + ".gz"
        self.large_size, self.objects, self.object_size = large_size, objects, 4096
        self.watched = False  # whether the workers' memory is looked at, which takes time
        self.compared = 0
        self.memory = {"vxad": 0, "vxworker": 0}

    def binary(self, name):
        return os.path.abspath(os.path.join(self.binaries, name))

    def prepare(self):
        make_data(self.large, self.large_size)
        make_data(self.small, self.objects * self.object_size)
        with open(self.gzipped, "wb") as file:
            subprocess.run(["gzip", "-6", "-c", self.large], stdout=file, check=True)
        with subprocess.Popen(["gzip", "-dc", self.gzipped], stdout=subprocess.PIPE) as gzip:
            self.compare("gzip -dc", self.large, gzip.stdout)
        self.digests = {self.large: digest_of(self.large, 0), self.small: digest_of(self.small, self.object_size)}

    def load(self, what, file, **options):
        """Seconds of one run of store_load, whose objects must have the digests of `file`'s."""
        size = 0 if file == self.large else self.object_size
        command = [self.binary("tools/benchmarks/store_load"), what, file, f"--object-size={size}"]
        command += [f"--{name}={value}" for name, value in options.items()]
        os.sync()  # so that nobody pays for what others wrote
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        result = json.loads(run.stdout)
        if result["sha256"] != self.digests[file]:
            sys.exit(f"store: {what} of {file} gave other bytes: {result['sha256']}, not {self.digests[file]}")
        self.compared += 1
        return result["seconds"]

    def put_and_get(self, file, codec, streams):
        with Server(self) as server:
            with self.watch(server) if self.watched else contextlib.nullcontext():
                put = self.load("put", file, server=server.address, codec=codec, streams=streams)
                get = self.load("get", file, server=server.address, streams=streams)
            self.memory["vxad"] = max(self.memory["vxad"], peak_memory(server.process.pid))
        return put, get

    @contextlib.contextmanager
    def watch(self, server):
        """Looks at the workers' memory some hundred times a second."""
        ended = threading.Event()

        def look():
            while not ended.wait(0.005):
                self.memory["vxworker"] = max([self.memory["vxworker"], *map(peak_memory, server.workers())])

        thread = threading.Thread(target=look)
        thread.start()
        yield
        ended.set()
        thread.join()

    def files(self):
        with tempfile.TemporaryDirectory(dir=self.directory) as directory:
            return self.load("files", self.small, directory=directory)

    def run(self, *command):
        """Seconds of a program whose output nobody reads."""
        os.sync()
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    def dd(self, file):
        copy = file + ".copy"
        seconds = self.run("dd", f"if={file}", f"of={copy}", "bs=1M", "conv=fsync")
        with open(copy, "rb") as written:
            self.compare("dd", file, written)
        os.unlink(copy)
        return seconds

    def compare(self, what, file, output):
        with open(file, "rb") as original:
            if hashlib.file_digest(output, "sha256").digest() != hashlib.file_digest(original, "sha256").digest():
                sys.exit(f"store: {what} of {file} gave other bytes")
        self.compared += 1

    def round(self):
        """Every measurement once, by table and row."""
        s = {}
        s["large put", "dd"] = self.dd(self.large)
        s["large put", "store"], s["large get", "store"] = self.put_and_get(self.large, "store", 1)
        s["large put", "sha256sum"] = s["large get", "sha256sum"] = self.run("sha256sum", self.large)
        s["large put", "auto"], s["large get", "auto"] = self.put_and_get(self.large, "auto", 1)
        s["large put", "zlib"] = self.load("deflate", self.large)
        s["large get", "gzip"] = self.run("gzip", "-dc", self.gzipped)
        s["small put", "dd"] = self.dd(self.small)
        s["small put", "one"], s["small get", "one"] = self.put_and_get(self.small, "auto", 1)
        s["small put", "files"] = self.files()
        s["small put", "several"], s["small get", "several"] = self.put_and_get(self.small, "auto", STREAMS)
        s["small put", "sha256sum"] = s["small get", "sha256sum"] = self.run("sha256sum", self.small)
        s["small put", "zlib"] = self.load("deflate", self.small)
        return s


def tables(bench, samples):
    def rows(table, *rows):
        return [report.Row(name, baseline, samples[table, key]) for key, name, baseline in rows]

    large = f"one object of {bench.large_size // MIB:,} MiB"
    small = f"{bench.objects:,} objects of {bench.object_size:,} bytes"
    small_bytes = bench.objects * bench.object_size
    vxad = [("store", "vxad, codec store", ""), ("auto", "vxad, codec auto (zstd)", "")]
    streams = [("one", "vxad, one after another", ""), ("several", f"vxad, {STREAMS} at once", "")]
    sha256sum = ("sha256sum", "sha256sum", "sha256sum")
    dd, zlib = ("dd", "dd conv=fsync", "dd"), ("zlib", "zlib level 6", "zlib")
    return [
        report.Table(f"put, {large}", bench.large_size, 1, rows("large put", *vxad, dd, sha256sum, zlib)),
        report.Table(f"get, {large}", bench.large_size, 1,
                     rows("large get", *vxad, sha256sum, ("gzip", "gzip -dc", "gzip"))),
        report.Table(f"put, {small}", small_bytes, bench.objects,
                     rows("small put", *streams, dd, ("files", "a file with fsync each", "files"), sha256sum, zlib)),
        report.Table(f"get, {small}", small_bytes, bench.objects, rows("small get", *streams, sha256sum)),
    ]


def main():
    parser = argparse.ArgumentParser(prog="tools/bench store", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    report.add_options(parser)
    parser.add_argument("--dir", default=tempfile.gettempdir(), help="the disk to measure on (default: %(default)s)")
    parser.add_argument("--large-mib", type=report.positive, default=1024, help="MiB of the large object (default: %(default)s)")
    parser.add_argument("--objects", type=report.positive, default=10_000, help="how many small ones (default: %(default)s)")
    parser.add_argument("--binaries", required=True, help=argparse.SUPPRESS)  # tools/bench knows
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    quick = {"large_size": 8 * MIB, "objects": 50}
    full = {"large_size": arguments.large_mib * MIB, "objects": arguments.objects}
    rounds = 1 if arguments.quick else arguments.rounds

    with tempfile.TemporaryDirectory(prefix="vxa-bench-", dir=arguments.dir) as directory:
        machine = report.machine(directory)
        warm_up = Bench(arguments.binaries, directory, **quick)
        warm_up.watched = True
        warm_up.prepare()
        warm_up.round()
        bench = Bench(arguments.binaries, directory, **(quick if arguments.quick else full))
        bench.prepare()
        samples = report.alternate(rounds, bench.round)
    report.write(arguments, "store", tables(bench, samples), {
        "machine": machine,
        "versions": {
            "gcc": report.first_line("gcc", "--version"),
            "dd and sha256sum": report.first_line("dd", "--version"),
            "gzip": report.first_line("gzip", "--version"),
            "zlib": report.first_line("dpkg-query", "-W", "-f", "${Version}", "zlib1g-dev"),
            "commit": report.first_line("git", "-C", os.path.dirname(__file__), "describe", "--always", "--dirty"),
        },
        "flags": "bazel build --config=opt; vxad's defaults",
        "rounds": rounds,
        "peak_memory_mib": {"vxad": round(bench.memory["vxad"] / MIB, 1),
                            "vxworker": round(warm_up.memory["vxworker"] / MIB, 1)},
        "outputs_with_the_right_sha256": warm_up.compared + bench.compared,
    })


if __name__ == "__main__":
    main()
