"""Processes that end with the process that started them, even if it is killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

GUARD = Path(__file__).with_name("guard.py")

NOT_INHERITED = ("AIRFLOW_", "SINGER_SDK_LOG_CONFIG")
"""Prefixes of environment variables that the processes do not inherit."""


@dataclass(frozen=True)
class ProcessGroup:
    """A process group and the guard that kills it.

    Attributes:
        folder: A folder that only this user can read. It is removed when the group ends.
        guard: The leader of the group.
    """

    folder: Path
    guard: subprocess.Popen[bytes]
    _stack: contextlib.ExitStack

    def write(self, name: str, content: object) -> Path:
        """Write a JSON file that only this user can read, and return its path."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(json.dumps(content), encoding="utf-8")
        return path

    def start(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] | None = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a process in the group, with pipes for its output.

        Args:
            command: The command.
            env: Environment variables in addition to those of this process.
            stdin: The standard input.
        """
        own = {k: text for k, text in os.environ.items() if not k.startswith(NOT_INHERITED)}
        return self._stack.enter_context(
            subprocess.Popen(
                command,
                env={**own, **(env or {})},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=self.guard.pid,
            )
        )

    def heartbeat(self) -> None:
        """Restart the timeout of the guard."""
        if self.guard.stdin:
            self.guard.stdin.write(b".")
            self.guard.stdin.flush()

    def kill(self) -> None:
        """Kill all processes of the group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.guard.pid, signal.SIGKILL)


@contextlib.contextmanager
def process_group(timeout: float) -> Iterator[ProcessGroup]:
    """Create a group for the block, and kill it at its end.

    Args:
        timeout: Seconds without a heartbeat after which the guard kills the group.
    """
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="kombo-shard-", ignore_cleanup_errors=True)
        )
        guard = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), folder, str(timeout)],
                stdin=subprocess.PIPE,
                process_group=0,
            )
        )
        group = ProcessGroup(Path(folder), guard, stack)
        try:
            yield group
        finally:
            group.kill()
