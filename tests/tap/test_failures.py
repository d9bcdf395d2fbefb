"""What Kombo cannot give is kept from what it can, and is told."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tap_kombo.times import read_time, write_time
from tests.tap.raw_server import END, Pieces, RawKombo
from tests.tap_run import Haste, catalog_with, run_tap, settings_for, state_at

OFFERS = catalog_with("ats_offers")
LOG_URL = "https://app.kombo.dev/env/production/logs/C3xUo6XAsB2sbKC7M1gyXaRX"


FIVE: dict[str, dict[str, Any]] = {
    "INTEGRATION.AUTHENTICATION_INVALID": {"status": 400},
    "INTEGRATION.PERMISSION_MISSING": {"status": 503},
    "PLATFORM.INTEGRATION_NOT_FOUND": {"status": 404},
    "PLATFORM.UNKNOWN_ERROR": {"status": 500},
    "REMOTE.RATE_LIMIT_EXCEEDED": {"status": 429, "headers": {"Retry-After": "900"}},
}


def test_of_300_integrations_five_fail_and_295_are_complete() -> None:
    with Sandbox(integrations=300, offers=3, seed=5) as sandbox:
        broken = dict(zip(FIVE, sandbox.integration_ids[20::60], strict=True))
        for code, fault in FIVE.items():
            sandbox.fault(
                "/ats/offers", integration_id=broken[code], code=code, log_url=LOG_URL, **fault
            )
        moment = write_time(read_time(sandbox.clock()) - timedelta(hours=1))
        before = state_at(moment, broken.values())
        settings = settings_for(sandbox, page_size=2, concurrency=16)

        run = run_tap(settings, catalog=OFFERS, state=before)

        assert run.code == 1
        well = [name for name in sandbox.integration_ids if name not in broken.values()]
        assert len(well) == 295
        truth = {(n, r["id"]) for n in well for r in sandbox.records("ats_offers", n)}
        arrived = [(r["integration_id"], r["id"]) for r in run.records["ats_offers"]]
        assert sorted(arrived) == sorted(truth)
        assert all((run.bookmark("ats_offers", name) or "") > moment for name in well)

    kept = [run.partition("ats_offers", integration_id) for integration_id in broken.values()]
    assert json.dumps(kept) == json.dumps(before["bookmarks"]["ats_offers"]["partitions"])
    assert len(run.errors) == 5
    for code, integration_id in broken.items():
        [error] = [e for e in run.errors if integration_id in e]
        about = f"{code} (HTTP {FIVE[code]['status']}, {LOG_URL}). "
        assert error.startswith(f"Could not read {integration_id} (ats_offers): {about}")


@pytest.mark.parametrize("concurrency", [1, 8])
def test_a_key_that_dies_in_the_middle_ends_the_run_within_a_request_a_thread(
    sandbox: Sandbox, concurrency: int
) -> None:
    # One thread hears of it; whoever asked again would be answered.
    sandbox.fault(
        skip=24, count=1, status=401, code="PLATFORM.AUTHENTICATION_INVALID", log_url=LOG_URL
    )

    run = run_tap(settings_for(sandbox, page_size=15, concurrency=concurrency), catalog=OFFERS)

    assert run.code == 1
    requests = sandbox.requests()
    [refused] = [r for r in requests if r.status == 401]
    assert refused.ended is not None
    late = [r for r in requests if r.started > refused.ended]
    assert len(late) <= 2 * (concurrency - 1)
    assert len(requests) <= 25 + 3 * (concurrency - 1)
    [error] = run.errors
    assert error.startswith(
        f"The run ended early: PLATFORM.AUTHENTICATION_INVALID (HTTP 401, {LOG_URL}). "
    )
    # What was written is remembered, and no read counts as complete.
    assert 0 < len(run.records["ats_offers"]) <= 15 * len(requests)
    first, *others = sandbox.integration_ids
    assert run.partition("ats_offers", first)["resume"]
    assert [run.bookmark("ats_offers", name) for name in (first, *others)] == [None] * 3


def test_a_wrong_key_ends_the_run_with_the_first_request(sandbox: Sandbox) -> None:
    before: dict[str, object] = {"bookmarks": {"ats_offers": {"partitions": []}}}

    run = run_tap({**settings_for(sandbox), "api_key": "ks_dev_wrong_one"}, state=before)

    assert run.code == 1
    assert len(sandbox.requests()) == 1
    assert run.records == {}
    assert run.state == before
    assert any("PLATFORM.AUTHENTICATION_INVALID" in e and "`api_key`" in e for e in run.errors)
    assert "ks_dev_wrong_one" not in run.stderr + run.stdout.decode()


def test_a_server_that_cannot_be_trusted_ends_the_run_at_once(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_url": sandbox.url.replace("http:", "https:")})

    assert run.code == 1
    assert sandbox.requests() == []
    [error] = run.errors
    assert "TLS" in error


def test_what_speaks_no_http_ends_the_run_and_is_told() -> None:
    with ThreadingTCPServer(("127.0.0.1", 0), MailServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        settings = {
            "api_key": "ks_dev_raw",
            "api_url": f"http://127.0.0.1:{port}/v1",
            "integration_ids": ["personio:x"],
        }

        run = run_tap(settings, catalog=OFFERS, haste=Haste())
        server.shutdown()

    assert run.code == 1
    [error] = run.errors
    assert error.startswith("The run ended early: What answers at 127.0.0.1 is no HTTP. Check")


class MailServer(BaseRequestHandler):
    def handle(self) -> None:
        self.request.sendall(b"220 mail.example ESMTP\r\n")
        self.request.recv(1 << 16)


class LostKombo(RawKombo):
    """It ends the connection when it is asked for offers, and is something else from then on."""

    def answer(self, head: str) -> Pieces:
        self.heads.append(head)
        if "/ats/offers" in head:
            yield END
        elif "/check-api-key" in head and len(self.heads) > 1:
            yield from (b"220 mail.example ESMTP\r\n", END)
        else:
            yield from super().answer(head)


def test_an_outage_is_told_as_what_it_is_and_not_as_what_came_before(sandbox: Sandbox) -> None:
    with LostKombo() as kombo:
        settings = settings_for(sandbox, api_url=kombo.url)
        run = run_tap(settings, catalog=OFFERS, haste=Haste())

    assert run.code == 1
    [error] = run.errors
    assert error.startswith("The run ended early: What answers at 127.0.0.1 is no HTTP. Check")


def test_something_else_at_the_address_ends_the_run(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_url": sandbox.url.removesuffix("/v1") + "/v7"})

    assert run.code == 1
    assert run.records == {}
    assert any("`api_url`" in e for e in run.errors)


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


@pytest.mark.parametrize(
    "outage", [{"close": True}, {"status": 502, "body": "<html></html>"}], ids=["network", "Kombo"]
)
def test_an_outage_of_all_of_kombo_ends_the_run_instead_of_failing_read_by_read(
    sandbox: Sandbox, outage: dict[str, Any]
) -> None:
    sandbox.fault(skip=1 + len(sandbox.integration_ids) + 2, **outage)

    run = run_tap(settings_for(sandbox, page_size=50, concurrency=2), haste=Haste())

    assert run.code == 1
    [error] = run.errors
    assert "The run ended early" in error
    assert len(sandbox.requests()) < 40
    assert run.messages[-1]["type"] == "STATE"


def test_a_check_of_the_key_that_never_works_ends_no_run(sandbox: Sandbox) -> None:
    broken, *others = sandbox.integration_ids
    sandbox.fault(path="/check-api-key", status=503)
    sandbox.fault(path="/ats/offers", integration_id=broken, status=503)

    run = run_tap(settings_for(sandbox, concurrency=2), catalog=OFFERS, haste=Haste())

    assert run.code == 1
    [error] = run.errors
    assert error.startswith(f"Could not read {broken} (ats_offers): HTTP 503")
    assert all(run.bookmark("ats_offers", other) for other in others)


def test_an_integration_that_kombo_cannot_read_ends_no_others(sandbox: Sandbox) -> None:
    broken, *others = sandbox.integration_ids
    sandbox.fault(path="/ats/offers", integration_id=broken, status=500)

    run = run_tap(settings_for(sandbox, concurrency=1), catalog=OFFERS, haste=Haste())

    assert run.code == 1
    [error] = run.errors
    assert broken in error
    assert "500" in error
    assert all(run.bookmark("ats_offers", other) for other in others)
