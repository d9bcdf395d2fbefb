"""What Kombo cannot give is kept from what it can, and is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tap_kombo.errors import CODES, Outcome
from tests.tap_run import TapRun, catalog_with, run_tap, settings_for

OFFERS = catalog_with("ats_offers")
LOG_URL = "https://app.kombo.dev/env/production/logs/C3xUo6XAsB2sbKC7M1gyXaRX"

LASTING = {
    code: rule.outcome
    for code, rule in CODES.items()
    if rule.outcome
    in {
        Outcome.FAIL_READ,
        Outcome.FAIL_INTEGRATION,
        Outcome.SKIP_READ,
        Outcome.SKIP_INTEGRATION,
        Outcome.REFUSED,
    }
}
"""Codes that keep one integration back, and no other."""


@pytest.fixture(scope="module")
def many() -> Iterator[Sandbox]:
    with Sandbox(integrations=len(LASTING) + 2, offers=12, seed=5) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def each_code_once(many: Sandbox) -> tuple[TapRun, dict[str, str]]:
    """Run with one code for each integration, under HTTP statuses that say nothing about it."""
    broken = dict(zip(LASTING, many.integration_ids, strict=False))
    for number, (code, integration_id) in enumerate(broken.items()):
        many.fault(
            path="/ats/offers",
            integration_id=integration_id,
            status=[400, 403, 404, 409, 500, 503][number % 6],
            code=code,
            log_url=LOG_URL,
        )
    return run_tap(settings_for(many), catalog=OFFERS), broken


@pytest.mark.parametrize("code", sorted(LASTING))
def test_a_code_keeps_back_its_own_integration_only(
    many: Sandbox, each_code_once: tuple[TapRun, dict[str, str]], code: str
) -> None:
    run, broken = each_code_once

    assert run.code == 1
    assert run.bookmark("ats_offers", broken[code]) is None
    told = [line for line in run.log if broken[code] in line and code in line]
    assert told
    assert all("ats_offers" in line or "skipped" in line or "failed" in line for line in told)
    assert any(LOG_URL in line for line in told)
    for integration_id in set(many.integration_ids) - set(broken.values()):
        assert run.bookmark("ats_offers", integration_id) is not None


@pytest.mark.parametrize("code", sorted(LASTING))
def test_a_code_that_is_not_declared_safe_is_not_retried(
    many: Sandbox, each_code_once: tuple[TapRun, dict[str, str]], code: str
) -> None:
    _, broken = each_code_once

    asked = [
        r for r in many.requests() if r.integration_id == broken[code] and r.path == "/ats/offers"
    ]

    assert len(asked) == 1


def test_the_others_are_complete(
    many: Sandbox, each_code_once: tuple[TapRun, dict[str, str]]
) -> None:
    run, broken = each_code_once

    for integration_id in set(many.integration_ids) - set(broken.values()):
        truth = sorted(r["id"] for r in many.records("ats_offers", integration_id))
        arrived = sorted(
            r["id"] for r in run.records["ats_offers"] if r["integration_id"] == integration_id
        )
        assert arrived == truth


@pytest.mark.parametrize(
    "code",
    [code for code, outcome in LASTING.items() if outcome.is_skip],
)
def test_what_is_legitimately_absent_is_no_failure(sandbox: Sandbox, code: str) -> None:
    absent = sandbox.integration_ids[1]
    sandbox.fault(path="/ats/offers", integration_id=absent, status=409, code=code)

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 0
    assert run.errors == []
    assert run.bookmark("ats_offers", absent) is None
    assert run.bookmark("ats_offers", sandbox.integration_ids[0]) is not None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param("PLATFORM.AUTHENTICATION_INVALID", "`api_key`", id="the key is refused"),
        pytest.param("PLATFORM.IP_NOT_WHITELISTED", "allow list", id="the address is refused"),
    ],
)
def test_a_key_that_dies_in_the_middle_ends_the_run_and_keeps_what_is_complete(
    sandbox: Sandbox, code: str, words: str
) -> None:
    first, second, third = sandbox.integration_ids
    sandbox.fault(path="/ats/offers", integration_id=second, status=401, code=code, log_url=LOG_URL)

    run = run_tap(settings_for(sandbox, concurrency=1), catalog=OFFERS)

    assert run.code == 1
    asked = [r.integration_id for r in sandbox.requests() if r.path == "/ats/offers"]
    assert asked.count(second) == 1
    assert third not in asked
    [error] = run.errors
    assert code in error
    assert words in error
    assert LOG_URL in error
    assert run.bookmark("ats_offers", first) is not None
    assert run.partition("ats_offers", second) == {}
    assert run.partition("ats_offers", third) == {}


def test_a_wrong_key_ends_the_run_with_the_first_request(sandbox: Sandbox) -> None:
    before: dict[str, object] = {"bookmarks": {"ats_offers": {"partitions": []}}}

    run = run_tap({**settings_for(sandbox), "api_key": "ks_dev_wrong_one"}, state=before)

    assert run.code == 1
    assert len(sandbox.requests()) == 1
    assert run.records == {}
    assert run.state == before
    assert any("PLATFORM.AUTHENTICATION_INVALID" in e and "`api_key`" in e for e in run.errors)
    assert "ks_dev_wrong_one" not in run.stderr + run.stdout.decode()


def test_no_kombo_at_the_address_ends_the_run(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_url": "http://127.0.0.1:9/v1"})

    assert run.code == 1
    assert any("no connection to 127.0.0.1" in e and "`api_url`" in e for e in run.errors)
    assert "Traceback" not in run.stderr


def test_a_server_that_cannot_be_trusted_ends_the_run_at_once(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_url": sandbox.url.replace("http:", "https:")})

    assert run.code == 1
    assert sandbox.requests() == []
    [error] = run.errors
    assert "TLS" in error


def test_an_answer_without_kombos_clock_is_no_answer(sandbox: Sandbox) -> None:
    broken = sandbox.integration_ids[0]
    sandbox.fault(path="/ats/offers", integration_id=broken, headers={"Date": "yesterday"})

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 1
    assert any("`Date`" in error and broken in error for error in run.errors)
    assert run.partition("ats_offers", broken) == {}


def test_something_else_at_the_address_ends_the_run(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_url": sandbox.url.removesuffix("/v1") + "/v7"})

    assert run.code == 1
    assert run.records == {}
    assert any("`api_url`" in e for e in run.errors)


RETRIED = [
    pytest.param({"status": 503}, id="a bare 503"),
    pytest.param({"status": 500, "body": "<html>Bad gateway</html>"}, id="a bare 500 with HTML"),
    pytest.param({"status": 408}, id="a bare 408"),
    pytest.param({"status": 503, "code": "REMOTE.SERVICE_UNAVAILABLE"}, id="the tool is down"),
    pytest.param({"status": 429, "code": "REMOTE.RATE_LIMIT_EXCEEDED"}, id="the tool's limit"),
    pytest.param(
        {
            "status": 400,
            "code": "PLATFORM.RATE_LIMIT_EXCEEDED",
            "headers": {"ratelimit-reset": "1"},
        },
        id="the key's limit",
    ),
    pytest.param({"status": 429, "headers": {"Retry-After": "1"}}, id="a bare 429"),
    pytest.param({"status": 409, "code": "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED"}, id="too many"),
    pytest.param({"close": True}, id="the connection breaks"),
    pytest.param({"cut_body": 0.5}, id="the body stops"),
    pytest.param({"body": "<html></html>", "content_type": "text/html"}, id="HTML"),
    pytest.param({"body": '{"status":"success","data":{"next":null,"resu'}, id="half a JSON"),
    pytest.param({"body": '{"status":"success","data":{"next":null}}'}, id="no results"),
    pytest.param(
        {"body": '{"status":"success","data":{"next":null,"results":null}}'}, id="results is null"
    ),
    pytest.param({"body": '{"status":"success","data":{"results":[]}}'}, id="no next"),
    pytest.param(
        {"body": '{"status":"success","data":{"next":null,"results":[7]}}'}, id="a number as record"
    ),
    pytest.param({"body": ""}, id="nothing"),
]


@pytest.mark.parametrize("fault", RETRIED)
def test_what_may_pass_is_asked_again_and_nothing_is_lost(
    sandbox: Sandbox, fault: dict[str, object]
) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(path="/ats/offers", skip=1, count=1, **fault)  # type: ignore[arg-type]

    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id], page_size=250), catalog=OFFERS
    )

    assert run.code == 0, run.stderr
    truth = sorted(r["id"] for r in sandbox.records("ats_offers", integration_id))
    assert run.ids("ats_offers") == truth


def test_what_never_passes_fails_after_a_few_tries(sandbox: Sandbox) -> None:
    broken, *others = sandbox.integration_ids
    sandbox.fault(path="/ats/offers", integration_id=broken, status=200, body="{}")

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 1
    asked = [
        r for r in sandbox.requests() if r.integration_id == broken and r.path == "/ats/offers"
    ]
    assert len(asked) == 6
    assert run.bookmark("ats_offers", broken) is None
    assert all(run.bookmark("ats_offers", other) for other in others)


@pytest.mark.parametrize(
    "outage", [{"close": True}, {"status": 502, "body": "<html></html>"}], ids=["network", "Kombo"]
)
def test_an_outage_of_all_of_kombo_ends_the_run_instead_of_failing_read_by_read(
    sandbox: Sandbox, outage: dict[str, Any]
) -> None:
    sandbox.fault(skip=1 + len(sandbox.integration_ids) + 2, **outage)

    run = run_tap(settings_for(sandbox, page_size=50, concurrency=2))

    assert run.code == 1
    [error] = run.errors
    assert "The run ended early" in error
    assert len(sandbox.requests()) < 40
    assert run.messages[-1]["type"] == "STATE"


def test_an_integration_that_kombo_cannot_read_ends_no_others(sandbox: Sandbox) -> None:
    broken, *others = sandbox.integration_ids
    sandbox.fault(path="/ats/offers", integration_id=broken, status=500)

    run = run_tap(settings_for(sandbox, concurrency=1), catalog=OFFERS)

    assert run.code == 1
    [error] = run.errors
    assert broken in error
    assert "500" in error
    assert all(run.bookmark("ats_offers", other) for other in others)


@pytest.mark.parametrize("status", [200, 400])
def test_an_error_envelope_counts_whatever_the_status(sandbox: Sandbox, status: int) -> None:
    broken = sandbox.integration_ids[0]
    sandbox.fault(
        path="/ats/offers",
        integration_id=broken,
        status=status,
        body='{"status":"error","error":{"code":"INTEGRATION.PERMISSION_MISSING","title":null,'
        '"message":"Jane Doe may not","log_url":null}}',
    )

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 1
    assert any("INTEGRATION.PERMISSION_MISSING" in e and broken in e for e in run.errors)
    assert "Jane Doe" not in run.stderr
    assert run.bookmark("ats_offers", broken) is None


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_redirect_is_never_followed(sandbox: Sandbox, status: int) -> None:
    broken = sandbox.integration_ids[0]
    sandbox.fault(
        path="/ats/offers",
        integration_id=broken,
        status=status,
        headers={"Location": f"{sandbox.url}/ats/jobs"},
    )

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 1
    assert "/ats/jobs" not in {r.path for r in sandbox.requests()}
    assert any("redirect" in e.lower() for e in run.errors)


def test_a_spent_rate_limit_is_waited_for_by_all_together(sandbox: Sandbox) -> None:
    sandbox.rate_limit(20, 2)
    try:
        run = run_tap(settings_for(sandbox, page_size=50, concurrency=8), catalog=OFFERS)
    finally:
        sandbox.rate_limit(1_000_000, 60)

    assert run.code == 0
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))
    refused = [r for r in sandbox.requests() if r.status == 429]
    assert len(refused) <= 16, "threads ran into the limit one by one"


def test_a_limit_that_lasts_longer_than_max_wait_fails_the_read(sandbox: Sandbox) -> None:
    sandbox.fault(
        path="/ats/offers",
        status=429,
        code="PLATFORM.RATE_LIMIT_EXCEEDED",
        headers={"ratelimit-reset": "900"},
    )

    run = run_tap(settings_for(sandbox, max_wait_seconds=5), catalog=OFFERS)

    assert run.code == 1
    assert any("PLATFORM.RATE_LIMIT_EXCEEDED" in e and "max_wait_seconds" in e for e in run.errors)


def test_an_empty_page_in_the_middle_is_no_end(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=100)
    run_tap(settings, catalog=OFFERS)
    cursors = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    sandbox.fault(
        path="/ats/offers",
        skip=1,
        count=1,
        body=f'{{"status":"success","data":{{"next":"{cursors[0]}","results":[]}}}}',
    )
    # The empty page points at the cursor that it was asked with, which would be a circle:
    # so the one before points somewhere else.
    sandbox.fault(
        path="/ats/offers",
        count=1,
        body='{"status":"success","data":{"next":"elsewhere","results":[]}}',
    )

    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 0
    skipped = {r["id"] for r in sandbox.records("ats_offers", integration_id)[:100]}
    truth = {r["id"] for r in sandbox.records("ats_offers", integration_id)}
    assert set(run.ids("ats_offers")) == truth - skipped


@pytest.mark.parametrize("length", [1, 2, 3])
def test_pages_in_a_circle_fail_instead_of_never_ending(sandbox: Sandbox, length: int) -> None:
    integration_id = sandbox.integration_ids[0]
    for number in range(12):
        sandbox.fault(
            path="/ats/offers",
            count=1,
            body=f'{{"status":"success","data":{{"next":"c{number % length}","results":[]}}}}',
        )

    run = run_tap(settings_for(sandbox, integration_ids=[integration_id]), catalog=OFFERS)

    assert run.code == 1
    assert any("same cursor" in e for e in run.errors)
    assert run.bookmark("ats_offers", integration_id) is None


def test_a_record_without_a_key_fails_its_read_and_no_other(sandbox: Sandbox) -> None:
    broken = sandbox.integration_ids[0]
    sandbox.fault(
        path="/ats/offers",
        integration_id=broken,
        body='{"status":"success","data":{"next":null,"results":[{"id":null,"remote_id":"7"}]}}',
    )

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 1
    assert any("no valid `id`" in e for e in run.errors)
    assert run.partition("ats_offers", broken) == {}
    assert run.bookmark("ats_offers", sandbox.integration_ids[1]) is not None
