"""`tap-kombo | target`: two processes, and nothing in between.

The settings of the tap are in its environment, those of the target in a file that only this user
can read, in a folder that is gone with the run, whatever ends it. Neither is on a command line.
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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from kombo_shards.configuration import ConfigurationError
from kombo_shards.findings import Ended
from kombo_shards.group import Group, guarded
from kombo_shards.states import State

logger = logging.getLogger(__name__)

DEFAULT_TAP = ("tap-kombo",)
DEFAULT_TARGET = ("target-postgres",)

START_SECONDS = 120.0
"""How long a target may take to make its tables."""

STOP_SECONDS = 30.0
"""How long both may take to end in order: a target first stores what it has."""

LOG_LINE = re.compile(r"\S+ \S+ \| (?P<level>\w+) *\| (?P<source>\S+) *\| (?P<message>.*)")
ERROR_NAME = re.compile(
    r"\(?([A-Za-z_]\w*(?:\.\w+)*(?:Error|Exception|Violation)\w*|psycopg2?\.errors\.\w+)\b"
)


class TargetError(Exception):
    """The target failed: it is said how."""


@dataclass(frozen=True)
class Pipe:
    """What is run for each shard.

    Attributes:
        tap_settings: By the tap's own names, `api_key` among them; not the integrations.
        target_settings: By the target's own names.
        catalog: Which streams and fields; None for all.
        tap: The tap's command.
        target: The target's command.
    """

    tap_settings: Mapping[str, Any]
    target_settings: Mapping[str, Any]
    catalog: Path | None = None
    tap: Sequence[str] = DEFAULT_TAP
    target: Sequence[str] = DEFAULT_TARGET

    @contextlib.contextmanager
    def flowing(
        self, integration_ids: Sequence[str], state: State, *, patience: float
    ) -> Iterator[Flow]:
        """Run it; nothing of it is left at the end of the block.

        Args:
            integration_ids: What the tap reads.
            state: Where it goes on.
            patience: Seconds without a beat after which everything is killed.

        Raises:
            ConfigurationError: A command is not on this machine.
        """
        with guarded(patience) as group:
            tap = self._start_tap(group, integration_ids, state)
            yield Flow(tap, self._start_target(group, tap.stdout), group)

    def make_tables(self, integration_id: str) -> None:
        """Let the target make its tables, before several at a time get in each other's way.

        The tap tells the schemas of all streams before it reads anything; nothing else is passed.

        Args:
            integration_id: What the tap would read; a few requests are made before it is ended.

        Raises:
            ConfigurationError: The tap is set up wrong, or a command is not on this machine.
            TargetError: The target failed.
        """
        with guarded(START_SECONDS) as group:
            # What comes after the schemas is not waited for, whatever the rate limit says.
            hasty = replace(self, tap_settings={**self.tap_settings, "max_wait_seconds": 1})
            tap = hasty._start_tap(group, [integration_id], {})  # noqa: SLF001  # its own
            schemas = list(itertools.takewhile(_is_schema, tap.stdout or ()))
            if not schemas:
                errors = [
                    message for level, _, message in _log_lines(tap.stderr) if level == "ERROR"
                ]
                raise ConfigurationError(" ".join(errors) or "The tap tells no schema.")
            tap.kill()
            target = self._start_target(group)
            _, log = target.communicate(b"".join(schemas))
            if target.returncode:
                raise TargetError(
                    Ended(0, target.returncode, (), _kind(log.splitlines())).target_said
                )

    def _start_tap(
        self, group: Group, integration_ids: Sequence[str], state: State
    ) -> subprocess.Popen[bytes]:
        path = group.folder / "state.json"
        path.write_text(json.dumps(state), encoding="utf-8")
        catalog = [f"--catalog={self.catalog}"] if self.catalog else []
        settings = {**self.tap_settings, "integration_ids": integration_ids}
        return group.start(
            [*command(self.tap), "--config=ENV", f"--state={path}", *catalog],
            env=_environment(settings),
        )

    def _start_target(
        self, group: Group, messages: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        path = group.folder / "target.json"
        path.write_text(json.dumps(self.target_settings), encoding="utf-8")
        if messages is None:
            return group.start([*command(self.target), f"--config={path}"], stdin=subprocess.PIPE)
        with messages:
            # Left open here, the tap would never hear that the target is gone.
            return group.start([*command(self.target), f"--config={path}"], stdin=messages.fileno())


@dataclass
class Flow:
    """A pipe that runs."""

    tap: subprocess.Popen[bytes]
    target: subprocess.Popen[bytes]
    group: Group
    _tap_errors: list[str] = field(default_factory=list)
    _target_error: str | None = None

    def run(self, on_state: Callable[[State], object]) -> Ended:
        """Run to the end; whatever ends this process' patience stops both in order.

        Args:
            on_state: Called with each state that the target tells.
        """
        readers = [
            threading.Thread(target=follow, daemon=True)
            for follow in (self._follow_tap, self._follow_target)
        ]
        for reader in readers:
            reader.start()
        try:
            self._take_states(on_state)
        except BaseException:
            self._stop(on_state)
            raise
        finally:
            statuses = self.tap.wait(), self.target.wait()
            for reader in readers:
                reader.join()
        return Ended(*statuses, self._tap_errors, self._target_error)

    def _take_states(self, on_state: Callable[[State], object]) -> None:
        for line in self.target.stdout or ():
            # A target that was killed may have left half a line.
            if line.endswith(b"\n") and line.strip():
                on_state(json.loads(line))

    def _stop(self, on_state: Callable[[State], object]) -> None:
        """Let the tap write a last state, and the target store what it has."""
        last_resort = threading.Timer(STOP_SECONDS, self.group.kill)
        last_resort.start()
        try:
            self.tap.terminate()
            self._take_states(on_state)
        except BaseException:
            self.group.kill()
            raise
        finally:
            last_resort.cancel()

    def _follow_tap(self) -> None:
        """The tap's log holds nothing of records, keys or addresses: it may all be shown."""
        for level, source, message in _log_lines(self.tap.stderr):
            if level == "ERROR" and source == "tap-kombo":
                self._tap_errors.append(message)
            if source == "tap-kombo" or level != "INFO":
                logger.log(getattr(logging, level, logging.WARNING), "%s: %s", source, message)

    def _follow_target(self) -> None:
        self._target_error = _kind(self.target.stderr or ())


