"""Faults: responses, delays and closed connections on request."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests
from sandbox_client import INPUT_INVALID, Client, error


def test_a_code_sets_its_default_status_and_a_log_url(client: Client) -> None:
    client.sandbox.fault("/ats/offers", code="INTEGRATION.QA_FAILED")
    response = client.get("/ats/offers")
    assert error(response) == (409, "INTEGRATION.QA_FAILED")
    assert response.json()["error"]["log_url"].startswith("https://app.kombo.dev/")


def test_a_code_can_have_another_status_and_log_url(client: Client) -> None:
    client.sandbox.fault(status=200, code="PLATFORM.UNKNOWN_ERROR", log_url="https://log.example/1")
    response = client.get("/ats/offers")
    assert error(response) == (200, "PLATFORM.UNKNOWN_ERROR")
    assert response.json()["error"]["log_url"] == "https://log.example/1"


def test_a_status_alone_has_no_code_and_no_log_url(client: Client) -> None:
    client.sandbox.fault(status=503)
    response = client.get("/ats/offers")
    assert error(response) == (503, None)
    assert response.json()["error"]["log_url"] is None


def test_the_response_can_have_any_body_and_headers(client: Client) -> None:
    page = "<h1>Bad gateway</h1>"
    client.sandbox.fault(status=502, body=page, content_type="text/html", headers={"Server": "x"})
    response = client.get("/ats/offers")
    assert (response.status_code, response.text, response.headers["server"]) == (502, page, "x")
    assert response.headers["content-type"].startswith("text/html")


def test_headers_can_be_added_to_the_usual_response(client: Client) -> None:
    client.sandbox.fault(headers={"ratelimit-remaining": "0", "Date": "nonsense"})
    response = client.get("/ats/offers")
    assert response.json()["status"] == "success"
    assert response.headers["ratelimit-remaining"] == "0"
    assert response.headers["date"] == "nonsense"


def test_a_fault_affects_only_its_path_and_integration(client: Client) -> None:
    other = Client(client.sandbox)
    client.sandbox.fault("/ats/offers", integration_id=client.integration_id, status=500)
    assert client.get("/ats/offers").status_code == 500
    assert client.get("/ats/jobs").status_code == 200
    assert other.get("/ats/offers").status_code == 200


def test_a_fault_can_skip_requests_and_stop_after_a_count(client: Client) -> None:
    client.sandbox.fault("/ats/offers", status=500, skip=2, count=2)
    client.get("/ats/jobs")
    statuses = [client.get("/ats/offers").status_code for _ in range(6)]
    assert statuses == [200, 200, 500, 500, 200, 200]


def test_faults_apply_in_the_order_in_which_they_were_added(client: Client) -> None:
    first = client.sandbox.fault(status=500, count=1)
    second = client.sandbox.fault(status=502, count=1)
    assert first != second
    assert [client.get("/ats/offers").status_code for _ in range(3)] == [500, 502, 200]


def test_clear_faults_removes_all_faults(client: Client) -> None:
    client.sandbox.fault(status=500)
    client.sandbox.clear_faults()
    assert client.get("/ats/offers").status_code == 200


def test_a_fault_can_reject_a_cursor_as_expired(client: Client) -> None:
    client.sandbox.fault("/ats/offers", expired_cursor=True, count=1)
    cursor = client.get("/ats/offers", page_size=5).json()["data"]["next"]
    assert error(client.get("/ats/offers", page_size=5, cursor=cursor)) == INPUT_INVALID
    assert client.get("/ats/offers", page_size=5, cursor=cursor).status_code == 200


@pytest.mark.parametrize(("cut", "share"), [(0.5, 0.5), (100, None), (0, None)])
def test_a_body_can_end_early(client: Client, cut: float, share: float | None) -> None:
    complete = len(client.get("/ats/offers").content)
    client.sandbox.fault("/ats/offers", cut_body=cut, count=1)
    with closing(http.client.HTTPConnection(client.sandbox.url.split("/")[2])) as connection:
        headers = {name: str(value) for name, value in client.session.headers.items()}
        connection.request("GET", "/v1/ats/offers", headers={**headers, "Accept-Encoding": ""})
        response = connection.getresponse()
        assert response.getheader("content-length") == str(complete)
        with pytest.raises(http.client.IncompleteRead) as caught:
            response.read()
    assert len(caught.value.partial) == (int(complete * share) if share else cut)


def test_a_connection_can_close_without_a_response(client: Client) -> None:
    client.sandbox.fault("/ats/offers", close=True, count=1)
    with pytest.raises(requests.ConnectionError):
        client.get("/ats/offers")
    assert client.get("/ats/offers").status_code == 200
    [broken, _] = client.sandbox.requests()
    assert broken.status is None
    assert broken.ended is not None


def test_a_request_can_hang_while_others_succeed(client: Client) -> None:
    client.sandbox.fault("/ats/offers", hang=True)
    with pytest.raises(requests.ReadTimeout):
        client.session.get(f"{client.sandbox.url}/ats/offers", timeout=0.2)
    assert client.get("/ats/jobs").status_code == 200


def test_requests_are_delayed_at_the_same_time(client: Client) -> None:
    client.sandbox.fault("/ats/offers", delay=0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        responses = list(pool.map(lambda _: client.get("/ats/offers", page_size=1), range(32)))
    # One after the other they would take 16 seconds.
    assert time.monotonic() - started < 10
    assert all(one.json()["status"] == "success" for one in responses)
