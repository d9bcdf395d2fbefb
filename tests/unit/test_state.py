"""Where reads start, given a state and Kombo's clock, without running the tap."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from singer_sdk.singerlib import SelectionMask

from tap_kombo.errors import InputError
from tap_kombo.reader import Page, Start, StreamPartition
from tap_kombo.responses import PAGES
from tap_kombo.state import LeftOut, State, check_state
from tap_kombo.times import format_time

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)
TOMORROW = NOW + timedelta(days=1)
STREAMS = ["ats_jobs", "ats_offers"]
INTEGRATION = "personio:1"


def partition(integration_id: str, bookmark: datetime | None, **more: Any) -> dict[str, Any]:
    value = (
        {"replication_key": "changed_at", "replication_key_value": format_time(bookmark)}
        if bookmark
        else {}
    )
    return {"context": {"integration_id": integration_id}, **value, **more}


def resume_point(started: datetime, since: datetime | None, **more: Any) -> dict[str, Any]:
    value = format_time(since) if since else None
    point = {"cursor": "abc", "started": format_time(started), "since": value, "page_size": 250}
    return {**point, **more}


def state_of(*partitions: dict[str, Any]) -> dict[str, Any]:
    return {"bookmarks": {"ats_offers": {"partitions": list(partitions)}}}


def left_out(*deselected: str, **params: str) -> LeftOut:
    """Return the `LeftOut` of a run with these deselected fields and parameters."""
    mask = SelectionMask({(): True})
    for path in deselected:
        mask[tuple(step for name in path.split(".") for step in ("properties", name))] = False
    return LeftOut.of(params, mask)


EVERYTHING = left_out()


def make_state(
    value: dict[str, Any], *, run: LeftOut = EVERYTHING, start_date: datetime | None = None
) -> State:
    return State(value, left_out=dict.fromkeys(STREAMS, run), start_date=start_date)


def emitted(state: State) -> Any:
    """Return the value of the STATE message, as JSON."""
    return msgspec.to_builtins(state.value)


def start_of(
    *partitions: dict[str, Any],
    run: LeftOut = EVERYTHING,
    start_date: datetime | None = None,
) -> Start:
    """Return where the read of the integration's offers starts."""
    state = make_state(state_of(*partitions), run=run, start_date=start_date)
    return state.starts(INTEGRATION, ["ats_offers"], NOW)["ats_offers"]


# Bookmarks


def test_read_starts_at_the_bookmark_of_its_integration() -> None:
    start = start_of(partition("personio:2", NOW), partition(INTEGRATION, YESTERDAY))

    assert start == Start(since=YESTERDAY, bookmark=YESTERDAY, is_complete=False)


def test_first_read_is_complete() -> None:
    assert start_of(partition("personio:2", YESTERDAY)) == Start()


def test_first_read_starts_at_start_date() -> None:
    assert start_of(start_date=YESTERDAY) == Start(since=YESTERDAY)


def test_bookmark_has_precedence_over_start_date() -> None:
    start = start_of(partition(INTEGRATION, YESTERDAY), start_date=NOW)

    assert start.since == YESTERDAY


@pytest.mark.parametrize(
    "text", ["2026-01-30T12:00:00Z", "2026-01-30T14:00:00+02:00", "2026-01-30T12:00:00"]
)
def test_bookmark_may_have_an_offset_and_is_utc_without_one(text: str) -> None:
    start = start_of(partition(INTEGRATION, None, replication_key_value=text))

    assert start.since == YESTERDAY


