"""Histories of a Kombo and of the runs that read it, and what is true in every one of them.

Hypothesis puts a history together from the rules. Each run is a real process of the tap that
reads the sandbox over HTTP; the target is a model. After each run it is judged what the run wrote,
by what the sandbox saw. A history ends with runs that nothing disturbs: then the target holds
exactly what Kombo holds.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from itertools import product
from typing import Any

import requests
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from jsonschema import Draft7Validator

from kombo_sandbox import Request, Sandbox, SandboxError
from tap_kombo.times import read_time, write_time
from tests.histories.promised import as_kombo_sent_it, promised
from tests.histories.target import Target
from tests.histories.warm_tap import Machine, WarmTap
from tests.tap_run import TapRun, catalog_with

PATHS = {
    "ats_offers": "/ats/offers",
    "ats_applications": "/ats/applications",
    "ats_candidates": "/ats/candidates",
}
"""Three models that are nested in one another."""
STREAMS = {path: stream for stream, path in PATHS.items()}

CATALOG = catalog_with(*PATHS)
# The others would be deselected anyway, and take a third of a run's time.
CATALOG["streams"] = [one for one in CATALOG["streams"] if one["tap_stream_id"] in PATHS]

DAY = 86_400
MOST_INTEGRATIONS = 3
MOST_TROUBLES = 4
"""In one run: one less than the tries that a request has, so that none fails by them."""
MOST_EXPIRED_CURSORS = 3
"""In one run: so often a read may begin again."""
SLACK = timedelta(seconds=30)
"""How far a bookmark may stay behind the answer to a first request: whole seconds in `Date`, and
the time of that request on a machine that has much to do."""

# A lasting trouble has an HTTP status of its own, by which it is found in the log of requests: the
# tap decides by codes alone.
LASTING = {
    "a permission is missing": (422, "INTEGRATION.PERMISSION_MISSING"),
    "the tool refuses the credentials": (423, "INTEGRATION.AUTHENTICATION_INVALID"),
    "the model is switched off": (424, "INTEGRATION.MODEL_DISABLED"),
    "the first sync is pending": (425, "INTEGRATION.SETUP_SYNC_PENDING"),
    "the key is refused": (426, "PLATFORM.AUTHENTICATION_INVALID"),
    "Kombo is down": (503, None),
}
KEY_REFUSED = 426
FAILS = {422, 423, KEY_REFUSED, 503}
SKIPS = {424, 425}

HALF = '{"status":"success","data":{"next":null,"results":[{"id":"half'
PASSING: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"ratelimit-reset": "1"}},
    "429 that is over": {"status": 429, "headers": {"ratelimit-reset": "0"}},
    "the connection breaks": {"close": True},
    "the answer breaks off": {"cut_body": 0.6},
    "an answer without a body": {"cut_body": 0.0},
    "a page of HTML": {"status": 200, "body": "<html></html>", "content_type": "text/html"},
    "half of the JSON": {"status": 200, "body": HALF},
    "no results": {"status": 200, "body": '{"status":"success","data":{"next":null}}'},
    "an error with 200": {"status": 200, "body": '{"status":"error","error":{"message":"no"}}'},
}

Key = tuple[str, str]
"""A stream and an integration: what a bookmark is of."""
State = Mapping[str, Any]


@dataclass(frozen=True)
class How:
    """How the tap is run.

    Attributes:
        ahead: Seconds by which the clock of its machine is ahead of Kombo's.
        zone: The time zone of its machine.
        starts_before: Its `start_date`, in seconds before Kombo's now; None for none.
        state_interval: Seconds between STATE messages.
    """

    page_size: int = 3
    concurrency: int = 1
    lookback_seconds: int = 0
    ahead: int = 0
    zone: str = "UTC"
    starts_before: int | None = None
    state_interval: float = 0.0


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


hows = st.builds(
    How,
    page_size=st.integers(1, 7),
    concurrency=st.integers(1, 4),
    lookback_seconds=st.sampled_from([0, 5, 60, 4000]),
    ahead=st.sampled_from([0, 300, -300, 7200, -7200, 40 * DAY, -40 * DAY]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati"]),
    starts_before=st.sampled_from([None, None, None, 5000, 300 * DAY]),
    state_interval=st.sampled_from([0.0, 1.0]),
)
behaviours: dict[str, Any] = {
    "strict": st.booleans(),
    "sparse": st.booleans(),
    "order": st.sampled_from(
        ["oldest first", "shuffled", "latest change first", "latest change last"]
    ),
}
operations = st.sampled_from(
    ["change", "change_nested", "delete", "anonymise", "restore", "add", "change", "add"]
)
streams = st.sampled_from(list(PATHS))
integrations = st.integers(0, MOST_INTEGRATIONS - 1)
records = st.integers(0, 6)
places = st.integers(1, 20)
spans = st.sampled_from([1, 2, 20, 61, 90, 3600, 5000, DAY, 3 * DAY, 15 * DAY])


class History(RuleBasedStateMachine):
    """Records change, between runs and in their middle, and runs are cut off.

    Args:
        kombo: A sandbox; it is as new at the begin of each history.
        tap: Runs the tap.
    """

    def __init__(self, kombo: Sandbox, tap: WarmTap) -> None:
        super().__init__()
        kombo.reset()
        self.kombo = kombo
        self.tap = tap
        self.target = Target()
        self.asked = kombo.integration_ids
        self.lookback_seconds = 0
        self.start_date: str | None = None
        # Since when everything was asked for, where the first complete read had a `start_date`.
        self.starts: dict[Key, str] = {}
        self.is_sound = True
        self.troubles = self.expired_cursors = 0

    # What happens to Kombo.

    @rule(operation=operations, stream=streams, integration=integrations, record=records)
    def happens(self, operation: str, stream: str, integration: int, record: int) -> None:
        if arguments := self._arguments(operation, stream, integration, record):
            # No linked record may be left that could change.
            with contextlib.suppress(SandboxError):
                self.kombo.call(operation, **arguments)

    @rule(
        operation=operations,
        stream=streams,
        integration=integrations,
        record=records,
        before_request=places,
    )
    def happens_in_the_next_run(
        self, operation: str, stream: str, integration: int, record: int, before_request: int
    ) -> None:
        if arguments := self._arguments(operation, stream, integration, record):
            self.kombo.schedule(operation, before_request=before_request, **arguments)

    @rule(seconds=spans)
    def time_passes(self, seconds: int) -> None:
        self.kombo.advance(seconds)

    @rule(seconds=spans, before_request=places)
    def time_passes_in_the_next_run(self, seconds: int, before_request: int) -> None:
        self.kombo.schedule("advance", before_request=before_request, seconds=seconds)

    @initialize(**behaviours)
    def kombo_behaves_at_first(self, *, strict: bool, sparse: bool, order: str) -> None:
        self.kombo.behave(strict=strict, sparse=sparse, order=order)

    @rule(**behaviours)
    def kombo_behaves(self, *, strict: bool, sparse: bool, order: str) -> None:
        self.kombo.behave(strict=strict, sparse=sparse, order=order)

    @precondition(lambda self: len(self.kombo.integration_ids) < MOST_INTEGRATIONS)
    @rule()
    def an_integration_is_connected(self) -> None:
        self.asked.append(self.kombo.add_integration(offers=2))

    # What happens to the tap.

    @precondition(lambda self: len(self.asked) > 1)
    @rule(integration=integrations)
    def an_integration_is_left_out(self, integration: int) -> None:
        self.asked.pop(integration % len(self.asked))

    @precondition(lambda self: len(self.asked) < len(self.kombo.integration_ids))
    @rule()
    def the_integrations_left_out_are_taken_back(self) -> None:
        self.asked = self.kombo.integration_ids

    @rule(how=hows)
    def run(self, how: How) -> None:
        self._load(self._run(how).stdout)

    @rule(
        how=hows,
        lines=st.integers(0, 50),
        part=st.sampled_from([0.0, 0.01, 0.5, 0.99]),
        keeps_unconfirmed=st.booleans(),
    )
    def run_and_cut(self, how: How, lines: int, part: float, *, keeps_unconfirmed: bool) -> None:
        """Let only the first lines of a run come to the target, and part of the next line."""
        whole = self._run(how).stdout.splitlines(keepends=True)
        kept = lines % len(whole)
        next_line = whole[kept]
        cut = b"".join(whole[:kept]) + next_line[: int(part * len(next_line))]
        self._load(cut, keeps_unconfirmed=keeps_unconfirmed)

    def teardown(self) -> None:
        # What has failed already is not to be hidden behind what follows from it.
        if self.is_sound:
            self.ends_well()

    def ends_well(self) -> None:
        """Let nothing disturb the last runs, and see what has come to the target."""
        self.asked = self.kombo.integration_ids
        how = How(lookback_seconds=self.lookback_seconds, page_size=4, concurrency=2)
        self._forget_what_was_planned()
        self.kombo.advance(how.lookback_seconds + 60)
        self.run(how)
        self.is_sound = False
        for key, partition in _partitions(self.target.state).items():
            assert "resume" not in partition, f"{key} is not complete after a run without trouble"
        self._compare()
        self.is_sound = True
        again = self._run(how)
        came = {stream: len(found) for stream, found in again.records.items()}
        assert came == {}, "nothing has changed, and yet something came"
        self.is_sound = False

    @property
    def has_resume_point(self) -> bool:
        return any("resume" in one for one in _partitions(self.target.state).values())

    # How a run is done, and judged.

    def _arguments(
        self, operation: str, stream: str, integration: int, record: int
    ) -> dict[str, Any] | None:
        """Choose the record; None if there is none to which this could happen."""
        its_ids = self.kombo.integration_ids
        integration_id = its_ids[integration % len(its_ids)]
        if operation == "add":
            return {"model": stream, "integration_id": integration_id}
        found = [
            one["id"]
            for one in self.kombo.records(stream, integration_id)
            if _can_happen(operation, one)
        ]
        return {"model": stream, "ids": [found[record % len(found)]]} if found else None

    def _run(self, how: How, *, is_stopped: bool = False) -> TapRun:
        self.is_sound = False
        self.lookback_seconds = how.lookback_seconds
        self.kombo.clear_requests()
        before = self.target.state
        now = read_time(self.kombo.clock())
        settings = {
            "api_key": self.kombo.api_key,
            "api_url": self.kombo.url,
            "integration_ids": self.asked,
            "page_size": how.page_size,
            "concurrency": how.concurrency,
            "lookback_seconds": how.lookback_seconds,
        }
        self.start_date = None
        if how.starts_before is not None:
            self.start_date = write_time(now - timedelta(seconds=how.starts_before))
            settings["start_date"] = self.start_date
        run = self.tap.run(
            settings,
            catalog=CATALOG,
            state=before,
            machine=Machine(clock=now.timestamp() + how.ahead, zone=how.zone),
            state_interval=how.state_interval,
            stop_when=self._hangs if is_stopped else None,
        )
        seen = self.kombo.requests()
        self._forget_what_was_planned()
        try:
            Judge(run, before, seen, self.asked, how, is_stopped).judge()
        except AssertionError as error:
            error.add_note(run.stderr)
            raise
        self.is_sound = True
        return run

    def _load(self, stdout: bytes, *, keeps_unconfirmed: bool = True) -> None:
        before = _partitions(self.target.state)
        self.target.load(stdout, keeps_unconfirmed=keeps_unconfirmed)
        for key, partition in _partitions(self.target.state).items():
            if self.start_date and _bookmark(partition) and not _bookmark(before.get(key, {})):
                self.starts[key] = self.start_date

    def _hangs(self) -> bool:
        """Tell whether a request waits for an answer that does not come."""
        now = time.time()
        return any(one.ended is None and one.started < now - 0.1 for one in self.kombo.requests())

    def _forget_what_was_planned(self) -> None:
        self.kombo.clear_faults()
        self.kombo.clear_schedule()
        self.troubles = self.expired_cursors = 0

    def _compare(self) -> None:
        """The target holds exactly what Kombo holds."""
        for stream, integration_id in product(PATHS, self.kombo.integration_ids):
            truth = {one["id"]: one for one in self.kombo.records(stream, integration_id)}
            held = self.target.held(stream, integration_id)
            if start := self.starts.get((stream, integration_id)):
                since = self._touched_since(stream, integration_id, start)
                truth = {id_: one for id_, one in truth.items() if id_ in since}
                held = {id_: one for id_, one in held.items() if id_ in since}
            assert held.keys() == truth.keys(), f"{stream}: other records than Kombo's"
            for id_, record in truth.items():
                wanted = promised(stream, record)
                found = promised(stream, as_kombo_sent_it(held[id_]))
                differing = {
                    name: (found.get(name), wanted.get(name))
                    for name in found | wanted
                    if found.get(name) != wanted.get(name)
                }
                assert not differing, f"{stream} {id_}: found, and wanted"
                assert held[id_]["_sdc_deleted_at"] == record["remote_deleted_at"]

    def _touched_since(self, stream: str, integration_id: str, start: str) -> set[str]:
        """Ask Kombo for the ids of what `updated_after` finds."""
        answer = requests.get(
            f"{self.kombo.url}{PATHS[stream]}",
            headers={
                "Authorization": f"Bearer {self.kombo.api_key}",
                "X-Integration-Id": integration_id,
            },
            params={"updated_after": start, "include_deleted": "true", "page_size": "250"},
            timeout=60,
        )
        return {one["id"] for one in answer.json()["data"]["results"]}


class TroubledHistory(History):
    """Kombo fails now and then too, and runs are stopped."""

    @precondition(lambda self: self.troubles < MOST_TROUBLES)
    @rule(
        what=st.sampled_from(list(PASSING)),
        stream=streams | st.none(),
        skip=st.integers(0, 8),
        count=st.integers(1, 2),
    )
    def something_passes(self, what: str, stream: str | None, skip: int, count: int) -> None:
        count = min(count, MOST_TROUBLES - self.troubles)
        self.troubles += count
        path = None if stream is None else PATHS[stream]
        self.kombo.fault(path, skip=skip, count=count, **PASSING[what])

    @precondition(lambda self: self.expired_cursors < MOST_EXPIRED_CURSORS)
    @rule(stream=streams, skip=st.integers(0, 4))
    def a_cursor_expires(self, stream: str, skip: int) -> None:
        self.expired_cursors += 1
        self.kombo.fault(PATHS[stream], expired_cursor=True, skip=skip, count=1)

    @rule(
        what=st.sampled_from(list(LASTING)),
        stream=streams,
        integration=integrations,
        skip=st.integers(0, 3),
    )
    def something_lasts(self, what: str, stream: str, integration: int, skip: int) -> None:
        status, code = LASTING[what]
        its_ids = self.kombo.integration_ids
        self.kombo.fault(
            PATHS[stream],
            integration_id=its_ids[integration % len(its_ids)],
            status=status,
            code=code,
            skip=skip,
        )

    @rule(how=hows, skip=st.integers(0, 25))
    def run_and_stop(self, how: How, skip: int) -> None:
        """Let a request hang, and end the run by SIGTERM then."""
        self.kombo.fault(hang=True, skip=skip)
        self._load(self._run(how, is_stopped=True).stdout)


@dataclass
class Judge:
    """Judges a run by what it wrote, and by what the sandbox saw.

    Attributes:
        before: The state that the run was given.
        seen: The requests.
        asked: The integrations that were to be read.
        may_be_stopped: It gets SIGTERM, unless it ends before.
    """

    run: TapRun
    before: State | None
    seen: Iterable[Request]
    asked: Iterable[str]
    how: How
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
        last = _partitions(self.before)
        # What goes on from where it was cut off is complete once more, when it has caught up.
        resumed = {key for key, partition in last.items() if "resume" in partition}
        complete: set[Key] = set()
        for message in self.run.messages:
            if message["type"] == "RECORD":
                key = message["stream"], message["record"]["integration_id"]
                assert key not in complete, f"a record of {key} comes after its STATE"
            elif message["type"] == "STATE":
                now = _partitions(message["value"])
                assert last.keys() <= now.keys(), "a bookmark is lost"
                for key, partition in now.items():
                    if _bookmark(partition) != _bookmark(last.get(key, {})):
                        (resumed.remove if key in resumed else complete.add)(key)
                    self._judge_partition(key, last.get(key, {}), partition)
                last = now

    def _judge_partition(self, key: Key, last: State, now: State) -> None:
        if key[1] not in self.asked:
            assert now == last, f"the bookmark of {key} moves, which was not read"
        begun = self._reads.get(key, Read()).begun
        bookmark, before = _bookmark(now), _bookmark(last)
        if before is not None:
            assert bookmark is not None, f"the bookmark of {key} is lost"
            assert bookmark >= before, f"the bookmark of {key} moves back"
        resume, resumed = now.get("resume"), last.get("resume")
        if resume and resume != resumed:
            started = read_time(resume["started"])
            limit = begun or read_time((resumed or {})["started"])
            assert started <= limit, f"the read of {key} began {limit}, and not {started}"
        if bookmark is not None and bookmark != before:
            limit = begun or read_time(self._resume(key)["started"])
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
        after = _partitions(self.run.state)
        before = _partitions(self.before)
        for key in product(PATHS, self.asked):
            if key in self._reads and self._reads[key].status == 200:
                self._judge_complete(key, before.get(key, {}), after[key])
            else:
                assert key[1] in troubled, f"{key} was not read to its end, without a reason"
                if "resume" not in before.get(key, {}):
                    assert _bookmark(after.get(key, {})) == _bookmark(before.get(key, {}))

    def _judge_complete(self, key: Key, before: State, after: State) -> None:
        assert "resume" not in after, f"{key} is complete, and is to go on"
        lookback = timedelta(seconds=self.how.lookback_seconds)
        last, bookmark = _bookmark(before), _bookmark(after)
        begun = self._reads[key].begun
        assert bookmark is not None
        assert begun is not None, f"{key} has not caught up"
        # Where Kombo's clock leaps in a run, the tap holds on to what it said at first.
        earliest = min(begun, self._first_answered) - lookback - SLACK
        assert bookmark >= max(earliest, last or earliest), f"the bookmark of {key} stays behind"

    def _resume(self, key: Key) -> Mapping[str, Any]:
        resume: Mapping[str, Any] | None = _partitions(self.before).get(key, {}).get("resume")
        assert resume, f"{key} was read without a first request, and without a resume point"
        return resume

    @property
    def _first_answered(self) -> datetime:
        return min(read_time(one.answered) for one in self.seen if one.answered)

    @cached_property
    def _reads(self) -> Mapping[Key, Read]:
        reads: dict[Key, Read] = {}
        for one in self.seen:
            if one.path in STREAMS:
                read = reads.setdefault((STREAMS[one.path], one.integration_id or ""), Read())
                read.status = one.status
                if "cursor" not in one.params and one.answered:
                    read.begun = read_time(one.answered)
        return reads


def _can_happen(operation: str, record: Mapping[str, Any]) -> bool:
    is_anonymised = record["remote_id"] is None
    is_deleted = record["remote_deleted_at"] is not None
    return {"anonymise": not is_anonymised, "restore": is_deleted and not is_anonymised}.get(
        operation, not is_deleted
    )


def _partitions(state: State | None) -> dict[Key, dict[str, Any]]:
    partitions = {}
    for stream, bookmark in ((state or {}).get("bookmarks") or {}).items():
        for partition in bookmark["partitions"]:
            key = stream, partition["context"]["integration_id"]
            assert key not in partitions, f"{key} stands twice in a state"
            partitions[key] = partition
    return partitions


def _bookmark(partition: State) -> datetime | None:
    value = partition.get("replication_key_value")
    return read_time(value) if value else None


@cache
def _validator(schema: str) -> Draft7Validator:
    return Draft7Validator(json.loads(schema))
