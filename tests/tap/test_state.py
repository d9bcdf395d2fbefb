"""Runs with a state; `tests/unit/test_state.py` tests where each read starts."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.tap import TapRun, ago, catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo.times import parse_time

OFFERS = catalog_with("ats_offers")


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with Sandbox(integrations=2, offers=30, seed=23) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(kombo: Sandbox) -> Sandbox:
    kombo.clear_requests()
    return kombo


def partition(integration_id: str, bookmark: str | None, **more: Any) -> dict[str, Any]:
    value = {"replication_key": "changed_at", "replication_key_value": bookmark} if bookmark else {}
    return {"context": {"integration_id": integration_id}, **value, **more}


def state_of(*partitions: dict[str, Any]) -> dict[str, Any]:
    return {"bookmarks": {"ats_offers": {"partitions": list(partitions)}}}


def first_requests(sandbox: Sandbox) -> dict[str | None, str | None]:
    """Return the `updated_after` of each integration's first request for offers."""
    return {
        request.integration_id: request.params.get("updated_after")
        for request in reversed(sandbox.requests())
        if request.path == "/ats/offers"
    }


def sync(sandbox: Sandbox, state: Any, **settings: Any) -> TapRun:
    run = run_tap(settings_for(sandbox, **settings), state=state, catalog=OFFERS)
    assert run.code == 0, run.stderr
    return run


def second_cursor(sandbox: Sandbox, **settings: Any) -> str:
    """Return the cursor of the second page of offers."""
    sync(sandbox, None, **settings)
    cursors: list[str] = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    sandbox.clear_requests()
    return cursors[0]


# State files


@pytest.mark.parametrize("state", [None, {}, {"bookmarks": {}}], ids=["none", "empty", "no reads"])
def test_everything_is_read_without_a_state(sandbox: Sandbox, state: Any) -> None:
    run = sync(sandbox, state)

    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))
    assert run.warnings == []


@pytest.mark.parametrize("content", [b"", b"\n"], ids=["empty", "a line"])
def test_an_empty_state_file_is_the_start_of_a_first_sync(
    sandbox: Sandbox, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)

    run = run_tap(settings_for(sandbox), "--state", str(path), catalog=OFFERS)

    assert run.code == 0
    assert len(run.ids("ats_offers")) == len(sandbox.records("ats_offers"))
    assert run.warnings == []
    assert "the state file is empty; everything is read" in run.stderr


def test_last_complete_state_of_a_killed_target_is_used(sandbox: Sandbox, tmp_path: Path) -> None:
    first, _ = sandbox.integration_ids
    bookmarks = [ago(sandbox, days=3), ago(sandbox, days=2), ago(sandbox, days=1)]
    lines = [json.dumps(state_of(partition(first, bookmark))) for bookmark in bookmarks]
    path = tmp_path / "states.jsonl"
    path.write_text("\n".join([*lines, '{"bookmarks": {"ats_off']))

    run = run_tap(settings_for(sandbox), "--state", str(path), catalog=OFFERS)

    assert run.code == 0
    assert first_requests(sandbox)[first] == bookmarks[-1]


# Bookmarks that are not used


def test_bookmark_ahead_of_kombos_clock_is_replaced_after_a_complete_read(sandbox: Sandbox) -> None:
    first, second = sandbox.integration_ids
    bookmark = ago(sandbox, days=1)
    state = state_of(partition(first, "2999-01-01T00:00:00Z"), partition(second, bookmark))

    run = sync(sandbox, state)

    assert first_requests(sandbox) == {first: None, second: bookmark}
    ids = [r["id"] for r in run.records["ats_offers"] if r["integration_id"] == first]
    assert sorted(ids) == sorted(r["id"] for r in sandbox.records("ats_offers", first))
    assert parse_time(run.bookmark("ats_offers", first) or "") <= parse_time(sandbox.clock())
    [warning] = run.warnings
    assert warning.startswith(f"ats_offers ({first}): the bookmark is ahead of Kombo's clock")


