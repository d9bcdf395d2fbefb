"""A rate limit is waited for, by all or by one, as long as `max_wait_seconds` allows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from kombo_sandbox.handle import Request
from tap_kombo.times import read_time, write_time
from tests.tap_run import Haste, TapRun, catalog_with, run_tap, settings_for, state_at

OFFERS = catalog_with("ats_offers")
LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"
KEY_LIMIT = "PLATFORM.RATE_LIMIT_EXCEEDED"
TOOL_LIMIT = "REMOTE.RATE_LIMIT_EXCEEDED"

CLOSINGS: dict[str, tuple[int, dict[str, str]]] = {
    # which of the requests for offers is answered so, and with what: all say two seconds
    "ratelimit-reset": (10, {"ratelimit-reset": "2"}),
    "Retry-After in seconds": (30, {"Retry-After": "2", "ratelimit-reset": "60"}),
    "Retry-After as a date": (
        50,
        {
            "Date": "Sun, 01 Mar 2026 12:00:00 GMT",
            "Retry-After": "Sun, 01 Mar 2026 12:00:02 GMT",
            "ratelimit-reset": "60",
        },
    ),
    "the last request that is allowed": (
        70,
        {"ratelimit-remaining": "0", "ratelimit-reset": "2"},
    ),
}


@dataclass(frozen=True)
class Closed:
    run: TapRun
    requests: list[Request]
    is_complete: bool


@pytest.fixture(scope="module")
def closed(shared_sandbox: Sandbox) -> Closed:
    """Run with eight requests in flight, while the key's limit is spent four times."""
    sandbox = shared_sandbox
    sandbox.clear_faults()
    sandbox.clear_requests()
    for number, headers in CLOSINGS.values():
        is_answered = "ratelimit-remaining" in headers
        sandbox.fault(
            "/ats/offers",
            skip=number,
            count=1,
            headers=headers,
            status=None if is_answered else 429,
            code=None if is_answered else KEY_LIMIT,
        )
    sandbox.fault(delay=0.05)
    run = run_tap(settings_for(sandbox, page_size=15, concurrency=8), catalog=OFFERS)
    truth = sorted(record["id"] for record in sandbox.records("ats_offers"))
    asked = [request for request in sandbox.requests() if request.path == "/ats/offers"]
    return Closed(run, asked, run.ids("ats_offers") == truth)


@pytest.mark.parametrize("name", CLOSINGS)
def test_no_thread_asks_while_the_keys_limit_is_spent(closed: Closed, name: str) -> None:
    earlier = list(CLOSINGS).index(name)
    closing = closed.requests[CLOSINGS[name][0] + earlier]
    assert closing.ended is not None

    after = [r.started - closing.ended for r in closed.requests if r.started > closing.ended]

    # What is on its way at that moment is on its way.
    assert not [seconds for seconds in after if 0.8 < seconds < 1.95]
    assert len([seconds for seconds in after if seconds <= 0.8]) <= 8
    assert 2 <= min(seconds for seconds in after if seconds > 0.8) < 30


def test_a_spent_limit_loses_nothing_and_is_no_failure(closed: Closed) -> None:
    assert closed.run.code == 0
    assert closed.run.errors == closed.run.warnings == []
    assert closed.is_complete


def test_all_who_come_back_at_once_get_through_in_the_end(sandbox: Sandbox) -> None:
    sandbox.rate_limit(20, 1)
    try:
        run = run_tap(settings_for(sandbox, page_size=50, concurrency=32), catalog=OFFERS)
    finally:
        sandbox.rate_limit(1_000_000, 60)

    assert run.code == 0
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))


ODD_LIMITS: dict[str, dict[str, Any]] = {
    # what a read meets, all of which it gets over
    "ten limits": {"code": KEY_LIMIT, "count": 10, "headers": {"ratelimit-reset": "0"}},
    "nothing": {"code": KEY_LIMIT, "count": 1, "headers": {"ratelimit-reset": ""}},
    "nothing, and no code": {"count": 1, "headers": {"ratelimit-reset": ""}},
    "words": {"code": KEY_LIMIT, "count": 1, "headers": {"ratelimit-reset": "soon"}},
    "below zero": {"code": KEY_LIMIT, "count": 1, "headers": {"ratelimit-reset": "-5"}},
    "no number": {"code": KEY_LIMIT, "count": 1, "headers": {"ratelimit-reset": "NaN"}},
    "endless": {"code": KEY_LIMIT, "count": 1, "headers": {"ratelimit-reset": "Infinity"}},
    "a past date": {
        "code": KEY_LIMIT,
        "count": 1,
        "headers": {
            "Date": "Sun, 01 Mar 2026 12:00:00 GMT",
            "Retry-After": "Sun, 01 Mar 2020 12:00:00 GMT",
        },
    },
    "a broken date": {
        "code": KEY_LIMIT,
        "count": 1,
        "headers": {"Retry-After": "Sun, 01 Mar", "ratelimit-reset": "0"},
    },
}


