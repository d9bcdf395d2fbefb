"""A state from anywhere: never a silent gap, and never a full read that nobody is told of."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tap_kombo.times import read_time, write_time
from tests.tap_run import TapRun, catalog_with, run_tap, settings_for

OFFERS = catalog_with("ats_offers")
ABOUT_14_DAYS = pytest.mark.parametrize(
    ("days", "is_read_whole"), [(13.9, False), (14.1, True)], ids=["13.9 days", "14.1 days"]
)


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with Sandbox(integrations=2, offers=30, seed=23) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(kombo: Sandbox) -> Sandbox:
    kombo.clear_requests()
    return kombo


def ago(sandbox: Sandbox, **time: float) -> str:
    return write_time(read_time(sandbox.clock()) - timedelta(**time))


def partition(integration_id: str, bookmark: str | None, **more: Any) -> dict[str, Any]:
    value = {"replication_key": "changed_at", "replication_key_value": bookmark} if bookmark else {}
    return {"context": {"integration_id": integration_id}, **value, **more}


def state_of(*partitions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"bookmarks": {"ats_offers": {"partitions": list(partitions), **more}}}


def asked_since(sandbox: Sandbox) -> dict[str | None, str | None]:
    """Find what each integration's offers were asked with at first."""
    return {
        r.integration_id: r.params.get("updated_after")
        for r in reversed(sandbox.requests())
        if r.path == "/ats/offers"
    }


def read_with(sandbox: Sandbox, state: Any, **settings: Any) -> TapRun:
    before = copy.deepcopy(state)
    run = run_tap(settings_for(sandbox, **settings), state=state, catalog=OFFERS)
    assert state == before
    assert run.code == 0, run.stderr
    return run


@pytest.mark.parametrize("state", [None, {}, {"bookmarks": {}}], ids=["none", "empty", "no reads"])
def test_without_a_state_everything_is_read(sandbox: Sandbox, state: Any) -> None:
    run = read_with(sandbox, state)

    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))
    assert run.warnings == []
    assert any("(0 of them changes only)" in line for line in run.log)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"null", b'{"bookmarks": {}}\nnull\n'],
    ids=["empty", "a line", "null", "null at last"],
)
def test_an_empty_state_file_is_no_state_and_is_told(
    sandbox: Sandbox, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)

    run = run_tap(settings_for(sandbox), "--state", str(path), catalog=OFFERS)

    assert run.code == 0
    assert len(run.ids("ats_offers")) == len(sandbox.records("ats_offers"))
    assert any("is empty: everything is read" in w for w in run.warnings)


@pytest.mark.parametrize("left_behind", [b"", b'{"bookmarks": {"ats_off'], ids=["whole", "killed"])
def test_all_that_a_target_has_told_is_a_state_file(
    sandbox: Sandbox, tmp_path: Path, left_behind: bytes
) -> None:
    first, _ = sandbox.integration_ids
    bookmarks = [ago(sandbox, days=3), ago(sandbox, days=2), ago(sandbox, days=1)]
    states = [state_of(partition(first, bookmark)) for bookmark in bookmarks]
    path = tmp_path / "states.jsonl"
    path.write_bytes(b"".join(json.dumps(s).encode() + b"\n" for s in states) + left_behind)

    run = run_tap(settings_for(sandbox), "--state", str(path), catalog=OFFERS)

    assert run.code == 0
    assert asked_since(sandbox)[first] == bookmarks[-1]


def test_a_state_on_many_lines_is_one_state(sandbox: Sandbox, tmp_path: Path) -> None:
    first, _ = sandbox.integration_ids
    bookmark = ago(sandbox, days=3)
    path = tmp_path / "state.json"
    path.write_text(json.dumps(state_of(partition(first, bookmark)), indent=2) + "\n")

    run_tap(settings_for(sandbox), "--state", str(path), catalog=OFFERS)

    assert asked_since(sandbox)[first] == bookmark


