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
import report  # noqa: E402


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

    def test_rounds_alternate(self):
        times = iter(range(6))
        samples = report.alternate(3, lambda: {"a": next(times), "b": next(times)})
        self.assertEqual(samples, {"a": [0, 2, 4], "b": [1, 3, 5]})


if __name__ == "__main__":
    harness.main()
