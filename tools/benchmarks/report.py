"""What all benchmarks share: rounds that alternate, medians and spread, and their tables as text, JSON and SVG.

A benchmark is a list of tables. A table has rows, things that do the same work; some of them are baselines. Ratios
are those of a round, where all ran one behind the other under the same load; the table has their median. What is drawn
are charts, lists of bars: a table has one of seconds, and a benchmark may make others.
"""

import dataclasses
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from xml.sax.saxutils import escape


def figure(ratio):
    """A ratio to three places or so."""
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.4f}"


def geometric_mean(ratios):
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))


def aligned(lines):
    """Rows of cells as text: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = ["  ".join([line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])])
            for line in lines]
    return "\n".join(line.rstrip() for line in text)


def markdown(lines):
    """Rows of cells as a table, of which the first row is the head."""
    rule = ["---"] + ["--:"] * (len(lines[0]) - 1)
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule] + lines[1:])


def listed(values):
    """A value, or a dict of them, on one line."""
    return ", ".join(f"{key} {value}" for key, value in values.items()) if isinstance(values, dict) else str(values)


@dataclasses.dataclass
class Bar:
    name: str
    baseline: bool
    low: float
    value: float
    high: float
    label: str


@dataclasses.dataclass
class Chart:
    title: str
    bars: list


@dataclasses.dataclass
class Row:
    name: str
    baseline: str = ""  # its name as the head of a column of ratios, where it is one
    seconds: list = dataclasses.field(default_factory=list)  # one a round

    def median(self):
        return statistics.median(self.seconds)


@dataclasses.dataclass
class Table:
    title: str
    bytes: int    # of the work that each row does
    objects: int
    rows: list

    def baselines(self):
        return [row for row in self.rows if row.baseline]

    def subjects(self):
        return [row for row in self.rows if not row.baseline]

    def ratios(self, row, baseline):
        """How many times the baseline's time a row takes, in each round."""
        return [a / b for a, b in zip(row.seconds, baseline.seconds)]

    def ratio(self, row, baseline):
        return statistics.median(self.ratios(row, baseline))

    def geometric_mean(self, baseline):
        """Of the ratios of all that is not a baseline."""
        return geometric_mean(self.ratio(row, baseline) for row in self.subjects())

    def to_json(self):
        def row_to_json(row):
            return {
                "name": row.name,
                "baseline": bool(row.baseline),
                "seconds": row.seconds,
                "median": row.median(),
                "mib_per_second": self.bytes / row.median() / (1 << 20),
                "objects_per_second": self.objects / row.median(),
                "ratios": {b.baseline: self.ratio(row, b) for b in self.baselines()},
            }

        return {
            "title": self.title,
            "bytes": self.bytes,
            "objects": self.objects,
            "rows": [row_to_json(row) for row in self.rows],
            "geometric_mean": {b.baseline: self.geometric_mean(b) for b in self.baselines()},
        }

    def to_text(self):
        baselines = self.baselines()
        head = ["", "median s", "least–most s", "MiB/s"]
        head += ["objects/s"] * (self.objects > 1) + ["/ " + b.baseline for b in baselines]
        lines = [head]
        for row in self.rows:
            line = [row.name, f"{row.median():.2f}", f"{min(row.seconds):.2f}–{max(row.seconds):.2f}",
                    f"{self.bytes / row.median() / (1 << 20):,.1f}"]
            line += [f"{self.objects / row.median():,.0f}"] * (self.objects > 1)
            lines.append(line + [figure(self.ratio(row, b)) for b in baselines])
        means = [figure(self.geometric_mean(b)) for b in baselines]
        lines.append(["geometric mean"] + [""] * (len(head) - 1 - len(means)) + means)
        return self.title + "\n" + aligned(lines)

    def to_chart(self):
        return Chart(self.title, [Bar(row.name, bool(row.baseline), min(row.seconds), row.median(), max(row.seconds),
                                      f"{row.median():.2f} s") for row in self.rows])


