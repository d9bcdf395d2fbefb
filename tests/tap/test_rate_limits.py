"""Rate limits are waited out, for at most `max_wait_seconds`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from unittest import mock

import pytest

from harness.tap import (
    TapRun,
    ago,
    catalog_with,
    quick_retries,
    run_tap,
    settings_for,
    state_with_bookmark,
)
from kombo_sandbox import Request, Sandbox
from tap_kombo import client

OFFERS = catalog_with("ats_offers")
LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"
KEY_LIMIT = "PLATFORM.RATE_LIMIT_EXCEEDED"
TOOL_LIMIT = "REMOTE.RATE_LIMIT_EXCEEDED"

TWO_SECONDS: dict[str, tuple[int, dict[str, str]]] = {
    "ratelimit-reset": (10, {"ratelimit-reset": "2"}),
    "Retry-After": (30, {"Retry-After": "2", "ratelimit-reset": "60"}),
    "Retry-After is not in seconds": (
        50,
        {"Retry-After": "Sun, 01 Mar 2026 12:00:02 GMT", "ratelimit-reset": "2"},
    ),
    "the last allowed request": (70, {"ratelimit-remaining": "0", "ratelimit-reset": "2"}),
}
"""The number of a request for offers, and headers of its response that ask to wait two seconds"""


@dataclass(frozen=True)
class LimitedRun:
    run: TapRun
    requests: list[Request]
    is_complete: bool


@pytest.fixture(scope="module")
def limited(shared_sandbox: Sandbox) -> LimitedRun:
    """Run with eight requests in flight, while the API key's rate limit is reached four times."""
    sandbox = shared_sandbox
    sandbox.clear_faults()
    sandbox.clear_requests()
    for number, headers in TWO_SECONDS.values():
        is_success = "ratelimit-remaining" in headers
        sandbox.fault(
            "/ats/offers",
            skip=number,
            count=1,
            headers=headers,
            status=None if is_success else 429,
            code=None if is_success else KEY_LIMIT,
        )
    sandbox.fault(delay=0.05)
    run = run_tap(settings_for(sandbox, page_size=15, concurrency=8), catalog=OFFERS)
    expected = sorted(record["id"] for record in sandbox.records("ats_offers"))
    requests = [request for request in sandbox.requests() if request.path == "/ats/offers"]
    return LimitedRun(run, requests, run.ids("ats_offers") == expected)


@pytest.mark.parametrize("name", TWO_SECONDS)
def test_no_thread_sends_a_request_while_the_keys_rate_limit_is_exhausted(
    limited: LimitedRun, name: str
) -> None:
    earlier_faults = list(TWO_SECONDS).index(name)
    last = limited.requests[TWO_SECONDS[name][0] + earlier_faults]
    assert last.ended is not None

    seconds = [r.started - last.ended for r in limited.requests if r.started > last.ended]

    # Requests that were already being sent arrive in the first moments.
    assert not [s for s in seconds if 0.8 < s < 1.95]
    assert len([s for s in seconds if s <= 0.8]) <= 8
    assert 2 <= min(s for s in seconds if s > 0.8) < 30


def test_a_rate_limit_that_was_waited_out_loses_nothing(limited: LimitedRun) -> None:
    assert limited.run.code == 0
    assert limited.run.errors == limited.run.warnings == []
    assert limited.is_complete


def test_many_threads_get_through_a_small_rate_limit(sandbox: Sandbox) -> None:
    sandbox.rate_limit(20, 1)
    try:
        run = run_tap(settings_for(sandbox, page_size=50, concurrency=32), catalog=OFFERS)
    finally:
        sandbox.rate_limit(1_000_000, 60)

    assert run.code == 0
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))


@pytest.mark.parametrize(
    ("headers", "count"),
    [
        pytest.param({"ratelimit-reset": "0"}, 10, id="zero, ten times"),
        pytest.param({"ratelimit-reset": ""}, 1, id="empty"),
        pytest.param({"ratelimit-reset": "soon"}, 1, id="a word"),
        pytest.param({"ratelimit-reset": "-5"}, 1, id="negative"),
        pytest.param({"ratelimit-reset": "NaN"}, 1, id="NaN"),
        pytest.param({"ratelimit-reset": "Infinity"}, 1, id="Infinity"),
        pytest.param(
            {"Retry-After": "Sun, 01 Mar 2020 12:00:00 GMT", "ratelimit-reset": ""}, 1, id="a date"
        ),
    ],
)
def test_a_rate_limit_of_unknown_length_is_retried_with_backoff(
    sandbox: Sandbox, headers: dict[str, str], count: int
) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault("/ats/offers", status=429, code=KEY_LIMIT, count=count, headers=headers)

    with mock.patch.object(client, "FIRST_BACKOFF", 1e-4):
        run = run_tap(settings_for(sandbox, integration_ids=[integration_id]), catalog=OFFERS)

    assert run.code == 0, run.stderr
    assert run.bookmark("ats_offers", integration_id)


