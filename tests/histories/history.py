"""Histories of a Kombo and of the runs that read it.

Hypothesis puts a history together from the rules. Each run is a real process of the tap that
reads the sandbox over HTTP; the target is a model. Each run is judged. A history ends with runs
that nothing disturbs: then the target holds exactly what Kombo holds.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any

import requests
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from harness.tap import TapRun, catalog_with
from kombo_sandbox import Sandbox, SandboxError
from tap_kombo.times import format_time, parse_time
from tests.histories.events import (
    DAY,
    LASTING,
    MOST_INTEGRATIONS,
    PASSING,
    PATHS,
    CursorExpires,
    Event,
    Happens,
    Lasts,
    Passes,
    TimePasses,
    changes,
    integrations,
    operations,
    records,
    spans,
    streams,
    troubles,
)
from tests.histories.judge import Judge, Key, bookmark_of, partitions
from tests.histories.promised import as_kombo_sent_it, promised
from tests.histories.target import Target
from tests.warm_tap import Machine, Speedup, WarmTap

CATALOG = catalog_with(*PATHS)
# The others would be deselected anyway, and take a third of a run's time.
CATALOG["streams"] = [one for one in CATALOG["streams"] if one["tap_stream_id"] in PATHS]

MOST_PASSING = 4
"""In one run: one less than the tries that a request has, so that none fails by them."""
MOST_EXPIRED = 3
"""In one run: so often a read may begin again."""


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


hows = st.builds(
    How,
    page_size=st.sampled_from([1, 2, 3, 5, 7]),
    concurrency=st.integers(1, 4),
    lookback_seconds=st.sampled_from([0, 5, 60, 4000]),
    ahead=st.sampled_from([0, 300, -300, 7200, -7200, 40 * DAY, -40 * DAY]),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati"]),
    starts_before=st.sampled_from([None] * 8 + [5000, 60 * DAY]),
    state_interval=st.sampled_from([0.0, 0.0, 1.0]),
)
behaviours: dict[str, Any] = {
    "strict": st.booleans(),
    "sparse": st.booleans(),
    "order": st.sampled_from(
        ["oldest first", "shuffled", "latest change first", "latest change last"]
    ),
}


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

    # What happens to Kombo.

    @rule(operation=operations, stream=streams, integration=integrations, record=records)
    def happens(self, operation: str, stream: str, integration: int, record: int) -> None:
        if arguments := self._arguments(operation, stream, integration, record):
            # No linked record may be left that could change.
            with contextlib.suppress(SandboxError):
                self.kombo.call(operation, **arguments)

    @rule(seconds=spans)
    def time_passes(self, seconds: int) -> None:
        self.kombo.advance(seconds)

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

    @rule(how=hows, events=st.lists(changes, max_size=4))
    def run(self, how: How, events: Sequence[Event] = ()) -> None:
        self._load(self._run(how, events).stdout)

    @rule(
        how=hows,
        events=st.lists(changes, max_size=3),
        lines=st.integers(0, 50),
        part=st.sampled_from([0.0, 0.01, 0.5, 0.99]),
        keeps_unconfirmed=st.booleans(),
    )
    def run_and_cut(
        self,
        how: How,
        events: Sequence[Event] = (),
        *,
        lines: int,
        part: float,
        keeps_unconfirmed: bool,
    ) -> None:
        """Let only the first lines of a run come to the target, and part of the next line."""
        whole = self._run(how, events).stdout.splitlines(keepends=True)
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
        self.kombo.advance(how.lookback_seconds + 60)
        self.run(how)
        self.is_sound = False
        for key, partition in partitions(self.target.state).items():
            assert "resume" not in partition, f"{key} is not complete after a run without trouble"
        self._compare()
        self.is_sound = True
        again = self._run(how)
        came = {stream: len(found) for stream, found in again.records.items()}
        assert came == {}, "nothing has changed, and yet something came"
        self.is_sound = False

    @property
    def has_resume_point(self) -> bool:
        return any("resume" in one for one in partitions(self.target.state).values())

    # How a run is done, and judged.

    def _arguments(
        self, operation: str, stream: str, integration: int, record: int
    ) -> dict[str, Any] | None:
        """Choose the record; None if there is none to which this could happen."""
        integration_id = self._integration(integration)
        if operation == "add":
            return {"model": stream, "integration_id": integration_id}
        found = [
            one["id"]
            for one in self.kombo.records(stream, integration_id)
            if _can_happen(operation, one)
        ]
        return {"model": stream, "ids": [found[record % len(found)]]} if found else None

    def _run(
        self, how: How, events: Sequence[Event] = (), *, stops_after: int | None = None
    ) -> TapRun:
        self.is_sound = False
        self._plan(events)
        if stops_after is not None:
            self.kombo.fault(hang=True, skip=stops_after)
        self.lookback_seconds = how.lookback_seconds
        self.kombo.clear_requests()
        before = self.target.state
        now = parse_time(self.kombo.clock())
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
            self.start_date = format_time(now - timedelta(seconds=how.starts_before))
            settings["start_date"] = self.start_date
        run = self.tap.run(
            settings,
            catalog=CATALOG,
            state=before,
            machine=Machine(clock=now.timestamp() + how.ahead, zone=how.zone),
            speedup=Speedup(how.state_interval),
            stop_when=None if stops_after is None else self._hangs,
        )
        seen = self.kombo.requests()
        self.kombo.clear_faults()
        self.kombo.clear_schedule()
        lookback = timedelta(seconds=how.lookback_seconds)
        try:
            Judge(
                run, before, seen, self.asked, lookback, may_be_stopped=stops_after is not None
            ).judge()
        except AssertionError as error:
            error.add_note(run.stderr)
            raise
        self.is_sound = True
        return run

    def _load(self, stdout: bytes, *, keeps_unconfirmed: bool = True) -> None:
        before = partitions(self.target.state)
        self.target.load(stdout, keeps_unconfirmed=keeps_unconfirmed)
        for key, partition in partitions(self.target.state).items():
            if self.start_date and bookmark_of(partition) and not bookmark_of(before.get(key, {})):
                self.starts[key] = self.start_date

    def _hangs(self) -> bool:
        """Tell whether a request waits for an answer that does not come."""
        now = time.time()
        return any(one.ended is None and one.started < now - 0.1 for one in self.kombo.requests())

    def _plan(self, events: Sequence[Event]) -> None:
        """Tell the sandbox what is to happen in the next run."""
        passing, expired = MOST_PASSING, MOST_EXPIRED
        # The oldest fault strikes: what passes must not come after what lasts, and hide it.
        for event in sorted(events, key=lambda one: not isinstance(one, Lasts)):
            match event:
                case Happens(operation, stream, integration, record, before_request):
                    if arguments := self._arguments(operation, stream, integration, record):
                        self.kombo.schedule(operation, before_request=before_request, **arguments)
                case TimePasses(seconds, before_request):
                    self.kombo.schedule("advance", before_request=before_request, seconds=seconds)
                case Passes(what, its_stream, skip, count) if passing >= count:
                    passing -= count
                    path = PATHS[its_stream] if its_stream else None
                    self.kombo.fault(path, skip=skip, count=count, **PASSING[what])
                case CursorExpires(stream, skip) if expired:
                    expired -= 1
                    self.kombo.fault(PATHS[stream], expired_cursor=True, skip=skip, count=1)
                case Lasts(what, stream, integration, skip):
                    status, code = LASTING[what]
                    self.kombo.fault(
                        PATHS[stream],
                        integration_id=self._integration(integration),
                        status=status,
                        code=code,
                        skip=skip,
                    )

    def _integration(self, number: int) -> str:
        its_ids = self.kombo.integration_ids
        return its_ids[number % len(its_ids)]

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

    @rule(how=hows, events=st.lists(changes | troubles, max_size=4))
    def run(self, how: How, events: Sequence[Event] = ()) -> None:
        super().run(how, events)

    @rule(how=hows, events=st.lists(troubles, min_size=1, max_size=3))
    def run_in_trouble(self, how: How, events: Sequence[Event]) -> None:
        super().run(how, events)

    @rule(
        how=hows,
        events=st.lists(changes | troubles, max_size=3),
        stops_after=st.integers(3, 18),
    )
    def run_and_stop(self, how: How, events: Sequence[Event] = (), *, stops_after: int) -> None:
        """Let all requests hang after some, and end the run by SIGTERM then."""
        self._load(self._run(how, events, stops_after=stops_after).stdout)


def _can_happen(operation: str, record: Mapping[str, Any]) -> bool:
    is_anonymised = record["remote_id"] is None
    is_deleted = record["remote_deleted_at"] is not None
    return {"anonymise": not is_anonymised, "restore": is_deleted and not is_anonymised}.get(
        operation, not is_deleted
    )