def alternate(rounds, run_round):
    """Calls run_round() so many times; it gives a dict of seconds by key. Lists of them by key."""
    samples = {}
    for number in range(1, rounds + 1):
        for key, seconds in run_round().items():
            samples.setdefault(key, []).append(seconds)
        print(f"round {number} of {rounds} done", file=sys.stderr)
    return samples


def first_line(*command):
    """What a program says of its version, or why that is not known."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return (run.stdout or run.stderr).strip().split("\n")[0]


def _after_colon(path, key):
    with open(path) as file:
        return next((line.split(":", 1)[1].strip() for line in file if line.startswith(key)), "unknown")


def machine(directory):
    """What a figure depends on, beside the code."""
    return {
        "cpu": _after_colon("/proc/cpuinfo", "model name"),
        "cores": os.cpu_count(),
        "memory": _after_colon("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "file_system": first_line("stat", "--file-system", "--format=%T", directory),
        "load_average": round(os.getloadavg()[0], 1),
    }


_STYLE = """
  text { font: 12px sans-serif; fill: #57606a }
  .title { font-weight: bold }
  .subject { fill: #3f7fbf }
  .baseline { fill: #9aa4ae }
  .spread { stroke: #57606a; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) { text { fill: #c3cad1 } .spread { stroke: #c3cad1 } }
"""


def svg(title, charts):
    """Medians as bars, from nothing on, and a line from the least to the most."""
    longest = max((len(bar.name) for chart in charts for bar in chart.bars), default=0)
    left, width, step = max(230, 16 + 7 * longest), 420, 22
    body, y = [], 24
    body.append(f'<text class="title" x="8" y="{y}">{escape(title)}</text>')
    for chart in charts:
        y += 34
        body.append(f'<text class="title" x="8" y="{y}">{escape(chart.title)}</text>')
        scale = width / max(bar.high for bar in chart.bars)
        for bar in chart.bars:
            y += step
            kind = "baseline" if bar.baseline else "subject"
            low, median, high = (left + scale * value for value in (bar.low, bar.value, bar.high))
            body.append(f'<text x="{left - 8}" y="{y}" text-anchor="end">{escape(bar.name)}</text>')
            body.append(f'<rect class="{kind}" x="{left}" y="{y - 12}" width="{median - left:.1f}" height="15"/>')
            body.append(f'<path class="spread" d="M{low:.1f} {y - 4.5}H{high:.1f}"/>')
            body.append(f'<text x="{high + 6:.1f}" y="{y}">{escape(bar.label)}</text>')
    size = f"{left + width + 80} {y + 20}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img">\n'
            f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n" + "\n".join(body) + "\n</svg>\n")


def write(arguments, title, tables, facts):
    """Prints the tables and facts, and writes the files that were asked for."""
    print_text(title, [table.to_text() for table in tables],
               "Ratios: how many times the baseline's time; the median over the rounds. The mean leaves baselines out.",
               facts)
    write_files(arguments, title, {**facts, "tables": [table.to_json() for table in tables]},
                [table.to_chart() for table in tables])


def print_text(title, tables, note, facts):
    """Prints tables (texts), what they mean, and facts, values or dicts of values."""
    print(title)
    for table in tables:
        print("\n" + table)
    print("\n" + note)
    for group, values in facts.items():
        print(f"{group}: {listed(values)}")


def write_file(path, text):
    """Writes it into its folder, which need not be there yet."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        file.write(text)


def write_files(arguments, title, members, charts):
    """The files of --json and --svg, where they are asked for."""
    if arguments.json:
        write_file(arguments.json, json.dumps({"benchmark": title, **members}, indent=1) + "\n")
    if arguments.svg:
        write_file(arguments.svg, svg(title, charts))


def positive(text):
    """The number in an option that has to be at least 1."""
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def add_options(parser):
    parser.add_argument("--rounds", type=positive, default=5, help="default: 5")
    parser.add_argument("--json", metavar="FILE", help="where to write all that was measured")
    parser.add_argument("--svg", metavar="FILE", help="where to draw it")
    parser.add_argument("--quick", action="store_true", help="one round of little work: to see that all runs")
