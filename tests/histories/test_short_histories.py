"""The shortest histories that detect deliberate bugs in the tap."""

from __future__ import annotations

import pytest

from kombo_sandbox import Sandbox
from tests.histories.events import (
    DAY,
    PERSISTENT_ERRORS,
    ClockAdvance,
    ExpiredCursor,
    PersistentError,
    RecordChange,
    TransientError,
)
from tests.histories.history import HistoryWithErrors, RunOptions


@pytest.fixture
def history(small_sandbox: Sandbox) -> HistoryWithErrors:
    return HistoryWithErrors(small_sandbox)


def set_order(history: HistoryWithErrors, order: str) -> None:
    history.set_behavior(strict=False, sparse=False, order=order)


def change_applications(history: HistoryWithErrors) -> None:
    for record in range(6):
        history.change_record("change", "ats_applications", integration=0, record=record)


def test_empty_page_in_the_middle_of_a_read(history: HistoryWithErrors) -> None:
    history.set_behavior(strict=False, sparse=True, order="oldest first")
    history.sync(RunOptions())
    history.advance_clock(60)
    history.change_record("change", "ats_applications", integration=0, record=5)
    history.sync(RunOptions(page_size=2))
    history.finish()


def test_unread_record_moves_to_a_page_already_read(history: HistoryWithErrors) -> None:
    set_order(history, "latest change first")
    integration_id = history.sandbox.integration_ids[0]
    last = min(
        history.sandbox.records("ats_offers", integration_id, include_deleted=False),
        key=lambda offer: str(offer["changed_at"]),
    )
    history.sandbox.schedule("change", before_request=2, model="ats_offers", ids=[last["id"]])
    history.sync(RunOptions(page_size=1))
    history.finish()


def test_record_changes_between_its_page_and_the_end_of_the_read(
    history: HistoryWithErrors,
) -> None:
    changed = [RecordChange("change", "ats_applications", 0, record, 4) for record in range(3)]
    history.sync(RunOptions(page_size=2), [ClockAdvance(20, 2), *changed, ClockAdvance(20, 5)])
    history.finish()


@pytest.mark.parametrize("keep_unconfirmed", [True, False])
@pytest.mark.parametrize("lines", [4, 5, 6, 8, 11])
def test_records_change_before_a_killed_sync_is_resumed(
    history: HistoryWithErrors, lines: int, *, keep_unconfirmed: bool
) -> None:
    history.sync_and_kill(
        RunOptions(page_size=2), lines=lines, fraction=0.5, keep_unconfirmed=keep_unconfirmed
    )
    history.advance_clock(3600)
    change_applications(history)
    history.sync(RunOptions())
    history.finish()


def test_killed_read_with_a_start_date_is_not_resumed_without(history: HistoryWithErrors) -> None:
    set_order(history, "latest change last")
    options = RunOptions(page_size=1, start_date_age=60 * DAY)
    for lines in range(4, 14):
        history.sync_and_kill(options, lines=lines, fraction=0.0, keep_unconfirmed=True)
        if history.has_resume_point:
            break
    assert history.has_resume_point
    history.sync(RunOptions())
    history.finish()


def test_start_date_is_later_than_an_old_bookmark(history: HistoryWithErrors) -> None:
    history.sync(RunOptions())
    history.advance_clock(60)
    history.change_record("change", "ats_applications", integration=0, record=0)
    history.advance_clock(15 * DAY)
    history.sync(RunOptions(start_date_age=5000))
    history.finish()