def test_earliest_of_duplicate_bookmarks_is_used() -> None:
    earliest = NOW - timedelta(days=9)
    in_another_zone = (earliest + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%S+12:00")

    start = start_of(
        partition(INTEGRATION, NOW - timedelta(days=5)),
        partition(INTEGRATION, None, replication_key_value=in_another_zone),
        partition(INTEGRATION, NOW - timedelta(days=2)),
    )

    assert start.since == earliest


# Kombo keeps deleted records for 14 days


@pytest.mark.parametrize(
    "start_date", [None, NOW - timedelta(days=300)], ids=["no start_date", "early start_date"]
)
def test_read_after_more_than_14_days_is_complete(
    start_date: datetime | None, caplog: pytest.LogCaptureFixture
) -> None:
    start = start_of(partition(INTEGRATION, NOW - timedelta(days=14.1)), start_date=start_date)

    assert start.since == start_date
    [warning] = caplog.messages
    assert warning.startswith(f"ats_offers ({INTEGRATION}): the last read was 2 weeks 2 hours ago")
    assert warning.endswith("reading again from the start.")


def test_bookmark_of_13_9_days_ago_is_used(caplog: pytest.LogCaptureFixture) -> None:
    bookmark = NOW - timedelta(days=13.9)

    assert start_of(partition(INTEGRATION, bookmark)).since == bookmark
    assert caplog.messages == []


def test_bookmark_is_the_minimum_of_the_next_one_even_after_14_days() -> None:
    bookmark = NOW - timedelta(days=20)

    assert start_of(partition(INTEGRATION, bookmark)).bookmark == bookmark


@pytest.mark.parametrize(
    ("age", "more"),
    [
        (timedelta(days=20), {}),
        (timedelta(days=3), {"filters": "0123456789abcdef"}),
        (timedelta(days=3), {"is_outdated": True}),
    ],
    ids=["after 14 days", "other filters", "data that is valid again"],
)
def test_start_date_after_the_last_read_skips_no_changes(
    age: timedelta, more: dict[str, Any]
) -> None:
    last = NOW - age

    start = start_of(partition(INTEGRATION, last, **more), start_date=YESTERDAY)

    assert start.since == last


def test_refresh_with_start_date_after_the_last_read_skips_no_changes() -> None:
    last = NOW - timedelta(days=3)
    state = State(
        state_of(partition(INTEGRATION, last)),
        left_out=dict.fromkeys(STREAMS, EVERYTHING),
        start_date=YESTERDAY,
        refresh_interval=timedelta(days=1),
    )

    start = state.starts(INTEGRATION, ["ats_offers"], NOW)["ats_offers"]

    assert start.is_complete
    assert start.since == last


def test_warning_names_all_streams_with_the_same_problem(caplog: pytest.LogCaptureFixture) -> None:
    partitions = {"partitions": [partition(INTEGRATION, NOW - timedelta(days=20))]}
    state = make_state({"bookmarks": dict.fromkeys(STREAMS, partitions)})

    state.starts(INTEGRATION, STREAMS, NOW)

    [warning] = caplog.messages
    assert warning.startswith(
        f"ats_jobs, ats_offers ({INTEGRATION}): the last read was 2 weeks 6 days"
    )


# Kombo's clock


@pytest.mark.parametrize(
    "given",
    [
        partition(INTEGRATION, TOMORROW),
        partition(INTEGRATION, TOMORROW, filters="0123456789abcdef"),
        partition(INTEGRATION, None, resume=resume_point(TOMORROW, None)),
    ],
    ids=["bookmark", "bookmark with other filters", "resume point of the first read"],
)
def test_read_is_complete_if_the_state_is_ahead_of_kombos_clock(
    given: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    start = start_of(given, start_date=YESTERDAY)

    assert (start.since, start.bookmark, start.resume) == (None, None, None)
    assert f"ats_offers ({INTEGRATION}): the bookmark is ahead of Kombo's clock" in caplog.text


# Resume points


def test_read_resumes_after_the_last_page_that_was_written() -> None:
    start = start_of(partition(INTEGRATION, YESTERDAY, resume=resume_point(NOW, YESTERDAY)))

    assert start.since == YESTERDAY
    assert start.resume is not None
    assert start.resume.cursor == "abc"
    assert start.resume.started_at == NOW


@pytest.mark.parametrize(
    ("bookmark", "resume"),
    [
        (YESTERDAY, resume_point(NOW, None)),
        (YESTERDAY, resume_point(NOW, YESTERDAY, filters="0123456789abcdef")),
        (YESTERDAY, resume_point(NOW, YESTERDAY, page_size=None)),
        (YESTERDAY, resume_point(TOMORROW, YESTERDAY)),
        (YESTERDAY, resume_point(NOW - timedelta(days=14.1), YESTERDAY)),
        (None, resume_point(NOW - timedelta(days=14.1), None)),
    ],
    ids=[
        "another since",
        "other filters",
        "no page size",
        "in the future",
        "too old",
        "too old first read",
    ],
)
def test_resume_point_of_another_read_is_not_used(
    bookmark: datetime | None, resume: dict[str, Any]
) -> None:
    start = start_of(partition(INTEGRATION, bookmark, resume=resume))

    assert start.resume is None
    assert start.since == bookmark


def test_first_read_resumes_within_14_days() -> None:
    resume = resume_point(NOW - timedelta(days=13.9), None)

    assert start_of(partition(INTEGRATION, None, resume=resume)).resume is not None


def test_complete_read_after_14_days_resumes_too() -> None:
    bookmark = NOW - timedelta(days=20)

    start = start_of(partition(INTEGRATION, bookmark, resume=resume_point(YESTERDAY, None)))

    assert start.since is None
    assert start.resume is not None


# Models that are switched off


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], False),
        ([partition("personio:2", YESTERDAY)], False),
        ([partition(INTEGRATION, None)], True),
        ([partition(INTEGRATION, YESTERDAY)], True),
        ([partition(INTEGRATION, NOW - timedelta(days=14.1))], False),
        ([partition(INTEGRATION, None, resume=resume_point(YESTERDAY, None))], True),
    ],
    ids=[
        "nothing",
        "another integration",
        "full table",
        "yesterday",
        "too long ago",
        "interrupted",
    ],
)
def test_stream_was_read_if_its_deletions_are_still_kept(
    given: list[dict[str, Any]], *, expected: bool
) -> None:
    assert make_state(state_of(*given)).was_read(INTEGRATION, "ats_offers", NOW) is expected


