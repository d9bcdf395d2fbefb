"""Histories of a sandbox and of the syncs that read it.

Hypothesis builds a history from the rules. Each sync is a run of `tap-kombo` that reads the sandbox
over HTTP into a minimal target, and passes the checks in `run_check.py` and `current_rows.py`. A
history ends with syncs without errors, after which the target holds exactly the records of the
sandbox, and those that are not deleted are current.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from typing import Any, ClassVar
from unittest import mock

import time_machine
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from harness import PROJECT
from harness.comparison import changed_records, expected_record, tables
from harness.tap import TapRun, catalog_with, machine, quick_retries, run_tap, settings_for
from kombo_sandbox import Sandbox, SandboxError
from tap_kombo import writer
from tap_kombo.times import format_time, parse_time
from tests.histories.current_rows import CurrentRows
from tests.histories.events import (
    DAY,
    MAX_INTEGRATIONS,
    PATHS,
    PERSISTENT_ERRORS,
    READ_WITH,
    TRANSIENT_ERRORS,
    ClockAdvance,
    Event,
    ExpiredCursor,
    PersistentError,
    RecordChange,
    TransientError,
    changes,
    durations,
    errors,
    integrations,
    operations,
    records,
    streams,
    switches,
)
from tests.histories.run_check import Key, RunCheck, bookmark_of, partitions
from tests.histories.stale_copies import without_stale_copies
from tests.histories.target import Target

TABLES = {table.name: table for table in tables(PROJECT / "catalog.json")}

SELECTED = (*PATHS, "sync_status")
CATALOG = catalog_with(*SELECTED)
# Deselected streams would take a third of a sync's time.
CATALOG["streams"] = [entry for entry in CATALOG["streams"] if entry["tap_stream_id"] in SELECTED]

MAX_TRANSIENT_ERRORS = 4
"""Per sync: one less than the tap's attempts, so that none becomes persistent"""
MAX_EXPIRED_CURSORS = 3
"""Per sync: as often as the tap restarts a read"""


@dataclass(frozen=True)
class RunOptions:
    """Settings and environment of a sync.

    Attributes:
        clock_offset: Seconds by which this machine's clock is ahead of Kombo's.
        time_zone: The time zone of this machine.
        start_date_age: The setting `start_date`, in seconds before Kombo's time; None for none.
        state_interval: Seconds between STATE messages.
        full_refresh_interval_days: The setting.
        changed_models: The setting, as models and the numbers of their integrations; None for none.
    """

    page_size: int = 3
    concurrency: int = 1
    lookback_seconds: int = 0
    clock_offset: int = 0
    time_zone: str = "UTC"
    start_date_age: int | None = None
    state_interval: float = 0.0
    full_refresh_interval_days: int = 0
    changed_models: frozenset[tuple[str, int]] | None = None


run_options = st.builds(
    RunOptions,
    page_size=st.sampled_from([1, 2, 3, 5, 7]),
    concurrency=st.integers(1, 4),
    lookback_seconds=st.sampled_from([0, 5, 60, 4000]),
    clock_offset=st.sampled_from([0, 300, -300, 7200, -7200, 40 * DAY, -40 * DAY]),
    time_zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York", "Pacific/Kiritimati"]),
    start_date_age=st.sampled_from([None] * 8 + [5000, 60 * DAY]),
    state_interval=st.sampled_from([0.0, 0.0, 1.0]),
    full_refresh_interval_days=st.sampled_from([0, 0, 1, 7]),
    changed_models=st.none()
    | st.none()
    | st.frozensets(st.tuples(streams, integrations), max_size=3),
)
behaviors: dict[str, Any] = {
    "strict": st.booleans(),
    "sparse": st.booleans(),
    "order": st.sampled_from(
        ["oldest first", "shuffled", "latest change first", "latest change last"]
    ),
}


