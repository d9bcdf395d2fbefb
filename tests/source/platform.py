"""Checks that Airbyte's platform makes, and some that destinations rely on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from airbyte_protocol.models import AirbyteMessage, AirbyteStateBlob
from jsonschema import Draft7Validator
from pydantic import BaseModel

from harness.source import Message, SourceRun

ORDER = ["transient_error", "system_error", "config_error"]


def check_messages(run: SourceRun) -> None:
    """Check that standard output only has messages of the protocol, without unknown fields."""
    assert run.stderr == ""
    for line in run.stdout.splitlines():
        message = AirbyteMessage.model_validate_json(line, strict=True)
        assert not list(_unknown_fields(message)), line


def _unknown_fields(model: BaseModel) -> Iterable[str]:
    if isinstance(model, AirbyteStateBlob):  # has the source's own fields
        return
    yield from model.model_extra or ()
    for value in vars(model).values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, BaseModel):
                yield from _unknown_fields(item)


class Platform:
    """Replays the messages of a read, and keeps the counts, statuses and states.

    Args:
        catalog: The configured catalog.
    """

    def __init__(self, catalog: Message) -> None:
        streams = [configured["stream"] for configured in catalog["streams"]]
        self._validators = {s["name"]: Draft7Validator(s["json_schema"]) for s in streams}
        self._fields = {s["name"]: set(s["json_schema"].get("properties", {})) for s in streams}
        self._keys = {s["name"]: s.get("source_defined_primary_key", []) for s in streams}
        self._statuses: dict[str, list[str]] = defaultdict(list)
        self._records: dict[str, int] = defaultdict(int)
        self._stateless: dict[str, int] = defaultdict(int)
        self._states: dict[str, dict[str, int]] = defaultdict(dict)
        self._emitted_at: dict[tuple[str, ...], int] = {}
        self._errors: list[str] = []

    def replay(self, run: SourceRun) -> None:
        check_messages(run)
        for message in run.airbyte:
            match message:
                case {"type": "RECORD", "record": record}:
                    self._record(record)
                case {"type": "STATE", "state": state}:
                    self._state(state)
                case {"type": "TRACE", "trace": {"type": "ERROR", "error": error}}:
                    self._errors.append(error["failure_type"])
                case {"type": "TRACE", "trace": {"stream_status": status}}:
                    self._status(status["stream_descriptor"]["name"], status["status"])
        self._check_end(run.code)

    def _record(self, record: Message) -> None:
        stream = record["stream"]
        self._check_open(stream)
        assert self._statuses[stream][-1] == "RUNNING"
        error = next(self._validators[stream].iter_errors(record["data"]), None)
        assert error is None, f"{stream}: {error and error.message}"
        if fields := self._fields[stream]:
            assert set(record["data"]) == fields
        if keys := self._keys[stream]:
            key = (stream, *(str(record["data"][name]) for [name] in keys))
            assert record["emitted_at"] > self._emitted_at.get(key, 0), "a destination has a tie"
            self._emitted_at[key] = record["emitted_at"]
        self._records[stream] += 1
        self._stateless[stream] += 1

    def _state(self, state: Message) -> None:
        assert state["type"] == "STREAM"
        stream = state["stream"]["stream_descriptor"]["name"]
        self._check_open(stream)
        count = state["sourceStats"]["recordCount"]
        assert isinstance(count, float)
        assert count == self._stateless.pop(stream, 0), f"{stream}: wrong number of records"
        text = json.dumps(state["stream"]["stream_state"], sort_keys=True)
        records = self._states[stream].setdefault(text, self._records[stream])
        assert records == self._records[stream], f"{stream}: the same state after other records"

    def _status(self, stream: str, status: str) -> None:
        assert stream in self._validators, f"{stream} is not configured"
        before = self._statuses[stream]
        match status:
            case "STARTED":
                assert before == []
            case "RUNNING":
                assert before == ["STARTED"]
            case _:
                self._check_open(stream)
                assert self._states[stream], f"{stream}: no state"
                assert not self._stateless.get(stream), f"{stream}: records after the last state"
        before.append(status)

    def _check_open(self, stream: str) -> None:
        assert self._statuses[stream], f"{stream} is not started"
        assert self._statuses[stream][-1] in {"STARTED", "RUNNING"}, f"{stream} has ended"

    def _check_end(self, code: int) -> None:
        last = {stream: statuses[-1] for stream, statuses in self._statuses.items()}
        if code == 0:
            assert last == dict.fromkeys(self._validators, "COMPLETE")
        assert set(last.values()) <= {"COMPLETE", "INCOMPLETE"}
        assert (code == 0) or self._errors or code < 0, "a failure without an error"
        assert self._errors == sorted(self._errors, key=ORDER.index)


def data(run: SourceRun, stream: str) -> list[dict[str, Any]]:
    """Return the records of a stream, with Airbyte's names of columns."""
    return [r["data"] for r in run.of_type("RECORD") if r["stream"] == stream]
