"""The benchmark `engine`: what running guests in the sandbox costs beside running them natively.

CPU time, of user and system together, of all decoders, other real programs, and loops of one kind of instruction each. All
that is compared does the same work in the same round, one behind the other, and its output has the same SHA-256. The
baselines:

  same binary  NAME.native32: the guest's own objects on Linux's system calls, without a sandbox
  native32     the same sources by gcc -m32 -O2 with glibc: what a user would run instead; not of `decoders`
  native64     the same by gcc -m64 -O2
  tool         of decoders: Debian's program for the format; that its output differs is told

Beside them stand qemu-i386 with the first, and V8 with the programs' sources as WebAssembly (clang -O2, WASI's C library)
in a process of node's. The interpreter, which is slower by a factor, gets an eighth of the work, and baselines of its own for that. Where a
machine doesn't run 32-bit programs, or vxrun hasn't got an engine, what depends on it is absent, and told.
"""

import argparse
import dataclasses
import hashlib
import os
import re
import shutil
import signal
import statistics
import sys
import tempfile
import time

import report
import upstream
from inputs import LISP_SIZES, MIB, Inputs, Work

TRAPPED = 125  # vxrun's exit status where the guest didn't end by itself
# What lines of --stats begin with.
STATISTICS = tuple(["vxrun: translated "] + [f"vxrun: {digit}" for digit in range(10)])
TOOL = "tool"
BASELINES = ["same binary", "native32", "native64", TOOL]
KINDS = ["decoders", "programs", "micros"]
WASM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "wasm.js")
WASI_OF_NODE_18 = "--experimental-wasi-unstable-preview1"  # which later ones take and ignore
STARTS = 40  # to the first byte of output, of each


# What is run.


@dataclasses.dataclass(frozen=True)
class Runner:
    name: str
    form: str               # of the guest: its file's name is the guest's and this
    command: tuple = ()     # before that file
    engine: str = "native"
    placement: str | None = None
    baseline: str = ""
    works: tuple = ("full",)
    kinds: tuple = ("programs", "micros")

    @property
    def in_sandbox(self):
        return self.form == ".vx"


def all_runners(vxrun):
    everything = tuple(KINDS)

    def sandboxed(name, engine, placement=None, **which):
        options = [f"--engine={engine}"] + ([f"--placement={placement}"] if placement else [])
        return Runner(name, ".vx", (vxrun, *options), engine, placement, **which)

    both = ("full", "small")
    return [
        Runner("native 32-bit, same objects", ".native32", baseline="same binary", works=both, kinds=everything),
        Runner("native 32-bit, gcc -O2", ".m32", baseline="native32", works=both),
        Runner("native 64-bit, gcc -O2", ".m64", baseline="native64", works=both, kinds=everything),
        Runner("Debian's tool", "", baseline=TOOL, kinds=("decoders",)),
        Runner("qemu-i386", ".native32", (shutil.which("qemu-i386") or "qemu-i386",), "qemu-i386"),
        Runner("V8", ".wasm", (shutil.which("node") or "node", "--no-warnings", WASI_OF_NODE_18, WASM), "V8",
               kinds=("programs",)),
        sandboxed("translator, exclusive", "translator", "exclusive", kinds=everything),
        sandboxed("translator, shared", "translator", "shared", kinds=everything),
        sandboxed("interpreter", "interpreter", works=("small",)),
    ]


class Failed(Exception):
    """A program that can't be run, or that ended otherwise than it should; says how."""


@dataclasses.dataclass
class Run:
    seconds: float
    digest: str
    diagnostics: str


