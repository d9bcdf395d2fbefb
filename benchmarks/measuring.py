"""Run real processes, measured from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

from benchmarks import FOLDER
from harness import PROJECT
from harness.processes import running, stop_group

Figures = dict[str, Any]
"""Figures of a section, as in `results.json`"""

Run = dict[str, float]
"""Figures of a run: `wall` and `cpu` in seconds, peak `memory` in bytes, and others by section"""

IGNORED = ("MELTANO_", "PYTHON", "TAP_", "TARGET_", "UV_", "VIRTUAL_ENV")
"""Prefixes of environment variables that belong to the user or to make"""


class BenchmarkError(Exception):
    """A process failed, or did not read or write all records."""


def measure(
    command: Sequence[str | Path],
    folder: Path,
    read: Callable[[IO[bytes]], object] | None = None,
) -> Run:
    """Run a command to its end.

    Args:
        command: The command and its arguments.
        folder: The folder for its log.
        read: Reads its output; without, the output is discarded.

    Returns:
        `wall`, `cpu` and `memory` of the process and of the processes it waited for.

    Raises:
        BenchmarkError: Its exit status is not 0.
    """
    usage, log = folder / "usage", folder / "log"
    environment = {name: text for name, text in os.environ.items() if not name.startswith(IGNORED)}

    def start() -> subprocess.Popen[Any]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", FOLDER / "launch.py", usage, *command],
            env=environment,
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if read else subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )

    with log.open("wb") as stderr, running(start, stop_group) as process:
        if read and process.stdout:
            read(process.stdout)
        process.wait()
    code, wall, cpu, memory = usage.read_text().split()
    if code != "0":
        raise BenchmarkError(f"{command}: exit status {code}\n{log.read_text()[-3000:]}")
    return {"wall": float(wall), "cpu": float(cpu), "memory": int(memory)}


@dataclass
class Messages:
    """Reads an output line by line and counts its messages.

    Attributes:
        pause: Seconds to sleep after each 64 KiB, like a slow target.
        records: Lines with a record.
        states: Lines with a state.
        state_bytes: Size of all states.
        last_state_bytes: Size of the last state.
        output_bytes: Size of the output.
    """

    pause: float = 0.0
    records: int = 0
    states: int = 0
    state_bytes: int = 0
    last_state_bytes: int = 0
    output_bytes: int = 0

    def __call__(self, output: IO[bytes]) -> None:
        rest = b""
        while chunk := output.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._count(line)
            time.sleep(self.pause)

    def _count(self, line: bytes) -> None:
        size = len(line) + 1
        self.output_bytes += size
        if b'"RECORD"' in line[:100]:
            self.records += 1
        elif b'"STATE"' in line[:100]:
            self.states += 1
            self.state_bytes += size
            self.last_state_bytes = size


def middle(runs: Iterable[Run], name: str) -> float:
    """Return the median of a figure."""
    return median(run[name] for run in runs)


def cpu_per_record(runs: Iterable[Run], empty: Iterable[Run]) -> float:
    """Return the CPU seconds per record without those of runs that read no records."""
    startup = middle(empty, "cpu")
    return median((run["cpu"] - startup) / run["records"] for run in runs)
