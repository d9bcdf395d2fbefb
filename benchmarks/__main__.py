"""Measure tap-kombo and other tools, and write the results: `make bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections import defaultdict
from importlib.metadata import version

from benchmarks import FOLDER
from benchmarks.chart import write_chart
from benchmarks.measuring import Results, Tables
from benchmarks.report import write_report
from benchmarks.sections import SECTIONS
from harness import PROJECT
from harness.processes import stop_on_signals

RESULTS = FOLDER / "results.json"

PACKAGES = ("singer-sdk", "kombo", "meltanolabs-target-postgres", "dlt", "airbyte", "airbyte-cdk")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=SECTIONS, help="measure only this section")
    parser.add_argument("--report", action="store_true", help="write the results without measuring")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool")
    parser.add_argument("--records", type=int, default=100_000, help="offers in long runs")
    options = parser.parse_args()
    stop_on_signals()
    for name in SECTIONS:
        if not options.report and options.only in (None, name):
            save(name, measure_section(name, options.records, options.rounds))
    results = json.loads(RESULTS.read_text())
    write_report(results)
    write_chart(results, FOLDER / "chart.svg")


def measure_section(name: str, records: int, rounds: int) -> Results:
    """Measure a section in rounds, in which the tools take turns."""
    tables: Tables = defaultdict(lambda: defaultdict(list))
    for round_ in range(1, rounds + 1):
        for table, row, run in SECTIONS[name](records):
            print(f"{table}, round {round_}: {row}, {run['wall']:.1f} s", flush=True)
            tables[table][row].append(run)
    return {
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
        "records": records,
        "rounds": rounds,
        "tables": tables,
    }


def save(name: str, section: Results) -> None:
    results = json.loads(RESULTS.read_text()) | {name: section}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def machine() -> str:
    """Describe the machine, without its name."""
    system = f"{platform.system()} {platform.machine()}"
    return f"{os.cpu_count()} CPUs, {system}, Python {platform.python_version()}"


def versions() -> dict[str, str]:
    """Return the version of this project, and those that are pinned for `make bench`."""
    files = (*FOLDER.glob("environments/*.txt"), PROJECT / "constraints.txt")
    pins = [line.partition("==") for file in files for line in file.read_text().splitlines()]
    pinned = {name: number for name, _, number in pins if name in PACKAGES}
    return {"tap-kombo": version("tap-kombo")} | pinned


if __name__ == "__main__":
    main()
