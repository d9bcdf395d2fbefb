"""A bookmark is the time when the last complete read started, by Kombo's clock."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from harness.tap import (
    TapRun,
    ago,
    catalog_with,
    interrupted_state,
    run_tap,
    settings_for,
    state_with_bookmark,
    tap_process,
)
from kombo_sandbox import Sandbox
from tap_kombo.times import format_time, parse_time
from tests.tap.raw_server import (
    DETAILS,
    Behavior,
    Pieces,
    RawServer,
    http_response,
    page_json,
)

OFFERS = catalog_with("ats_offers")


def test_a_bookmark_is_set_lookback_seconds_before_the_start_of_the_read(
    sandbox: Sandbox,
) -> None:
    integration_id = sandbox.integration_ids[0]
    before = parse_time(sandbox.clock())

    run = run_tap(settings_for(sandbox, lookback_seconds=600), catalog=OFFERS)

    bookmark = run.bookmark("ats_offers", integration_id)
    assert bookmark is not None
    assert timedelta(seconds=590) < before - parse_time(bookmark) < timedelta(seconds=605)


def test_a_slow_first_response_does_not_delay_the_bookmark(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(path="/ats/offers", integration_id=integration_id, delay=3.0, count=1)
    ahead = parse_time(sandbox.clock()).timestamp() - time.time()

    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id], lookback_seconds=0), catalog=OFFERS
    )

    [first] = [
        r for r in sandbox.requests() if r.path == "/ats/offers" and not r.params.get("cursor")
    ]
    bookmark = run.bookmark("ats_offers", integration_id)
    assert bookmark is not None
    assert parse_time(bookmark).timestamp() <= first.started + ahead


def test_the_clock_of_this_machine_is_not_used(sandbox: Sandbox) -> None:
    sandbox.advance(seconds=7200)

    run = run_tap(settings_for(sandbox, lookback_seconds=0), catalog=OFFERS)

    bookmark = run.bookmark("ats_offers", sandbox.integration_ids[0])
    assert bookmark is not None
    assert abs(parse_time(sandbox.clock()) - parse_time(bookmark)) < timedelta(seconds=30)


def test_a_bookmark_never_moves_back(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    bookmark = ago(sandbox, seconds=10)

    run = run_tap(
        settings_for(sandbox, lookback_seconds=86_400),
        state=state_with_bookmark(bookmark, [integration_id]),
        catalog=OFFERS,
    )

    assert run.bookmark("ats_offers", integration_id) == bookmark


def test_a_record_that_changes_during_the_read_is_read_by_the_next_run(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(
        sandbox, integration_ids=[integration_id], page_size=20, lookback_seconds=0
    )
    sandbox.fault(path="/ats/offers", delay=1.0, skip=1, count=2)
    with tap_process(settings, catalog=OFFERS) as process:
        assert process.stdout is not None
        while b'"RECORD"' not in process.stdout.readline():
            pass
        first = sandbox.records("ats_offers", integration_id, include_deleted=False)[0]
        changed = sandbox.change("ats_offers", ids=[first["id"]])
        stdout, _ = process.communicate(timeout=60)
    state = json.loads(stdout.splitlines()[-1])["value"]

    second = run_tap(settings, state=state, catalog=OFFERS)

    assert set(changed) <= set(second.ids("ats_offers"))


def kill_after_first_resume_point(settings: dict[str, Any]) -> TapRun:
    """Kill a run in the middle of a read; return its messages up to the resume point."""
    with tap_process(settings, catalog=OFFERS) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if b'"STATE"' in line and b'"resume"' in line:
                break
        process.kill()
    return TapRun(-9, b"".join(lines), "")


def test_an_interrupted_read_keeps_its_page_size(sandbox: Sandbox) -> None:
    """With larger pages, a cursor that counts pages would skip records."""
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=10)
    sandbox.fault(path="/ats/offers", delay=0.4)
    first = kill_after_first_resume_point(settings)
    sandbox.clear_faults()
    sandbox.clear_requests()

    run_tap({**settings, "page_size": 250}, state=first.state, catalog=OFFERS)

    requests = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")]
    assert {r.params["page_size"] for r in requests if "cursor" in r.params} == {"10"}


def test_a_read_resumes_after_its_last_page(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=10)
    sandbox.fault(path="/ats/offers", delay=0.4)
    first = kill_after_first_resume_point(settings)
    resume = first.partition("ats_offers", integration_id)["resume"]
    assert first.bookmark("ats_offers", integration_id) is None
    sandbox.clear_faults()
    sandbox.advance(seconds=5000)
    sandbox.clear_requests()

    second = run_tap(settings, state=first.state, catalog=OFFERS)

    expected = {record["id"] for record in sandbox.records("ats_offers", integration_id)}
    written = set(first.ids("ats_offers"))
    assert written | set(second.ids("ats_offers")) == expected
    assert written.isdisjoint(second.ids("ats_offers"))
    pages = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")]
    assert pages[0].params["cursor"] == resume["cursor"]
    assert "resume" not in second.partition("ats_offers", integration_id)


def test_a_resumed_read_also_reads_the_changes_since_its_start(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=10)
    sandbox.fault(path="/ats/offers", delay=0.4)
    first = kill_after_first_resume_point(settings)
    resume = first.partition("ats_offers", integration_id)["resume"]
    sandbox.clear_faults()
    sandbox.advance(seconds=5000)
    live = {r["id"] for r in sandbox.records("ats_offers", integration_id, include_deleted=False)}
    changed = sandbox.change(
        "ats_offers", ids=sorted(live.intersection(first.ids("ats_offers")))[:2]
    )
    sandbox.clear_requests()

    second = run_tap(settings, state=first.state, catalog=OFFERS)

    assert set(changed) <= set(second.ids("ats_offers"))
    last = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")][-1]
    started = parse_time(resume["started"]) - timedelta(seconds=60)
    assert last.params["updated_after"] == format_time(started)
    bookmark = second.bookmark("ats_offers", integration_id)
    assert bookmark is not None
    assert parse_time(bookmark) > started + timedelta(seconds=4900)
    assert any("1 stream synced (1 complete)" in line for line in second.log)


class ServerThatCountsPages(RawServer):
    """A server with 1,000 offers, whose cursors are page numbers."""

    def respond(self, head: str) -> Pieces:
        url = urlsplit(head.split(" ", 2)[1])
        if url.path != "/v1/ats/offers":
            yield http_response(DETAILS)
            return
        query = dict(parse_qsl(url.query))
        size, number = int(query["page_size"]), int(query.get("cursor", 0))
        ids = [str(offer) for offer in range(1000)][number * size :][:size]
        cursor = f'"{number + 1}"' if (number + 1) * size < 1000 else "null"
        yield http_response(page_json(*ids, cursor=cursor))


class ServerThatStopsAfterFourPages(ServerThatCountsPages):
    def respond(self, head: str) -> Pieces:
        pages = [earlier for earlier in self.heads if "/ats/offers" in earlier]
        if len(pages) > 4:
            yield http_response(b"", status="403 Forbidden")
        else:
            yield from super().respond(head)


@pytest.mark.parametrize("has_page_size", [True, False], ids=["with", "without"])
def test_cursors_that_count_pages_lose_no_record_with_another_page_size(
    *, has_page_size: bool
) -> None:
    settings = {"api_key": "ks_dev_raw", "integration_ids": ["a"]}
    with ServerThatStopsAfterFourPages() as kombo:
        first = run_tap({**settings, "api_url": kombo.url, "page_size": 50}, catalog=OFFERS)
    assert len(first.ids("ats_offers")) == 200
    if not has_page_size:
        del first.partition("ats_offers", "a")["resume"]["page_size"]

    with ServerThatCountsPages() as kombo:
        second = run_tap({**settings, "api_url": kombo.url}, state=first.state, catalog=OFFERS)

    assert second.code == 0, second.stderr
    assert {*first.ids("ats_offers"), *second.ids("ats_offers")} == set(map(str, range(1000)))
    assert second.bookmark("ats_offers", "a")


def test_a_rejected_resume_point_restarts_the_read(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=50)
    state = interrupted_state("ats_offers", integration_id, "expired", ago(sandbox, hours=5))

    run = run_tap(settings, state=state, catalog=OFFERS)

    assert run.code == 0
    assert [r.params.get("cursor") for r in sandbox.requests() if r.path == "/ats/offers"][:2] == [
        "expired",
        None,
    ]
    expected = sorted(record["id"] for record in sandbox.records("ats_offers", integration_id))
    assert run.ids("ats_offers") == expected


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize(
    "response",
    [
        pytest.param(
            http_response(
                b'{"status":"error","error":{"code":"PLATFORM.CURSOR_EXPIRED"}}', status="400 Bad"
            ),
            id="another code",
        ),
        pytest.param(http_response(b"gone", status="404 Not Found"), id="HTTP 404"),
        pytest.param(http_response(b"{}", status="500 Internal Server Error"), id="HTTP 500"),
        pytest.param(http_response(page_json("1", cursor='"expired"')), id="a loop"),
    ],
)
def test_a_resume_point_that_fails_in_another_way_restarts_the_read(response: bytes) -> None:
    """Kombo does not document how it rejects an expired cursor."""
    started = format_time(datetime.now(UTC) - timedelta(hours=5))
    state = interrupted_state("ats_offers", "personio:x", "expired", started)
    expired = Behavior(
        lambda request: [response if request.cursor == "expired" else http_response(page_json("2"))]
    )
    with RawServer({"personio:x": expired}) as kombo:
        settings = {
            "api_key": "ks_dev_raw",
            "api_url": kombo.url,
            "integration_ids": ["personio:x"],
        }

        run = run_tap(settings, state=state, catalog=OFFERS)

    assert run.code == 0, run.stderr
    assert {"personio:x-1", "2"} <= set(run.ids("ats_offers"))
    assert "resume" not in run.partition("ats_offers", "personio:x")


def test_a_failure_after_a_valid_resume_point_does_not_restart_the_read(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=50)
    run_tap(settings, catalog=OFFERS)
    [cursor, *_] = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    sandbox.clear_requests()
    sandbox.fault("/ats/offers", skip=1, status=403)
    state = interrupted_state("ats_offers", integration_id, cursor, ago(sandbox, hours=5))

    run = run_tap(settings, catalog=OFFERS, state=state)

    assert run.code == 1
    following = run.partition("ats_offers", integration_id)["resume"]["cursor"]
    cursors = [r.params.get("cursor") for r in sandbox.requests() if r.path == "/ats/offers"]
    assert cursors == [cursor, following]


def test_a_cursor_rejected_in_the_middle_restarts_the_read(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=50)
    sandbox.fault(path="/ats/offers", expired_cursor=True, skip=2, count=1)

    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 0
    expected = {record["id"] for record in sandbox.records("ats_offers", integration_id)}
    assert set(run.ids("ats_offers")) == expected
    assert len(run.ids("ats_offers")) > len(expected), "no page was repeated"


def test_cursors_that_are_always_rejected_fail_the_read(
    sandbox: Sandbox,
) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=50)
    sandbox.fault(path="/ats/offers", expired_cursor=True)

    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 1
    assert run.bookmark("ats_offers", integration_id) is None
    first_pages = [
        r for r in sandbox.requests() if r.path.endswith("/ats/offers") and "cursor" not in r.params
    ]
    assert len(first_pages) == 4


def test_a_resume_point_of_another_start_date_is_not_used(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=10)
    sandbox.fault(path="/ats/offers", delay=0.3)
    first = kill_after_first_resume_point(settings)
    sandbox.clear_faults()
    sandbox.clear_requests()

    run_tap({**settings, "start_date": "2001-01-01"}, state=first.state, catalog=OFFERS)

    pages = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")]
    assert "cursor" not in pages[0].params


def test_states_are_written_about_once_a_second(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox, page_size=10), catalog=OFFERS)

    pages = len([r for r in sandbox.requests() if "/ats/" in r.path])
    assert pages > 100
    assert len(run.states) < pages / 5