def command(words: Sequence[str]) -> list[str]:
    """Find a command on this machine.

    Raises:
        ConfigurationError: It is not there.
    """
    path = shutil.which(words[0])
    if path is None:
        raise ConfigurationError(
            f"There is no command {words[0]} on this machine: install it there, or give its path."
        )
    return [path, *words[1:]]


def _log_lines(log: IO[bytes] | None) -> Iterator[tuple[str, str, str]]:
    for line in log or ():
        text = line.decode(errors="replace").rstrip()
        found = LOG_LINE.fullmatch(text)
        yield (
            (found["level"], found["source"], found["message"])
            if found
            else ("WARNING", "tap", text)
        )


def _kind(log: Iterable[bytes]) -> str | None:
    """Find what kind of error a target ended with: its log quotes rows, so no more is kept."""
    kind = None
    for line in log:
        if found := ERROR_NAME.match(line.decode(errors="replace")):
            kind = found[1]
    return kind


def _is_schema(line: bytes) -> bool:
    return bool(json.loads(line)["type"] == "SCHEMA")


def _environment(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write the tap's settings as it reads them from the environment; null counts as not set."""
    return {
        "TAP_KOMBO_LOGLEVEL": "INFO",
        **{
            f"TAP_KOMBO_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in settings.items()
            if value is not None
        },
    }