class Processes:
    """Runs commands between files, and measures them."""

    def __init__(self, directory):
        self.output, self.errors = (os.path.join(directory, name) for name in ["output", "errors"])
        os.symlink(self.output, self.output + ".ppm")  # for a tool that looks at names

    @staticmethod
    def spawn(command, stdin, stdout, stderr):
        actions = [(os.POSIX_SPAWN_DUP2, fd, at) for at, fd in enumerate([stdin, stdout, stderr])]
        try:
            return os.posix_spawn(command[0], command, os.environ, file_actions=actions)
        except OSError as error:
            raise Failed(f"{os.path.basename(command[0])}: {error.strerror}") from error

    def run(self, command, stdin):
        with open(stdin, "rb") as source, open(self.output, "wb") as output, open(self.errors, "wb") as errors:
            pid = self.spawn(command, source.fileno(), output.fileno(), errors.fileno())
            _, status, usage = os.wait4(pid, 0)
        with open(self.errors, "rb") as errors:
            diagnostics = errors.read().decode(errors="replace").strip()
        if status != 0:
            code = os.waitstatus_to_exitcode(status)
            lines = [line for line in diagnostics.split("\n") if not line.startswith(STATISTICS)]
            raise Failed(lines[0] if code == TRAPPED and lines else f"ended with {code} {diagnostics}".strip())
        with open(self.output, "rb") as output:
            digest = hashlib.file_digest(output, "sha256").hexdigest()
        return Run(usage.ru_utime + usage.ru_stime, digest, diagnostics)

    def read_output(self):
        """The last one's."""
        with open(self.output, "rb") as output:
            return output.read()

    def first_byte(self, command, stdin):
        """Seconds from before the start to the first byte of output, on the clock."""
        pipe, end = os.pipe()
        with open(stdin, "rb") as source, open(os.devnull, "wb") as null:
            start = time.perf_counter()
            pid = self.spawn(command, source.fileno(), end, null.fileno())
            os.close(end)
            byte = os.read(pipe, 1)
            seconds = time.perf_counter() - start
            while os.read(pipe, 1 << 16):
                pass
        os.close(pipe)
        if os.wait4(pid, 0)[1] != 0 or not byte:
            raise Failed("no output")
        return seconds


# What they do.


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    kind: str  # of KINDS
    guest: str
    works: dict  # by "full", "small" (not of decoders) and "quick"
    tool: upstream.Tool | None = None


def decoder_case(name, encoder, size, times=1):
    """A decoder beside Debian's; streams may follow each other in the input of some."""
    works = {"full": Work((), encoder, size, times), "quick": Work((), encoder, MIB)}
    return Case(name, "decoders", name, works, upstream.TOOLS[name])


def stream_case(name, guest, material, size, full, small):
    """A decoder of which streams may follow each other, as a program."""
    works = {"full": Work((), material, size, full), "small": Work((), material, size, small),
             "quick": Work((), material, 1 << 16)}
    return Case(name, "programs", guest, works)


def program_case(name, material, size, full, small):
    """A guest that takes its input so many times."""
    works = {"full": Work((str(full),), material, size), "small": Work((str(small),), material, size),
             "quick": Work(("1",), material, 1 << 15)}
    return Case(name, "programs", name, works)


