"""`python -m benchmarks`: measures, and writes what came out; `make bench` is the same.

Without sections all are measured; the figures of those that are not stay as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import report
from benchmarks.environments import ENVIRONMENTS
from benchmarks.options import Options
from benchmarks.places import RESULTS
from benchmarks.results import Figures, load, save
from benchmarks.sections.computing import measure_computing
from benchmarks.sections.growth import measure_growth
from benchmarks.sections.pipeline import measure_pipeline
from benchmarks.sections.waiting import measure_waiting
from harness.processes import stop_on_signals

SECTIONS: dict[str, Callable[[Options], Figures]] = {
    "computing": measure_computing,
    "waiting": measure_waiting,
    "growth": measure_growth,
    "pipeline": measure_pipeline,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default="", help=f"some of {','.join(SECTIONS)}, or report")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--records", type=int, default=Options.records)
    parser.add_argument("--huge", action="store_true", help="also ten million records")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures go")
    options = parser.parse_args()
    stop_on_signals()
    wanted = [name for name in options.only.split(",") if name] or [*SECTIONS, "report"]
    if unknown := set(wanted) - {*SECTIONS, "report"}:
        parser.error(f"there is no section {unknown.pop()}")
    for name in wanted:
        if name in SECTIONS:
            for environment in ENVIRONMENTS:
                environment.install()
            how = Options(rounds=options.rounds, records=options.records, huge=options.huge)
            save(options.results, name, SECTIONS[name](how))
    report.write(load(options.results), options.results.parent)


if __name__ == "__main__":
    main()
