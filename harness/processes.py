"""Processes and folders that never outlive the process that created them."""

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
"""Time between SIGTERM and SIGKILL when a process is stopped"""

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Resource = TypeVar("Resource")

_received: list[int] = []


def stop_on_signals() -> None:
    """Make SIGINT, SIGTERM and SIGHUP raise `SystemExit`, with the exit status that shells use."""
    for signum in STOPPING:
        # Keep ignoring SIGHUP under `nohup`.
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, _stop)


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
    _received.append(signum)
    _exit_if_stopped()


def _exit_if_stopped() -> None:
    # Called repeatedly, because Python drops exceptions that are raised in a destructor.
    if _received:
        sys.exit(128 + _received[0])


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Defer signals to the end of the block, so that they do not interrupt it."""
    deferred: list[int] = []

    def defer(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
        deferred.append(signum)

    before = {signum: signal.signal(signum, defer) for signum in STOPPING}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        if deferred:
            signal.raise_signal(deferred[0])


@contextlib.contextmanager
def running(
    start: Callable[[], Resource], stop: Callable[[Resource], object]
) -> Iterator[Resource]:
    """Start a resource and stop it when the block ends; signals do not interrupt either."""
    with contextlib.ExitStack() as stack:
        with deferred_signals():
            resource = start()
            stack.callback(_stop_deferring, stop, resource)
        yield resource


def _stop_deferring(stop: Callable[[Resource], object], resource: Resource) -> None:
    with deferred_signals():
        stop(resource)


@contextlib.contextmanager
def private_folder(prefix: str) -> Iterator[Path]:
    """Create a folder that only this user can read, and remove it when the block ends."""
    with running(
        lambda: tempfile.TemporaryDirectory(prefix=prefix), tempfile.TemporaryDirectory.cleanup
    ) as folder:
        yield Path(folder.name)


def run(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    on_line: Callable[[str], object] = lambda _: None,
) -> int:
    """Run a command, and then stop every process it has started.

    Args:
        command: The command and its arguments.
        env: Its complete environment.
        cwd: Its working directory.
        log: A file to which stdout and stderr are appended.
        on_line: Called with each line of the output.

    Returns:
        Its exit status.
    """

    def start() -> subprocess.Popen[str]:
        # In its own session, it does not receive Ctrl-C: this process stops it instead.
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

    _exit_if_stopped()
    with log.open("a", encoding="utf-8") as file, running(start, stop_group) as process:
        for line in process.stdout or ():
            _exit_if_stopped()
            file.write(line)
            on_line(line)
        return process.wait()


def stop_group(process: subprocess.Popen[str]) -> None:
    """Stop a process and its children: SIGTERM, then SIGKILL after `GRACE_SECONDS`."""
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
