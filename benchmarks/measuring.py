"""Real processes, measured from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.places import HERE
from harness.processes import private_folder

TIMEOUT = 3600.0


class FailedError(Exception):
    """A process that was to be measured did not do what it should."""


@dataclass(frozen=True)
class Used:
    """What a process, and those that it started and waited for, needed.

    Attributes:
        wall: Seconds from start to end.
        cpu: Seconds of CPU, user and system.
        rss: Bytes of memory at the peak.
    """

    wall: float
    cpu: float
    rss: int


def measure(
    command: Sequence[str | Path],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    read: Callable[[IO[bytes]], object] | None = None,
) -> Used:
    """Run a command to its end.

    Args:
        command: The command and its arguments.
        folder: Where its log goes.
        env: Environment variables beside those of this process.
        cwd: Where it runs.
        read: Reads its output to the end; without, that goes to /dev/null.

    Raises:
        FailedError: It did not end with 0.
    """
    figures, log = folder / "figures", folder / "log"
    launch = [sys.executable, "-I", "-S", HERE / "launch.py", figures, *command]
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            launch,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if read else subprocess.DEVNULL,
            stderr=stderr,
            env={**_own_environment(), **(env or {})},
            cwd=cwd,
            start_new_session=True,
        ) as process,
        _ended(process),
    ):
        if read and process.stdout:
            read(process.stdout)
        process.wait(TIMEOUT)
    if process.returncode or not figures.exists():
        raise FailedError(f"{command[0]} could not be started")
    code, wall, cpu, rss = figures.read_text(encoding="utf-8").split()
    if code != "0":
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise FailedError(f"{command[0]} ended with {code}:\n{tail}")
    return Used(float(wall), float(cpu), int(rss))


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End the process and all that it has started when the block ends too early."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise


def _own_environment() -> dict[str, str]:
    """Nothing of make's or the user's settings: what is measured has its own."""
    foreign = ("UV_", "TAP_", "TARGET_", "MELTANO_", "PYTHON", "VIRTUAL_ENV")
    return {name: text for name, text in os.environ.items() if not name.startswith(foreign)}


def scratch() -> AbstractContextManager[Path]:
    """Have an empty folder during the block."""
    return private_folder("kombo-bench-")


@dataclass
class Lines:
    """Reads an output and counts its messages.

    Attributes:
        mark: What stands near the beginning of each line that is a record.
        records: How many there were.
        states: How many STATE lines there were.
        state_bytes: Of all STATE lines together.
        last_state_bytes: Of the last one.
        output_bytes: Of all lines.
        pause: Seconds to sleep after each 64 KiB: a target that is slow.
    """

    mark: bytes = b'"RECORD"'
    records: int = 0
    states: int = 0
    state_bytes: int = 0
    last_state_bytes: int = 0
    output_bytes: int = 0
    pause: float = 0.0

    def __call__(self, output: IO[bytes]) -> None:
        rest = b""
        while chunk := output.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._count(line)
            time.sleep(self.pause)
        if rest:
            self._count(rest)

    def _count(self, line: bytes) -> None:
        head, size = line[:100], len(line) + 1
        self.output_bytes += size
        if self.mark in head:
            self.records += 1
        elif b'"STATE"' in head:
            self.states += 1
            self.state_bytes += size
            self.last_state_bytes = size
