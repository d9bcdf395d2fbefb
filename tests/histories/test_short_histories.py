"""Histories with a name: the shortest ones in which a mistake that was made on purpose shows."""

from __future__ import annotations

import pytest

from kombo_sandbox import Sandbox
from tests.histories.events import (
    DAY,
    LASTING,
    PASSING,
    CursorExpires,
    Happens,
    Lasts,
    Passes,
    TimePasses,
)
from tests.histories.history import History, How, TroubledHistory
from tests.warm_tap import WarmTap


@pytest.fixture
def history(kombo: Sandbox, tap: WarmTap) -> TroubledHistory:
    return TroubledHistory(kombo, tap)


def behave(history: History, *, order: str = "oldest first", sparse: bool = False) -> None:
    history.kombo_behaves(strict=False, sparse=sparse, order=order)


def test_a_page_that_is_empty_in_the_middle_of_a_read(history: TroubledHistory) -> None:
    behave(history, sparse=True)
    history.run(How())
    history.time_passes(60)
    history.happens("change", "ats_applications", integration=0, record=5)
    history.run(How(page_size=2))
    history.ends_well()


def test_an_unread_record_that_a_change_moves_behind_the_reader(history: TroubledHistory) -> None:
    behave(history, order="latest change first")
    oldest = history.kombo.integration_ids[0]
    last = min(
        history.kombo.records("ats_offers", oldest, include_deleted=False),
        key=lambda one: str(one["changed_at"]),
    )
    history.kombo.schedule("change", before_request=2, model="ats_offers", ids=[last["id"]])
    history.run(How(page_size=1))
    history.ends_well()


def test_a_change_after_its_page_and_before_the_end_of_the_read(history: TroubledHistory) -> None:
    changed = [Happens("change", "ats_applications", 0, number, 4) for number in range(3)]
    history.run(How(page_size=2), [TimePasses(20, 2), *changed, TimePasses(20, 5)])
    history.ends_well()


@pytest.mark.parametrize("keeps_unconfirmed", [True, False])
@pytest.mark.parametrize("lines", [4, 5, 6, 7, 8, 11, 14])
def test_a_run_that_is_cut_off_and_changes_before_it_goes_on(
    history: TroubledHistory, lines: int, *, keeps_unconfirmed: bool
) -> None:
    history.run_and_cut(
        How(page_size=2), lines=lines, part=0.5, keeps_unconfirmed=keeps_unconfirmed
    )
    history.time_passes(3600)
    for record in range(6):
        history.happens("change", "ats_applications", integration=0, record=record)
    history.run(How())
    history.ends_well()


def test_a_cut_off_read_of_the_newest_is_not_gone_on_with_when_all_is_wanted(
    history: TroubledHistory,
) -> None:
    behave(history, order="latest change last")
    lately = How(page_size=1, starts_before=60 * DAY)
    for lines in range(4, 14):
        history.run_and_cut(lately, lines=lines, part=0.0, keeps_unconfirmed=True)
        if history.has_resume_point:
            break
    assert history.has_resume_point
    history.run(How())
    history.ends_well()


def test_a_start_date_that_is_later_than_a_bookmark_of_long_ago(history: TroubledHistory) -> None:
    history.run(How())
    history.time_passes(60)
    history.happens("change", "ats_applications", integration=0, record=0)
    history.time_passes(15 * DAY)
    history.run(How(starts_before=5000))
    history.ends_well()


def test_a_cursor_that_expires_when_its_records_have_changed(history: TroubledHistory) -> None:
    history.run(
        How(page_size=1),
        [CursorExpires("ats_applications", 1), Happens("change", "ats_applications", 0, 0, 3)],
    )
    history.ends_well()


@pytest.mark.parametrize("what", LASTING)
@pytest.mark.parametrize("was_read", [False, True])
def test_a_read_that_fails_after_its_first_page(
    history: TroubledHistory, what: str, *, was_read: bool
) -> None:
    if was_read:
        history.run(How())
        history.time_passes(3600)
        for record in range(6):
            history.happens("change", "ats_applications", integration=0, record=record)
    history.run(How(page_size=2), [Lasts(what, "ats_applications", 0, 1)])
    history.ends_well()


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_integration_that_fails_leaves_the_other_alone(
    history: TroubledHistory, concurrency: int
) -> None:
    for integration in range(2):
        refused = Lasts("the tool refuses the credentials", "ats_applications", integration, 0)
        history.run(How(concurrency=concurrency), [refused])
    history.ends_well()


@pytest.mark.parametrize("what", PASSING)
def test_an_answer_that_is_none(history: TroubledHistory, what: str) -> None:
    history.run(How(page_size=1), [Passes(what, "ats_applications", 1, 2)])
    history.ends_well()


def test_what_lasts_is_what_a_read_ends_with_whatever_passes_meanwhile(
    history: TroubledHistory,
) -> None:
    passes = Passes("half of the JSON", "ats_offers", skip=4, count=2)
    history.run(How(page_size=1), [passes, Lasts("Kombo is down", "ats_offers", 0, skip=0)])
    history.ends_well()


@pytest.mark.parametrize("ahead", [40 * DAY, -40 * DAY])
def test_a_machine_whose_clock_is_wrong(history: TroubledHistory, ahead: int) -> None:
    history.run(How(ahead=ahead, zone="Pacific/Kiritimati"))
    history.happens("change", "ats_offers", integration=0, record=0)
    history.run(How(ahead=-ahead, zone="America/New_York"))
    history.ends_well()


def test_an_integration_that_is_left_out_for_a_while(history: TroubledHistory) -> None:
    history.run(How())
    history.an_integration_is_left_out(0)
    history.happens("delete", "ats_offers", integration=0, record=0)
    history.run(How())
    history.the_integrations_left_out_are_taken_back()
    history.ends_well()


def test_a_run_that_is_stopped_while_a_request_hangs(history: TroubledHistory) -> None:
    history.run_and_stop(How(page_size=1), stops_after=7)
    history.time_passes(3600)
    history.happens("change", "ats_applications", integration=1, record=0)
    history.ends_well()
