"""Processes that end with the one who has started them, however that one ends."""

from __future__ import annotations

import contextlib
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

FOREIGN = ("AIRFLOW_", "SINGER_SDK_LOG_CONFIG")
"""Environment variables that begin so are for none of them: the tap's log is to be read here."""


@dataclass(frozen=True)
class Group:
    """A process group with a guard.

    Attributes:
        folder: For files that only this user can read; gone with the group.
        guard: Its leader, which kills it.
    """

    folder: Path
    guard: subprocess.Popen[bytes]
    _ended: contextlib.ExitStack

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
            env: Variables beside those of this process.
            stdin: What it reads.
        """
        own = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
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
        """Tell the guard that all is well."""
        if self.guard.stdin:
            self.guard.stdin.write(b".")
            self.guard.stdin.flush()

    def kill(self) -> None:
        """End all of it at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.guard.pid, signal.SIGKILL)


@contextlib.contextmanager
def guarded(patience: float) -> Iterator[Group]:
    """Have a group during the block; nothing of it is left afterwards.

    Args:
        patience: Seconds without a beat after which it is killed.
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