# Data that is not valid


def test_data_that_was_not_valid_is_read_completely_even_if_its_read_failed() -> None:
    state = make_state(state_of(partition(INTEGRATION, YESTERDAY)))
    state.starts(INTEGRATION, ["ats_offers"], NOW, outdated=["ats_offers"])

    start = make_state(emitted(state)).starts(INTEGRATION, ["ats_offers"], NOW)["ats_offers"]

    assert start.is_complete


@pytest.mark.parametrize("pages", [0, 1])
@pytest.mark.parametrize("bookmark", [None, YESTERDAY])
def test_read_of_data_that_is_not_valid_is_not_resumed(
    bookmark: datetime | None, pages: int
) -> None:
    cut_off = partition(INTEGRATION, bookmark, resume=resume_point(YESTERDAY, bookmark))
    state = make_state(state_of(cut_off))
    start = state.starts(INTEGRATION, ["ats_offers"], NOW, outdated=["ats_offers"])["ats_offers"]
    for _ in range(pages):
        state.page_written(page_of(start, NOW, cursor="2"))

    later = make_state(emitted(state)).starts(INTEGRATION, ["ats_offers"], NOW)["ats_offers"]

    assert later.is_complete
    assert start.resume is later.resume is None


# Records and fields that were left out

FILTERED = left_out(ids="1", email="ada@example.com")
NARROW = left_out("status", "application.candidate")


def after(run: LeftOut, start_date: datetime | None = None) -> dict[str, Any]:
    """Return the partition after a complete first read that started yesterday."""
    state = make_state({}, run=run, start_date=start_date)
    start = state.starts(INTEGRATION, ["ats_offers"], YESTERDAY)["ats_offers"]
    state.page_written(page_of(start, YESTERDAY))
    [found] = emitted(state)["bookmarks"]["ats_offers"]["partitions"]
    return dict(found)


def page_of(start: Start, started: datetime, cursor: str | None = None) -> Page:
    partition = StreamPartition(
        stream="ats_offers",
        integration_id=INTEGRATION,
        path="/ats/offers",
        format=PAGES,
        is_incremental=True,
        start=start,
    )
    return Page(partition, [], started, started, 250, cursor, is_end=cursor is None)


@pytest.mark.parametrize(
    ("earlier", "run"),
    [
        (FILTERED, left_out(ids="1")),
        (FILTERED, EVERYTHING),
        (NARROW, EVERYTHING),
        (NARROW, left_out("status")),
        (NARROW, left_out("status", "application.candidate.first_name")),
    ],
    ids=["other filters", "no filters", "all fields", "one field", "part of a field"],
)
def test_read_is_complete_if_the_run_wants_more_than_earlier_ones(
    earlier: LeftOut, run: LeftOut, caplog: pytest.LogCaptureFixture
) -> None:
    start = start_of(after(earlier), run=run)

    assert (start.since, start.is_complete, start.resume) == (None, True, None)
    [warning] = caplog.messages
    assert warning.startswith("ats_offers: earlier runs left out records or fields")


@pytest.mark.parametrize(
    ("earlier", "run"),
    [
        (FILTERED, FILTERED),
        (EVERYTHING, FILTERED),
        (EVERYTHING, NARROW),
        (NARROW, left_out("status", "application", "application.candidate", "remote_id")),
    ],
    ids=["same filters", "first filters", "first fields", "more fields"],
)
def test_read_starts_at_the_bookmark_if_more_is_left_out(
    earlier: LeftOut, run: LeftOut, caplog: pytest.LogCaptureFixture
) -> None:
    assert start_of(after(earlier), run=run).since == YESTERDAY
    assert caplog.messages == []


