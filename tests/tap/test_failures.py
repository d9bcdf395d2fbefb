"""A failure applies to its own stream, integration or run; everything else is read."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from harness.tap import ago, catalog_with, run_tap, settings_for, state_with_bookmark
from kombo_sandbox import Sandbox

OFFERS = catalog_with("ats_offers")
LOG_URL = "https://app.kombo.dev/env/production/logs/C3xUo6XAsB2sbKC7M1gyXaRX"

FAILURES: dict[str, dict[str, Any]] = {
    "INTEGRATION.AUTHENTICATION_INVALID": {"status": 400},
    "INTEGRATION.PERMISSION_MISSING": {"status": 503},
    "PLATFORM.INTEGRATION_NOT_FOUND": {"status": 404},
    "PLATFORM.UNKNOWN_ERROR": {"status": 500},
    "REMOTE.RATE_LIMIT_EXCEEDED": {"status": 429, "headers": {"Retry-After": "900"}},
}


def test_five_failing_integrations_of_60_do_not_affect_the_others() -> None:
    with Sandbox(integrations=60, offers=3, seed=5) as sandbox:
        failing = dict(zip(FAILURES, sandbox.integration_ids[4::12], strict=True))
        for code, fault in FAILURES.items():
            sandbox.fault(
                "/ats/offers", integration_id=failing[code], code=code, log_url=LOG_URL, **fault
            )
        earlier = ago(sandbox, hours=1)
        before = state_with_bookmark(earlier, failing.values())
        settings = settings_for(sandbox, page_size=2, concurrency=16)

        run = run_tap(settings, catalog=OFFERS, state=before)

        assert run.code == 1
        others = [name for name in sandbox.integration_ids if name not in failing.values()]
        expected = {(n, r["id"]) for n in others for r in sandbox.records("ats_offers", n)}
        records = [(r["integration_id"], r["id"]) for r in run.records["ats_offers"]]
        assert sorted(records) == sorted(expected)
        assert all((run.bookmark("ats_offers", name) or "") > earlier for name in others)

    partitions = [
        run.partition("ats_offers", integration_id) for integration_id in failing.values()
    ]
    assert partitions == before["bookmarks"]["ats_offers"]["partitions"]
    assert len(run.errors) == 5
    for code, integration_id in failing.items():
        [error] = [e for e in run.errors if integration_id in e]
        details = f"{code} (HTTP {FAILURES[code]['status']}, {LOG_URL}). "
        assert error.startswith(f"Could not read {integration_id} (ats_offers): {details}")


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_key_rejected_in_the_middle_ends_the_run(sandbox: Sandbox, concurrency: int) -> None:
    """Only one request is rejected, but all threads stop."""
    sandbox.fault(
        skip=24, count=1, status=401, code="PLATFORM.AUTHENTICATION_INVALID", log_url=LOG_URL
    )

    run = run_tap(settings_for(sandbox, page_size=15, concurrency=concurrency), catalog=OFFERS)

    assert run.code == 1
    requests = sandbox.requests()
    [rejected] = [r for r in requests if r.status == 401]
    assert rejected.ended is not None
    late = [r for r in requests if r.started > rejected.ended]
    assert len(late) <= 2 * (concurrency - 1)
    assert len(requests) <= 25 + 3 * (concurrency - 1)
    [error] = run.errors
    assert error.startswith(
        f"The run ended early: PLATFORM.AUTHENTICATION_INVALID (HTTP 401, {LOG_URL}). "
    )
    # The state has the pages that were written, and no read is complete.
    assert 0 < len(run.records["ats_offers"]) <= 15 * len(requests)
    assert run.partition("ats_offers", sandbox.integration_ids[0])["resume"]
    assert not any(run.bookmark("ats_offers", name) for name in sandbox.integration_ids)


def test_a_wrong_key_ends_the_run_with_the_first_request(sandbox: Sandbox) -> None:
    before: dict[str, object] = {"bookmarks": {"ats_offers": {"partitions": []}}}

    run = run_tap({**settings_for(sandbox), "api_key": "ks_dev_wrong_one"}, state=before)

    assert run.code == 1
    assert [r.path for r in sandbox.requests()] == ["/check-api-key"]
    assert run.records.keys() == {"sync_status"}
    assert run.state == before
    [error] = run.errors
    assert "PLATFORM.AUTHENTICATION_INVALID" in error
    assert "`api_key`" in error
    assert "ks_dev_wrong_one" not in run.stderr + run.stdout.decode()


def test_an_untrusted_server_ends_the_run(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_url": sandbox.url.replace("http:", "https:")})

    assert run.code == 1
    assert sandbox.requests() == []
    [error] = run.errors
    assert "TLS" in error


def test_a_wrong_url_ends_the_run(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_url": sandbox.url.removesuffix("/v1") + "/v7"})

    assert run.code == 1
    assert {r["status"] for r in run.records.pop("sync_status")} == {"failed"}
    assert run.records == {}
    [error] = run.errors
    assert error.startswith("The run ended early: ")
    assert "`api_url`" in error


@pytest.mark.usefixtures("quick_retries")
def test_a_server_that_cannot_be_reached_ends_the_run() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        settings = {
            "api_key": "ks_dev_1",
            "api_url": f"http://{host}/v1",
            "integration_ids": ["personio:x", "personio:y"],
        }

        run = run_tap(settings, catalog=OFFERS)

    assert run.code == 1
    [error] = run.errors
    assert error.startswith(f"The run ended early: No connection to {host}")
    assert "`api_url`" in error


def test_a_record_without_a_key_fails_its_read_only(sandbox: Sandbox) -> None:
    failing, *others = sandbox.integration_ids
    sandbox.fault(
        path="/ats/offers",
        integration_id=failing,
        body='{"status":"success","data":{"next":null,"results":[{"id":null,"remote_id":"7"}]}}',
    )

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 1
    [error] = run.errors
    assert error.startswith(f"Could not read {failing} (ats_offers): ")
    assert "`id`" in error
    assert run.partition("ats_offers", failing) == {}
    assert all(run.bookmark("ats_offers", other) for other in others)


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_lasting_error_of_one_integration_does_not_affect_the_others(
    sandbox: Sandbox, concurrency: int
) -> None:
    failing, *others = sandbox.integration_ids
    sandbox.fault(path="/ats/offers", integration_id=failing, status=500)

    settings = settings_for(sandbox, concurrency=concurrency)
    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 1
    [error] = run.errors
    assert error.startswith(f"Could not read {failing} (ats_offers): HTTP 500")
    assert all(run.bookmark("ats_offers", other) for other in others)


@pytest.mark.usefixtures("quick_retries")
def test_other_reads_of_a_failing_integration_are_not_retried(sandbox: Sandbox) -> None:
    """Its details are requested for 20 seconds, six times; after that, each stream once."""
    failing = sandbox.integration_ids[0]
    sandbox.fault(integration_id=failing, status=503)
    settings = settings_for(sandbox, integration_ids=[failing], concurrency=1, max_wait_seconds=20)
    streams = ("ats_candidates", "ats_jobs", "ats_offers")

    run = run_tap(settings, catalog=catalog_with(*streams))

    assert run.code == 1
    [error] = run.errors
    assert error.startswith(f"Could not read {failing} ({', '.join(streams)}): HTTP 503")
    paths = [r.path for r in sandbox.requests() if r.integration_id == failing]
    assert paths[:6] == [f"/integrations/{failing}"] * 6
    assert paths[6:] == ["/ats/candidates", "/ats/jobs", "/ats/offers"]


@pytest.mark.usefixtures("quick_retries")
def test_reads_of_an_integration_are_retried_again_after_a_success(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault("/ats/candidates", status=503)
    sandbox.fault("/ats/offers", status=503, count=1)
    settings = settings_for(sandbox, integration_ids=[integration_id], concurrency=1)
    catalog = catalog_with("ats_candidates", "ats_jobs", "ats_offers")

    run = run_tap(settings, catalog=catalog)

    [error] = run.errors
    assert error.startswith(f"Could not read {integration_id} (ats_candidates): HTTP 503")
    assert run.bookmark("ats_jobs", integration_id)
    assert run.bookmark("ats_offers", integration_id)


def test_the_first_check_of_the_key_may_fail_transiently(sandbox: Sandbox) -> None:
    sandbox.fault("/check-api-key", status=503)

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 0
    assert run.errors == run.warnings == []
    assert [r.path for r in sandbox.requests()].count("/check-api-key") == 1
