"""Processes and folders that never outlive who made them, whatever signal comes, and when."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import TypeVar

GRACE_SECONDS = 10.0
"""How long processes may take to end in order."""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Started = TypeVar("Started")

_received: list[int] = []


def stop_on_signals() -> None:
    """Let a signal end this process in order: by `SystemExit`, with the status that shells use."""
    for signum in STOPPING:
        # `nohup` has it ignored, and means it.
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _stop)


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
    _received.append(signum)
    _stop_if_told_to()


def _stop_if_told_to() -> None:
    # Asked again and again, because Python drops exceptions that are raised in a destructor.
    if _received:
        sys.exit(128 + _received[0])


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Let signals wait until the end of the block: what is half started cannot be stopped."""
    held: list[int] = []

    def hold(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
        held.append(signum)

    before = {signum: signal.signal(signum, hold) for signum in STOPPING}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        if held:
            signal.raise_signal(held[0])


@contextlib.contextmanager
def running(start: Callable[[], Started], stop: Callable[[Started], object]) -> Iterator[Started]:
    """Start something and stop it at the end of the block, neither of them by halves."""
    with contextlib.ExitStack() as stack:
        with signals_held():
            started = start()
            stack.callback(_whole, stop, started)
        yield started


@contextlib.contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """Have a folder during the block that no other user can look into."""
    with running(
        lambda: tempfile.TemporaryDirectory(prefix=prefix), tempfile.TemporaryDirectory.cleanup
    ) as folder:
        yield Path(folder.name)


def _whole(stop: Callable[[Started], object], started: Started) -> None:
    with signals_held():
        stop(started)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    on_line: Callable[[str], object] = lambda _: None,
) -> int:
    """Run a command to its end; everything it has started ends with it.

    Args:
        command: The command and its arguments.
        env: Its whole environment.
        cwd: Where it runs.
        log: A file that its output is appended to, stdout and stderr in one.
        on_line: Called with each line of the output, as it comes.

    Returns:
        Its exit status.
    """

    def start() -> subprocess.Popen[str]:
        # In a session of its own a Ctrl-C does not reach it: it is stopped in order, from here.
        return subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    _stop_if_told_to()
    with log.open("a", encoding="utf-8") as file, running(start, stop_group) as process:
        for line in process.stdout or ():
            _stop_if_told_to()
            file.write(line)
            on_line(line)
        return process.wait()


def stop_group(process: subprocess.Popen[str]) -> None:
    """Stop a process and all that it has started: first in order, then by force."""
    deadline = time.monotonic() + GRACE_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        while time.monotonic() < deadline:
            process.poll()
            os.killpg(process.pid, 0)
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()
