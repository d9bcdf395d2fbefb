"""`tap-kombo | target-postgres` without Meltano, as README.md tells, that can be cut anywhere."""

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
from functools import cached_property
from pathlib import Path
from typing import Any

from psycopg import sql

from harness.comparison import Difference, Table, differences, records_of
from harness.postgres import Postgres
from harness.processes import GRACE_SECONDS, running, stop_group
from harness.tap import catalog_with, settings_for
from kombo_sandbox import Sandbox
from tests.end_to_end.conftest import CATALOG

BIN = Path(sys.executable).parent
PATIENCE = 120.0
"""Seconds that anything may take on a machine that has much else to do."""

SHIPPED = {"use_copy": True, "validate_records": False, "sanitize_null_text_characters": True}
"""The target's settings in meltano.yml."""


@dataclass(frozen=True)
class Flow:
    """A pipe that runs."""

    tap: subprocess.Popen[str]
    target: subprocess.Popen[str]

    def kill(self, victims: Sequence[str], signum: signal.Signals) -> None:
        for victim in victims:
            {"tap": self.tap, "target": self.target}[victim].send_signal(signum)
        if "target" in victims:
            self._see_the_target_off()

    def wait(self) -> tuple[int, int]:
        """Wait for both ends; tells the exit status of the tap and of the target."""
        return self.tap.wait(PATIENCE), self.target.wait(PATIENCE)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to happen, or for an end of the pipe."""
        wait_until(lambda: condition() or None not in (self.tap.poll(), self.target.poll()))

    def _see_the_target_off(self) -> None:
        """Kill a target that does not end when it is asked to, as whatever runs a pipe does.

        It ends by an exception, and Python drops one that arises while garbage is collected.
        """
        try:
            self.target.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self.target.kill()


@dataclass(frozen=True)
class Pipe:
    """A pipe that is started again and again: each run goes on from the last whole state.

    Attributes:
        sandbox: The Kombo that is read.
        database: Where the rows come to.
        folder: For its files.
        schema: The database's schema for its tables.
        streams: What is read.
        tap_settings: What the tap is told, beside its Kombo.
        target_settings: What the target is told, beside its database.
    """

    sandbox: Sandbox
    database: Postgres
    folder: Path
    schema: str
    streams: Sequence[str]
    tap_settings: Mapping[str, Any] = field(default_factory=dict)
    target_settings: Mapping[str, Any] = field(default_factory=dict)

    @contextlib.contextmanager
    def running(self) -> Iterator[Flow]:
        """Start both ends, as a shell does; they are gone at the end of the block."""
        tap = settings_for(self.sandbox, **self.tap_settings)
        target = {
            "sqlalchemy_url": self.database.url,
            "default_target_schema": self.schema,
            **SHIPPED,
            **self.target_settings,
        }
        files = {"tap": tap, "target": target, "catalog": catalog_with(*self.streams)}
        if self.state is not None:
            files["state"] = self.state
        for name, content in files.items():
            self._file(name).write_text(json.dumps(content))
        arguments = [
            f"--{name}={self._file(name)}" for name in ("catalog", "state") if name in files
        ]
        with (
            self.tap_log.open("wb") as tap_log,
            self.target_log.open("wb") as target_log,
            self._states.open("ab") as states,
            running(
                lambda: start(
                    [BIN / "tap-kombo", f"--config={self._file('tap')}", *arguments],
                    stdout=subprocess.PIPE,
                    stderr=tap_log,
                ),
                stop_group,
            ) as tap_process,
            running(
                lambda: start(
                    [BIN / "target-postgres", f"--config={self._file('target')}"],
                    stdin=tap_process.stdout,
                    stdout=states,
                    stderr=target_log,
                ),
                stop_group,
            ) as target_process,
        ):
            assert tap_process.stdout
            # Else the tap would never hear that the target is gone.
            tap_process.stdout.close()
            yield Flow(tap_process, target_process)

    @contextlib.contextmanager
    def held(self, requests: int) -> Iterator[Flow]:
        """Start both ends, and hold the tap back when Kombo has answered so many requests.

        The next one is never answered: so the run cannot end before the block has begun.
        """
        self.sandbox.clear_requests()
        self.sandbox.fault(hang=True, skip=requests)
        with self.running() as flow:
            flow.wait_until(lambda: len(self.sandbox.requests()) > requests)
            self.sandbox.clear_faults()
            yield flow

    def run(self) -> None:
        """Run to the end, in good health."""
        with self.running() as flow:
            assert flow.wait() == (0, 0), self.logs

    def differences(self) -> list[str]:
        """Tell where the tables are not what Kombo holds; the first few."""
        found: Iterator[Difference] = (
            difference
            for table in self.tables
            for difference in differences(
                table,
                records_of(self.sandbox, table),
                self.database.table(self.schema, table.name),
            )
        )
        return [str(difference) for difference, _ in zip(found, range(10), strict=False)]

    def rows(self) -> int:
        """Count the rows of all tables, as far as these exist."""
        names = self.database.rows(
            sql.SQL(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = {}"
            ).format(sql.Literal(self.schema))
        )
        counts = [
            sql.SQL("(SELECT count(*) FROM {})").format(
                sql.Identifier(self.schema, row["table_name"])
            )
            for row in names
        ]
        if not counts:
            return 0
        [row] = self.database.rows(sql.SQL("SELECT {} AS n").format(sql.SQL(" + ").join(counts)))
        return int(row["n"])

    @property
    def state(self) -> Any:
        """The last whole line of what the target has told, in all runs."""
        whole = (
            [line for line in self._states.read_text().splitlines(keepends=True) if "\n" in line]
            if self._states.exists()
            else []
        )
        return json.loads(whole[-1]) if whole else None

    @property
    def logs(self) -> str:
        """The last run's, of both ends."""
        return self.tap_log.read_text() + self.target_log.read_text()

    @property
    def tap_errors(self) -> list[str]:
        """The error lines in the last run's log of the tap."""
        return [line for line in self.tap_log.read_text().splitlines() if "| ERROR" in line]

    @cached_property
    def tables(self) -> list[Table]:
        return [table for table in CATALOG if table.name in self.streams]

    @property
    def tap_log(self) -> Path:
        return self.folder / "tap.log"

    @property
    def target_log(self) -> Path:
        return self.folder / "target.log"

    @property
    def _states(self) -> Path:
        return self.folder / "states.jsonl"

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def start(command: Sequence[str | Path], **streams: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        text=True,
        start_new_session=True,
        env={**os.environ, "LOGLEVEL": "INFO"},
        **streams,
    )


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it has not come to this"
        time.sleep(0.02)
