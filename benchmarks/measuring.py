"""Run real processes, measured from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import IO, Any

from benchmarks import FOLDER
from harness import PROJECT
from harness.processes import running, stop_group

Run = dict[str, float]
"""Figures of a run: `wall` and `cpu` in seconds, peak `memory` in bytes, and counts"""

Tables = dict[str, dict[str, list[Run]]]
"""Table -> tool or data -> its runs, those of tap-kombo first"""

Results = dict[str, Any]
"""`results.json`, or a section of it"""


class BenchmarkError(Exception):
    """A process failed, or did not read or write all records."""


def measure(command: Sequence[str | Path], folder: Path, pause: float | None = None) -> Run:
    """Run a command to its end.

    Args:
        command: The command and its arguments.
        folder: The folder for its log.
        pause: Seconds to sleep after each 64 KiB of its output, like a slow target; None to
            discard the output.

    Returns:
        `wall`, `cpu` and `memory` of the process and of the processes it waited for; `written`,
        the number of records in its output, if the output is not discarded.

    Raises:
        BenchmarkError: Its exit status is not 0.
    """
    usage, log = folder / "usage", folder / "log"
    counts = {}

    def start() -> subprocess.Popen[Any]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", FOLDER / "launch.py", usage, *command],
            # Other variables of the user or of make could be settings of a tool.
            env={name: os.environ[name] for name in ("HOME", "PATH")},
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if pause is None else subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )

    with log.open("wb") as stderr, running(start, stop_group) as process:
        if pause is not None and process.stdout:
            counts["written"] = count_records(process.stdout, pause)
        process.wait()
    code, wall, cpu, memory = usage.read_text().split()
    if code != "0":
        raise BenchmarkError(f"{command}: exit status {code}\n{log.read_text()[-3000:]}")
    return {"wall": float(wall), "cpu": float(cpu), "memory": int(memory), **counts}


def count_records(output: IO[bytes], pause: float) -> int:
    """Read an output to its end, and count the lines with a record."""
    records, rest = 0, b""
    while chunk := output.read(1 << 16):
        *lines, rest = (rest + chunk).split(b"\n")
        records += sum(b'"RECORD"' in line[:100] for line in lines)
        time.sleep(pause)
    return records


def median_of(runs: Iterable[Run], figure: str) -> float:
    """Return the median of a figure."""
    return median(run[figure] for run in runs)
