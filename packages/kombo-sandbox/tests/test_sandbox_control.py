"""The control API: invalid arguments, and calls from other web pages."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import pytest
from sandbox_client import Client

from kombo_sandbox import Sandbox

CONTROL = {"X-Kombo-Sandbox": "control"}
DEEP = '{"a":' * 2000 + "1" + "}" * 2000

INVALID: list[tuple[str, Any]] = [
    ("advance", {}),
    ("advance", {"seconds": "60"}),
    ("advance", {"seconds": True}),
    ("advance", {"seconds": None}),
    ("advance", {"seconds": 2**64}),
    ("advance", {"seconds": -(2**64)}),
    ("advance", {"seconds": 1e20}),
    ("advance", {"seconds": 10**400}),
    ("advance", {"seconds": 60, "minutes": 1}),
    ("rate_limit", {"limit": 2**64, "window_seconds": 60}),
    ("rate_limit", {"limit": -1, "window_seconds": 60}),
    ("rate_limit", {"limit": 1.5, "window_seconds": 60}),
    ("rate_limit", {"limit": 10, "window_seconds": 0}),
    ("rate_limit", {"limit": 10, "window_seconds": 2**64}),
    ("add_integration", {"offers": -1}),
    ("add_integration", {"offers": 2**64}),
    ("add_integration", {"offers": "5"}),
    ("add_integration", {"offers": 1.5}),
    ("add_integration", {"tool": "nobody"}),
    ("add_integration", {"tool": ["lever"]}),
    ("remove_integration", {"integration_id": "nobody"}),
    ("remove_integration", {"integration_id": {}}),
    ("set_integration", {"integration_id": "nobody", "status": "ACTIVE"}),
    ("change", {"model": "ats_offers", "count": -1}),
    ("change", {"model": "ats_offers", "count": 2**64}),
    ("change", {"model": "ats_offers", "ids": "abc"}),
    ("change", {"model": "ats_offers", "ids": [1]}),
    ("change", {"model": ["ats_offers"]}),
    ("change", {"model": "\ud800"}),
    ("delete", {"model": "ats_offers", "ids": ["nobody"]}),
    ("add", {"model": "ats_offers", "count": -1}),
    ("add", {"model": "ats_offers", "count": 2**64}),
    ("add", {"model": "ats_offers", "integration_id": "nobody"}),
    ("patch", {"model": "ats_offers", "id": "nobody", "values": {}}),
    ("patch", {"model": "ats_offers", "id": "nobody", "values": []}),
    ("patch", {"model": "ats_offers", "id": 5, "values": {}}),
    ("put_raw", {"model": "ats_offers", "integration_id": "nobody", "json_text": '{"id": "1"}'}),
    ("put_raw", {"model": "ats_offers", "integration_id": "nobody", "json_text": "[" * 100_000}),
    ("fault", {"status": 99}),
    ("fault", {"status": 2**64}),
    ("fault", {"status": "500"}),
    ("fault", {"count": 0}),
    ("fault", {"skip": -1}),
    ("fault", {"delay": -1}),
    ("fault", {"delay": 1e20}),
    ("fault", {"cut_body": -1}),
    ("fault", {"body": "\ud800"}),
    ("fault", {"body": 5}),
    ("fault", {"content_type": "text/html\r\nX-Own: 1", "body": ""}),
    ("fault", {"headers": {"X-Own": 5}}),
    ("fault", {"headers": {"X-Own": "\ud800"}}),
    ("fault", {"headers": {"X-Own": "a\r\nb"}}),
    ("fault", {"headers": {"X Own": "a"}}),
    ("fault", {"headers": {"Content-Length": "much"}}),
    ("fault", {"nothing": True}),
    ("set_listing", {"order": "by chance"}),
    ("set_listing", {"order": []}),
    ("set_listing", {"strict": "yes"}),
    ("set_listing", {"nothing": True}),
    ("schedule", {"operation": "nothing", "before_request": 1, "arguments": {}}),
    ("schedule", {"operation": [], "before_request": 1, "arguments": {}}),
    ("schedule", {"operation": "change", "before_request": 0, "arguments": {}}),
    ("schedule", {"operation": "change", "before_request": 1, "arguments": []}),
    ("schedule", {"operation": "advance", "before_request": 1, "arguments": {"seconds": "x"}}),
    ("schedule", {"operation": "delete", "before_request": 1, "arguments": {"count": 1}}),
    ("set_webhook", {}),
    ("set_webhook", {"url": "localhost:8080", "secret": "s"}),
    ("set_webhook", {"url": "file:///etc", "secret": "s"}),
    ("set_webhook", {"url": "http:///path", "secret": "s"}),
    ("set_webhook", {"url": "http://host:port/", "secret": "s"}),
    ("set_webhook", {"url": "http://h\u00f6st/", "secret": "s"}),
    ("set_webhook", {"url": "http://host/", "secret": "\ud800"}),
    ("set_webhook", {"url": 5, "secret": "s"}),
    ("reset", {"now": True}),
    ("state", []),
    ("state", "state"),
    ("clock", None),
    ("patch", {"model": "ats_offers", "id": "nobody", "values": {"a": math.nan}}),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(integrations=2, offers=20, seed=9) as sandbox:
        yield sandbox


@pytest.mark.parametrize(("operation", "arguments"), INVALID)
def test_invalid_arguments_are_rejected_and_change_nothing(
    server: Sandbox, operation: str, arguments: Any
) -> None:
    client = Client(server)
    before = server.integration_ids, server.records("ats_offers")

    status, error = post(server, operation, json.dumps(arguments))

    assert status == 400, error
    assert error
    assert "\n" not in error
    assert (server.integration_ids, server.records("ats_offers")) == before
    response = client.get("/ats/offers")
    assert response.status_code == 200
    assert response.headers["ratelimit-limit"] == "1000000"


@pytest.mark.parametrize(
    "body", ["{", b"\xff", "[" * 100_000, '{"seconds": NaN}', '{"seconds": 1e999}', DEEP]
)
def test_a_body_that_is_not_a_json_object_is_rejected(server: Sandbox, body: str | bytes) -> None:
    status, error = post(server, "advance", body)

    assert status == 400, error
    assert "\n" not in error


def test_a_record_that_is_nested_too_deep_for_sqlite_is_rejected(server: Sandbox) -> None:
    client = Client(server)
    where = {"model": "ats_offers", "integration_id": client.integration_id}
    record = '{"id": "deep", "a": ' + DEEP + "}"

    status, error = post(server, "put_raw", json.dumps({**where, "json_text": record}))

    assert status == 400, error
    assert client.get("/ats/offers").status_code == 200


@pytest.mark.parametrize(
    "state",
    [
        {"status": "ON"},
        {"status": ["ACTIVE"]},
        {"disabled_models": "ats_offers"},
        {"disabled_models": [["ats_offers"]]},
        {"unsupported_filters": [5]},
        {"data_expired_at": "yesterday"},
        {"tool": "lever"},
    ],
)
def test_a_rejected_state_does_not_change_the_integration(
    server: Sandbox, state: dict[str, Any]
) -> None:
    before = server.records("integrations")
    arguments = {"integration_id": server.integration_ids[0], **state}

    status, error = post(server, "set_integration", json.dumps(arguments))

    assert status == 400, error
    assert server.records("integrations") == before


def test_integrations_can_be_added_on_the_first_and_last_day_of_the_clock() -> None:
    with Sandbox(integrations=0, clock="1970-01-02T00:00:00.000Z") as sandbox:
        for days in (0, 376_198):
            sandbox.advance(days * 86_400)
            for tool in ("personio", "hibob", "docebo", "teamtailor"):
                client = Client(sandbox, sandbox.add_integration(tool, offers=3))
                assert client.get(f"/integrations/{client.integration_id}").status_code == 200
        assert sandbox.clock().startswith("2999-12-31")


def test_an_integration_can_be_empty(server: Sandbox) -> None:
    client = Client(server, server.add_integration(offers=0))
    assert client.get("/ats/offers").json()["data"]["results"] == []
    server.remove_integration(client.integration_id)


def test_an_unknown_operation_is_not_found(server: Sandbox) -> None:
    assert post(server, "nothing", "{}") == (404, "there is no operation nothing")


def test_a_patched_record_cannot_break_the_server(server: Sandbox) -> None:
    client = Client(server)
    job = client.stored("ats_jobs")[0]
    odd = {name: {"odd": [5]} for name in job if name not in ("id", "remote_deleted_at")}
    server.patch("ats_jobs", job["id"], odd)

    statuses = {
        post(server, operation, json.dumps({"model": model, "count": 3}))[0]
        for operation in ("add", "change", "change_nested")
        for model in ("ats_jobs", "ats_applications", "ats_offers")
    }

    server.reset()
    assert statuses <= {200, 400}
    assert Client(server).get("/ats/offers").status_code == 200


@pytest.mark.parametrize("value", ["", "yes"])
def test_a_call_without_the_control_header_is_forbidden(server: Sandbox, value: str) -> None:
    headers = {"X-Kombo-Sandbox": value, "Content-Type": "text/plain"}

    assert request(server, "POST", "/_sandbox/clear_faults", "{}", headers)[0] == 403
    assert request(server, "GET", "/_sandbox/records/ats_offers", headers=headers)[0] == 403
    assert request(server, "GET", "/_sandbox/records/ats_offers")[0] == 200


@pytest.mark.parametrize(
    "host", ["", "kombo.example", "127.0.0.1.kombo.example:8400", "192.0.2.1", "[2001:db8::1]:80"]
)
def test_a_call_with_a_foreign_host_is_forbidden(server: Sandbox, host: str) -> None:
    headers = {**CONTROL, "Host": host}

    assert post(server, "clear_faults", "{}", headers)[0] == 403
    assert request(server, "GET", "/_sandbox/records/ats_offers", headers=headers)[0] == 403


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.2:8400", "[::1]:8400"])
def test_a_call_with_a_loopback_host_is_accepted(server: Sandbox, host: str) -> None:
    assert post(server, "clear_faults", "{}", {**CONTROL, "Host": host})[0] == 200


def post(
    sandbox: Sandbox, operation: str, body: str | bytes, headers: Mapping[str, str] = CONTROL
) -> tuple[int, str]:
    """Call an operation, and return the status and the error, which can be empty."""
    status, body_of_response = request(sandbox, "POST", f"/_sandbox/{operation}", body, headers)
    return status, json.loads(body_of_response).get("error", "")


def request(
    sandbox: Sandbox,
    method: str,
    path: str,
    body: str | bytes | None = None,
    headers: Mapping[str, str] = CONTROL,
) -> tuple[int, bytes]:
    netloc = urlsplit(sandbox.url).netloc
    with closing(http.client.HTTPConnection(netloc, timeout=10)) as connection:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        return response.status, response.read()
