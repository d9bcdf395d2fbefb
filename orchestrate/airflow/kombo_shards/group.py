"""Processes that end with the process that started them, however that one ends."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")

NOT_INHERITED = ("AIRFLOW_", "SINGER_SDK_LOG_CONFIG")
"""Prefixes of environment variables that the processes do not inherit."""


@dataclass(frozen=True)
class Group:
    """A process group with a guard.

    Attributes:
        folder: For files that only this user can read; it is removed with the group.
        guard: The group's leader, which kills it.
    """

    folder: Path
    guard: subprocess.Popen[bytes]
    _ended: contextlib.ExitStack

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
        stdin: int = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Start a process in the group, with pipes for its output.

        Args:
            command: The command.
            env: Environment variables in addition to those of this process.
            stdin: The file descriptor of its standard input.
        """
        own = {k: text for k, text in os.environ.items() if not k.startswith(NOT_INHERITED)}
        return self._ended.enter_context(
            subprocess.Popen(
                command,
                env={**own, **(env or {})},
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=self.guard.pid,
            )
        )

    def beat(self) -> None:
        """Send the guard a sign of life."""
        if self.guard.stdin:
            self.guard.stdin.write(b".")
            self.guard.stdin.flush()

    def kill(self) -> None:
        """Kill all processes of the group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.guard.pid, signal.SIGKILL)


@contextlib.contextmanager
def guarded(patience: float) -> Iterator[Group]:
    """Create a group for the block, and kill it at its end.

    Args:
        patience: Seconds without a beat after which the guard kills the group.
    """
    with contextlib.ExitStack() as ended:
        folder = Path(tempfile.mkdtemp(prefix="kombo-shard-"))
        ended.callback(shutil.rmtree, folder, ignore_errors=True)
        guard = ended.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(folder), str(patience)],
                stdin=subprocess.PIPE,
                process_group=0,
            )
        )
        group = Group(folder, guard, ended)
        try:
            yield group
        finally:
            group.kill()
