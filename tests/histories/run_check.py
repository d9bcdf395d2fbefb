"""What is true of every run: judged by what it wrote, and by what the sandbox saw."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from itertools import product
from typing import Any

from jsonschema import Draft7Validator

from harness.tap import TapRun
from kombo_sandbox import Request
from tap_kombo.times import parse_time
from tests.histories.events import FAILS, KEY_REFUSED, PATHS, SKIPS, STREAMS

SLACK = timedelta(seconds=30)
"""How far a bookmark may stay behind the answer to a first request: whole seconds in `Date`, and
the time of that request on a machine that has much to do."""

Key = tuple[str, str]
"""A stream and an integration: what a bookmark is of."""
State = Mapping[str, Any]


@dataclass
class Read:
    """What the sandbox saw of one read in one run.

    Attributes:
        begun: What Kombo's clock said at the answer to the first request (the last one of them,
            if the read began again); None if it only went on from a cursor.
        status: Of the last answer; None if there was none.
    """

    begun: datetime | None = None
    status: int | None = None


@dataclass
class Judge:
    """Judges a run by what it wrote, and by what the sandbox saw.

    Attributes:
        before: The state that the run was given.
        seen: The requests.
        asked: The integrations that were to be read.
        lookback: How far bookmarks stay behind.
        may_be_stopped: It gets SIGTERM, unless it ends before.
    """

    run: TapRun
    before: State | None
    seen: Iterable[Request]
    asked: Iterable[str]
    lookback: timedelta
    may_be_stopped: bool

    def judge(self) -> None:
        self._judge_records()
        self._judge_states()
        self._judge_end()

    def _judge_records(self) -> None:
        """Each record is valid against the SCHEMA before it."""
        validators: dict[str, Draft7Validator] = {}
        for message in self.run.messages:
            if message["type"] == "SCHEMA":
                validators[message["stream"]] = _validator(json.dumps(message["schema"]))
            elif message["type"] == "RECORD":
                error = next(validators[message["stream"]].iter_errors(message["record"]), None)
                assert error is None, f"{message['stream']}: {error and error.message}"

    def _judge_states(self) -> None:
        """No STATE says more than was read, or less than the one before."""
        last = partitions(self.before)
        # What goes on from where it was cut off is complete once more, when it has caught up.
        resumed = {key for key, partition in last.items() if "resume" in partition}
        complete: set[Key] = set()
        for message in self.run.messages:
            if message["type"] == "RECORD":
                key = message["stream"], message["record"]["integration_id"]
                assert key not in complete, f"a record of {key} comes after its STATE"
            elif message["type"] == "STATE":
                now = partitions(message["value"])
                assert last.keys() <= now.keys(), "a bookmark is lost"
                for key, partition in now.items():
                    if bookmark_of(partition) != bookmark_of(last.get(key, {})):
                        (resumed.remove if key in resumed else complete.add)(key)
                    self._judge_partition(key, last.get(key, {}), partition)
                last = now

    def _judge_partition(self, key: Key, last: State, now: State) -> None:
        if key[1] not in self.asked:
            assert now == last, f"the bookmark of {key} moves, which was not read"
        begun = self._reads.get(key, Read()).begun
        bookmark, before = bookmark_of(now), bookmark_of(last)
        if before is not None:
            assert bookmark is not None, f"the bookmark of {key} is lost"
            assert bookmark >= before, f"the bookmark of {key} moves back"
        resume, resumed = now.get("resume"), last.get("resume")
        if resume and resume != resumed:
            started = parse_time(resume["started"])
            limit = begun or parse_time((resumed or {})["started"])
            assert started <= limit, f"the read of {key} began {limit}, and not {started}"
        if bookmark is not None and bookmark != before:
            limit = begun or parse_time(self._resume(key)["started"])
            assert bookmark <= limit, f"the read of {key} began {limit}, earlier than {bookmark}"

    def _judge_end(self) -> None:
        """Each read is complete, or has failed for a reason and left its bookmark alone."""
        statuses = {status for read in self._reads.values() if (status := read.status)}
        is_stopped = self.may_be_stopped and self.run.code == 143
        if not is_stopped:
            assert self.run.code == int(bool(statuses & FAILS)), "the exit status is wrong"
        assert self.run.states, "there is no STATE"
        if is_stopped or KEY_REFUSED in statuses:
            # A read may end anywhere; that no STATE says too much is judged already.
            return
        troubled = {key[1] for key, read in self._reads.items() if read.status in FAILS | SKIPS}
        after = partitions(self.run.state)
        before = partitions(self.before)
        for key in product(PATHS, self.asked):
            read = self._reads.get(key, Read())
            # A read that went on from a cursor has still to catch up, by a first request.
            if read.status == 200 and read.begun:
                self._judge_complete(key, before.get(key, {}), after[key])
            else:
                assert key[1] in troubled, f"{key} was not read to its end, without a reason"
                if "resume" not in before.get(key, {}):
                    assert bookmark_of(after.get(key, {})) == bookmark_of(before.get(key, {}))

    def _judge_complete(self, key: Key, before: State, after: State) -> None:
        assert "resume" not in after, f"{key} is complete, and is to go on"
        last, bookmark = bookmark_of(before), bookmark_of(after)
        begun = self._reads[key].begun
        assert bookmark is not None
        assert begun is not None
        # Where Kombo's clock leaps in a run, the tap holds on to what it said at first.
        earliest = min(begun, self._first_answered) - self.lookback - SLACK
        assert bookmark >= max(earliest, last or earliest), f"the bookmark of {key} stays behind"

    def _resume(self, key: Key) -> Mapping[str, Any]:
        resume: Mapping[str, Any] | None = partitions(self.before).get(key, {}).get("resume")
        assert resume, f"{key} was read without a first request, and without a resume point"
        return resume

    @property
    def _first_answered(self) -> datetime:
        return min(parse_time(one.answered) for one in self.seen if one.answered)

    @cached_property
    def _reads(self) -> Mapping[Key, Read]:
        reads: dict[Key, Read] = {}
        for one in self.seen:
            if one.path in STREAMS:
                read = reads.setdefault((STREAMS[one.path], one.integration_id or ""), Read())
                read.status = one.status
                if "cursor" not in one.params and one.answered:
                    read.begun = parse_time(one.answered)
        return reads


def partitions(state: State | None) -> dict[Key, dict[str, Any]]:
    partitions = {}
    for stream, bookmark in ((state or {}).get("bookmarks") or {}).items():
        for partition in bookmark["partitions"]:
            key = stream, partition["context"]["integration_id"]
            assert key not in partitions, f"{key} stands twice in a state"
            partitions[key] = partition
    return partitions


def bookmark_of(partition: State) -> datetime | None:
    value = partition.get("replication_key_value")
    return parse_time(value) if value else None


@cache
def _validator(schema: str) -> Draft7Validator:
    return Draft7Validator(json.loads(schema))