class History(RuleBasedStateMachine):
    """Records change during and between syncs, some of which are killed.

    Args:
        sandbox: The sandbox; it is reset.
    """

    target_class: ClassVar[type[Target]] = Target

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__()
        sandbox.reset()
        self.sandbox = sandbox
        self.target = self.target_class()
        self.current_rows = CurrentRows(sandbox, self.target)
        # The models that are switched off, and the property of the integration that says so
        self.switched_off: dict[Key, str] = {}
        self.integration_ids = sandbox.integration_ids
        self.lookback_seconds = 0
        self.start_date: str | None = None
        self.has_changes = False
        # The `start_date` of each partition's first complete read: older changes are not synced.
        self.start_dates: dict[Key, str] = {}
        self.has_failed = False

    # Changes in Kombo

    @rule(operation=operations, stream=streams, integration=integrations, record=records)
    def change_record(self, operation: str, stream: str, integration: int, record: int) -> None:
        if arguments := self._arguments(operation, stream, integration, record):
            # The record may have no nested record that can change.
            with contextlib.suppress(SandboxError):
                self._note_change(operation, self.sandbox.call(operation, **arguments))

    @rule(seconds=durations)
    def advance_clock(self, seconds: int) -> None:
        self.sandbox.advance(seconds)

    @initialize(**behaviors)
    def set_initial_behavior(self, *, strict: bool, sparse: bool, order: str) -> None:
        self.sandbox.set_listing(strict=strict, sparse=sparse, order=order)

    @rule(**behaviors)
    def set_behavior(self, *, strict: bool, sparse: bool, order: str) -> None:
        self.sandbox.set_listing(strict=strict, sparse=sparse, order=order)

    @precondition(lambda self: len(self.sandbox.integration_ids) < MAX_INTEGRATIONS)
    @rule()
    def connect_integration(self) -> None:
        self.integration_ids.append(self.sandbox.add_integration(offers=2))

    @rule(stream=streams, integration=integrations, switch=switches)
    def switch_model(self, stream: str, integration: int, switch: str) -> None:
        """Switch a model off, or on again."""
        key = stream, self._integration(integration)
        if not self.switched_off.pop(key, None):
            self.switched_off[key] = switch
        self._set_models(key[1])

    @rule(integration=integrations, expired=st.booleans())
    def expire_data(self, integration: int, *, expired: bool) -> None:
        """Let an integration's data expire, or Kombo sync it again."""
        self.sandbox.set_integration(
            self._integration(integration),
            data_expired_at=self.sandbox.clock() if expired else None,
        )

    # Changes of the settings, and syncs

    @precondition(lambda self: len(self.integration_ids) > 1)
    @rule(integration=integrations)
    def remove_integration(self, integration: int) -> None:
        self.integration_ids.pop(integration % len(self.integration_ids))

    @precondition(lambda self: len(self.integration_ids) < len(self.sandbox.integration_ids))
    @rule()
    def restore_integrations(self) -> None:
        self.integration_ids = self.sandbox.integration_ids

    @rule(options=run_options, events=st.lists(changes, max_size=4))
    def sync(self, options: RunOptions, events: Sequence[Event] = ()) -> None:
        self._load(self._run(options, events).stdout)

    @rule(
        options=run_options,
        events=st.lists(changes, max_size=3),
        lines=st.integers(0, 50),
        fraction=st.sampled_from([0.0, 0.01, 0.5, 0.99]),
        keep_unconfirmed=st.booleans(),
    )
    def sync_and_kill(
        self,
        options: RunOptions,
        events: Sequence[Event] = (),
        *,
        lines: int,
        fraction: float,
        keep_unconfirmed: bool,
    ) -> None:
        """Load only some lines of the tap's output, and a fraction of the next line."""
        output = self._run(options, events).stdout.splitlines(keepends=True)
        lines %= len(output)
        last_line = output[lines][: int(fraction * len(output[lines]))]
        self._load(b"".join(output[:lines]) + last_line, keep_unconfirmed=keep_unconfirmed)

    def teardown(self) -> None:
        # A second failure would hide the first.
        if not self.has_failed:
            self.finish()

    def finish(self) -> None:
        """Sync without errors, compare the target with the sandbox, and sync nothing again.

        After a full refresh, exactly the records that are not deleted are current.
        """
        self.integration_ids = self.sandbox.integration_ids
        self.switched_off.clear()
        for integration_id in self.integration_ids:
            self._set_models(integration_id)
            self.sandbox.set_integration(integration_id, data_expired_at=None)
        options = RunOptions(lookback_seconds=self.lookback_seconds, page_size=4, concurrency=2)
        self.sandbox.advance(options.lookback_seconds + 60)
        self.sync(options)
        self.has_failed = True
        for key, partition in partitions(self.target.state).items():
            assert "resume" not in partition, f"{key}: not complete after a sync without errors"
        self._compare()
        self.has_failed = False
        records = self._run(options).records
        emitted = {stream: len(records[stream]) for stream in PATHS if records[stream]}
        self.has_failed = bool(emitted)
        assert not emitted, "a sync without changes emits records"
        self.target.state = None
        self.sync(options)
        self.has_failed = True
        self.current_rows.check_all()
        self.has_failed = False

    @property
    def has_resume_point(self) -> bool:
        return any("resume" in partition for partition in partitions(self.target.state).values())

    def _arguments(
        self, operation: str, stream: str, integration: int, record: int
    ) -> dict[str, Any] | None:
        """Return the arguments of an operation; None if no record is in the right condition."""
        integration_id = self._integration(integration)
        if (stream, integration_id) in self.switched_off:
            return None
        if operation == "add":
            return {"model": stream, "integration_id": integration_id}
        ids = [
            found["id"]
            for found in self.sandbox.records(stream, integration_id)
            if _is_possible(operation, found)
        ]
        return {"model": stream, "ids": [ids[record % len(ids)]]} if ids else None

    def _run(
        self, options: RunOptions, events: Sequence[Event] = (), *, stop_after: int | None = None
    ) -> TapRun:
        """Run the tap, and check its output.

        Args:
            options: Settings and environment.
            events: Changes and errors during the run.
            stop_after: The number of requests after which all hang, and the tap receives SIGTERM.
        """
        self.has_failed = True
        self._schedule(events)
        if stop_after is not None:
            self.sandbox.fault(hang=True, skip=stop_after)
        self.sandbox.clear_requests()
        self.current_rows.sync_starts()
        before = self.target.state
        now = parse_time(self.sandbox.clock())
        self.lookback_seconds = options.lookback_seconds
        settings = settings_for(
            self.sandbox,
            integration_ids=self.integration_ids,
            page_size=options.page_size,
            concurrency=options.concurrency,
            lookback_seconds=options.lookback_seconds,
            full_refresh_interval_days=options.full_refresh_interval_days,
        )
        keys = set(product(PATHS, self.integration_ids))
        if options.changed_models is not None:
            changed = self._changed_models(options.changed_models)
            settings["changed_models"] = changed
            keys &= {(s, i) for i, models in changed.items() for m in models for s in READ_WITH[m]}
        self.start_date = None
        if options.start_date_age is not None:
            self.start_date = format_time(now - timedelta(seconds=options.start_date_age))
            settings["start_date"] = self.start_date
        with (
            machine(now.timestamp() + options.clock_offset, options.time_zone),
            mock.patch.object(writer, "STATE_INTERVAL", options.state_interval),
            quick_retries(),
        ):
            run = self._run_command(
                settings, before, None if stop_after is None else self._is_hanging
            )
        check = RunCheck(
            run,
            before,
            self.sandbox.requests(),
            keys,
            self.switched_off,
            timedelta(seconds=options.lookback_seconds),
            may_be_stopped=stop_after is not None,
        )
        changes = [c for c in self.sandbox.scheduled_results() if c.operation != "advance"]
        self.has_changes = bool(changes)
        for change in changes:
            self._note_change(change.operation, change.result)
        self.sandbox.clear_faults()
        self.sandbox.clear_schedule()
        try:
            check.check()
        except AssertionError as error:
            error.add_note(run.stderr)
            raise
        self.has_failed = False
        return run

    def _run_command(
        self, settings: dict[str, Any], state: Any, stop_when: Callable[[], bool] | None
    ) -> TapRun:
        return run_tap(settings, catalog=CATALOG, state=state, stop_when=stop_when)

    def _load(self, stdout: bytes, *, keep_unconfirmed: bool = True) -> None:
        before = partitions(self.target.state)
        results = self.target.load(stdout, keep_unconfirmed=keep_unconfirmed)
        for key, partition in partitions(self.target.state).items():
            if self.start_date and bookmark_of(partition) and not bookmark_of(before.get(key, {})):
                self.start_dates[key] = self.start_date
        self.has_failed = True
        self.current_rows.check(
            results,
            has_changes=self.has_changes,
            has_start_date=self.start_date is not None,
        )
        self.has_failed = False

    def _is_hanging(self) -> bool:
        """Return whether a request has had no response for a while."""
        latest = time_machine.escape_hatch.time.time() - 0.1
        return any(r.ended is None and r.started < latest for r in self.sandbox.requests())

    def _schedule(self, events: Sequence[Event]) -> None:
        """Schedule the events of the next sync in the sandbox."""
        transient_errors, expired_cursors = MAX_TRANSIENT_ERRORS, MAX_EXPIRED_CURSORS
        # The sandbox applies the oldest fault; a transient error must not hide a persistent one.
        for event in sorted(events, key=lambda event: not isinstance(event, PersistentError)):
            match event:
                case RecordChange(operation, stream, integration, record, before_request):
                    if arguments := self._arguments(operation, stream, integration, record):
                        self.sandbox.schedule(operation, before_request=before_request, **arguments)
                case ClockAdvance(seconds, before_request):
                    self.sandbox.schedule("advance", before_request=before_request, seconds=seconds)
                case TransientError(name, failing, skip, count) if transient_errors >= count:
                    transient_errors -= count
                    path = PATHS[failing] if failing else None
                    self.sandbox.fault(path, skip=skip, count=count, **TRANSIENT_ERRORS[name])
                case ExpiredCursor(stream, skip) if expired_cursors:
                    expired_cursors -= 1
                    self.sandbox.fault(PATHS[stream], expired_cursor=True, skip=skip, count=1)
                case PersistentError(name, stream, integration, skip):
                    status, code = PERSISTENT_ERRORS[name]
                    self.sandbox.fault(
                        PATHS[stream],
                        integration_id=self._integration(integration),
                        status=status,
                        code=code,
                        skip=skip,
                    )

    def _note_change(self, operation: str, ids: Sequence[str] | None) -> None:
        if operation == "forget":
            self.current_rows.forgotten |= dict.fromkeys(ids or (), self.sandbox.clock())

    def _set_models(self, integration_id: str) -> None:
        """Switch the models of an integration off or on."""
        models: dict[str, list[str]] = {"disabled_models": [], "unavailable_models": []}
        for (stream, its_integration_id), switch in self.switched_off.items():
            if its_integration_id == integration_id:
                models[switch].append(stream)
        self.sandbox.call("set_integration", integration_id=integration_id, **models)

    def _changed_models(self, changes: Iterable[tuple[str, int]]) -> Mapping[str, list[str]]:
        """Return a value of the setting `changed_models`."""
        changed: dict[str, list[str]] = defaultdict(list)
        for model, integration in sorted(changes):
            changed[self._integration(integration)].append(model)
        return changed

    def _integration(self, number: int) -> str:
        integration_ids = self.sandbox.integration_ids
        return integration_ids[number % len(integration_ids)]

    def _compare(self) -> None:
        """Compare the target's rows with the sandbox's records."""
        for stream, integration_id in product(PATHS, self.sandbox.integration_ids):
            expected = {
                record["id"]: expected_record(TABLES[stream], record, integration_id)
                for record in self.sandbox.records(stream, integration_id)
            }
            rows = self.target.rows_of(stream, integration_id)
            for id_ in self.current_rows.forgotten:
                rows.pop(id_, None)
            if start_date := self.start_dates.get((stream, integration_id)):
                changed = changed_records(self.sandbox, PATHS[stream], integration_id, start_date)
                ids = {record["id"] for record in changed}
                expected = {id_: record for id_, record in expected.items() if id_ in ids}
                rows = {id_: row for id_, row in rows.items() if id_ in ids}
            assert rows.keys() == expected.keys(), f"{stream}: missing or additional rows"
            for id_, record in expected.items():
                wanted = without_stale_copies(stream, record, self.current_rows.forgotten)
                found = without_stale_copies(stream, rows[id_], self.current_rows.forgotten)
                differences = {
                    name: (found.get(name), wanted.get(name))
                    for name in found | wanted
                    if found.get(name) != wanted.get(name)
                }
                assert not differences, f"{stream} {id_}: (found, expected)"


class HistoryWithErrors(History):
    """Requests fail, too, and some syncs receive SIGTERM."""

    @rule(options=run_options, events=st.lists(changes | errors, max_size=4))
    def sync(self, options: RunOptions, events: Sequence[Event] = ()) -> None:
        super().sync(options, events)

    @rule(options=run_options, events=st.lists(errors, min_size=1, max_size=3))
    def sync_with_errors(self, options: RunOptions, events: Sequence[Event]) -> None:
        super().sync(options, events)

    @rule(
        options=run_options,
        events=st.lists(changes | errors, max_size=3),
        stop_after=st.integers(3, 18),
    )
    def sync_and_stop(
        self, options: RunOptions, events: Sequence[Event] = (), *, stop_after: int
    ) -> None:
        """Let all requests hang after some, then send SIGTERM."""
        self._load(self._run(options, events, stop_after=stop_after).stdout)


def _is_possible(operation: str, record: Mapping[str, Any]) -> bool:
    is_anonymized = record["remote_id"] is None
    is_deleted = record["remote_deleted_at"] is not None
    match operation:
        case "anonymize":
            return not is_anonymized
        case "restore":
            return is_deleted and not is_anonymized
        case "forget":
            return True
        case _:
            return not is_deleted