def test_a_log_tells_how_many_reads_are_of_changes_only(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids

    run = read_with(sandbox, state_of(partition(first, ago(sandbox, days=1))))

    assert any("2 of 2 reads complete (1 of them changes only)" in line for line in run.log)


def test_a_bookmark_in_the_future_tells_nothing_so_everything_is_read(sandbox: Sandbox) -> None:
    first, second = sandbox.integration_ids
    bookmark = ago(sandbox, days=1)
    state = state_of(partition(first, "2999-01-01T00:00:00Z"), partition(second, bookmark))

    run = read_with(sandbox, state)

    assert asked_since(sandbox) == {first: None, second: bookmark}
    ours = [r["id"] for r in run.records["ats_offers"] if r["integration_id"] == first]
    assert sorted(ours) == sorted(r["id"] for r in sandbox.records("ats_offers", first))
    new = run.bookmark("ats_offers", first)
    assert new is not None
    assert read_time(new) <= read_time(sandbox.clock())
    [warning] = run.warnings
    assert first in warning
    assert "ats_offers" in warning
    assert "later than Kombo's clock" in warning


def test_a_place_from_the_future_is_void(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    bookmark = ago(sandbox, days=1)
    resume = {"cursor": "c", "started": "2999-01-01T00:00:00.000Z", "since": bookmark}

    run = read_with(sandbox, state_of(partition(first, bookmark, resume=resume)))

    assert not [r for r in sandbox.requests() if "cursor" in r.params]
    new = run.bookmark("ats_offers", first)
    assert new is not None
    assert read_time(bookmark) < read_time(new) <= read_time(sandbox.clock())


def test_a_first_read_that_began_in_the_future_is_told_to_begin_again(sandbox: Sandbox) -> None:
    first, second = sandbox.integration_ids
    resume = {"cursor": "c", "started": "2999-01-01T00:00:00.000Z", "since": None}

    run = read_with(sandbox, state_of(partition(first, None, resume=resume)))

    assert asked_since(sandbox) == {first: None, second: None}
    [warning] = run.warnings
    assert first in warning
    assert "later than Kombo's clock" in warning


@ABOUT_14_DAYS
def test_a_bookmark_is_worth_something_as_long_as_kombo_remembers_deletions(
    sandbox: Sandbox, days: float, *, is_read_whole: bool
) -> None:
    first, second = sandbox.integration_ids
    old, young = ago(sandbox, days=days), ago(sandbox, days=1)

    run = read_with(sandbox, state_of(partition(first, old), partition(second, young)))

    assert asked_since(sandbox) == {first: None if is_read_whole else old, second: young}
    warned = [w for w in run.warnings if first in w and "more than 14 days" in w]
    assert len(warned) == is_read_whole
    new = run.bookmark("ats_offers", first)
    assert new is not None
    assert new > old


def test_a_bookmark_that_is_too_old_gives_way_to_start_date(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    start = ago(sandbox, days=300)

    read_with(sandbox, state_of(partition(first, ago(sandbox, days=20))), start_date=start)

    assert asked_since(sandbox)[first] == start


@pytest.mark.parametrize(
    "more",
    [
        pytest.param({"days": 20}, id="it is too old"),
        pytest.param({"days": 3, "filters": "0123456789abcdef"}, id="the filters are others"),
    ],
)
def test_a_start_date_that_is_later_than_a_void_bookmark_leaves_nothing_out(
    sandbox: Sandbox, more: dict[str, Any]
) -> None:
    first, second = sandbox.integration_ids
    last, start = ago(sandbox, days=more.pop("days")), ago(sandbox, days=1)

    read_with(sandbox, state_of(partition(first, last, **more)), start_date=start)

    assert asked_since(sandbox) == {first: last, second: start}


def test_a_bookmark_from_the_future_is_none_also_with_other_filters(sandbox: Sandbox) -> None:
    first, second = sandbox.integration_ids
    state = state_of(partition(first, "2999-01-01T00:00:00Z", filters="0123456789abcdef"))
    start = ago(sandbox, days=1)

    run = read_with(sandbox, state, start_date=start)

    assert asked_since(sandbox) == {first: None, second: start}
    assert any("later than Kombo's clock" in warning for warning in run.warnings)


def test_nothing_is_told_of_what_is_not_read(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    sandbox.set_integration(first, unavailable_models=["ats_offers"])

    run = read_with(sandbox, state_of(partition(first, ago(sandbox, days=30))))
    sandbox.set_integration(first, unavailable_models=[])

    assert run.warnings == []


def test_after_a_bookmark_from_the_future_start_date_limits_nothing(sandbox: Sandbox) -> None:
    first, second = sandbox.integration_ids
    state = state_of(partition(first, "2999-01-01T00:00:00Z"))
    start = ago(sandbox, days=1)

    read_with(sandbox, state, start_date=start)

    assert asked_since(sandbox) == {first: None, second: start}


def test_a_whole_read_for_an_old_bookmark_goes_on_where_it_was_cut_off(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    settings = {"page_size": 10, "integration_ids": [first]}
    read_with(sandbox, None, **settings)
    [cursor, *_] = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    resume = {"cursor": cursor, "started": ago(sandbox, days=1), "since": None}

    old = partition(first, ago(sandbox, days=20), resume=resume)
    run = read_with(sandbox, state_of(old), **settings)

    truth = [r["id"] for r in sandbox.records("ats_offers", first)]
    assert run.ids("ats_offers") == sorted(truth[10:])


@ABOUT_14_DAYS
def test_a_first_read_goes_on_as_long_as_kombo_remembers_deletions(
    sandbox: Sandbox, days: float, *, is_read_whole: bool
) -> None:
    """What was deleted, of what had been read already, would never be told."""
    first, _ = sandbox.integration_ids
    settings = {"page_size": 10, "integration_ids": [first]}
    read_with(sandbox, None, **settings)
    [cursor, *_] = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    resume = {"cursor": cursor, "started": ago(sandbox, days=days), "since": None}

    sandbox.clear_requests()
    run = read_with(sandbox, state_of(partition(first, None, resume=resume)), **settings)

    asked = [r.params.get("cursor") for r in sandbox.requests() if r.path == "/ats/offers"]
    assert asked[0] == (None if is_read_whole else cursor)
    warned = [w for w in run.warnings if first in w and "more than 14 days" in w]
    assert len(warned) == is_read_whole


def test_a_bookmark_without_partitions_is_told_and_not_taken_for_each_integration(
    sandbox: Sandbox,
) -> None:
    state = {"bookmarks": {"ats_offers": partition("x", ago(sandbox, days=1))}}
    del state["bookmarks"]["ats_offers"]["context"]

    run = read_with(sandbox, state)

    assert set(asked_since(sandbox).values()) == {None}
    assert any("ats_offers" in w and "no integration in particular" in w for w in run.warnings)
    assert set(run.state["bookmarks"]["ats_offers"]) == {"partitions"}


@pytest.mark.parametrize(
    "bookmark",
    [
        {"changed_at": "2026-01-01T00:00:00Z"},
        {"replication_key_signpost": "2026-01-01T00:00:00Z", "progress_markers": {"a": 1}},
        {"starting_replication_value": "2026-01-01T00:00:00Z", "partitions": []},
    ],
    ids=["of old", "cut off", "begun"],
)
def test_what_another_kind_of_tap_has_left_is_told(
    sandbox: Sandbox, bookmark: dict[str, Any]
) -> None:
    run = read_with(sandbox, {"bookmarks": {"ats_offers": bookmark}})

    assert set(asked_since(sandbox).values()) == {None}
    [warning] = run.warnings
    assert "ats_offers" in warning
    assert "no integration in particular" in warning


def test_a_partition_that_another_kind_of_tap_has_left_is_told(sandbox: Sandbox) -> None:
    first, second = sandbox.integration_ids
    markers = {"replication_key": "changed_at", "replication_key_value": ago(sandbox, days=1)}
    kept = ago(sandbox, days=2)

    run = read_with(
        sandbox, state_of(partition(first, None, progress_markers=markers), partition(second, kept))
    )

    assert asked_since(sandbox) == {first: None, second: kept}
    [warning] = run.warnings
    assert first in warning
    assert "ats_offers" in warning


def test_duplicate_partitions_count_as_the_earliest_one(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    earliest = read_time(ago(sandbox, days=9))
    state = state_of(
        partition(first, ago(sandbox, days=5)),
        # Written so that its text comes after the others'.
        partition(first, (earliest + timedelta(hours=12)).strftime("%Y-%m-%dT%H:%M:%S.%f+12:00")),
        partition(first, ago(sandbox, days=2)),
    )

    run = read_with(sandbox, state)

    assert asked_since(sandbox)[first] == write_time(earliest)
    assert run.partition("ats_offers", first)
    assert any("more than once" in warning for warning in run.warnings)


def test_what_belongs_to_other_streams_and_taps_is_kept_as_it_is(sandbox: Sandbox) -> None:
    leftovers = {
        "github_issues": {"partitions": [{"context": {"org": "x"}, "anything": 1}]},
        "ats_jobs": {"partitions": [partition("a:b", "2025-01-01T00:00:00.000Z")]},
    }
    state = {"bookmarks": copy.deepcopy(leftovers), "currently_syncing": "ats_jobs"}

    run = read_with(sandbox, state)

    assert {name: run.state["bookmarks"][name] for name in leftovers} == leftovers


def test_an_integration_that_is_removed_and_added_again_goes_on_where_it_was(
    sandbox: Sandbox,
) -> None:
    first, second = sandbox.integration_ids
    both = read_with(sandbox, None)
    kept = both.partition("ats_offers", second)

    one = read_with(sandbox, both.state, integration_ids=[first])
    assert one.partition("ats_offers", second) == kept

    sandbox.clear_requests()
    read_with(sandbox, one.state)
    assert asked_since(sandbox)[second] == kept["replication_key_value"]


@pytest.mark.parametrize(
    "resume",
    [
        "nonsense",
        {},
        {"cursor": "c"},
        {"cursor": "c", "started": "soon", "since": None},
        {"cursor": "c", "started": 7, "since": None},
    ],
)
def test_a_place_that_cannot_be_read_is_void(sandbox: Sandbox, resume: Any) -> None:
    first, second = sandbox.integration_ids

    run = read_with(sandbox, state_of(partition(first, None, resume=resume)))

    assert asked_since(sandbox) == {first: None, second: None}
    assert not [r for r in sandbox.requests() if "cursor" in r.params]
    assert "resume" not in run.partition("ats_offers", first)
