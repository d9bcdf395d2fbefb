"""API keys, integrations and their states, and the rate limit."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest
from sandbox_client import CORE_MODELS, INPUT_INVALID, Client, error

from kombo_sandbox import Sandbox, SandboxError


@pytest.mark.parametrize("path", ["/check-api-key", "/ats/offers", "/integrations/any"])
@pytest.mark.parametrize("header", ["", "Bearer ks_wrong", "ks_sandbox_1"])
def test_every_endpoint_rejects_a_wrong_api_key(client: Client, path: str, header: str) -> None:
    client.session.headers["Authorization"] = header
    response = client.get(path)
    assert error(response) == (401, "PLATFORM.AUTHENTICATION_INVALID")
    assert response.json()["error"]["log_url"].startswith("https://app.kombo.dev/")


def test_a_request_without_an_integration_is_rejected(client: Client) -> None:
    del client.session.headers["X-Integration-Id"]
    assert error(client.get("/ats/offers")) == INPUT_INVALID


@pytest.mark.parametrize("path", ["/ats/offers", "/integrations/greenhouse:nobody"])
def test_an_unknown_integration_is_not_found(client: Client, path: str) -> None:
    client.session.headers["X-Integration-Id"] = "greenhouse:nobody"
    assert error(client.get(path)) == (404, "PLATFORM.INTEGRATION_NOT_FOUND")


def test_an_unknown_path_is_not_found(client: Client) -> None:
    assert error(client.get("/ats/nothing")) == (404, None)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"status": "INACTIVE"}, (409, "INTEGRATION.INACTIVE")),
        ({"status": "INVALID"}, (400, "INTEGRATION.AUTHENTICATION_INVALID")),
        ({"setup_status": "INCOMPLETE"}, (409, "INTEGRATION.SETUP_INCOMPLETE")),
        ({"setup_status": "FINAL_SYNC_PENDING"}, (409, "INTEGRATION.SETUP_SYNC_PENDING")),
    ],
)
def test_an_integration_that_is_not_ready_returns_the_code_of_its_state(
    client: Client, state: dict[str, str], expected: tuple[int, str]
) -> None:
    client.sandbox.call("set_integration", integration_id=client.integration_id, **state)
    assert error(client.get("/ats/offers")) == expected
    details = client.get(f"/integrations/{client.integration_id}").json()["data"]
    assert {name: details[name] for name in state} == state


def test_an_unavailable_model_is_rejected_and_shown_in_the_details(client: Client) -> None:
    client.sandbox.set_integration(client.integration_id, unavailable_models=["ats_offers"])
    assert error(client.get("/ats/offers")) == (400, "INTEGRATION.MODEL_NOT_AVAILABLE")
    assert client.get("/ats/jobs").status_code == 200
    details = client.get(f"/integrations/{client.integration_id}").json()["data"]
    available = {model["id"]: model["is_available"] for model in details["read_models"]}
    assert {model: available[model] for model in CORE_MODELS} == {
        model: model != "ats_offers" for model in CORE_MODELS
    }


def test_the_details_list_every_field_of_a_record(client: Client) -> None:
    details = client.get(f"/integrations/{client.integration_id}").json()["data"]
    for model in (one for one in details["read_models"] if one["is_available"]):
        fields = [field["id"] for field in model["fields"]]
        assert fields == list(client.stored(model["id"])[0])


def test_an_unknown_status_is_rejected(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="BROKEN"):
        sandbox.set_integration(sandbox.integration_ids[0], status="BROKEN")


def test_a_removed_integration_is_not_found(sandbox: Sandbox) -> None:
    integration_id = sandbox.add_integration(offers=3)
    assert len(sandbox.records("ats_offers", integration_id)) == 3
    sandbox.remove_integration(integration_id)
    assert integration_id not in sandbox.integration_ids
    assert Client(sandbox, integration_id).get("/ats/offers").status_code == 404


def test_requests_above_the_rate_limit_are_rejected(client: Client) -> None:
    client.sandbox.rate_limit(limit=2, window_seconds=60)
    responses = [client.get("/ats/offers") for _ in range(3)]
    assert [one.headers["ratelimit-limit"] for one in responses] == ["2", "2", "2"]
    assert [one.headers["ratelimit-remaining"] for one in responses] == ["1", "0", "0"]
    assert 0 < int(responses[2].headers["ratelimit-reset"]) <= 60
    assert error(responses[2]) == (429, "PLATFORM.RATE_LIMIT_EXCEEDED")


def test_the_rate_limit_resets_in_the_next_window(client: Client) -> None:
    client.sandbox.rate_limit(limit=1, window_seconds=0.6)
    assert client.get("/ats/offers").status_code == 200
    assert client.get("/ats/offers").status_code == 429
    time.sleep(0.65)
    assert client.get("/ats/offers").status_code == 200


def test_the_date_header_is_the_time_of_the_sandboxs_clock(client: Client) -> None:
    client.sandbox.advance(86_400 * 40)
    for path in ("/ats/offers", "/ats/nothing"):
        date = parsedate_to_datetime(client.get(path).headers["date"])
        assert date.strftime("%Y-%m-%dT%H") == client.sandbox.clock()[:13]