def test_record_of_a_killed_sync_is_deleted_before_the_start_date(
    history: HistoryWithErrors,
) -> None:
    # The target loads all records, but receives no STATE.
    history.sync_and_kill(
        RunOptions(state_interval=3600.0), lines=-1, fraction=0.0, keep_unconfirmed=True
    )
    assert history.target.rows
    assert history.target.state is None
    history.change_record("delete", "ats_candidates", integration=0, record=0)
    history.advance_clock(DAY // 2)
    history.sync(RunOptions(start_date_age=5000))
    history.finish()


def test_cursor_expires_after_a_change_of_its_records(history: HistoryWithErrors) -> None:
    expired = ExpiredCursor("ats_applications", 1)
    changed = RecordChange("change", "ats_applications", 0, 0, 3)
    history.sync(RunOptions(page_size=1), [expired, changed])
    history.finish()


@pytest.mark.parametrize("error", PERSISTENT_ERRORS)
def test_first_read_fails_after_its_first_page(history: HistoryWithErrors, error: str) -> None:
    history.sync(RunOptions(page_size=2), [PersistentError(error, "ats_applications", 0, 1)])
    history.finish()


@pytest.mark.parametrize("error", PERSISTENT_ERRORS)
def test_incremental_read_fails_after_its_first_page(
    history: HistoryWithErrors, error: str
) -> None:
    history.sync(RunOptions())
    history.advance_clock(3600)
    change_applications(history)
    history.sync(RunOptions(page_size=2), [PersistentError(error, "ats_applications", 0, 1)])
    history.finish()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_failing_integration_does_not_affect_another(
    history: HistoryWithErrors, concurrency: int
) -> None:
    for integration in range(2):
        error = PersistentError(
            "invalid credentials of the tool", "ats_applications", integration, 0
        )
        history.sync(RunOptions(concurrency=concurrency), [error])
    history.finish()


def test_persistent_error_ends_a_read_with_transient_errors(history: HistoryWithErrors) -> None:
    transient = TransientError("truncated JSON", "ats_offers", skip=4, count=2)
    persistent = PersistentError("outage", "ats_offers", 0, skip=0)
    history.sync(RunOptions(page_size=1), [transient, persistent])
    history.finish()


@pytest.mark.parametrize("clock_offset", [40 * DAY, -40 * DAY])
def test_clock_of_the_machine_is_wrong(history: HistoryWithErrors, clock_offset: int) -> None:
    history.sync(RunOptions(clock_offset=clock_offset, time_zone="Pacific/Kiritimati"))
    history.change_record("change", "ats_offers", integration=0, record=0)
    history.sync(RunOptions(clock_offset=-clock_offset, time_zone="America/New_York"))
    history.finish()


def test_integration_is_removed_and_added_again(history: HistoryWithErrors) -> None:
    history.sync(RunOptions())
    history.remove_integration(0)
    history.change_record("delete", "ats_offers", integration=0, record=0)
    history.sync(RunOptions())
    history.restore_integrations()
    history.finish()


@pytest.mark.parametrize("keep_unconfirmed", [True, False])
@pytest.mark.parametrize("lines", [8, 14])
def test_complete_read_is_killed(
    history: HistoryWithErrors, lines: int, *, keep_unconfirmed: bool
) -> None:
    history.sync(RunOptions())
    history.change_record("forget", "ats_offers", integration=0, record=0)
    history.advance_clock(2 * DAY)
    options = RunOptions(page_size=1, full_refresh_interval_days=1)
    history.sync_and_kill(options, lines=lines, fraction=0.5, keep_unconfirmed=keep_unconfirmed)
    history.advance_clock(60)
    history.sync(options)
    history.current_rows.check_all()
    history.finish()


def test_deleted_record_is_restored(history: HistoryWithErrors) -> None:
    history.sync(RunOptions())
    for operation in ("delete", "restore"):
        history.change_record(operation, "ats_offers", integration=0, record=0)
        history.sync(RunOptions())
        history.current_rows.check_all()
    history.finish()


def test_model_is_switched_off_and_on(history: HistoryWithErrors) -> None:
    history.sync(RunOptions())
    for _ in range(2):
        history.switch_model("ats_offers", 0, "disabled_models")
        history.sync(RunOptions())
        history.current_rows.check_all()
    history.finish()


def test_model_is_unavailable_while_a_record_is_forgotten(history: HistoryWithErrors) -> None:
    history.sync(RunOptions())
    history.change_record("forget", "ats_offers", integration=0, record=0)
    history.change_record("forget", "ats_candidates", integration=1, record=0)
    history.advance_clock(60)
    for _ in range(2):
        history.switch_model("ats_offers", 0, "unavailable_models")
        history.switch_model("ats_candidates", 1, "unavailable_models")
        history.sync(RunOptions())
    history.current_rows.check_all()
    history.finish()


def test_applications_of_offers_are_forgotten(history: HistoryWithErrors) -> None:
    history.sync(RunOptions())
    for _ in range(6):
        history.change_record("forget", "ats_applications", integration=0, record=0)
    history.finish()


@pytest.mark.parametrize("clock_offset", [40 * DAY, -40 * DAY])
def test_complete_read_with_a_wrong_clock_of_the_machine(
    history: HistoryWithErrors, clock_offset: int
) -> None:
    history.sync(RunOptions(clock_offset=clock_offset))
    history.change_record("forget", "ats_offers", integration=0, record=0)
    history.advance_clock(8 * DAY)
    history.sync(RunOptions(clock_offset=-clock_offset, full_refresh_interval_days=7))
    history.current_rows.check_all()
    history.finish()


def test_sync_after_days_of_changed_models_reads_nothing_new(history: HistoryWithErrors) -> None:
    history.sync(RunOptions())
    for day in range(6):
        history.advance_clock(DAY)
        history.change_record("change", "ats_offers", integration=day % 2, record=day)
        history.advance_clock(60)
        history.sync(RunOptions(changed_models=frozenset({("ats_offers", day % 2)})))
    extracted = dict(history.target.extracted)
    history.sync(RunOptions())
    assert history.target.extracted == extracted
    history.finish()


def test_sync_is_stopped_while_a_request_hangs(history: HistoryWithErrors) -> None:
    history.sync_and_stop(RunOptions(page_size=1), stop_after=7)
    history.advance_clock(3600)
    history.change_record("change", "ats_applications", integration=1, record=0)
    history.finish()
