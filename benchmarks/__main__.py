"""Measure tap-kombo next to other tools, and write the results: `make bench`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

from benchmarks import FOLDER
from benchmarks.chart import write_chart
from benchmarks.measuring import Figures
from benchmarks.report import SECTIONS, write_report
from harness.processes import stop_on_signals

RESULTS = FOLDER / "results.json"

INSTALLED = ("tap-kombo", "singer-sdk", "msgspec", "kombo", "meltanolabs-target-postgres")
OTHER_VERSIONS = ("dlt==", "airbyte==", "airbyte-cdk==")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=SECTIONS, help="measure only this section")
    parser.add_argument("--report", action="store_true", help="measure nothing, only write")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool")
    parser.add_argument("--records", type=int, default=100_000, help="offers in long runs")
    options = parser.parse_args()
    stop_on_signals()
    for name, section in SECTIONS.items():
        if not options.report and options.only in (None, name):
            save(name, section.measure(options.records, options.rounds))
    results = json.loads(RESULTS.read_text())
    write_report(results)
    write_chart(results, FOLDER / "chart.svg")


def save(name: str, figures: Figures) -> None:
    """Replace the figures of a section."""
    results = json.loads(RESULTS.read_text())
    results[name] = {
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
        **figures,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


def versions() -> dict[str, str]:
    pins = "\n".join(path.read_text() for path in FOLDER.glob("environments/*.txt"))
    others = [line.split("==") for line in pins.splitlines() if line.startswith(OTHER_VERSIONS)]
    return {name: version(name) for name in INSTALLED} | dict(others)


def machine() -> str:
    """Describe the machine, without its name."""
    cpus = os.sched_getaffinity(0)
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(cpus)} CPUs ({models[0] if models else platform.machine()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )


if __name__ == "__main__":
    main()