@pytest.mark.parametrize("earlier", [None, NOW - timedelta(days=60)])
def test_read_is_complete_since_an_earlier_start_date(
    earlier: datetime | None, caplog: pytest.LogCaptureFixture
) -> None:
    given = after(EVERYTHING, start_date=NOW - timedelta(days=30))

    assert start_of(given, start_date=earlier).since == earlier
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("days", [20, 30])
def test_later_start_date_changes_nothing(days: int) -> None:
    given = after(EVERYTHING, start_date=NOW - timedelta(days=30))

    assert start_of(given, start_date=NOW - timedelta(days=days)).since == YESTERDAY


def test_pages_without_a_field_that_is_wanted_now_are_read_again() -> None:
    state = make_state({}, run=NARROW)
    start = state.starts(INTEGRATION, ["ats_offers"], YESTERDAY)["ats_offers"]
    state.page_written(page_of(start, YESTERDAY, cursor="2"))
    [given] = emitted(state)["bookmarks"]["ats_offers"]["partitions"]

    assert start_of(given, run=NARROW).resume is not None
    assert start_of(given).resume is None


def test_many_partitions_cause_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    given = [after(FILTERED) | {"context": {"integration_id": f"personio:{n}"}} for n in range(3)]
    state = make_state(state_of(*given))

    starts = [state.starts(f"personio:{n}", ["ats_offers"], NOW)["ats_offers"] for n in range(3)]

    assert [start.since for start in starts] == [None, None, None]
    assert len(caplog.messages) == 1


def test_state_contains_no_filters_and_no_field_names() -> None:
    text = str(after(left_out("status", email="ada@example.com")))

    assert "ada" not in text
    assert "status" not in text


def test_order_of_filters_does_not_matter() -> None:
    assert left_out(ids="1", email="a") == left_out(email="a", ids="1")


# The next state


def test_state_of_other_streams_and_integrations_is_kept() -> None:
    bookmarks = {
        "github_issues": {"partitions": [{"context": {"org": "x"}, "anything": 1}]},
        "ats_jobs": {"partitions": [partition("personio:2", YESTERDAY, pages=3)]},
    }

    state = make_state({"bookmarks": copy.deepcopy(bookmarks), "currently_syncing": "ats_jobs"})

    assert emitted(state) == {"bookmarks": bookmarks}


def test_resume_points_are_kept_as_they_are() -> None:
    resume = resume_point(NOW, YESTERDAY, filters="0123456789abcdef")
    given = state_of(partition(INTEGRATION, YESTERDAY, resume=resume, filters="0123456789abcdef"))

    assert emitted(make_state(given)) == given


def test_given_state_is_not_changed() -> None:
    given = state_of(partition(INTEGRATION, NOW), partition(INTEGRATION, YESTERDAY))
    before = copy.deepcopy(given)

    make_state(given).starts(INTEGRATION, STREAMS, NOW)

    assert given == before


# States that are not valid


@pytest.mark.parametrize("state", [None, {}], ids=repr)
def test_state_may_be_missing_or_empty(state: object) -> None:
    assert check_state(state, STREAMS) == {}


def test_state_without_bookmarks_yet_is_accepted() -> None:
    assert check_state({"bookmarks": {}}, STREAMS) == {"bookmarks": {}}


@pytest.mark.parametrize(
    "state",
    [
        {"type": "STATE", "value": {"bookmarks": {}}},
        {"singer_state": {"bookmarks": {}}},
        {"currently_syncing": "ats_offers"},
        {"bookmarks": []},
        [1],
    ],
    ids=["STATE message", "Meltano's state", "no bookmarks", "bookmarks as a list", "list"],
)
def test_state_without_bookmarks_is_rejected(state: object) -> None:
    with pytest.raises(InputError, match=r"^State: the object has no `bookmarks`\. .*`value`"):
        check_state(state, STREAMS)


def test_state_of_another_tap_is_rejected() -> None:
    with pytest.raises(InputError, match=r"^State: the bookmarks are another tap's .github_issues"):
        check_state({"bookmarks": {"github_issues": {}}}, STREAMS)


