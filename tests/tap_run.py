"""Runs of the real `tap-kombo` command."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.measured import MEASURED
from tests.tap_output import TapRun
from tests.warm_tap import Speedup, WarmTap, arguments_for

if TYPE_CHECKING:
    from kombo_sandbox import Sandbox

__all__ = [
    "Speedup",
    "TapRun",
    "catalog_with",
    "interrupted_state",
    "run_tap",
    "settings_for",
    "state_with_bookmark",
    "tap_process",
]

TAP = str(Path(sys.executable).with_name("tap-kombo"))


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
    path = Path(__file__).parents[1] / "catalog.json"
    catalog: dict[str, Any] = json.loads(path.read_text())
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
            field = ".".join([entry["tap_stream_id"], *item["breadcrumb"][1::2]])
            if field in deselected:
                item["metadata"]["selected"] = False
    return catalog


@contextlib.contextmanager
def tap_process(
    settings: Mapping[str, Any],
    *args: str,
    state: Any = None,
    catalog: Any = None,
    env: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command in a new process, which is killed when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = arguments_for(Path(folder), settings, *args, state=state, catalog=catalog)
        process = subprocess.Popen(
            [TAP, *arguments],
            stdout=stdout,
            stderr=subprocess.PIPE,
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


def run_tap(
    settings: Mapping[str, Any],
    *args: str,
    state: Any = None,
    catalog: Any = None,
    env: Mapping[str, str] | None = None,
    speedup: Speedup | None = None,
    timeout: float = 120,
    stop_after: float | None = None,
) -> TapRun:
    """Run the tap to its end.

    With `env`, the run is a new process. Without, it is a fork of a process that has imported the
    tap, which takes most of the time of a short run.

    Args:
        settings: The content of the settings file.
        args: More arguments.
        state: The content of the state file, if there is one.
        catalog: The content of the catalog file, if there is one.
        env: Environment variables of the run.
        speedup: How much shorter than usual the tap waits; only without `env`.
        timeout: Seconds after which the run counts as hung.
        stop_after: Seconds after which the run receives SIGTERM; only without `env`. If many cases
            share a run, one that hangs does not fail the others.
    """
    if env is None:
        return warm_tap().run(
            settings,
            *args,
            state=state,
            catalog=catalog,
            speedup=speedup,
            timeout=timeout,
            stop_when=None if stop_after is None else deadline(stop_after),
        )
    with tap_process(settings, *args, state=state, catalog=catalog, env=env) as process:
        stdout, stderr = process.communicate(timeout=timeout)
    return TapRun(process.returncode, stdout, stderr.decode())


def deadline(seconds: float) -> Callable[[], bool]:
    """Return a function that returns whether the seconds have passed."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@cache
def warm_tap() -> WarmTap:
    warm = WarmTap(MEASURED)
    atexit.register(warm.stop)
    return warm


def interrupted_state(
    stream: str, integration_id: str, cursor: str, started: str
) -> dict[str, Any]:
    """Build the state of a first sync that was interrupted before the page at a cursor."""
    resume = {"cursor": cursor, "started": started, "since": None}
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
