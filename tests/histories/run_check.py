"""Checks of each sync: its output, and the requests that the sandbox received."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from typing import Any

from jsonschema import Draft7Validator

from harness.tap import TapRun
from kombo_sandbox import Request
from tap_kombo.times import parse_time
from tests.histories.events import FAILURES, INVALID_API_KEY, SKIPPED, STREAMS

TOLERANCE = timedelta(seconds=30)
"""How far a bookmark may be behind the first response: `Date` has whole seconds, and the tap
subtracts the duration of the request, which is long on a busy machine."""

Key = tuple[str, str]
"""A stream and an integration: a partition of the state"""
State = Mapping[str, Any]


@dataclass
class Read:
    """The requests of a sync for one stream and integration.

    Attributes:
        started: Kombo's clock at the response to the last request without a cursor; None if the
            sync only resumed from a cursor.
        status: The last response's status; None without a response.
    """

    started: datetime | None = None
    status: int | None = None


@dataclass
class RunCheck:
    """A sync, its state and settings, and the requests that the sandbox received.

    Attributes:
        run: The tap's output and exit status.
        before: The state at the start.
        requests: The requests.
        keys: The streams and integrations to read, by the settings of the tap.
        switched_off: Those whose model is switched off.
        lookback: The setting of the tap.
        may_be_stopped: Whether the tap receives SIGTERM, unless it ends earlier.
    """

    run: TapRun
    before: State | None
    requests: Iterable[Request]
    keys: Collection[Key]
    switched_off: Collection[Key]
    lookback: timedelta
    may_be_stopped: bool

    def check(self) -> None:
        self._check_records()
        self._check_states()
        self._check_end()

    def _check_records(self) -> None:
        """Each RECORD is valid against the SCHEMA before it."""
        validators: dict[str, Draft7Validator] = {}
        for message in self.run.messages:
            if message["type"] == "SCHEMA":
                validators[message["stream"]] = _validator(json.dumps(message["schema"]))
            elif message["type"] == "RECORD":
                error = next(validators[message["stream"]].iter_errors(message["record"]), None)
                assert error is None, f"{message['stream']}: {error and error.message}"

    def _check_states(self) -> None:
        """No STATE is ahead of the records before it, or behind the previous STATE."""
        previous = partitions(self.before)
        # A resumed read completes twice: from its cursor, then with the changes since.
        resumed = {key for key, partition in previous.items() if "resume" in partition}
        complete: set[Key] = set()
        for message in self.run.messages:
            if message["type"] == "RECORD":
                key = message["stream"], message["record"]["integration_id"]
                assert key not in complete, f"{key}: a RECORD after the last STATE"
            elif message["type"] == "STATE":
                current = partitions(message["value"])
                assert previous.keys() <= current.keys(), "a bookmark is missing"
                for key, partition in current.items():
                    if bookmark_of(partition) != bookmark_of(previous.get(key, {})):
                        if key in resumed:
                            resumed.remove(key)
                        else:
                            complete.add(key)
                    self._check_partition(key, previous.get(key, {}), partition)
                previous = current

    def _check_partition(self, key: Key, previous: State, current: State) -> None:
        if key not in self.keys:
            assert current == previous, f"{key}: the state of an unread stream changed"
        started = self._reads.get(key, Read()).started
        bookmark, before = bookmark_of(current), bookmark_of(previous)
        if before is not None:
            assert bookmark is not None, f"{key}: the bookmark is missing"
            assert bookmark >= before, f"{key}: the bookmark moved back"
        resume = current.get("resume")
        if resume and resume != previous.get("resume"):
            latest = started or parse_time(previous["resume"]["started"])
            assert parse_time(resume["started"]) <= latest, f"{key}: resumes after {latest}"
        if bookmark is not None and bookmark != before:
            latest = started or parse_time(partitions(self.before)[key]["resume"]["started"])
            assert bookmark <= latest, f"{key}: the bookmark is later than {latest}"
        full = current.get("full", "")
        if full != previous.get("full", ""):
            # `Date` has whole seconds.
            earlier = parse_time(previous.get("full", full)) - TOLERANCE
            assert parse_time(full) > earlier, f"{key}: the last complete read moved back"
            latest = started or parse_time(previous["resume"]["started"])
            assert parse_time(full) <= latest, f"{key}: the complete read started after {latest}"

    def _check_end(self) -> None:
        """Each read is complete, or has failed for a reason and kept its bookmark."""
        statuses = {read.status for read in self._reads.values()}
        is_stopped = self.may_be_stopped and self.run.code == 143
        if not is_stopped:
            assert self.run.code == int(bool(statuses & FAILURES)), "wrong exit status"
        assert self.run.states, "no STATE"
        if is_stopped or INVALID_API_KEY in statuses:
            # All reads end early.
            return
        self._check_results()
        failed = {key[1] for key, r in self._reads.items() if r.status in FAILURES | SKIPPED}
        before, after = partitions(self.before), partitions(self.run.state)
        for key in self.keys:
            read = self._reads.get(key, Read())
            # A resumed read is complete when it has also read the changes since it started.
            if read.status == 200 and read.started:
                self._check_complete(key, read.started, before.get(key, {}), after[key])
            else:
                has_reason = key[1] in failed or key in self.switched_off
                assert has_reason, f"{key}: not read completely, without an error"
                if "resume" not in before.get(key, {}):
                    assert bookmark_of(after.get(key, {})) == bookmark_of(before.get(key, {}))

    def _check_results(self) -> None:
        """Each read has a record of `sync_status`, with its last complete read by the state."""
        results = self.run.records["sync_status"]
        found = [(result["stream"], result["integration_id"]) for result in results]
        assert sorted(found) == sorted(self.keys), "wrong records of sync_status"
        after = partitions(self.run.state)
        for key, result in zip(found, results, strict=True):
            assert result["full_sync_started_at"] == after.get(key, {}).get("full")

    def _check_complete(self, key: Key, started: datetime, before: State, after: State) -> None:
        assert "resume" not in after, f"{key}: a complete read has a resume point"
        bookmark = bookmark_of(after)
        assert bookmark is not None
        # If Kombo's clock advances during the sync, the tap uses the first response's time.
        first_response = min(parse_time(r.answered) for r in self.requests if r.answered)
        earliest = min(started, first_response) - self.lookback - TOLERANCE
        previous = bookmark_of(before) or earliest
        assert bookmark >= max(earliest, previous), f"{key}: the bookmark is too early"

    @cached_property
    def _reads(self) -> Mapping[Key, Read]:
        reads: dict[Key, Read] = {}
        for request in self.requests:
            if request.path in STREAMS:
                key = STREAMS[request.path], request.integration_id or ""
                read = reads.setdefault(key, Read())
                read.status = request.status
                if "cursor" not in request.params and request.answered:
                    read.started = parse_time(request.answered)
        return reads


def partitions(state: State | None) -> dict[Key, dict[str, Any]]:
    """Return the partitions of a state by stream and integration."""
    found: dict[Key, dict[str, Any]] = {}
    for stream, bookmark in ((state or {}).get("bookmarks") or {}).items():
        for partition in bookmark["partitions"]:
            key = stream, partition["context"]["integration_id"]
            assert key not in found, f"{key}: two partitions in a state"
            found[key] = partition
    return found


def bookmark_of(partition: State) -> datetime | None:
    value = partition.get("replication_key_value")
    return parse_time(value) if value else None


@cache
def _validator(schema: str) -> Draft7Validator:
    return Draft7Validator(json.loads(schema))