def test_a_successful_response_that_announces_an_endless_limit_is_used(sandbox: Sandbox) -> None:
    endless = {"ratelimit-remaining": "0", "ratelimit-reset": "9999999999"}
    sandbox.fault("/ats/offers", headers=endless)

    run = run_tap(settings_for(sandbox, page_size=100), catalog=OFFERS)

    assert run.code == 0, run.stderr
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))


def test_a_rate_limit_may_be_reached_a_thousand_times(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(
        "/ats/offers", status=429, code=TOOL_LIMIT, count=1100, headers={"ratelimit-reset": ""}
    )
    settings = settings_for(sandbox, integration_ids=[integration_id], max_wait_seconds=86_400)

    with quick_retries(), mock.patch.object(client, "MAX_BACKOFF", 1.0):
        run = run_tap(settings, catalog=OFFERS)

    assert run.code == 0, run.stderr
    assert run.bookmark("ats_offers", integration_id)


@pytest.mark.parametrize("code", [KEY_LIMIT, TOOL_LIMIT])
def test_a_rate_limit_of_max_wait_seconds_is_waited_out(sandbox: Sandbox, code: str) -> None:
    sandbox.fault("/ats/offers", status=429, code=code, count=1, headers={"Retry-After": "2"})
    settings = settings_for(sandbox, max_wait_seconds=2, concurrency=1)

    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 0, run.stderr
    assert run.errors == run.warnings == []


@pytest.mark.parametrize(
    ("max_wait", "reset"), [(0, "1"), (5, "900"), (300, "99999999999999999999")]
)
def test_a_longer_rate_limit_of_the_key_fails_all_reads_without_more_requests(
    sandbox: Sandbox, max_wait: int, reset: str
) -> None:
    sandbox.fault(
        "/ats/offers",
        status=429,
        code=KEY_LIMIT,
        log_url=LOG_URL,
        headers={"ratelimit-reset": reset},
    )
    earlier = ago(sandbox, hours=1)
    before = state_with_bookmark(earlier, sandbox.integration_ids)
    settings = settings_for(sandbox, max_wait_seconds=max_wait, concurrency=1)

    run = run_tap(settings, catalog=OFFERS, state=before)

    assert run.code == 1
    assert len([r for r in sandbox.requests() if r.path == "/ats/offers"]) == 1
    for integration_id in sandbox.integration_ids:
        assert run.bookmark("ats_offers", integration_id) == earlier
        [error] = [e for e in run.errors if integration_id in e]
        assert f"{KEY_LIMIT} (HTTP 429, {LOG_URL})." in error
        assert "`max_wait_seconds`" in error


def test_a_rate_limit_of_a_tool_applies_to_its_integration_only(sandbox: Sandbox) -> None:
    waiting, failing, unlimited = sandbox.integration_ids
    for integration_id, seconds in [(waiting, "3"), (failing, "900")]:
        sandbox.fault(
            "/ats/offers",
            integration_id=integration_id,
            status=429,
            code=TOOL_LIMIT,
            log_url=LOG_URL,
            # `ratelimit-reset` is about the API key, not about the tool.
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
    assert run.bookmark("ats_offers", unlimited)
    requests = [r for r in sandbox.requests() if r.path == "/ats/offers"]
    assert len([r for r in requests if r.integration_id == failing]) == 1
    limited, retried = [r.started for r in requests if r.integration_id == waiting][:2]
    assert retried - limited > 2.9
    others = [r for r in requests if r.integration_id == unlimited]
    assert len([r for r in others if limited < r.started < retried]) >= 5


def test_a_long_wait_is_logged_once_with_its_reason(sandbox: Sandbox) -> None:
    """The second and the third integration wait for the same reason."""
    limits = dict(zip(sandbox.integration_ids, (KEY_LIMIT, TOOL_LIMIT, TOOL_LIMIT), strict=True))
    for integration_id, code in limits.items():
        limit: dict[str, Any] = {"status": 429, "code": code, "headers": {"Retry-After": "2.6"}}
        sandbox.fault("/ats/offers", integration_id=integration_id, count=1, **limit)

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 0
    waits = sorted(line for line in run.log if "waiting" in line)
    assert all(line.startswith("INFO") for line in waits)
    key, tool = waits
    assert key.endswith(f"{KEY_LIMIT}; waiting 3 seconds.")
    assert tool.endswith(f"{TOOL_LIMIT}; waiting 3 seconds.")


def test_a_short_wait_is_not_logged(sandbox: Sandbox) -> None:
    limit = {"Retry-After": "1"}
    sandbox.fault("/ats/offers", status=429, code=KEY_LIMIT, count=1, headers=limit)

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 0
    assert not [line for line in run.log if "waiting" in line]