INVALID: dict[str, object] = {
    "list": [],
    "partitions as an object": {"partitions": {}},
    "partition as a string": {"partitions": ["x"]},
    "no context": {"partitions": [{}]},
    "another tap's context": {"partitions": [{"context": {"org": "x"}}]},
    **{
        f"bookmark {value!r}": {
            "partitions": [partition(INTEGRATION, None, replication_key_value=value)]
        }
        for value in ("soon", 7, "0001-01-01T00:00:00+01:00")
    },
    **{
        f"resume point {value!r}": {"partitions": [partition(INTEGRATION, None, resume=value)]}
        for value in (
            "abc",
            {"cursor": "abc"},
            {"cursor": "abc", "started": "soon", "since": None},
            {"cursor": "abc", "started": 7, "since": None},
        )
    },
}


@pytest.mark.parametrize("stream_state", INVALID.values(), ids=INVALID)
def test_partition_that_is_not_valid_is_rejected(stream_state: object) -> None:
    with pytest.raises(InputError, match=r"^State: the bookmark of ats_offers is not valid \("):
        make_state({"bookmarks": {"ats_offers": stream_state}})


@pytest.mark.parametrize(
    "more",
    [
        {"changed_at": "2026-01-01T00:00:00Z"},
        {"replication_key": "changed_at", "replication_key_value": "2026-01-01T00:00:00Z"},
        {"starting_replication_value": "2026-01-01T00:00:00Z", "progress_markers": {"a": 1}},
    ],
    ids=repr,
)
def test_bookmark_of_a_stream_without_partitions_is_ignored(more: dict[str, Any]) -> None:
    state = make_state({"bookmarks": {"ats_offers": more}})

    assert state.starts(INTEGRATION, ["ats_offers"], NOW) == {"ats_offers": Start()}
    assert emitted(state) == {"bookmarks": {"ats_offers": {"partitions": []}}}


def test_unknown_keys_of_a_partition_are_ignored() -> None:
    given = partition(INTEGRATION, YESTERDAY, progress_markers={"replication_key_value": "x"})

    assert start_of(given).since == YESTERDAY


# Complete reads


@pytest.mark.parametrize(
    ("run", "start_date", "has_full"),
    [
        (EVERYTHING, None, True),
        (NARROW, None, True),
        (left_out(include_deleted="false"), None, True),
        (FILTERED, None, False),
        (EVERYTHING, NOW - timedelta(days=30), False),
    ],
    ids=["everything", "fewer fields", "no deleted records", "filters", "start_date"],
)
def test_complete_read_is_noted_as_full_if_it_left_out_no_records(
    run: LeftOut, start_date: datetime | None, *, has_full: bool
) -> None:
    partition = after(run, start_date)

    assert partition.get("full" if has_full else "refreshed") == format_time(YESTERDAY)
    assert ("full" in partition) == has_full


@pytest.mark.parametrize("mark", ["full", "refreshed", "replication_key_value"])
@pytest.mark.parametrize(("days", "is_due"), [(0, False), (4, True)])
def test_stream_is_due_when_the_interval_has_passed(mark: str, days: int, *, is_due: bool) -> None:
    read = NOW - timedelta(days=days)
    given = partition(INTEGRATION, read if mark == "replication_key_value" else NOW)
    state = State(
        state_of({**given, mark: format_time(read)}),
        left_out={"ats_offers": EVERYTHING},
        start_date=None,
        refresh_interval=timedelta(days=4),
    )

    start = state.starts(INTEGRATION, ["ats_offers"], NOW)["ats_offers"]

    assert (start.since is None) == start.is_complete == is_due


def test_hourly_runs_read_each_integration_completely_once_in_the_interval() -> None:
    full = dict.fromkeys((f"personio:{number}" for number in range(70)), NOW)
    due: dict[str, list[datetime]] = {integration_id: [] for integration_id in full}
    for hour in range(1, 3 * 7 * 24 + 1):
        now = NOW + timedelta(hours=hour)
        state = State(
            state_of(*(partition(i, now, full=format_time(full[i])) for i in full)),
            left_out={"ats_offers": EVERYTHING},
            start_date=None,
            refresh_interval=timedelta(days=7),
        )
        for integration_id in full:
            if state.starts(integration_id, ["ats_offers"], now)["ats_offers"].is_complete:
                full[integration_id] = now
                due[integration_id].append(now)

    for moments in due.values():
        assert len(moments) == 3
        assert {b - a for a, b in pairwise(moments)} == {timedelta(days=7)}
