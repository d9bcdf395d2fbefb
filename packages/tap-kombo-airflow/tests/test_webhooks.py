"""Webhooks: signatures, the stored events, and runs that read only what changed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from wsgiref.util import setup_testing_defaults

import pytest
from fake_pipe import pipe

from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tap_kombo_airflow import cli, webhooks
from tap_kombo_airflow.shard import Shard
from tap_kombo_airflow.store import Store
from tap_kombo_airflow.webhooks import Change, find_changes, is_signed, receive

A, B, C = "personio:a", "personio:b", "lever:c"
SECRET = "secret"
FAIL_B = f"""
read = {{"integration_id": "{B}", "status": "failed", "transient": True, "error_code": None}}
read["message"] = "HTTP 502."
log("1 failed", "info", result={{"reads": [read], "not_finished": 0}})
sys.exit(1)
"""


@pytest.fixture(autouse=True)
def _tables(store: Store) -> None:
    webhooks.prepare(store)


def event(kind: str, **data: Any) -> bytes:
    return json.dumps({"id": "Cbfk5sHtDxrSrJBRjsDtbaN9", "type": kind, "data": data}).encode()


def data_changed(integration_id: str, *models: str) -> bytes:
    return event(
        "data-changed",
        integration_id=integration_id,
        integration_tool=integration_id.partition(":")[0],
        integration_category="HRIS",
        changed_models=[{"name": model} for model in models],
    )


def signature(body: bytes, secret: str = SECRET) -> str:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def send(store: Store, body: bytes) -> HTTPStatus:
    return receive(store, SECRET, body, signature(body))


def changed(store: Store) -> dict[str, list[str]]:
    """Return the stored models of each integration."""
    found: dict[str, list[str]] = {}
    for change in find_changes(store, [A, B, C]):
        found.setdefault(change.integration_id, []).append(change.model)
    return {name: sorted(models) for name, models in found.items()}


def integrations(store: Store) -> dict[str, tuple[Any, ...]]:
    rows = store.execute(
        "SELECT integration_id, tool, category, state, setup_status, deleted IS NOT NULL "
        "FROM {schema}.tap_kombo_integrations"
    )
    return {name: tuple(values) for name, *values in rows}


@pytest.mark.parametrize("padding", ["", "="])
def test_a_signature_is_accepted_with_and_without_padding(padding: str) -> None:
    assert is_signed(b"{}", signature(b"{}") + padding, SECRET)


@pytest.mark.parametrize(
    "forged",
    ["", "=", "\u00fc", signature(b"{}", "other"), signature(b"{ }"), signature(b"{}")[:-1]],
)
def test_another_signature_is_rejected(forged: str) -> None:
    assert not is_signed(b"{}", forged, SECRET)


def test_a_forged_or_reserialized_event_is_not_stored(store: Store) -> None:
    body = data_changed(A, "hris_employees")
    again = json.dumps(json.loads(body), separators=(",", ":")).encode()

    assert receive(store, SECRET, body, signature(body, "guessed")) == HTTPStatus.UNAUTHORIZED
    assert receive(store, SECRET, again, signature(body)) == HTTPStatus.UNAUTHORIZED
    assert changed(store) == {}


def test_changed_models_are_stored_once_for_each_integration(store: Store) -> None:
    body = data_changed(A, "hris_employees", "hris_teams", "hris_teams")

    assert [send(store, body), send(store, body)] == [HTTPStatus.OK, HTTPStatus.OK]
    assert send(store, data_changed(B, "hris_join_employees_teams")) == HTTPStatus.OK
    assert send(store, data_changed(C)) == HTTPStatus.OK

    assert changed(store) == {
        A: ["hris_employees", "hris_teams"],
        B: ["hris_join_employees_teams"],
    }


def test_changes_of_other_integrations_are_not_returned(store: Store) -> None:
    send(store, data_changed(A, "hris_employees"))

    assert find_changes(store, [B]) == []


@pytest.mark.parametrize("kind", ["sync-finished", "connection-flow-failed", "new-in-2027"])
def test_other_events_are_accepted_and_ignored(store: Store, kind: str) -> None:
    assert send(store, event(kind, integration_id=A)) == HTTPStatus.OK
    assert changed(store) == {}
    assert integrations(store) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b'"data-changed"',
        event("data-changed"),
        event("data-changed", integration_id=A, changed_models=["hris_teams"]),
        event("data-changed", integration_id=A, changed_models=[{"name": None}]),
        data_changed("personio", "hris_teams"),
        data_changed(A, "hris_teams", "HRIS teams"),
        event("integration-created", id=A),
        event("integration-created", id=["a"], tool="personio", category="HRIS"),
    ],
)
def test_a_body_that_is_not_an_event_is_rejected(store: Store, body: bytes) -> None:
    assert send(store, body) == HTTPStatus.BAD_REQUEST
    assert changed(store) == {}
    assert integrations(store) == {}


def test_an_event_that_cannot_be_stored_can_be_sent_again(
    store: Store, database: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    body = data_changed(A, "hris_teams")

    with database.outage():
        assert send(store, body) == HTTPStatus.SERVICE_UNAVAILABLE
    assert "The database of the states failed" in caplog.text

    assert send(store, body) == HTTPStatus.OK
    assert changed(store) == {A: ["hris_teams"]}


def identity(integration_id: str) -> dict[str, str]:
    return {"id": integration_id, "tool": "personio", "category": "HRIS"}


def state_changed(integration_id: str, state: str, updated_at: str) -> bytes:
    return event(
        "integration-state-changed",
        integration_id=integration_id,
        integration_tool="personio",
        integration_category="HRIS",
        state=state,
        setup_status="COMPLETED",
        qa_status="PASSED",
        updated_at=updated_at,
    )


def test_events_maintain_the_list_of_integrations(store: Store) -> None:
    for body in (
        event("integration-created", **identity(A)),
        state_changed(A, "ACTIVE", "2026-01-01T12:00:00.000Z"),
        event("integration-created", **identity(B)),
        event("integration-deleted", **identity(B), deleted_at="2026-01-02T12:00:00.000Z"),
        state_changed(C, "INVALID", "2026-01-01T12:00:00.000Z"),
    ):
        assert send(store, body) == HTTPStatus.OK

    assert integrations(store) == {
        A: ("personio", "HRIS", "ACTIVE", "COMPLETED", False),
        B: ("personio", "HRIS", None, None, True),
        C: ("personio", "HRIS", "INVALID", "COMPLETED", False),
    }


def test_events_that_are_delivered_late_or_twice_do_not_restore_an_older_state(
    store: Store,
) -> None:
    late = [
        state_changed(A, "INVALID", "2026-01-01T12:00:00.000Z"),
        event("integration-created", **identity(A)),
    ]
    for body in (
        *late,
        state_changed(A, "ACTIVE", "2026-01-01T12:00:00.001Z"),
        event("integration-deleted", **identity(A), deleted_at="2026-01-02T12:00:00.000Z"),
        *late,
    ):
        assert send(store, body) == HTTPStatus.OK

    assert integrations(store) == {A: ("personio", "HRIS", "ACTIVE", "COMPLETED", True)}


def request(store: Store, body: bytes, **environ: str) -> int:
    """Send a request to the WSGI application, and return the status of its response."""
    statuses: list[str] = []

    def start_response(status: str, *_: object) -> Any:
        statuses.append(status)

    complete: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_X_KOMBO_SIGNATURE": signature(body),
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    setup_testing_defaults(complete)
    list(webhooks.application(store, SECRET)(complete, start_response))
    [status] = statuses
    return int(status.partition(" ")[0])


def test_the_application_stores_events(store: Store) -> None:
    assert request(store, data_changed(A, "hris_teams")) == 200
    assert changed(store) == {A: ["hris_teams"]}


@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"REQUEST_METHOD": "GET"}, 405),
        ({"HTTP_X_KOMBO_SIGNATURE": ""}, 401),
        ({"CONTENT_LENGTH": ""}, 411),
        ({"CONTENT_LENGTH": "-1"}, 411),
        ({"CONTENT_LENGTH": "10000000"}, 413),
        ({"CONTENT_LENGTH": "5"}, 401),
    ],
)
def test_the_application_rejects_other_requests(
    store: Store, environ: Mapping[str, str], status: int
) -> None:
    assert request(store, data_changed(A, "hris_teams"), **environ) == status
    assert changed(store) == {}


@contextmanager
def serving(store: Store) -> Iterator[str]:
    """Run the receiver on a free port, and yield its URL."""
    with webhooks.server(store, SECRET, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/kombo"
        finally:
            server.shutdown()
            thread.join()


def test_the_receiver_stores_the_events_of_the_sandbox(store: Store) -> None:
    with (
        serving(store) as url,
        Sandbox(integrations=1, offers=5, categories=["HRIS"]) as sandbox,
    ):
        [integration_id] = sandbox.integration_ids
        sandbox.set_webhook(url, SECRET)
        sandbox.change("hris_employees")
        sandbox.add("hris_groups")
        added = sandbox.add_integration("personio", offers=0)
        sandbox.set_integration(added, status="INVALID")
        sandbox.set_webhook(url, "another secret")
        sandbox.change("hris_locations")

    changes = find_changes(store, [integration_id, added])
    assert {change[:2] for change in changes} == {
        (integration_id, "hris_employees"),
        (integration_id, "hris_teams"),
    }
    assert integrations(store) == {added: ("personio", "ATS", "INVALID", "COMPLETED", False)}


def test_a_client_that_is_silent_does_not_block_others(store: Store) -> None:
    body = data_changed(A, "hris_teams")
    headers = {"X-Kombo-Signature": signature(body)}

    with (
        serving(store) as url,
        socket.create_connection(address_of(url)),
        closing(http.client.HTTPConnection(*address_of(url), timeout=5)) as connection,
    ):
        connection.request("POST", "/", body, headers)
        assert connection.getresponse().status == HTTPStatus.OK

    assert changed(store) == {A: ["hris_teams"]}


def address_of(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    assert parts.port
    return parts.hostname, parts.port


SHOW_SETTINGS = """
path = next(a for a in sys.argv if a.endswith("/changed.json")).partition("=")[2]
log(json.dumps([names, json.load(open(path))]), "info")
"""


def test_a_run_reads_only_what_changed_and_removes_it(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    send(store, data_changed(A, "hris_employees", "hris_teams"))
    send(store, data_changed(B, "ats_jobs"))
    changes = find_changes(store, [A, B, C])

    problems = Shard(store, pipe(SHOW_SETTINGS + "emit('1')"), "one").run_changes(changes)

    assert problems == {}
    models = {A: ["hris_employees", "hris_teams"], B: ["ats_jobs"]}
    assert json.dumps([[A, B], {"changed_models": models}]) in caplog.text
    assert changed(store) == {}
    rows = store.execute("SELECT integration_id, read_finished, holder FROM {table} ORDER BY 1")
    assert rows == [(A, None, None), (B, None, None)]
    bookmark = store.take([A], "next").states[A]["bookmarks"]["ats_jobs"]["partitions"][0]
    assert bookmark["replication_key_value"] == "1"


def test_an_event_that_arrives_during_the_run_stays(store: Store) -> None:
    send(store, data_changed(A, "hris_employees", "hris_teams"))
    changes = find_changes(store, [A])
    send(store, data_changed(A, "hris_teams", "hris_locations"))

    assert Shard(store, pipe("emit('1')"), "one").run_changes(changes) == {}

    assert changed(store) == {A: ["hris_locations", "hris_teams"]}


def test_the_events_of_an_integration_that_is_not_complete_stay(store: Store) -> None:
    for name in (A, B):
        send(store, data_changed(name, "hris_employees"))

    shard = Shard(store, pipe(FAIL_B), "one")
    problems = shard.run_changes(find_changes(store, [A, B]))

    assert problems.keys() == {B}
    assert changed(store) == {B: ["hris_employees"]}


def test_the_events_of_an_integration_that_another_run_reads_stay(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for name in (A, B):
        send(store, data_changed(name, "hris_employees"))
    store.take([A], "the full run")
    changes = find_changes(store, [A, B])

    problems = Shard(store, pipe(SHOW_SETTINGS), "one").run_changes(changes)

    assert problems.keys() == {A}
    assert json.dumps([[B], {"changed_models": {B: ["hris_employees"]}}]) in caplog.text
    assert changed(store) == {A: ["hris_employees"]}
    assert Shard(store, pipe("sys.exit(9)"), "two").run_changes(changes[:1]).keys() == {A}


def test_a_run_that_fails_removes_nothing(store: Store) -> None:
    send(store, data_changed(A, "hris_employees"))
    changes = find_changes(store, [A])

    assert Shard(store, pipe("", "sys.exit(1)"), "one").run_changes(changes).keys() == {A}

    assert changed(store) == {A: ["hris_employees"]}


def test_a_run_of_changes_does_not_complete_the_retry_of_a_full_run(store: Store) -> None:
    started = store.prepare()
    Shard(store, pipe(FAIL_B), "full").run([B], since=started)
    send(store, data_changed(B, "hris_employees"))

    Shard(store, pipe("emit('1')"), "changes").run_changes(find_changes(store, [B]))

    assert store.problems_since(started, [B]) == {B: "HTTP 502."}


def test_a_run_without_changes_starts_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_database(monkeypatch, store)
    monkeypatch.setenv("PATH", "")
    (tmp_path / "ids").write_text(B)
    send(store, data_changed(A, "hris_employees"))

    assert cli.main(["run", str(tmp_path / "ids"), "--schema", store.schema, "--changed"]) == 0

    assert changed(store) == {A: ["hris_employees"]}


def test_the_receiver_needs_a_secret(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KOMBO_WEBHOOK_SECRET", "")

    assert cli.main(["webhooks", "--schema", store.schema]) == 2
    assert "KOMBO_WEBHOOK_SECRET" in capsys.readouterr().err


def use_database(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setenv("PGHOST", store.database["host"])
    monkeypatch.setenv("PGUSER", store.database["user"])


def test_a_change_has_the_number_of_its_last_event(store: Store) -> None:
    send(store, data_changed(A, "hris_employees"))
    [first] = find_changes(store, [A])
    send(store, data_changed(A, "hris_employees"))
    [second] = find_changes(store, [A])

    assert first == Change(A, "hris_employees", first.number)
    assert second.number > first.number


def test_a_user_of_existing_tables_needs_no_permission_to_create_them(store: Store) -> None:
    role = f"receiver_of_{store.schema}"
    store.execute("CREATE ROLE " + role + " LOGIN")
    store.execute("GRANT USAGE ON SCHEMA {schema} TO " + role)
    store.execute("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO " + role)
    limited = Store({**store.database, "user": role}, store.schema)

    webhooks.prepare(limited)

    assert send(limited, data_changed(A, "hris_employees")) == HTTPStatus.OK
