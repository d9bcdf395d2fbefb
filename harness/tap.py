"""Run `tap-kombo`, in this process or in a separate one."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from unittest import mock

import time_machine

from harness import PROJECT
from kombo_sandbox import Sandbox
from tap_kombo import client
from tap_kombo.__main__ import main
from tap_kombo.times import format_time, parse_time

TAP = str(Path(sys.executable).with_name("tap-kombo"))

POLL_INTERVAL = 0.01
"""Seconds between two calls of `stop_when`"""

_COVERAGE = "COVERAGE_PROCESS_CONFIG"

# Coverage would measure all Python processes that tests start: the sandbox and Meltano would take
# twice as long. Only pytest-xdist's workers and the tap are measured.
MEASURED = (
    {_COVERAGE: os.environ.pop(_COVERAGE)}
    if "PYTEST_XDIST_WORKER" in os.environ and _COVERAGE in os.environ
    else {}
)
"""Environment variables that make coverage measure a process, if it measures this one"""


@dataclass(frozen=True)
class TapRun:
    """The exit status and the output of a run."""

    code: int
    stdout: bytes
    stderr: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        assert not self.stdout or self.stdout.endswith(b"\n"), "the last line is cut"
        return [json.loads(line) for line in self.stdout.splitlines()]

    @cached_property
    def records(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for message in self.messages:
            if message["type"] == "RECORD":
                found[message["stream"]].append(message["record"])
        return found

    @cached_property
    def schemas(self) -> dict[str, dict[str, Any]]:
        return {m["stream"]: m["schema"] for m in self.messages if m["type"] == "SCHEMA"}

    @cached_property
    def states(self) -> list[dict[str, Any]]:
        return [m["value"] for m in self.messages if m["type"] == "STATE"]

    @property
    def state(self) -> dict[str, Any]:
        return self.states[-1]

    @cached_property
    def log(self) -> list[str]:
        """Lines of the log without timestamps."""
        return [line.split("| ", 1)[-1] for line in self.stderr.splitlines()]

    @property
    def errors(self) -> list[str]:
        return [line.split("| ", 2)[-1].strip() for line in self.log if line.startswith("ERROR")]

    @property
    def warnings(self) -> list[str]:
        return [line.split("| ", 2)[-1].strip() for line in self.log if line.startswith("WARNING")]

    def ids(self, stream: str) -> list[str]:
        return sorted(record["id"] for record in self.records[stream])

    def partition(self, stream: str, integration_id: str) -> dict[str, Any]:
        """Return a partition of the last state; empty if it does not exist."""
        partitions = self.state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
        found: list[dict[str, Any]] = [
            p for p in partitions if p["context"] == {"integration_id": integration_id}
        ]
        assert len(found) < 2, "duplicate partitions"
        return found[0] if found else {}

    def bookmark(self, stream: str, integration_id: str) -> str | None:
        value: str | None = self.partition(stream, integration_id).get("replication_key_value")
        return value


def run_tap(
    settings: Mapping[str, Any],
    *args: str,
    state: Any = None,
    catalog: Any = None,
    env: Mapping[str, str] | None = None,
    stop_when: Callable[[], bool] | None = None,
) -> TapRun:
    """Run the command in this process: importing the SDK takes ten times as long as a short run.

    Args:
        settings: The content of the settings file.
        args: More arguments.
        state: The content of the state file, if there is one.
        catalog: The content of the catalog file, if there is one.
        env: More environment variables.
        stop_when: Called repeatedly; the run receives SIGTERM once it returns true. Before and
            after records are read, SIGTERM would end this process.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        arguments = arguments_for(Path(folder), settings, *args, state=state, catalog=catalog)
        return run_in_process(main, arguments, env, stop_when)


def run_in_process(
    command: Callable[[], None],
    arguments: Sequence[str],
    env: Mapping[str, str] | None = None,
    stop_when: Callable[[], bool] | None = None,
) -> TapRun:
    """Run the main function of a command in this process; see `run_tap` for the options."""
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stderr = io.StringIO()
    code = 0
    with (
        mock.patch.object(sys, "argv", [TAP, *arguments]),
        mock.patch.dict(os.environ, env or {}),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
        _restored_logging(),
        restored_signals(),
        _stopping(stop_when),
    ):
        try:
            command()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
    stdout.flush()
    return TapRun(code, stdout.buffer.getvalue(), stderr.getvalue())


@contextlib.contextmanager
def tap_process(
    settings: Mapping[str, Any] | None,
    *args: str,
    state: Any = None,
    catalog: Any = None,
    env: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    command: Sequence[str] = (TAP,),
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the tap in a new process during the block, and then kill it."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = arguments_for(Path(folder), settings, *args, state=state, catalog=catalog)
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **MEASURED, **(env or {})},
            cwd=folder,
            bufsize=0,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()


