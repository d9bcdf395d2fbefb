"""The class `Sandbox`: options, restart, clock and request log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from sandbox_client import Client, error

from kombo_sandbox import Handle, Sandbox, SandboxError


@pytest.fixture(scope="module")
def tuned() -> Iterator[Client]:
    with Sandbox(
        integrations=1,
        offers=30,
        api_key="ks_other",
        clock="2026-01-31T12:00:00.000Z",
        latency=0.1,
        rate_limit=500,
        rate_window=3600,
        cursor_lifetime=60,
        strict=True,
        gzip=True,
    ) as sandbox:
        yield Client(sandbox)


def test_the_option_clock_sets_the_initial_time(tuned: Client) -> None:
    assert tuned.sandbox.clock().startswith("2026-01-31T12:")
    assert max(record["changed_at"] for record in tuned.stored("ats_offers")) < "2026-02-01"


def test_the_option_api_key_sets_the_valid_key(tuned: Client) -> None:
    assert tuned.sandbox.api_key == "ks_other"
    assert tuned.get("/check-api-key").status_code == 200


def test_the_option_latency_delays_each_request(tuned: Client) -> None:
    started = time.monotonic()
    tuned.get("/ats/offers")
    assert time.monotonic() - started >= 0.1


def test_the_rate_limit_options_set_the_headers(tuned: Client) -> None:
    headers = tuned.get("/ats/offers").headers
    assert headers["ratelimit-limit"] == "500"
    assert int(headers["ratelimit-reset"]) > 60


def test_the_option_cursor_lifetime_sets_when_cursors_expire(tuned: Client) -> None:
    cursor = tuned.get("/ats/offers", page_size=5).json()["data"]["next"]
    tuned.sandbox.advance(61)
    assert tuned.get("/ats/offers", cursor=cursor).status_code == 400


def test_the_option_strict_makes_updated_after_exclusive(tuned: Client) -> None:
    tuned.sandbox.advance(1)
    [id_] = tuned.sandbox.change("ats_offers", integration_id=tuned.integration_id)
    moment = tuned.record("ats_offers", id_)["changed_at"]
    assert tuned.ids("ats_offers", updated_after=moment) == set()


def test_the_option_gzip_compresses_responses(tuned: Client) -> None:
    response = tuned.get("/ats/offers", include_deleted="true")
    assert response.headers["content-encoding"] == "gzip"
    assert response.json()["data"]["results"] == tuned.stored("ats_offers")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"integrations": 3, "offers": [1, 2]}, "--offers has 2 numbers for 3 integrations"),
        ({"categories": ["CRM"]}, "--categories: 'CRM' is not one of ATS, HRIS, LMS, ASSESSMENT"),
    ],
)
def test_invalid_options_are_rejected_with_a_message(
    options: dict[str, object], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SandboxError, match="did not start"):
        Sandbox(**options)  # type: ignore[arg-type]
    assert capfd.readouterr().err == f"kombo-sandbox: {message}\n"


def test_a_restart_keeps_the_data_and_closes_open_requests() -> None:
    with Sandbox(integrations=2, offers=10) as sandbox:
        client = Client(sandbox)
        sandbox.advance(3600)
        sandbox.delete("ats_offers", integration_id=client.integration_id)
        sandbox.set_integration(sandbox.integration_ids[1], status="INACTIVE")
        cursor = client.get("/ats/offers", page_size=5).json()["data"]["next"]
        before = client.stored("ats_offers"), sandbox.url, sandbox.integration_ids
        now = sandbox.clock()
        sandbox.clear_requests()
        sandbox.fault(hang=True)
        with ThreadPoolExecutor() as pool:
            hanging = pool.submit(client.get, "/ats/offers")
            while not sandbox.requests():
                time.sleep(0.01)

            sandbox.restart()

            with pytest.raises(requests.ConnectionError):
                hanging.result()
        assert (client.stored("ats_offers"), sandbox.url, sandbox.integration_ids) == before
        assert now < sandbox.clock()
        assert sandbox.requests() == []
        assert client.get("/ats/offers", page_size=5, cursor=cursor).status_code == 200
        inactive = Client(sandbox, sandbox.integration_ids[1])
        assert error(inactive.get("/ats/jobs")) == (409, "INTEGRATION.INACTIVE")
        assert len(sandbox.add("ats_offers", 2, client.integration_id)) == 2


def test_the_clock_runs_and_can_be_advanced(sandbox: Sandbox) -> None:
    before = sandbox.clock()
    time.sleep(0.01)
    assert sandbox.clock() > before
    moved = sandbox.advance(86_400)
    assert before[:10] < moved[:10]
    assert moved <= sandbox.clock()


def test_the_request_log_contains_the_requests_of_clients(client: Client) -> None:
    client.get("/ats/offers", page_size=5, include_deleted="true")
    client.get(f"/integrations/{client.integration_id}")
    client.stored("ats_offers")
    offers, details = client.sandbox.requests()
    assert (offers.path, offers.status) == ("/ats/offers", 200)
    assert offers.integration_id == details.integration_id == client.integration_id
    assert offers.params == {"page_size": "5", "include_deleted": "true"}
    assert "authorization" not in offers.headers
    assert offers.headers["user-agent"].startswith("python-requests")
    assert offers.ended is not None
    assert time.time() - 10 < offers.started < offers.ended < details.started
    client.sandbox.clear_requests()
    assert client.sandbox.requests() == []


def test_the_request_log_contains_the_sandboxs_time_of_each_response(client: Client) -> None:
    before = client.sandbox.clock()
    client.get("/ats/offers")
    after = client.sandbox.advance(86_400)
    client.get("/ats/offers")
    client.sandbox.fault(close=True)
    with pytest.raises(OSError, match="Connection aborted"):
        client.get("/ats/offers")
    first, second, broken = (one.answered for one in client.sandbox.requests())
    assert first is not None
    assert second is not None
    assert before <= first < after <= second
    assert broken is None


def test_records_can_be_read_one_by_one(client: Client) -> None:
    records = client.sandbox.iter_records("ats_offers", client.integration_id)
    assert next(records) == client.stored("ats_offers")[0]
    records.close()


def test_a_handle_can_be_attached_to_a_running_sandbox(sandbox: Sandbox) -> None:
    for url in (sandbox.url, sandbox.url.removesuffix("/v1")):
        handle = Sandbox.attach(url)
        assert isinstance(handle, Handle)
        assert (handle.url, handle.api_key) == (sandbox.url, sandbox.api_key)
        assert handle.integration_ids == sandbox.integration_ids


def test_attaching_without_a_running_sandbox_raises_an_error() -> None:
    with pytest.raises(SandboxError, match="no sandbox responds at http"):
        Sandbox.attach("http://127.0.0.1:9")
