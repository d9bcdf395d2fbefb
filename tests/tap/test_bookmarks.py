"""A bookmark is where the last complete read began, by Kombo's clock."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tap_kombo.times import read_time, write_time
from tests.tap.raw_server import Broken, RawKombo, http, page
from tests.tap_run import (
    Haste,
    TapRun,
    catalog_with,
    run_tap,
    settings_for,
    state_cut_off,
    tap_process,
)

OFFERS = catalog_with("ats_offers")


def state_with(integration_id: str, bookmark: str, **more: Any) -> dict[str, Any]:
    partition = {
        "context": {"integration_id": integration_id},
        "replication_key": "changed_at",
        "replication_key_value": bookmark,
        **more,
    }
    return {"bookmarks": {"ats_offers": {"partitions": [partition]}}}


def test_a_bookmark_stays_lookback_seconds_behind_the_begin_of_its_read(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    before = read_time(sandbox.clock())

    run = run_tap(settings_for(sandbox, lookback_seconds=600), catalog=OFFERS)

    bookmark = run.bookmark("ats_offers", integration_id)
    assert bookmark is not None
    behind = before - read_time(bookmark)
    assert timedelta(seconds=590) < behind < timedelta(seconds=605)


def test_a_slow_first_answer_puts_the_bookmark_before_it(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(path="/ats/offers", integration_id=integration_id, delay=3.0, count=1)
    ahead = read_time(sandbox.clock()).timestamp() - time.time()

    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id], lookback_seconds=0), catalog=OFFERS
    )

    [asked] = [
        r for r in sandbox.requests() if r.path == "/ats/offers" and not r.params.get("cursor")
    ]
    bookmark = run.bookmark("ats_offers", integration_id)
    assert bookmark is not None
    assert read_time(bookmark).timestamp() <= asked.started + ahead


def test_this_machines_clock_does_not_matter(sandbox: Sandbox) -> None:
    """The sandbox's clock is hours ahead of this machine's by now, like any wrong clock."""
    sandbox.advance(seconds=7200)

    run = run_tap(settings_for(sandbox, lookback_seconds=0), catalog=OFFERS)

    bookmark = run.bookmark("ats_offers", sandbox.integration_ids[0])
    assert bookmark is not None
    assert abs(read_time(sandbox.clock()) - read_time(bookmark)) < timedelta(seconds=30)


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("%a %b %e %H:%M:%S %Y", id="asctime"),
        pytest.param("%A, %d-%b-%y %H:%M:%S GMT", id="RFC 850"),
        pytest.param("%a, %d %b %Y %H:%M:%S -0000", id="no zone"),
    ],
)
def test_a_time_in_an_old_form_is_utc_too(sandbox: Sandbox, form: str) -> None:
    """RFC 9110, 5.6.7: some name no zone, and mean UTC; not the zone of this machine."""
    now = read_time(sandbox.clock())
    sandbox.fault(headers={"Date": now.strftime(form)})
    settings = settings_for(sandbox, lookback_seconds=0)

    run = run_tap(settings, catalog=OFFERS, env={"TZ": "America/New_York"})

    assert run.code == 0
    bookmark = run.bookmark("ats_offers", sandbox.integration_ids[0])
    assert bookmark is not None
    assert timedelta(0) <= now - read_time(bookmark) < timedelta(minutes=1)


def test_a_bookmark_never_moves_back(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    bookmark = write_time(read_time(sandbox.clock()) - timedelta(seconds=10))

    run = run_tap(
        settings_for(sandbox, lookback_seconds=86_400),
        state=state_with(integration_id, bookmark),
        catalog=OFFERS,
    )

    assert run.bookmark("ats_offers", integration_id) == bookmark


def test_a_record_that_changes_while_it_is_read_comes_with_the_next_run(sandbox: Sandbox) -> None:
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


def cut_off(settings: dict[str, Any]) -> tuple[TapRun, set[str]]:
    """Kill a run in its middle; give what came whole, and the ids that came."""
    with tap_process(settings, catalog=OFFERS) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if b'"STATE"' in line and b'"resume"' in line:
                break
        process.kill()
    run = TapRun(-9, b"".join(lines), "")
    return run, set(run.ids("ats_offers"))


def test_a_killed_run_goes_on_after_its_last_page(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=10)
    sandbox.fault(path="/ats/offers", delay=0.4)
    first, came = cut_off(settings)
    resume = first.partition("ats_offers", integration_id)["resume"]
    assert first.bookmark("ats_offers", integration_id) is None
    sandbox.clear_faults()
    sandbox.advance(seconds=5000)
    sandbox.clear_requests()

    second = run_tap(settings, state=first.state, catalog=OFFERS)

    truth = {record["id"] for record in sandbox.records("ats_offers", integration_id)}
    assert came | set(second.ids("ats_offers")) == truth
    assert came.isdisjoint(second.ids("ats_offers"))
    pages = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")]
    assert pages[0].params["cursor"] == resume["cursor"]
    assert "resume" not in second.partition("ats_offers", integration_id)


def test_what_changed_since_a_run_was_killed_comes_with_the_next_one(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=10)
    sandbox.fault(path="/ats/offers", delay=0.4)
    first, came = cut_off(settings)
    resume = first.partition("ats_offers", integration_id)["resume"]
    sandbox.clear_faults()
    sandbox.advance(seconds=5000)
    live = {r["id"] for r in sandbox.records("ats_offers", integration_id, include_deleted=False)}
    changed = sandbox.change("ats_offers", ids=sorted(came & live)[:2])
    sandbox.clear_requests()

    second = run_tap(settings, state=first.state, catalog=OFFERS)

    assert set(changed) <= set(second.ids("ats_offers"))
    last = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")][-1]
    began = read_time(resume["started"]) - timedelta(seconds=60)
    assert last.params["updated_after"] == write_time(began)
    bookmark = second.bookmark("ats_offers", integration_id)
    assert bookmark is not None
    assert read_time(bookmark) > began + timedelta(seconds=4900)
    assert any("1 of 1 read complete" in line for line in second.log)


def test_a_refused_resume_point_means_reading_from_the_bookmark(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=50)
    began = hours_ago(read_time(sandbox.clock()))
    state = state_cut_off("ats_offers", integration_id, "long gone", began)

    run = run_tap(settings, state=state, catalog=OFFERS)

    assert run.code == 0
    assert [r.params.get("cursor") for r in sandbox.requests() if r.path == "/ats/offers"][:2] == [
        "long gone",
        None,
    ]
    truth = sorted(record["id"] for record in sandbox.records("ats_offers", integration_id))
    assert run.ids("ats_offers") == truth


def hours_ago(now: datetime) -> str:
    return write_time(now - timedelta(hours=5))


@pytest.mark.parametrize(
    "answer",
    [
        http(b'{"status":"error","error":{"code":"PLATFORM.CURSOR_EXPIRED"}}', status="400 Bad"),
        http(b"gone", status="404 Not Found"),
        http(b"{}", status="500 Internal Server Error"),
        http(page("1", cursor='"stale"')),
    ],
    ids=["a code of its own", "not found", "its own failure", "a circle"],
)
def test_a_resume_point_that_is_of_no_use_does_not_stand_in_the_way(answer: bytes) -> None:
    """How Kombo refuses a cursor that it has forgotten is not documented."""
    state = state_cut_off("ats_offers", "personio:x", "stale", hours_ago(datetime.now(UTC)))
    stale = Broken(lambda asked: [answer if asked.cursor == "stale" else http(page("2"))])
    with RawKombo({"personio:x": stale}) as kombo:
        settings = {
            "api_key": "ks_dev_raw",
            "api_url": kombo.url,
            "integration_ids": ["personio:x"],
        }

        run = run_tap(settings, state=state, catalog=OFFERS, haste=Haste())

    assert run.code == 0, run.stderr
    assert {"personio:x-1", "2"} <= set(run.ids("ats_offers"))
    assert "resume" not in run.partition("ats_offers", "personio:x")


def test_a_resume_point_that_was_of_use_is_no_reason_to_begin_again(sandbox: Sandbox) -> None:
    """What fails after it fails for a reason of its own."""
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=50)
    run_tap(settings, catalog=OFFERS)
    [place, *_] = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    sandbox.clear_requests()
    sandbox.fault("/ats/offers", skip=1, status=403)

    began = hours_ago(read_time(sandbox.clock()))

    run = run_tap(
        settings,
        catalog=OFFERS,
        state=state_cut_off("ats_offers", integration_id, place, began),
    )

    assert run.code == 1
    kept = run.partition("ats_offers", integration_id)["resume"]["cursor"]
    asked = [r.params.get("cursor") for r in sandbox.requests() if r.path == "/ats/offers"]
    assert asked == [place, kept]


def test_a_cursor_refused_in_the_middle_starts_the_read_again(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=50)
    sandbox.fault(path="/ats/offers", expired_cursor=True, skip=2, count=1)

    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 0
    truth = {record["id"] for record in sandbox.records("ats_offers", integration_id)}
    assert set(run.ids("ats_offers")) == truth
    assert len(run.ids("ats_offers")) > len(truth), "it was read again"


def test_cursors_that_are_always_refused_fail_the_read_and_leave_the_bookmark(
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


def test_a_resume_point_of_another_start_is_void(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=10)
    sandbox.fault(path="/ats/offers", delay=0.3)
    first, _ = cut_off(settings)
    sandbox.clear_faults()
    sandbox.clear_requests()

    run_tap({**settings, "start_date": "2001-01-01"}, state=first.state, catalog=OFFERS)

    pages = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")]
    assert "cursor" not in pages[0].params


def test_state_is_written_about_once_a_second_not_once_a_page(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox, page_size=10), catalog=OFFERS)

    pages = len([r for r in sandbox.requests() if "/ats/" in r.path])
    assert pages > 100
    assert len(run.states) < pages / 5