def test_a_limit_that_does_not_say_how_long_is_tried_again() -> None:
    with Sandbox(integrations=len(ODD_LIMITS) + 1, offers=30, seed=2) as sandbox:
        *limited, last = sandbox.integration_ids
        for integration_id, fault in zip(limited, ODD_LIMITS.values(), strict=True):
            sandbox.fault("/ats/offers", integration_id=integration_id, status=429, **fault)
        # An answer that announces a limit without end is not a refusal.
        sandbox.fault(
            "/ats/offers",
            integration_id=last,
            headers={"ratelimit-remaining": "0", "ratelimit-reset": "9999999999"},
        )

        run = run_tap(settings_for(sandbox, page_size=10, max_wait_seconds=60), catalog=OFFERS)

        assert run.code == 0, run.stderr
        assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))


def test_a_limit_may_be_waited_for_a_thousand_times(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(
        "/ats/offers",
        integration_id=integration_id,
        status=429,
        code=TOOL_LIMIT,
        count=1100,
        headers={"ratelimit-reset": ""},
    )
    settings = settings_for(sandbox, integration_ids=[integration_id], max_wait_seconds=86_400)

    run = run_tap(settings, catalog=OFFERS, haste=Haste(shorter=1e9))

    assert run.code == 0, run.stderr
    assert run.ids("ats_offers")


@pytest.mark.parametrize("code", [KEY_LIMIT, TOOL_LIMIT])
def test_a_limit_that_lasts_as_long_as_is_waited_for_is_waited_for(
    sandbox: Sandbox, code: str
) -> None:
    sandbox.fault("/ats/offers", status=429, code=code, count=1, headers={"Retry-After": "2"})
    settings = settings_for(sandbox, max_wait_seconds=2, concurrency=1)

    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 0, run.stderr
    assert run.errors == run.warnings == []


@pytest.mark.parametrize(
    ("max_wait", "reset"), [(0, "1"), (5, "900"), (300, "99999999999999999999")]
)
def test_a_limit_that_lasts_too_long_fails_each_read_and_sends_no_useless_requests(
    sandbox: Sandbox, max_wait: int, reset: str
) -> None:
    sandbox.fault(
        "/ats/offers",
        status=429,
        code=KEY_LIMIT,
        log_url=LOG_URL,
        headers={"ratelimit-reset": reset},
    )
    moment = write_time(read_time(sandbox.clock()) - timedelta(hours=1))
    settings = settings_for(sandbox, max_wait_seconds=max_wait, concurrency=1)

    run = run_tap(settings, catalog=OFFERS, state=state_at(moment, sandbox.integration_ids))

    assert run.code == 1
    assert len([r for r in sandbox.requests() if r.path == "/ats/offers"]) == 1
    for integration_id in sandbox.integration_ids:
        [error] = [e for e in run.errors if integration_id in e]
        assert f"{KEY_LIMIT} (HTTP 429, {LOG_URL}). The key's rate limit is spent." in error
        assert "`max_wait_seconds`" in error
        assert run.partition("ats_offers", integration_id)["replication_key_value"] == moment


def test_a_tools_limit_makes_only_its_own_integration_wait(sandbox: Sandbox) -> None:
    waiting, failing, well = sandbox.integration_ids
    for integration_id, seconds in [(waiting, "3"), (failing, "900")]:
        sandbox.fault(
            "/ats/offers",
            integration_id=integration_id,
            status=429,
            code=TOOL_LIMIT,
            log_url=LOG_URL,
            # The key's own window says nothing about the tool.
            headers={"Retry-After": seconds, "ratelimit-reset": "600"},
            count=1,
        )
    sandbox.fault("/ats/offers", delay=0.1)

    run = run_tap(settings_for(sandbox, page_size=30, concurrency=2), catalog=OFFERS)

    assert run.code == 1
    [error] = run.errors
    assert error.startswith(
        f"Could not read {failing} (ats_offers): {TOOL_LIMIT} (HTTP 429, {LOG_URL}). "
    )
    assert run.bookmark("ats_offers", failing) is None
    assert run.bookmark("ats_offers", waiting)
    assert run.bookmark("ats_offers", well)
    asked = [r for r in sandbox.requests() if r.path == "/ats/offers"]
    assert len([r for r in asked if r.integration_id == failing]) == 1
    limited, again = [r.started for r in asked if r.integration_id == waiting][:2]
    assert again - limited > 2.9
    meanwhile = [r for r in asked if r.integration_id == well and limited < r.started < again]
    assert len(meanwhile) >= 5
