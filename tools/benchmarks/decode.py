"""The benchmark `decode`: what a small decode costs, by how much of its process is there already.

1 KiB through zlib's guest, many times one behind the other: in this process on a program that is loaded and translated; by
a worker that waits for it; by one that is forked for it, ahead of it if there is time; and by a zygote that is started for it.
"""

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import zlib

import report

SIZE = 1024
WAYS = {  # how many decodes there are in a round, and in a quick one
    "here": ("in this process", 2000, 5),
    "session": ("a worker that waits", 2000, 5),
    "worker": ("a worker forked for each", 200, 5),
    "zygote": ("a zygote started for each", 20, 2),
}


def main():
    parser = argparse.ArgumentParser(prog="tools/bench decode", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    report.add_options(parser)
    parser.add_argument("--binaries", required=True, help=argparse.SUPPRESS)  # tools/bench knows
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left behind

    def binary(name):
        return os.path.abspath(os.path.join(arguments.binaries, name))

    with tempfile.TemporaryDirectory(prefix="vxa-bench-") as directory:
        encoded = os.path.join(directory, "encoded")
        rng = random.Random(1)
        with open(encoded, "wb") as file:
            file.write(zlib.compress(bytes(rng.choices(b"etaoinshrdlu ", k=SIZE)), 6))

        def milliseconds_each(way):  # in all, and to the first byte
            count = WAYS[way][2 if arguments.quick else 1]
            run = subprocess.run(
                [binary("tools/benchmarks/decode_load"), way, "--worker", binary("vxengine/vxworker"),
                 "--guest", binary("decoders/zlib/zlib.vx"), "--argument=--format=zlib", "--input", encoded, f"--count={count}"],
                stdout=subprocess.PIPE, check=True)
            result = json.loads(run.stdout)
            if result["bytes"] != SIZE:
                sys.exit(f"decode: {way} gave {result['bytes']} bytes, not {SIZE}")
            return [1000 * result[name] / count for name in ["seconds", "to_first_byte"]]

        def round_():
            return {way: milliseconds_each(way) for way in WAYS}

        round_()  # to warm up
        rounds = 1 if arguments.quick else arguments.rounds
        samples = report.alternate(rounds, round_)
        machine = report.machine(directory)

    rows = [report.Row(name, "this process" if way == "here" else "", [ms for ms, _ in samples[way]])
            for way, (name, *_) in WAYS.items()]
    first = {name: [ms for _, ms in samples[way]] for way, (name, *_) in WAYS.items()}
    baseline = rows[0]
    lines = [["milliseconds for each decode", "median", "least", "most", "/ this process", "to first byte"]]
    for row in rows:
        ratio = statistics.median(a / b for a, b in zip(row.seconds, baseline.seconds))
        lines.append([row.name, *(f"{ms:.3f}" for ms in [row.median(), min(row.seconds), max(row.seconds)]),
                      report.figure(ratio), f"{statistics.median(first[row.name]):.3f}"])
    facts = {
        "machine": machine,
        "versions": {"commit": report.first_line("git", "-C", os.path.dirname(__file__), "describe", "--always",
                                                 "--dirty")},
        "rounds": rounds,
    }
    report.print_text("decode", [report.aligned(lines)], f"{SIZE} bytes of zlib's, no instructions counted; wall time.", facts)
    report.write_files(arguments, "decode", {**facts, "milliseconds": {row.name: row.seconds for row in rows},
                                             "milliseconds_to_first_byte": first},
                       [report.Chart("milliseconds for each decode",
                                     [report.Bar(row.name, bool(row.baseline), min(row.seconds), row.median(),
                                                 max(row.seconds), f"{row.median():.3f} ms") for row in rows])])


if __name__ == "__main__":
    main()
