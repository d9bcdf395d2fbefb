"""What goes wrong on purpose."""

from __future__ import annotations

import http.client
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
import requests

from tests.sandbox.client import Client, code


def test_a_code_brings_its_usual_status_and_a_log_page(client: Client) -> None:
    client.sandbox.fault("/ats/offers", code="INTEGRATION.QA_FAILED")
    answer = client.get("/ats/offers")
    assert (answer.status_code, code(answer)) == (409, "INTEGRATION.QA_FAILED")
    assert answer.json()["error"]["log_url"].startswith("https://app.kombo.dev/")


def test_a_status_can_go_with_any_code_and_log_page(client: Client) -> None:
    client.sandbox.fault(status=200, code="PLATFORM.UNKNOWN_ERROR", log_url="https://log.example/1")
    answer = client.get("/ats/offers")
    assert (answer.status_code, code(answer)) == (200, "PLATFORM.UNKNOWN_ERROR")
    assert answer.json()["error"]["log_url"] == "https://log.example/1"


def test_a_bare_status_comes_without_code(client: Client) -> None:
    client.sandbox.fault(status=503)
    answer = client.get("/ats/offers")
    assert (answer.status_code, code(answer)) == (503, None)
    assert answer.json()["error"]["log_url"] is None


def test_any_body_can_be_answered(client: Client) -> None:
    page = "<h1>Bad gateway</h1>"
    client.sandbox.fault(status=502, body=page, content_type="text/html", headers={"Server": "x"})
    answer = client.get("/ats/offers")
    assert (answer.status_code, answer.text, answer.headers["server"]) == (502, page, "x")
    assert answer.headers["content-type"].startswith("text/html")


def test_headers_can_be_put_on_the_true_answer(client: Client) -> None:
    client.sandbox.fault(headers={"ratelimit-remaining": "0", "Date": "nonsense"})
    answer = client.get("/ats/offers")
    assert answer.json()["status"] == "success"
    assert answer.headers["ratelimit-remaining"] == "0"
    assert answer.headers["date"] == "nonsense"


def test_a_fault_strikes_only_where_it_should(client: Client) -> None:
    other = Client(client.sandbox)
    client.sandbox.fault("/ats/offers", integration_id=client.integration_id, status=500)
    assert client.get("/ats/offers").status_code == 500
    assert client.get("/ats/jobs").status_code == 200
    assert other.get("/ats/offers").status_code == 200


def test_a_fault_can_skip_requests_and_end(client: Client) -> None:
    client.sandbox.fault("/ats/offers", status=500, skip=2, count=2)
    client.get("/ats/jobs")
    statuses = [client.get("/ats/offers").status_code for _ in range(6)]
    assert statuses == [200, 200, 500, 500, 200, 200]


def test_faults_follow_one_another(client: Client) -> None:
    first = client.sandbox.fault(status=500, count=1)
    second = client.sandbox.fault(status=502, count=1)
    assert first != second
    assert [client.get("/ats/offers").status_code for _ in range(3)] == [500, 502, 200]


def test_cleared_faults_strike_no_more(client: Client) -> None:
    client.sandbox.fault(status=500)
    client.sandbox.clear_faults()
    assert client.get("/ats/offers").status_code == 200


def test_a_cursor_can_expire_by_fault(client: Client) -> None:
    client.sandbox.fault("/ats/offers", expired_cursor=True, count=1)
    cursor = client.get("/ats/offers", page_size=5).json()["data"]["next"]
    answer = client.get("/ats/offers", page_size=5, cursor=cursor)
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")
    assert client.get("/ats/offers", page_size=5, cursor=cursor).status_code == 200


@pytest.mark.parametrize(("cut", "share"), [(0.5, 0.5), (100, None), (0, None)])
def test_a_body_can_break_off(client: Client, cut: float, share: float | None) -> None:
    whole = len(client.get("/ats/offers").content)
    client.sandbox.fault("/ats/offers", cut_body=cut, count=1)
    with closing(http.client.HTTPConnection(client.sandbox.url.split("/")[2])) as connection:
        headers = {name: str(value) for name, value in client.session.headers.items()}
        connection.request("GET", "/v1/ats/offers", headers={**headers, "Accept-Encoding": ""})
        answer = connection.getresponse()
        assert answer.getheader("content-length") == str(whole)
        with pytest.raises(http.client.IncompleteRead) as caught:
            answer.read()
    assert len(caught.value.partial) == (int(whole * share) if share else cut)


def test_a_connection_can_break_instead_of_an_answer(client: Client) -> None:
    client.sandbox.fault("/ats/offers", close=True, count=1)
    with pytest.raises(requests.ConnectionError):
        client.get("/ats/offers")
    assert client.get("/ats/offers").status_code == 200
    [broken, _] = client.sandbox.requests()
    assert broken.status is None
    assert broken.ended is not None


def test_an_answer_can_stay_out_while_others_come(client: Client) -> None:
    client.sandbox.fault("/ats/offers", hang=True)
    with pytest.raises(requests.ReadTimeout):
        client.session.get(f"{client.sandbox.url}/ats/offers", timeout=0.2)
    assert client.get("/ats/jobs").status_code == 200


def test_delays_of_32_requests_pass_at_the_same_time(client: Client) -> None:
    client.sandbox.fault("/ats/offers", delay=0.5)
    started = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: client.get("/ats/offers", page_size=1), range(32)))
    # One after the other they would take 16 seconds.
    assert time.monotonic() - started < 5
    assert all(answer.json()["status"] == "success" for answer in answers)
