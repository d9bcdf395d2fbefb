"""`tap-kombo | target-postgres` without Meltano, which can be interrupted at any request."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.comparison import compare_tables
from harness.postgres import Postgres
from harness.processes import GRACE_SECONDS, running, stop_group
from harness.tap import catalog_with, settings_for
from kombo_sandbox import Sandbox

BIN = Path(sys.executable).parent

TIMEOUT = 120.0
"""Seconds until a pipe counts as hung"""

TARGET_SETTINGS = {
    "use_copy": True,
    "validate_records": False,
    "sanitize_null_text_characters": True,
}
"""The settings of target-postgres in meltano.yml"""


@dataclass(frozen=True)
class RunningPipe:
    tap: subprocess.Popen[str]
    target: subprocess.Popen[str]

    def kill(self, names: Sequence[str], signum: signal.Signals) -> None:
        """Send a signal to the processes with these names: `tap`, `target`."""
        for name in names:
            {"tap": self.tap, "target": self.target}[name].send_signal(signum)
        if "target" in names:
            # SIGTERM raises an exception in the target, which is lost during a garbage collection.
            # A process manager would also send SIGKILL after a while.
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.target.wait(GRACE_SECONDS)
            self.target.kill()

    def wait(self) -> tuple[int, int]:
        """Return the exit statuses of the tap and of the target."""
        return self.tap.wait(TIMEOUT), self.target.wait(TIMEOUT)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, or for the end of the tap or the target."""
        deadline = time.monotonic() + TIMEOUT
        while not condition() and self.tap.poll() is None and self.target.poll() is None:
            assert time.monotonic() < deadline, f"the pipe hangs after {TIMEOUT:.0f} s"
            time.sleep(0.1)


@dataclass(frozen=True)
class Pipe:
    """A pipe that can run repeatedly; each sync starts from the last state of the target.

    Attributes:
        sandbox: The source.
        database: The destination.
        folder: For settings, states and logs.
        schema: The database schema of the tables.
        streams: The selected streams.
        tap_settings: Additional settings of the tap.
        target_settings: Additional settings of the target.
    """

    sandbox: Sandbox
    database: Postgres
    folder: Path
    schema: str
    streams: Sequence[str]
    tap_settings: Mapping[str, Any] = field(default_factory=dict)
    target_settings: Mapping[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def running(self) -> Iterator[RunningPipe]:
        """Start the tap and the target, and stop them when the block ends."""
        tap = settings_for(self.sandbox, **self.tap_settings)
        target = {
            "sqlalchemy_url": self.database.url,
            "default_target_schema": self.schema,
            **TARGET_SETTINGS,
            **self.target_settings,
        }
        tap_command: list[str | Path] = [
            BIN / "tap-kombo",
            self._option("config", "tap", tap),
            self._option("catalog", "catalog", catalog_with(*self.streams)),
        ]
        if state := self._state():
            tap_command.append(self._option("state", "state", state))
        target_command: list[str | Path] = [
            BIN / "target-postgres",
            self._option("config", "target", target),
        ]
        with (
            self._tap_log.open("wb") as tap_log,
            self._target_log.open("wb") as target_log,
            self._states.open("ab") as states,
            running(
                lambda: start(tap_command, stdout=subprocess.PIPE, stderr=tap_log), stop_group
            ) as tap_process,
            running(
                lambda: start(
                    target_command, stdin=tap_process.stdout, stdout=states, stderr=target_log
                ),
                stop_group,
            ) as target_process,
        ):
            assert tap_process.stdout
            # As long as this process has the pipe open, the tap does not notice a killed target.
            tap_process.stdout.close()
            yield RunningPipe(tap_process, target_process)

    @contextlib.contextmanager
    def paused(self, requests: int) -> Iterator[RunningPipe]:
        """Start a sync, and run the block when the sandbox has responded to some requests.

        All later requests hang, so that the sync cannot finish before the block starts.
        """
        self.sandbox.clear_requests()
        self.sandbox.fault(hang=True, skip=requests)
        with self.running() as pipe:
            pipe.wait_for(lambda: len(self.sandbox.requests()) > requests)
            self.sandbox.clear_faults()
            yield pipe

    def run(self) -> None:
        """Run a sync that succeeds."""
        with self.running() as pipe:
            assert pipe.wait() == (0, 0), self.logs

    def differences(self) -> list[str]:
        """Return the first differences between the tables and the sandbox's records."""
        return compare_tables(self.sandbox, self.database, self.schema, self.streams)

    @property
    def logs(self) -> str:
        """The logs of the last sync."""
        return self._tap_log.read_text() + self._target_log.read_text()

    @property
    def tap_errors(self) -> list[str]:
        """The errors that the tap logged in the last sync."""
        return [line for line in self._tap_log.read_text().splitlines() if "| ERROR" in line]

    @property
    def _tap_log(self) -> Path:
        return self.folder / "tap.log"

    @property
    def _target_log(self) -> Path:
        return self.folder / "target.log"

    @property
    def _states(self) -> Path:
        return self.folder / "states.jsonl"

    def _state(self) -> Any:
        """Return the last complete line of the target's output, over all syncs."""
        lines = self._states.read_text().splitlines(keepends=True) if self._states.exists() else []
        complete = [line for line in lines if line.endswith("\n")]
        return json.loads(complete[-1]) if complete else None

    def _option(self, name: str, file: str, content: Any) -> str:
        """Write a JSON file, and return the option that names it."""
        path = self.folder / f"{file}.json"
        path.write_text(json.dumps(content))
        return f"--{name}={path}"


def start(command: Sequence[str | Path], **streams: Any) -> subprocess.Popen[str]:
    env = {**os.environ, "LOGLEVEL": "INFO"}
    return subprocess.Popen(command, text=True, start_new_session=True, env=env, **streams)
