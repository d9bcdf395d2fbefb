"""`tap-kombo | target`: two processes and a pipe.

The tap's settings are in its environment, and the target's in a file that only this user can read.
Neither is on a command line.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tap_kombo_airflow.processes import ProcessGroup, process_group
from tap_kombo_airflow.result import RunResult
from tap_kombo_airflow.settings import ConfigurationError
from tap_kombo_airflow.store import State

logger = logging.getLogger(__name__)

DEFAULT_TAP = ("tap-kombo",)
DEFAULT_TARGET = ("target-postgres",)

START_SECONDS = 120.0
"""The time that a target has to create its tables."""

STOP_SECONDS = 30.0
"""The time that the tap and the target have to stop: the target stores its records first."""

LOG_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}
"""Makes the tap log one JSON object per line."""

ERROR_NAME = re.compile(
    r"\(?([A-Za-z_]\w*(?:\.\w+)*(?:Error|Exception|Violation)\w*|psycopg2?\.errors\.\w+)\b"
)


class TargetError(Exception):
    """The target failed to create its tables."""


@dataclass(frozen=True)
class Pipe:
    """The commands of each shard, and their settings.

    Attributes:
        tap_settings: The tap's settings without `integration_ids`.
        target_settings: The target's settings.
        catalog: The catalog file; None for all streams.
        tap: The tap's command.
        target: The target's command.
        changed_models: The tap's setting of this name: integration -> the models to read. None
            reads all models.
    """

    tap_settings: Mapping[str, Any]
    target_settings: Mapping[str, Any]
    catalog: str | Path | None = None
    tap: Sequence[str] = DEFAULT_TAP
    target: Sequence[str] = DEFAULT_TARGET
    changed_models: Mapping[str, Sequence[str]] | None = None

    @contextlib.contextmanager
    def running(
        self, integration_ids: Sequence[str], state: State, *, timeout: float
    ) -> Iterator[RunningPipe]:
        """Start the tap and the target, and kill them at the end of the block.

        Args:
            integration_ids: The integrations to read.
            state: The tap's state.
            timeout: Seconds without a heartbeat after which both are killed.

        Raises:
            ConfigurationError: A command is not installed.
        """
        with process_group(timeout) as group:
            tap = self._start_tap(group, integration_ids, state)
            yield RunningPipe(tap, self._start_target(group, tap.stdout), group)

    def create_tables(self, integration_id: str) -> None:
        """Let one target create the tables, because targets that do so concurrently fail.

        The tap emits the schemas of all streams before any records. The target gets only those.

        Args:
            integration_id: An integration; the tap sends a few requests before it is killed.

        Raises:
            ConfigurationError: The tap's settings are not valid, or a command is not installed.
            TargetError: The target failed.
        """
        with process_group(START_SECONDS) as group:
            # Only the schemas are needed, so the tap does not have to wait for a rate limit.
            tap = self._start_tap(group, [integration_id], {}, max_wait_seconds=1)
            schemas = list(itertools.takewhile(_is_schema, tap.stdout or ()))
            tap.kill()
            messages = group.folder / "schemas.jsonl"
            messages.write_bytes(b"".join(schemas))
            with messages.open("rb") as stdin:
                target = self._start_target(group, stdin)
            result = RunningPipe(tap, target, group).run(lambda _: None)
        if not schemas:
            raise ConfigurationError(" ".join(result.tap_errors) or "The tap emits no schema.")
        if result.target:
            raise TargetError(result.target_failure)

    def _start_tap(
        self, group: ProcessGroup, integration_ids: Sequence[str], state: State, **settings: Any
    ) -> subprocess.Popen[bytes]:
        catalog = [f"--catalog={self.catalog}"] if self.catalog else []
        # In a file, because environment variables have a length limit.
        changed = (
            [f"--config={group.write('changed.json', {'changed_models': self.changed_models})}"]
            if self.changed_models
            else []
        )
        given = {**self.tap_settings, **settings, "integration_ids": integration_ids}
        return group.start(
            [
                *find_command(self.tap),
                "--config=ENV",
                *changed,
                f"--state={group.write('state.json', state)}",
                *catalog,
            ],
            env={
                "TAP_KOMBO_LOGLEVEL": "INFO",
                "SINGER_SDK_LOG_CONFIG": str(group.write("log.json", LOG_CONFIG)),
                **{
                    f"TAP_KOMBO_{name.upper()}": value
                    if isinstance(value, str)
                    else json.dumps(value)
                    for name, value in given.items()
                    if value is not None
                },
            },
        )

    def _start_target(
        self, group: ProcessGroup, messages: IO[bytes] | None
    ) -> subprocess.Popen[bytes]:
        settings = group.write("target.json", self.target_settings)
        target = group.start([*find_command(self.target), f"--config={settings}"], stdin=messages)
        if messages:
            # If this process kept the pipe open, the tap would not notice the end of the target.
            messages.close()
        return target


@dataclass
class RunningPipe:
    """A running tap and target."""

    tap: subprocess.Popen[bytes]
    target: subprocess.Popen[bytes]
    group: ProcessGroup
    _tap_result: dict[str, Any] | None = None
    _tap_errors: list[str] = field(default_factory=list)
    _target_error: str | None = None

    def run(self, on_state: Callable[[State], object]) -> RunResult:
        """Run to the end. An exception in this thread stops the tap, then the target.

        Args:
            on_state: Called with each state that the target emits.
        """
        readers = [
            threading.Thread(target=read, daemon=True)
            for read in (self._read_tap_log, self._read_target_log)
        ]
        for reader in readers:
            reader.start()
        try:
            self._read_states(on_state)
        except BaseException:
            self._stop(on_state)
            raise
        finally:
            statuses = self.tap.wait(), self.target.wait()
            for reader in readers:
                reader.join()
        return RunResult(*statuses, self._tap_result, self._tap_errors, self._target_error)

    def _read_states(self, on_state: Callable[[State], object]) -> None:
        for line in self.target.stdout or ():
            # The last line of a target that was killed may be incomplete.
            if line.endswith(b"\n") and line.strip():
                on_state(json.loads(line))

    def _stop(self, on_state: Callable[[State], object]) -> None:
        """Let the tap write a last state, and the target store its records."""
        timer = threading.Timer(STOP_SECONDS, self.group.kill)
        timer.start()
        try:
            self.tap.terminate()
            self._read_states(on_state)
        except BaseException:
            self.group.kill()
            raise
        finally:
            timer.cancel()

    def _read_tap_log(self) -> None:
        """Log the tap's messages, which contain no records, API keys or queries."""
        for level, source, message, extra in _log_records(self.tap.stderr):
            self._tap_result = extra.get("result") or self._tap_result
            if level == logging.ERROR and source == "tap-kombo":
                self._tap_errors.append(message)
            if source == "tap-kombo" or level != logging.INFO:
                logger.log(level, "%s: %s", source, message)

    def _read_target_log(self) -> None:
        self._target_error = _error_name(self.target.stderr or ())


def find_command(command: Sequence[str]) -> list[str]:
    """Replace the name of a command with its path.

    Raises:
        ConfigurationError: The command is not installed.
    """
    path = shutil.which(command[0])
    if path is None:
        raise ConfigurationError(f"{command[0]}: command not found. Install it or use its path.")
    return [path, *command[1:]]


def _log_records(log: IO[bytes] | None) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """Yield the level, logger, message and structured fields of each line."""
    for line in log or ():
        try:
            record = json.loads(line)
            level = logging.getLevelNamesMapping()[record["level"].upper()]
            yield level, record["logger_name"], str(record["message"]), dict(record["extra"])
        except (ValueError, LookupError, TypeError):  # printed by Python or a library
            yield logging.WARNING, "tap", line.decode(errors="replace").rstrip(), {}


def _error_name(log: Iterable[bytes]) -> str | None:
    """Return the name of a target's last exception; the rest of the log may quote rows."""
    name = None
    for line in log:
        if found := ERROR_NAME.match(line.decode(errors="replace")):
            name = found[1]
    return name


def _is_schema(line: bytes) -> bool:
    return bool(json.loads(line)["type"] == "SCHEMA")
