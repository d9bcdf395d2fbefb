"""Who may read what: keys, integrations and their states, the rate limit."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest

from kombo_sandbox import Sandbox, SandboxError
from tests.sandbox.client import PATHS, Client, code


@pytest.mark.parametrize("path", ["/check-api-key", "/ats/offers", "/integrations/any"])
@pytest.mark.parametrize("header", ["", "Bearer ks_wrong", "ks_sandbox_1"])
def test_a_wrong_key_is_refused_everywhere(client: Client, path: str, header: str) -> None:
    client.session.headers["Authorization"] = header
    answer = client.get(path)
    assert answer.status_code == 401
    assert code(answer) == "PLATFORM.AUTHENTICATION_INVALID"
    assert answer.json()["error"]["log_url"].startswith("https://app.kombo.dev/")


def test_a_request_without_integration_is_refused(client: Client) -> None:
    del client.session.headers["X-Integration-Id"]
    answer = client.get("/ats/offers")
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")


@pytest.mark.parametrize("path", ["/ats/offers", "/integrations/greenhouse:nobody"])
def test_an_unknown_integration_is_not_found(client: Client, path: str) -> None:
    client.session.headers["X-Integration-Id"] = "greenhouse:nobody"
    answer = client.get(path)
    assert (answer.status_code, code(answer)) == (404, "PLATFORM.INTEGRATION_NOT_FOUND")


def test_an_unknown_path_is_not_found(client: Client) -> None:
    answer = client.get("/ats/nothing")
    assert answer.status_code == 404
    assert code(answer) is None


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"status": "INACTIVE"}, "INTEGRATION.INACTIVE"),
        ({"status": "INVALID"}, "INTEGRATION.AUTHENTICATION_INVALID"),
        ({"setup_status": "INCOMPLETE"}, "INTEGRATION.SETUP_INCOMPLETE"),
        ({"setup_status": "FINAL_SYNC_PENDING"}, "INTEGRATION.SETUP_SYNC_PENDING"),
    ],
)
def test_an_integration_that_is_not_ready_says_so(
    client: Client, state: dict[str, str], expected: str
) -> None:
    client.sandbox.set_integration(client.integration_id, **state)
    answer = client.get("/ats/offers")
    assert 400 <= answer.status_code < 500
    assert code(answer) == expected
    details = client.get(f"/integrations/{client.integration_id}").json()["data"]
    assert {name: details[name] for name in state} == state


def test_a_model_that_the_tool_does_not_have_is_refused(client: Client) -> None:
    client.sandbox.set_integration(client.integration_id, unavailable_models=["ats_offers"])
    answer = client.get("/ats/offers")
    assert (answer.status_code, code(answer)) == (400, "INTEGRATION.MODEL_NOT_AVAILABLE")
    assert client.get("/ats/jobs").status_code == 200
    details = client.get(f"/integrations/{client.integration_id}").json()["data"]
    available = {model["id"]: model["is_available"] for model in details["read_models"]}
    assert {model: available[model] for model in PATHS} == {
        model: model != "ats_offers" for model in PATHS
    }


def test_the_details_name_every_field_of_a_record(client: Client) -> None:
    details = client.get(f"/integrations/{client.integration_id}").json()["data"]
    for model in (one for one in details["read_models"] if one["is_available"]):
        names = [field["id"] for field in model["fields"]]
        assert names == list(client.held(model["id"])[0])


def test_a_state_that_kombo_does_not_know_cannot_be_set(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="status must be one of ACTIVE"):
        sandbox.set_integration(sandbox.integration_ids[0], status="BROKEN")


def test_an_integration_that_was_removed_is_gone(sandbox: Sandbox) -> None:
    integration_id = sandbox.add_integration(offers=3)
    assert len(sandbox.records("ats_offers", integration_id)) == 3
    sandbox.remove_integration(integration_id)
    assert integration_id not in sandbox.integration_ids
    assert Client(sandbox, integration_id).get("/ats/offers").status_code == 404


def test_the_rate_limit_counts_down_and_refuses(client: Client) -> None:
    client.sandbox.rate_limit(limit=2, window_seconds=60)
    answers = [client.get("/ats/offers") for _ in range(3)]
    assert [answer.headers["ratelimit-limit"] for answer in answers] == ["2", "2", "2"]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    assert 0 < int(answers[2].headers["ratelimit-reset"]) <= 60
    assert (answers[2].status_code, code(answers[2])) == (429, "PLATFORM.RATE_LIMIT_EXCEEDED")


def test_the_next_window_has_a_new_limit(client: Client) -> None:
    client.sandbox.rate_limit(limit=1, window_seconds=0.6)
    assert client.get("/ats/offers").status_code == 200
    assert client.get("/ats/offers").status_code == 429
    time.sleep(0.65)
    assert client.get("/ats/offers").status_code == 200


def test_every_answer_carries_the_date_of_the_sandbox(client: Client) -> None:
    client.sandbox.advance(86_400 * 40)
    for path in ("/ats/offers", "/ats/nothing"):
        date = parsedate_to_datetime(client.get(path).headers["date"])
        assert date.strftime("%Y-%m-%dT%H") == client.sandbox.clock()[:13]
