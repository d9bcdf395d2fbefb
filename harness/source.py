"""Run `source-kombo`, in this process or in a separate one."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from harness.tap import TapRun, arguments_for, run_in_process, tap_process
from source_kombo import cli
from source_kombo.__main__ import main
from source_kombo.messages import DELETED_AT

COMMAND = [sys.executable, "-m", "source_kombo"]

Message = dict[str, Any]


@dataclass(frozen=True)
class SourceRun(TapRun):
    """The exit status and the output of a run, also as the messages of a Singer tap.

    Attributes:
        before: The state at the start: stream -> its state.
    """

    before: Mapping[str, Any]

    @cached_property
    def airbyte(self) -> list[Message]:
        """Airbyte's messages."""
        assert not self.stdout or self.stdout.endswith(b"\n"), "the last line is cut"
        return [json.loads(line) for line in self.stdout.splitlines()]

    def of_type(self, kind: str) -> list[Message]:
        """Return the content of all messages of a type."""
        keys = {"CONNECTION_STATUS": "connectionStatus"}
        key = keys.get(kind, kind.lower())
        return [message[key] for message in self.airbyte if message["type"] == kind]

    @cached_property
    def messages(self) -> list[Message]:
        """The messages of a Singer tap with the same records and states."""
        found: list[Message] = []
        bookmarks = dict(self.before)
        for message in self.airbyte:
            match message:
                case {"type": "TRACE", "trace": {"stream_status": {"status": "STARTED"} as status}}:
                    stream = status["stream_descriptor"]["name"]
                    schema = {**discovered()[stream]["json_schema"]}
                    schema["properties"] = singer_record(schema["properties"])
                    found.append({"type": "SCHEMA", "stream": stream, "schema": schema})
                case {"type": "RECORD", "record": record}:
                    data = singer_record(record["data"])
                    found.append({"type": "RECORD", "stream": record["stream"], "record": data})
                case {"type": "STATE", "state": {"stream": state}}:
                    stream = state["stream_descriptor"]["name"]
                    bookmarks[stream] = state["stream_state"]
                    found.append({"type": "STATE", "value": {"bookmarks": dict(bookmarks)}})
        return found

    @property
    def stream_states(self) -> dict[str, Any]:
        """The last state of each stream."""
        bookmarks: dict[str, Any] = self.state["bookmarks"]
        return bookmarks

    @property
    def statuses(self) -> dict[str, str]:
        """The last status of each stream."""
        found = [t["stream_status"] for t in self.of_type("TRACE") if "stream_status" in t]
        return {status["stream_descriptor"]["name"]: status["status"] for status in found}

    @property
    def trace_errors(self) -> list[Message]:
        return [trace["error"] for trace in self.of_type("TRACE") if "error" in trace]


def singer_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the column that marks deletions."""
    return {"_sdc_deleted_at" if n == DELETED_AT else n: v for n, v in record.items()}


def run_source(
    command: str,
    settings: Mapping[str, Any] | None = None,
    *args: str,
    catalog: Any = None,
    state: Mapping[str, Any] | None = None,
    state_text: str | None = None,
    stop_when: Callable[[], bool] | None = None,
) -> SourceRun:
    """Run the command in this process.

    Args:
        command: The command: spec, check, discover or read.
        settings: The content of the settings file; None without one.
        args: More arguments.
        catalog: The content of the configured catalog, if there is one.
        state: Stream -> its state; None without one.
        state_text: The text of the state file, instead of `state`.
        stop_when: As in `run_tap`. After a signal, the exit status is negative, like that of a
            process killed by it.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        mock.patch.object(cli, "end_by_signal", _exit_as_if_by_signal),
    ):
        arguments = arguments_for(
            Path(folder), settings, command, *args, state=messages(state), catalog=catalog
        )
        if state_text is not None:
            Path("state.json").write_text(state_text)
            arguments += ["--state", "state.json"]
        run = run_in_process(main, arguments, stop_when=stop_when)
    return SourceRun(run.code, run.stdout, run.stderr, state or {})


def _exit_as_if_by_signal(signum: int) -> NoReturn:
    sys.exit(-signum)


def source_process(
    *args: str,
    settings: Mapping[str, Any] | None = None,
    catalog: Any = None,
    state: Mapping[str, Any] | None = None,
    **options: Any,
) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
    """Start the source in a new process, with the options of `tap_process`."""
    return tap_process(
        settings, *args, state=messages(state), catalog=catalog, command=COMMAND, **options
    )


def messages(states: Mapping[str, Any] | None) -> list[Message] | None:
    """Build the content of a state file.

    Args:
        states: Stream -> its state.
    """
    if states is None:
        return None
    return [
        {
            "type": "STREAM",
            "stream": {"stream_descriptor": {"name": stream}, "stream_state": state},
        }
        for stream, state in states.items()
    ]


@cache
def discovered() -> dict[str, Message]:
    """Return the streams that `discover` finds, by their names."""
    [catalog] = run_source("discover", {}).of_type("CATALOG")
    return {stream["name"]: stream for stream in catalog["streams"]}


def configured(*streams: str, sync_mode: str = "incremental", **fields: Any) -> Message:
    """Build a configured catalog.

    Args:
        streams: The streams, or none for all.
        sync_mode: The sync mode of all streams.
        fields: More fields of each configured stream.
    """
    return {
        "streams": [
            {
                "stream": copy.deepcopy(discovered()[name]),
                "sync_mode": sync_mode,
                "destination_sync_mode": "append_dedup",
                **fields,
            }
            for name in streams or discovered()
        ]
    }