@pytest.mark.parametrize(
    ("days", "is_complete"), [(13.9, False), (14.1, True)], ids=["13.9 days", "14.1 days"]
)
def test_read_is_complete_after_more_than_14_days(
    sandbox: Sandbox, days: float, *, is_complete: bool
) -> None:
    first, second = sandbox.integration_ids
    old, recent = ago(sandbox, days=days), ago(sandbox, days=1)

    run = sync(sandbox, state_of(partition(first, old), partition(second, recent)))

    assert first_requests(sandbox) == {first: None if is_complete else old, second: recent}
    assert [f"ats_offers ({first}): the last read was" in w for w in run.warnings] == (
        [True] if is_complete else []
    )
    assert (run.bookmark("ats_offers", first) or "") > old


def test_bookmark_of_an_unsupported_stream_is_no_warning(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    sandbox.set_integration(first, unavailable_models=["ats_offers"])

    run = sync(sandbox, state_of(partition(first, ago(sandbox, days=30))))
    sandbox.set_integration(first, unavailable_models=[])

    assert run.warnings == []


# Resume points


def test_complete_read_for_an_old_bookmark_resumes_after_the_last_page(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    settings = {"page_size": 10, "integration_ids": [first]}
    cursor = second_cursor(sandbox, **settings)
    resume = {"cursor": cursor, "started": ago(sandbox, days=1), "since": None, "page_size": 10}

    run = sync(
        sandbox, state_of(partition(first, ago(sandbox, days=20), resume=resume)), **settings
    )

    ids = [record["id"] for record in sandbox.records("ats_offers", first)]
    assert run.ids("ats_offers") == sorted(ids[10:])


@pytest.mark.parametrize(
    ("days", "is_complete"), [(13.9, False), (14.1, True)], ids=["13.9 days", "14.1 days"]
)
def test_first_read_resumes_within_14_days(
    sandbox: Sandbox, days: float, *, is_complete: bool
) -> None:
    """Later, Kombo would not return deletions of records that were on the pages before."""
    first, _ = sandbox.integration_ids
    settings = {"page_size": 10, "integration_ids": [first]}
    cursor = second_cursor(sandbox, **settings)
    resume = {"cursor": cursor, "started": ago(sandbox, days=days), "since": None, "page_size": 10}

    run = sync(sandbox, state_of(partition(first, None, resume=resume)), **settings)

    requests = [r for r in sandbox.requests() if r.path == "/ats/offers"]
    assert requests[0].params.get("cursor") == (None if is_complete else cursor)
    assert [f"({first}): the last read was" in w for w in run.warnings] == (
        [True] if is_complete else []
    )


def test_resume_point_ahead_of_kombos_clock_is_not_used(sandbox: Sandbox) -> None:
    first, _ = sandbox.integration_ids
    bookmark = ago(sandbox, days=1)
    resume = {
        "cursor": "c",
        "started": "2999-01-01T00:00:00.000Z",
        "since": bookmark,
        "page_size": 10,
    }

    run = sync(sandbox, state_of(partition(first, bookmark, resume=resume)))

    assert not [r for r in sandbox.requests() if "cursor" in r.params]
    new = parse_time(run.bookmark("ats_offers", first) or "")
    assert parse_time(bookmark) < new <= parse_time(sandbox.clock())


# The next state


def test_bookmarks_of_other_streams_and_taps_are_kept(sandbox: Sandbox) -> None:
    others = {
        "github_issues": {"partitions": [{"context": {"org": "x"}, "anything": 1}]},
        "ats_jobs": {"partitions": [partition("a:b", "2025-01-01T00:00:00.000Z")]},
    }

    run = sync(sandbox, {"bookmarks": copy.deepcopy(others), "currently_syncing": "ats_jobs"})

    assert {name: run.state["bookmarks"][name] for name in others} == others


def test_integration_that_is_added_again_continues_from_its_bookmark(sandbox: Sandbox) -> None:
    first, second = sandbox.integration_ids
    both = sync(sandbox, None)
    kept = both.partition("ats_offers", second)

    one = sync(sandbox, both.state, integration_ids=[first])
    assert one.partition("ats_offers", second) == kept

    sandbox.clear_requests()
    sync(sandbox, one.state)
    assert first_requests(sandbox)[second] == kept["replication_key_value"]