def micro_case(name, times, material="", runs=1):
    works = {work: Work((name, str(max(1, times // part))), material, MIB if material else 0, runs=n)
             for work, part, n in [("full", 1, runs), ("small", 8, runs), ("quick", 2000, 1)]}
    return Case(name, "micros", "micro", works)


PIXELS = 5640 * 3172 * 3      # bytes of all of the picture
SOUND = 207 * 44100 * 2 * 2   # and of the music

CASES = [
    decoder_case("brotli", "programs by brotli", 64 * MIB),
    decoder_case("bzip2", "programs by bzip2", 8 * MIB),
    decoder_case("flac", "music by flac", SOUND),
    decoder_case("gif", "poster by gif", PIXELS),
    decoder_case("jp2", "picture by jp2", PIXELS // 3),
    decoder_case("jpeg", "picture by jpeg", PIXELS),
    decoder_case("lz4", "programs by lz4", 32 * MIB, 12),
    decoder_case("mp3", "music by mp3", SOUND),
    decoder_case("opus", "music by opus", SOUND),
    decoder_case("png", "picture by png", PIXELS),
    decoder_case("tiff", "picture by tiff", PIXELS),
    decoder_case("vorbis", "music by vorbis", SOUND),
    decoder_case("webp", "picture by webp", PIXELS),
    decoder_case("xz", "programs by xz", 16 * MIB),
    decoder_case("zlib", "programs by gzip", 16 * MIB, 4),
    decoder_case("zstd", "programs by zstd", 32 * MIB, 6),
    stream_case("zlib, text", "zlib", "text by gzip", 4 * MIB, 32, 4),
    stream_case("zlib, programs", "zlib", "programs by gzip", 4 * MIB, 24, 3),
    stream_case("bzip2, headers", "bzip2", "headers by bzip2", 2 * MIB, 8, 1),
    stream_case("bzip2, log", "bzip2", "log by bzip2", 2 * MIB, 6, 1),
    Case("lz", "programs", "lz", {"full": Work((), "text", 8 * MIB), "small": Work((), "text", MIB),
                                  "quick": Work((), "text", 1 << 15)}),
    program_case("crypt", "programs", 4 * MIB, 8, 1),
    program_case("dct", "programs", 4 * MIB, 5, 1),
    program_case("fft", "log", 4 * MIB, 8, 1),
    program_case("words", "headers", 4 * MIB, 16, 2),
    Case("lisp", "programs", "lisp", {work: Work((), material) for work, material in
                                      zip(["full", "small", "quick"], LISP_SIZES)}),
    Case("search", "programs", "search", {"full": Work(("10", "13")), "small": Work(("12", "11")),
                                          "quick": Work(("2", "4"))}),
    Case("nbody", "programs", "nbody", {"full": Work(("5000000",)), "small": Work(("600000",)),
                                        "quick": Work(("1000",))}),
    micro_case("empty", 1, runs=20),
    micro_case("direct_jump", 350_000_000),
    micro_case("taken_jump", 350_000_000),
    micro_case("untaken_jump", 450_000_000),
    micro_case("far_jump", 300_000_000),
    micro_case("direct_call", 300_000_000),
    micro_case("indirect_call", 200_000_000),
    micro_case("changing_call", 200_000_000),
    micro_case("recursion", 20_000),
    micro_case("system_call", 400_000),
    micro_case("read_byte", 300_000, "log"),
    micro_case("write_byte", 300_000),
    micro_case("add64", 500_000_000),
    micro_case("multiply64", 300_000_000),
    micro_case("divide64", 40_000_000),
    micro_case("pointer_chase", 300_000_000),
    micro_case("sort_callback", 1_200),
    micro_case("switch", 150_000_000),
    micro_case("small_moves", 60_000_000),
    micro_case("matrix", 5_000),
]

# Of which the first byte's time is taken.
STARTED = Case("start-up", "start-up", "zlib", {"full": Work((), "text by gzip", 1024)}, upstream.TOOLS["zlib"])


class Bench:
    """All cases on all runners. Members tell what was seen: who is absent, for what reason, and facts of runs."""

    def __init__(self, arguments, directory):
        self.binaries = arguments.binaries
        self.quick = arguments.quick
        self.inputs = Inputs(directory)
        self.processes = Processes(directory)
        self.vxrun = os.path.abspath(arguments.vxrun or os.path.join(arguments.binaries, "vxengine/vxrun"))
        self.absent = {}        # by runner or decoder: why it isn't there
        self.failed = {}        # by case and runner: why it isn't there
        self.instructions = {}  # by case, work and runner
        self.translation = {}   # by case and runner: instructions translated, seconds of it
        self.expected = {}      # digests by case and work
        self.compared = 0
        self.tools = {}         # digests of the tools' outputs, the same
        self.differences = {}   # by case: how they differ from the guests'
        self.cases = [case for case in CASES if arguments.only in f"{case.kind}: {case.name}" and self.is_possible(case)]
        self.runners = [runner for runner in all_runners(self.vxrun) if self.is_there(runner)]

    def is_possible(self, case):
        """Other cases than decoders need nothing that may not be there."""
        if case.kind != "decoders":
            return True
        guest = os.path.join(self.binaries, "decoders", case.guest, case.guest + ".vx")
        if not os.path.exists(guest):
            self.absent[case.name] = f"{os.path.basename(guest)} was not built"
        elif lacking := self.inputs.lacking(case.works["quick"]):
            self.absent[case.name] = f"there is no {lacking}"
        return case.name not in self.absent

    def is_there(self, runner):
        if runner.baseline == TOOL:
            return True
        case = CASES_BY_NAME["search"]
        program = self.program(runner, case)
        try:
            if not os.path.exists(program):
                raise Failed(f"{os.path.basename(program)} was not built")
            self.processes.run(self.command(runner, case, case.works["quick"]), os.devnull)
        except Failed as failure:
            self.absent[runner.name] = str(failure)
        return runner.name not in self.absent

    def work(self, case, size):
        return case.works["quick" if self.quick else size]

    def program(self, runner, case):
        folder = "tools/benchmarks/guests"
        if case.guest in upstream.TOOLS and runner.form in [".vx", ".native32"]:
            folder = f"decoders/{case.guest}"
        return os.path.abspath(os.path.join(self.binaries, folder, case.guest + runner.form))

    def command(self, runner, case, work, *options):
        if runner.baseline == TOOL:
            tool, *arguments = case.tool.command
            files = {"input": self.inputs.path(work), "output": self.processes.output}
            return [shutil.which(tool) or tool, *(argument.format(**files) for argument in arguments)]
        return [*runner.command, *options, self.program(runner, case), *work.arguments]

    def attempt(self, runner, command, stdin):
        """V8 is given three: node 20 has been seen to crash now and then."""
        for _ in range(2 * (runner.engine == "V8")):
            try:
                return self.processes.run(command, stdin)
            except Failed as failure:
                print(f"{os.path.basename(command[-1])}: {runner.name}: {failure}; once more", file=sys.stderr)
        return self.processes.run(command, stdin)

    def measure(self, case, size, runner, *options):
        work = self.work(case, size)
        runs = [self.attempt(runner, self.command(runner, case, work, *options), self.inputs.path(work))
                for _ in range(work.runs)]
        if runner.baseline == TOOL:
            expected = self.tools.setdefault((case.name, size), runs[0].digest)
        else:
            expected = self.expected.setdefault((case.name, size), self.inputs.original(work) or runs[0].digest)
        if any(run.digest != expected for run in runs):
            sys.exit(f"engine: {case.name}: {runner.name} gave other bytes, of SHA-256 {runs[0].digest}, not {expected}")
        self.compared += len(runs)
        return Run(sum(run.seconds for run in runs) / len(runs), expected, runs[0].diagnostics)

    def digest(self, case, size, runner):
        """Of its output."""
        return (self.tools if runner.baseline == TOOL else self.expected)[case.name, size]

    def each(self):
        """What a round consists of: a case, "full" or "small", and a runner that hasn't failed."""
        for case in self.cases:
            for size in ["full", "small"]:
                for runner in self.runners:
                    able = size in runner.works and size in case.works and case.kind in runner.kinds
                    if able and (case.name, runner.name) not in self.failed:
                        yield case, size, runner

    def fail(self, case, runner, failure):
        # The others should run on any machine.
        if not runner.in_sandbox and runner.engine != "V8" and runner.baseline != TOOL:
            sys.exit(f"engine: {case.name}: {runner.name}: {failure}")
        self.failed[case.name, runner.name] = str(failure)
        print(f"{case.name}: {runner.name}: {failure}", file=sys.stderr)

    def warm_up(self):
        """A round that doesn't count, and vxrun's own figures."""
        for case, size, runner in self.each():
            try:
                run = self.measure(case, size, runner, *["--stats"] * runner.in_sandbox)
                if runner.baseline == TOOL:
                    self.differences[case.name] = self.difference(case, size, run)
            except Failed as failure:
                self.fail(case, runner, failure)
                continue
            if runner.in_sandbox and (found := re.search(r"^vxrun: (\d+) instructions", run.diagnostics, re.MULTILINE)):
                self.instructions[case.name, size, runner.name] = int(found[1])
            if found := re.search(r"translated (\d+) instructions in ([\d.e-]+) s", run.diagnostics):
                self.translation[case.name, runner.name] = int(found[1]), float(found[2])

    def difference(self, case, size, run):
        """Of what the tool has just written."""
        if run.digest == self.expected[case.name, size]:
            return upstream.SAME
        work = self.work(case, size)
        outputs = [self.processes.read_output()]
        native64 = next(runner for runner in self.runners if runner.baseline == "native64")
        self.measure(case, size, native64)
        outputs.append(self.processes.read_output())
        return upstream.difference(*outputs)

    def round(self):
        seconds = {}
        for case, size, runner in self.each():
            try:
                seconds[case.name, size, runner.name] = self.measure(case, size, runner).seconds
            except Failed as failure:
                self.fail(case, runner, failure)
        return seconds

    def start_up(self, times):
        """Milliseconds by runner, all in turns."""
        work = STARTED.works["full"]
        samples = {runner.name: [] for runner in self.runners}
        for _ in range(times + 1):
            for runner in self.runners:
                if (STARTED.name, runner.name) in self.failed:
                    continue
                command = self.command(runner, STARTED, work)
                try:
                    samples[runner.name].append(1000 * self.processes.first_byte(command, self.inputs.path(work)))
                except Failed as failure:
                    self.fail(STARTED, runner, failure)
        # The first one was to warm up.
        return {name: list_[1:] for name, list_ in samples.items() if (STARTED.name, name) not in self.failed}


CASES_BY_NAME = {case.name: case for case in CASES}


# What comes out.


def key(baseline):
    return "ratio_" + baseline.replace(" ", "_")


@dataclasses.dataclass
class Results:
    """The samples as a table for each case and size, and all that is made of those."""

    bench: Bench
    samples: dict

    def __post_init__(self):
        self.tables = {}
        for case in self.bench.cases:
            for size in ["full", "small"]:
                rows = [(runner, self.samples.get((case.name, size, runner.name))) for runner in self.bench.runners
                        if (case.name, runner.name) not in self.bench.failed]
                rows = [report.Row(runner.name, runner.baseline, seconds) for runner, seconds in rows if seconds]
                self.tables[case.name, size] = report.Table(case.name, 0, 1, rows)

    def row(self, case, size, runner):
        return next((row for row in self.tables[case.name, size].rows if row.name == runner.name), None)

    def ratios(self, case, size, runner, baseline):
        """In each round, or None where one of both isn't there."""
        table, row = self.tables[case.name, size], self.row(case, size, runner)
        base = next((b for b in table.baselines() if b.baseline == baseline), None)
        return table.ratios(row, base) if row and base else None

    def ratio(self, *what):
        ratios = self.ratios(*what)
        return statistics.median(ratios) if ratios else None

    def of_kind(self, kind):
        return [case for case in self.bench.cases if case.kind == kind]

    def mean(self, kind, runner, baseline):
        """Geometric, over the cases that have that ratio, and how many those are."""
        ratios = [self.ratio(case, self.size(runner), runner, baseline) for case in self.of_kind(kind)]
        ratios = [ratio for ratio in ratios if ratio]
        return (report.geometric_mean(ratios) if ratios else None), len(ratios)

    @staticmethod
    def size(runner):
        """The work that a runner is judged by."""
        return runner.works[0]

    def kinds(self):
        return [kind for kind in KINDS if self.of_kind(kind)]

    def runners(self, kind):
        return [runner for runner in self.bench.runners if kind in runner.kinds]

    def baselines(self, kind):
        there = {runner.baseline for runner in self.runners(kind)}
        return [baseline for baseline in BASELINES if baseline in there]

    def instructions(self, case, size, runner):
        return self.bench.instructions.get((case.name, size, runner.name))

    def mips(self, case, size, runner):
        """Million guest instructions a second of CPU time."""
        instructions, row = self.instructions(case, size, runner), self.row(case, size, runner)
        return instructions / row.median() / 1e6 if instructions and row else None

    def cases_to_json(self):
        for case in self.bench.cases:
            for size in ["full", "small"]:
                for runner in self.bench.runners:
                    row = self.row(case, size, runner)
                    if row is None:
                        continue
                    work = self.bench.work(case, size)
                    yield {
                        "name": case.name, "kind": case.kind, "work": size, "input": str(work),
                        "input_sha256": self.bench.inputs.digest(work),
                        "output_sha256": self.bench.digest(case, size, runner),
                        "runner": runner.name, "engine": runner.engine, "placement": runner.placement,
                        "baseline": runner.baseline or None,
                        **self.tool_to_json(case, runner),
                        **{key(baseline): self.ratio(case, size, runner, baseline) for baseline in BASELINES},
                        "seconds": row.seconds, "median": row.median(), "least": min(row.seconds),
                        "most": max(row.seconds), "instructions": self.instructions(case, size, runner),
                        "million_instructions_per_second": self.mips(case, size, runner),
                    }

    def tool_to_json(self, case, runner):
        if runner.baseline != TOOL:
            return {}
        return {"command": str(case.tool), "output": self.bench.differences[case.name]}

    def means_to_json(self, kind):
        return {runner.name: {
            **{key(baseline): self.mean(kind, runner, baseline)[0] for baseline in BASELINES},
            "cases": max(self.mean(kind, runner, baseline)[1] for baseline in BASELINES),
        } for runner in self.runners(kind)}

    def seconds_to_text(self, kind):
        runners = self.runners(kind)
        lines = [["median s (least–most)"] + [runner.name for runner in runners]]
        for case in self.of_kind(kind):
            rows = [self.row(case, self.size(runner), runner) for runner in runners]
            lines.append([case.name] + [f"{row.median():.3f} ({min(row.seconds):.3f}–{max(row.seconds):.3f})" if row
                                        else "–" for row in rows])
        return f"{kind}: CPU seconds\n" + report.aligned(lines)

    def ratios_to_text(self, kind, baseline):
        runners = [runner for runner in self.runners(kind) if runner.baseline != baseline]
        lines = [[""] + [runner.name for runner in runners] + ["Minstr/s"]]
        for case in self.of_kind(kind):
            ratios = [self.ratio(case, self.size(runner), runner, baseline) for runner in runners]
            mips = next((self.mips(case, "small", r) for r in runners if r.engine == "interpreter"), None)
            lines.append([case.name] + [report.figure(ratio) if ratio else "–" for ratio in ratios] +
                         [f"{mips:,.0f}" if mips else "–"])
        means = [self.mean(kind, runner, baseline) for runner in runners]
        cells = [report.figure(mean) + (f" of {count}" if count < len(self.of_kind(kind)) else "") if mean else "–"
                 for mean, count in means]
        lines.append(["geometric mean"] + cells + [""])
        return f"{kind}: ratio to {baseline}\n" + report.aligned(lines)

    def decoders_to_lines(self):
        """Of the sandbox alone, to each baseline; the head is the first."""
        kind, baselines = "decoders", self.baselines("decoders")
        runners = [runner for runner in self.runners(kind) if runner.in_sandbox]
        columns = [(runner, baseline) for runner in runners for baseline in baselines]
        native = next(r for r in self.runners(kind) if r.baseline == self.baseline(kind))
        lines = [[kind, "input", f"{native.baseline}, s"] + [f"{r.placement} / {b}" for r, b in columns] +
                 ["tool", "its output"]]
        for case in self.of_kind(kind):
            row, ratios = self.row(case, "full", native), [self.ratio(case, "full", *column) for column in columns]
            lines.append([case.name, str(self.bench.work(case, "full")), f"{row.median():.2f}"] +
                         [report.figure(ratio) if ratio else "–" for ratio in ratios] +
                         [case.tool.command[0], self.bench.differences.get(case.name, "–")])
        means = [self.mean(kind, *column)[0] for column in columns]
        return lines + [["geometric mean", "", ""] + [report.figure(mean) if mean else "–" for mean in means] + ["", ""]]

    def ratios_to_markdown(self, kind):
        if kind == "decoders":
            return report.markdown(self.decoders_to_lines())
        baseline = self.baseline(kind)
        runners = [runner for runner in self.runners(kind) if runner.baseline != baseline]
        lines = [[f"{kind} / {baseline}"] + [runner.name for runner in runners]]
        for case in self.of_kind(kind):
            ratios = [self.ratio(case, self.size(runner), runner, baseline) for runner in runners]
            lines.append([case.name] + [report.figure(ratio) if ratio else "–" for ratio in ratios])
        means = [self.mean(kind, runner, baseline)[0] for runner in runners]
        lines.append(["**geometric mean**"] + [f"**{report.figure(mean)}**" if mean else "–" for mean in means])
        return report.markdown(lines)

    def to_markdown(self, facts, start_up, chart):
        """A page with what matters most of the tables."""
        parts = [
            "# The engine beside native code",
            f"Written by `tools/bench engine`, {facts['rounds']} rounds. CPU time as a multiple of a baseline's, the "
            "median of the rounds' ratios; what is compared, and how, tells [the tools' page](../../tools/README.md).",
        ]
        if not facts["native32"]:
            parts.append("**This machine does not run 32-bit programs**: so the ratios are to 64-bit code, which has "
                         "twice the registers and 64-bit arithmetic.")
        parts += [f"![chart]({chart})"] * bool(chart)
        parts += [self.ratios_to_markdown(kind) for kind in self.kinds()]
        parts.append(report.markdown([START_HEAD] + [start.cells() for start in start_up]))
        parts.append("\n".join(f"- {group}: {report.listed(facts[group])}" for group in
                               ["machine", "versions", "flags", "absent", "failed"] if facts[group]))
        return "\n\n".join(parts) + "\n"

    def baseline(self, kind):
        """The most telling one that runs here."""
        return next(b for b in ["native32", "same binary", "native64"] if b in self.baselines(kind))

    def charts(self):
        """Ratios to the most telling baseline, of what gets all of the work, and of the interpreter."""
        for size in ["full", "small"]:
            for kind in self.kinds():
                runners = [r for r in self.runners(kind) if not r.baseline and self.size(r) == size]
                baseline, bars = self.baseline(kind), []
                for case in self.of_kind(kind):
                    for runner in runners:
                        if ratios := self.ratios(case, size, runner, baseline):
                            middle = statistics.median(ratios)
                            bars.append(report.Bar(f"{case.name}: {runner.name}", not runner.in_sandbox, min(ratios),
                                                   middle, max(ratios), report.figure(middle)))
                if bars:
                    names = ", ".join(runner.name for runner in runners)
                    yield report.Chart(f"{kind}: CPU time, times {baseline} ({names})", bars)


@dataclasses.dataclass
class Start:
    """How long a runner took to its first byte, in each turn, and how much longer than the 64-bit program."""

    name: str
    milliseconds: list
    over_native64: list

    def to_json(self):
        return {"runner": self.name, "milliseconds": self.milliseconds, "least": min(self.milliseconds),
                "median": statistics.median(self.milliseconds),
                "over_native64": statistics.median(self.over_native64) if self.over_native64 else None}

    def cells(self):
        over = f"{statistics.median(self.over_native64):.1f}" if self.over_native64 else "–"
        return [self.name, f"{min(self.milliseconds):.1f}", f"{statistics.median(self.milliseconds):.1f}", over]


def starts(samples, runners):
    native64 = next((samples[r.name] for r in runners if r.baseline == "native64" and r.name in samples), [])
    return [Start(name, ms, [a - b for a, b in zip(ms, native64)]) for name, ms in samples.items()]


START_HEAD = ["start to first byte of output, ms", "least", "median", "median over native64"]


def start_up_to_text(start_up):
    lines = [START_HEAD] + [start.cells() for start in start_up]
    return f"start-up: {STARTED.guest}, a small file, {len(start_up[0].milliseconds)} times\n" + report.aligned(lines)


def translation_to_text(translation):
    lines = [["", "instructions", "ms", "µs each"]]
    lines += [[f"{case}: {runner}", f"{count:,}", f"{1000 * seconds:.2f}", f"{1e6 * seconds / max(1, count):.3f}"]
              for (case, runner), (count, seconds) in translation.items() if CASES_BY_NAME[case].kind != "micros"]
    return "translation\n" + report.aligned(lines)


def main():
    parser = argparse.ArgumentParser(prog="tools/bench engine", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    report.add_options(parser)
    parser.add_argument("--only", metavar="SUBSTRING", default="", help=f"cases with this in 'KIND: NAME' ({', '.join(KINDS)})")
    parser.add_argument("--markdown", metavar="FILE", help="where to write the ratios as a page")
    parser.add_argument("--dir", help="where inputs and outputs lie (default: /dev/shm, or the folder for temporary files)")
    parser.add_argument("--vxrun", metavar="FILE", help="another vxrun than the one just built")
    parser.add_argument("--binaries", required=True, help=argparse.SUPPRESS)  # tools/bench knows
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind
    rounds = 1 if arguments.quick else arguments.rounds
    in_memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

    with tempfile.TemporaryDirectory(prefix="vxa-bench-", dir=arguments.dir or in_memory) as directory:
        machine = report.machine(directory)
        bench = Bench(arguments, directory)
        if not bench.cases:
            sys.exit(f"engine: no case that is possible here has '{arguments.only}' in its name; there are: "
                     f"{', '.join(CASES_BY_NAME)}; absent: {report.listed(bench.absent) or 'none'}")
        for name, why in bench.absent.items():
            print(f"absent: {name}: {why}", file=sys.stderr)
        bench.warm_up()
        results = Results(bench, report.alternate(rounds, bench.round))
        start_up = starts(bench.start_up(3 if arguments.quick else STARTS), bench.runners)
        cases = list(results.cases_to_json())

    native32 = not any(runner.name in bench.absent for runner in all_runners(bench.vxrun)
                       if runner.baseline in ["same binary", "native32"])
    facts = {
        "machine": machine,
        "versions": {
            "gcc": report.first_line("gcc", "--version"),
            "qemu-i386": report.first_line("qemu-i386", "--version"),
            "node": report.first_line("node", "--version"),
            "clang": report.first_line("clang-14", "--version"),
            "tools": upstream.versions(),
            "glibc": report.first_line("dpkg-query", "-W", "-f", "${Version}", "libc6-dev"),
            "commit": report.first_line("git", "-C", os.path.dirname(__file__), "describe", "--always", "--dirty"),
        },
        "flags": "vxrun: bazel build --config=opt; native32: gcc -m32 -msse2 -mfpmath=sse -O2 -static; "
                 "native64: gcc -m64 -O2 -static; V8: clang --target=wasm32-wasi -O2; guests: decoders/sdk/flags.bzl",
        "rounds": rounds,
        "native32": "runs" if native32 else None,
        "absent": bench.absent,
        "failed": {f"{case}: {runner}": why for (case, runner), why in bench.failed.items()},
        "outputs_with_the_same_sha256": bench.compared,
    }
    tables = []
    for kind in results.kinds():
        tables.append(results.seconds_to_text(kind))
        if kind == "decoders":
            tables.append("decoders: ratios\n" + report.aligned(results.decoders_to_lines()))
        else:
            tables += [results.ratios_to_text(kind, baseline) for baseline in results.baselines(kind)]
    tables.append(start_up_to_text(start_up))
    tables += [translation_to_text(bench.translation)] * bool(bench.translation)
    note = ("Ratios: how many times the baseline's CPU time; the median over the rounds. The interpreter and its baselines\n"
            "have less work. A dash: not measured, see 'absent' and 'failed'; means are over the rest.")
    if not native32:
        note += "\nTHIS MACHINE DOES NOT RUN 32-BIT PROGRAMS: there are no ratios to native 32-bit code."
    report.print_text("engine", tables, note, {**facts, "native32": facts["native32"] or "does not run here"})
    if arguments.markdown:
        chart = arguments.svg and os.path.relpath(arguments.svg, os.path.dirname(arguments.markdown) or ".")
        report.write_file(arguments.markdown, results.to_markdown(facts, start_up, chart))
    report.write_files(arguments, "engine", {
        **facts,
        "cases": cases,
        "mean": {kind: results.means_to_json(kind) for kind in results.kinds()},
        "start_up": [start.to_json() for start in start_up],
        "translation": [{"name": case, "runner": runner, "instructions": count, "seconds": seconds,
                         "seconds_per_instruction": seconds / max(1, count)}
                        for (case, runner), (count, seconds) in bench.translation.items()],
    }, list(results.charts()))


if __name__ == "__main__":
    main()
