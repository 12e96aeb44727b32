"""The benchmarks run, compare what they get, and report it in full. How fast is nobody's business here."""

import json
import math
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import harness

BENCHMARKS = os.path.join(harness.ROOT, "tools", "benchmarks")
sys.path.insert(0, BENCHMARKS)
import engine  # noqa: E402
import report  # noqa: E402
import upstream  # noqa: E402


class Store(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            files = [os.path.join(folder, name) for name in ["store.json", "store.svg"]]
            cls.text = subprocess.run(
                [sys.executable, "-B", os.path.join(BENCHMARKS, "store.py"), "--quick", f"--dir={folder}",
                 f"--binaries={harness.ROOT}", f"--json={files[0]}", f"--svg={files[1]}"],
                stdout=subprocess.PIPE, text=True, check=True).stdout
            with open(files[0]) as file:
                cls.json = json.load(file)
            cls.svg = ElementTree.parse(files[1])
            cls.left = sorted(os.listdir(folder))

    def test_puts_and_gets_stand_beside_their_baselines(self):
        baselines = {table["title"].split(",")[0] + str(table["objects"]): set(table["geometric_mean"])
                     for table in self.json["tables"]}
        self.assertEqual(baselines, {
            "put1": {"dd", "sha256sum", "zlib"},
            "get1": {"sha256sum", "gzip"},
            "put50": {"dd", "files", "sha256sum", "zlib"},
            "get50": {"sha256sum"},
        })

    def test_every_row_has_a_time_for_each_round_and_its_ratios(self):
        for table in self.json["tables"]:
            for row in table["rows"]:
                with self.subTest(table=table["title"], row=row["name"]):
                    self.assertEqual(len(row["seconds"]), self.json["rounds"])
                    self.assertGreater(min(row["seconds"]), 0)
                    self.assertAlmostEqual(row["mib_per_second"] * row["median"], table["bytes"] / 2**20)
                    self.assertEqual(set(row["ratios"]), set(table["geometric_mean"]))

    def test_every_output_was_compared(self):
        # In the round and in that before it, to warm up: 8 puts and gets, 2 dd, 1 of files, 2 of zlib, gzip's.
        self.assertEqual(self.json["outputs_with_the_right_sha256"], 2 * (8 + 2 + 1 + 2 + 1))

    def test_what_the_figures_depend_on_is_told(self):
        self.assertLessEqual({"cpu", "cores", "memory", "kernel", "file_system"}, set(self.json["machine"]))
        self.assertLessEqual({"gcc", "gzip", "zlib", "commit"}, set(self.json["versions"]))
        for process in ["vxad", "vxworker"]:
            self.assertGreater(self.json["peak_memory_mib"][process], 0)
            self.assertIn(process, self.text)

    def test_the_text_has_each_table_and_ends_it_with_its_geometric_mean(self):
        for table in self.json["tables"]:
            self.assertIn(table["title"], self.text)
        self.assertEqual(self.text.count("\ngeometric mean "), len(self.json["tables"]))

    def test_the_chart_has_a_bar_for_each_row(self):
        bars = self.svg.findall(".//{http://www.w3.org/2000/svg}rect")
        self.assertEqual(len(bars), sum(len(table["rows"]) for table in self.json["tables"]))

    def test_nothing_is_left_behind(self):
        self.assertEqual(self.left, ["store.json", "store.svg"])


class Engine(harness.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            files = [os.path.join(folder, name) for name in ["engine.json", "engine.svg"]]
            cls.text = subprocess.run(
                [sys.executable, "-B", os.path.join(BENCHMARKS, "engine.py"), "--quick", f"--dir={folder}",
                 f"--binaries={harness.ROOT}", f"--json={files[0]}", f"--svg={files[1]}"],
                stdout=subprocess.PIPE, text=True, check=True).stdout
            with open(files[0]) as file:
                cls.json = json.load(file)
            cls.svg = ElementTree.parse(files[1])
            cls.left = sorted(os.listdir(folder))

    DECODERS = {"bzip2", "zlib"}  # which the test is given

    def rows(self, engine):
        return [row for row in self.json["cases"] if row["engine"] == engine]

    def test_every_case_ran_natively_and_in_the_interpreter(self):
        names = {case.name for case in engine.CASES if case.kind != "decoders"}
        self.assertEqual({row["name"] for row in self.rows("native")}, names | self.DECODERS)
        ran = {row["name"] for row in self.rows("interpreter")}
        failed = {failure.split(": ")[0] for failure in self.json["failed"] if failure.endswith(": interpreter")}
        self.assertEqual(ran | failed, names)
        self.assertFalse(ran & failed)
        self.assertGreater(min(row["million_instructions_per_second"] for row in self.rows("interpreter")), 0)

    def test_decoders_stand_beside_their_tools(self):
        for engine_ in ["native", "translator"]:
            rows = [row for row in self.rows(engine_) if row["kind"] == "decoders"]
            self.assertEqual({row["name"] for row in rows}, self.DECODERS)
            self.assertGreater(min(row["ratio_tool"] for row in rows), 0)
        tools = {row["name"]: (row["command"], row["output"]) for row in self.json["cases"] if row["baseline"] == "tool"}
        self.assertEqual(tools, {"bzip2": ("bzip2 -dc", "the same"), "zlib": ("gzip -dc", "the same")})

    def test_every_decoder_is_measured_or_told_absent(self):
        there = {}
        with open(os.path.join(harness.ROOT, "decoders", "decoders.bzl")) as file:
            exec(file.read(), there)  # it is Python, too
        names = [case.name for case in engine.CASES if case.kind == "decoders"]
        self.assertEqual(names, there["DECODERS"])
        self.assertEqual(self.DECODERS | {name for name in names if name in self.json["absent"]}, set(names))

    def test_rows_have_their_ratios_or_null(self):
        native32 = self.json["native32"] is not None
        for row in self.json["cases"]:
            with self.subTest(name=row["name"], runner=row["runner"]):
                self.assertEqual(len(row["seconds"]), self.json["rounds"])
                self.assertGreater(row["ratio_native64"], 0)
                decoder = row["kind"] == "decoders"
                self.assertEqual(row["ratio_same_binary"] is not None, native32)
                self.assertEqual(row["ratio_native32"] is not None, native32 and not decoder)
                self.assertEqual(row["ratio_tool"] is not None, decoder)
                if row["baseline"]:
                    self.assertEqual(row["ratio_" + row["baseline"].replace(" ", "_")], 1)

    def test_what_cannot_run_here_is_told(self):
        self.assertEqual("DOES NOT RUN 32-BIT" in self.text, self.json["native32"] is None)
        for runner, why in self.json["absent"].items():
            self.assertTrue(why)
            self.assertNotIn(runner, [row["runner"] for row in self.json["cases"]])

    def test_means_are_of_decoders_programs_and_loops(self):
        self.assertEqual(set(self.json["mean"]), {"decoders", "programs", "micros"})
        for kind, means in self.json["mean"].items():
            for runner in {"interpreter", "translator, shared"} & set(means):
                ratios = [row["ratio_native64"] for row in self.json["cases"] if (row["kind"], row["runner"]) == (kind, runner)]
                self.assertAlmostEqual(means[runner]["ratio_native64"], report.geometric_mean(ratios))
                self.assertEqual(means[runner]["cases"], len(ratios))

    def test_start_up_is_there_for_each_runner(self):
        self.assertEqual({start["runner"] for start in self.json["start_up"]},
                         {row["runner"] for row in self.json["cases"]})
        self.assertGreater(min(start["least"] for start in self.json["start_up"]), 0)

    def test_the_chart_has_a_bar_for_each_row_that_is_no_baseline(self):
        bars = self.svg.findall(".//{http://www.w3.org/2000/svg}rect")
        self.assertEqual(len(bars), len([row for row in self.json["cases"] if not row["baseline"]]))

    def test_nothing_is_left_behind(self):
        self.assertEqual(self.left, ["engine.json", "engine.svg"])


class Upstream(harness.TestCase):
    WAV = b"RIFF\x2c\0\0\0WAVEfmt \x10" + bytes(19) + b"data\x04\0\0\0"

    def test_headers_and_alpha_are_no_difference(self):
        same = "the same but for the header"
        self.assertEqual(upstream.difference(b"x", b"x"), "the same")
        self.assertEqual(upstream.difference(b"P6\n# by\n1 1\n255\nabc", b"P6\n1 1\n255\nabc"), same)
        self.assertEqual(upstream.difference(b"abcdef", b"P7\nTUPLTYPE RGB_ALPHA\nENDHDR\nabc\xffdef\xff"), same)
        self.assertEqual(upstream.difference(self.WAV + b"abcd", self.WAV.replace(b"\x04", b"\xff") + b"abcd"), same)

    def test_other_samples_are(self):
        self.assertEqual(upstream.difference(self.WAV + b"abcdef", self.WAV + b"bbcgef"), "67 % of samples off by up to 768")
        self.assertEqual(upstream.difference(b"P6 1 1 255\nabc", b"P6\n1 1\n255\nabd"), "33 % of samples off by up to 1")
        self.assertEqual(upstream.difference(b"P6 1 1 255\nabc", b"P6 1 2 255\nabcdef"), "3 samples instead of 6")


class Decode(harness.TestCase):
    def test_every_way_of_running_a_decode_is_timed(self):
        with tempfile.TemporaryDirectory() as folder:
            files = [os.path.join(folder, name) for name in ["decode.json", "decode.svg"]]
            text = subprocess.run(
                [sys.executable, "-B", os.path.join(BENCHMARKS, "decode.py"), "--quick", f"--binaries={harness.ROOT}",
                 f"--json={files[0]}", f"--svg={files[1]}"],
                stdout=subprocess.PIPE, text=True, check=True).stdout
            with open(files[0]) as file:
                times = json.load(file)["milliseconds"]
            self.assertEqual(len(ElementTree.parse(files[1]).findall(".//{http://www.w3.org/2000/svg}rect")), 4)
        self.assertEqual(len(times), 4)
        for name, milliseconds in times.items():
            self.assertIn(name, text)
            self.assertEqual(len(milliseconds), 1)
            self.assertGreater(milliseconds[0], 0)


class Report(harness.TestCase):
    def test_ratios_are_those_of_a_round(self):
        # A slow round slows both.
        table = report.Table("t", 1 << 20, 2, [
            report.Row("a", "", [2.0, 20.0, 4.0]),
            report.Row("b", "", [8.0, 80.0, 16.0]),
            report.Row("c", "base", [1.0, 10.0, 2.0]),
        ])
        a, b, c = table.rows
        self.assertEqual([table.ratio(row, c) for row in (a, b, c)], [2, 8, 1])
        self.assertTrue(math.isclose(table.geometric_mean(c), 4))
        self.assertEqual(a.median(), 4)
        self.assertIn("2.00–20.00", table.to_text())

    def test_columns_are_aligned(self):
        self.assertEqual(report.aligned([["", "x"], ["long", "1.00"]]), "         x\nlong  1.00")

    def test_rounds_alternate(self):
        times = iter(range(6))
        samples = report.alternate(3, lambda: {"a": next(times), "b": next(times)})
        self.assertEqual(samples, {"a": [0, 2, 4], "b": [1, 3, 5]})


if __name__ == "__main__":
    harness.main()