def arguments_for(
    folder: Path,
    settings: Mapping[str, Any] | None,
    *args: str,
    state: Any = None,
    catalog: Any = None,
) -> list[str]:
    """Write the files of a run, and return its arguments."""
    arguments = [*args]
    for name, content in (("config", settings), ("state", state), ("catalog", catalog)):
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
    return arguments


@contextlib.contextmanager
def _restored_logging() -> Iterator[None]:
    loggers = [logging.root, *map(logging.getLogger, logging.root.manager.loggerDict)]
    before = [(logger, logger.handlers[:], logger.level, logger.disabled) for logger in loggers]
    try:
        yield
    finally:
        for logger, handlers, level, is_disabled in before:
            logger.handlers[:] = handlers
            logger.setLevel(level)
            logger.disabled = is_disabled


@contextlib.contextmanager
def restored_signals() -> Iterator[None]:
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def _stopping(stop_when: Callable[[], bool] | None) -> Iterator[None]:
    """Send SIGTERM to this process once `stop_when` returns true."""
    if stop_when is None:
        yield
        return
    is_finished = threading.Event()

    def poll() -> None:
        while not is_finished.wait(POLL_INTERVAL):
            if stop_when():
                os.kill(os.getpid(), signal.SIGTERM)
                return

    thread = threading.Thread(target=poll)
    thread.start()
    try:
        yield
    finally:
        is_finished.set()
        thread.join()


def after(seconds: float) -> Callable[[], bool]:
    """Return a function that returns whether the seconds have passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@contextlib.contextmanager
def machine(clock: float, zone: str) -> Iterator[None]:
    """Change the time (seconds since 1970) and the time zone (as in `TZ`) of this process."""
    with mock.patch.dict(os.environ, {"TZ": zone}), time_machine.travel(clock, tick=True):
        time.tzset()
        yield
    time.tzset()


@contextlib.contextmanager
def quick_retries() -> Iterator[None]:
    """Make the waits between retries a thousand times shorter."""
    wait = client.wait
    with mock.patch.object(client, "wait", lambda stop, seconds: wait(stop, seconds / 1000)):
        yield


def settings_for(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    return {
        "api_key": sandbox.api_key,
        "api_url": sandbox.url,
        "integration_ids": sandbox.integration_ids,
        **settings,
    }


def catalog_with(*streams: str, deselected: Sequence[str] = ()) -> dict[str, Any]:
    """Build the catalog that `--discover` prints, with only these streams selected.

    Args:
        streams: The streams to select.
        deselected: Fields to deselect, as `stream.field` or `stream.field.nested`.
    """
    catalog: dict[str, Any] = json.loads((PROJECT / "catalog.json").read_text())
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
            field = ".".join([entry["tap_stream_id"], *item["breadcrumb"][1::2]])
            if field in deselected:
                item["metadata"]["selected"] = False
    return catalog


def entry_of(catalog: Mapping[str, Any], stream: str) -> dict[str, Any]:
    """Return the entry of a stream in a catalog."""
    entry: dict[str, Any]
    [entry] = [e for e in catalog["streams"] if e["tap_stream_id"] == stream]
    return entry


def ago(sandbox: Sandbox, **time: float) -> str:
    """Return a time before the sandbox's clock, as Kombo formats it: `ago(sandbox, days=1)`."""
    return format_time(parse_time(sandbox.clock()) - timedelta(**time))


def interrupted_state(
    stream: str, integration_id: str, cursor: str, started: str
) -> dict[str, Any]:
    """Build the state of a first sync that was interrupted; `cursor` is that of its next page."""
    resume = {"cursor": cursor, "started": started, "since": None, "page_size": 250}
    partition = {"context": {"integration_id": integration_id}, "resume": resume}
    return {"bookmarks": {stream: {"partitions": [partition]}}}


def state_with_bookmark(bookmark: str, integration_ids: Iterable[str]) -> dict[str, Any]:
    """Build a state in which the offers of these integrations have the same bookmark."""
    partitions = [
        {
            "context": {"integration_id": integration_id},
            "replication_key": "changed_at",
            "replication_key_value": bookmark,
        }
        for integration_id in integration_ids
    ]
    return {"bookmarks": {"ats_offers": {"partitions": partitions}}}


def log_config(folder: Path, **more: Any) -> str:
    """Write a logging configuration for JSON logs, and return its path."""
    path = folder / "logging.json"
    path.write_text(
        json.dumps(
            {
                "version": 1,
                "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
                "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
                "root": {"level": "INFO", "handlers": ["stderr"]},
                **more,
            }
        )
    )
    return str(path)
