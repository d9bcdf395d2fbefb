"""Webhooks: the events of changes, their signature, and receivers that fail."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sandbox_client import Client

from kombo_sandbox import Sandbox
from kombo_sandbox.models import CATEGORIES

SECRET = "s\u00fcper secret"


@dataclass
class Receiver:
    """A server that keeps the requests it receives.

    Attributes:
        url: Its URL.
        received: The path, the signature and the body of each request.
        status: The status of its responses.
        before_response: Called before each response.
    """

    url: str
    received: list[tuple[str, str, bytes]] = field(default_factory=list)
    status: int = 200
    before_response: Callable[[], object] = lambda: None

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.received]

    @property
    def changed(self) -> dict[str, list[str]]:
        """The models that each integration's events name."""
        names: dict[str, list[str]] = {}
        for event in self.events:
            assert event["type"] == "data-changed"
            models = [model["name"] for model in event["data"]["changed_models"]]
            names.setdefault(event["data"]["integration_id"], []).extend(models)
        return names


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.received.append((self.path, self.headers["X-Kombo-Signature"], body))
            found.before_response()
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Receiver(f"http://127.0.0.1:{server.server_port}/kombo?from=sandbox")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def shared() -> Iterator[Sandbox]:
    with Sandbox(integrations=1, offers=20, categories=CATEGORIES, seed=7) as sandbox:
        yield sandbox


@pytest.fixture
def receiver(shared: Sandbox) -> Iterator[Receiver]:
    with receiving() as found:
        shared.set_webhook(found.url, SECRET)
        yield found
        shared.set_webhook(None)


def test_an_event_is_signed_with_the_secret(shared: Sandbox, receiver: Receiver) -> None:
    shared.change("ats_offers")

    [(path, signature, body)] = receiver.received
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=") == digest
    assert "=" not in signature
    assert path == "/kombo?from=sandbox"


def test_a_change_sends_an_event_with_its_integration_and_model(
    shared: Sandbox, receiver: Receiver
) -> None:
    ats, *_ = shared.integration_ids

    shared.change("ats_offers", count=5)

    [event] = receiver.events
    assert event["id"]
    assert event["type"] == "data-changed"
    assert event["data"] == {
        "integration_id": ats,
        "integration_tool": "personio",
        "integration_category": "ATS",
        "changed_models": [{"name": "ats_offers"}],
    }


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("hris_groups", "hris_teams"),
        ("hris_group_memberships", "hris_join_employees_teams"),
        ("hris_payslip_line_items", "hris_payslip_line_items"),
        ("ats_candidate_tags", "ats_join_candidates_tags"),
        ("ats_job_postings", "ats_job_postings"),
        ("lms_skill_assignments", "lms_join_revisions_skills"),
    ],
)
def test_events_have_kombos_names_of_models(
    shared: Sandbox, receiver: Receiver, model: str, name: str
) -> None:
    shared.add(model)

    [names] = receiver.changed.values()
    assert names == [name]


def test_every_operation_on_records_sends_an_event(shared: Sandbox, receiver: Receiver) -> None:
    ats, *_ = shared.integration_ids
    [added] = shared.add("ats_tags", 1, ats)
    shared.patch("ats_tags", added, {"name": "Ada"})
    shared.delete("ats_tags", ids=[added])
    shared.restore("ats_tags", ids=[added])
    shared.anonymize("ats_tags", ids=[added])
    shared.put_raw("ats_tags", ats, '{"id": "raw"}')
    assert receiver.changed == {ats: ["ats_tags"] * 6}

    receiver.received.clear()
    shared.set_integration(ats, disabled_models=["ats_users"])
    shared.set_integration(ats, disabled_models=[])
    assert receiver.changed == {ats: ["ats_users"] * 2}


def test_a_nested_change_names_the_linked_model(shared: Sandbox, receiver: Receiver) -> None:
    shared.change_nested("ats_offers")

    [names] = receiver.changed.values()
    assert names == ["ats_applications"]


@pytest.mark.parametrize(
    ("operation", "model"),
    [("forget", "ats_offers"), ("change", "assessment_orders"), ("change", "custom_fields")],
)
def test_changes_that_kombo_does_not_report_send_no_event(
    shared: Sandbox, receiver: Receiver, operation: str, model: str
) -> None:
    getattr(shared, operation)(model)

    assert receiver.received == []


def test_adding_and_removing_an_integration_sends_events(
    shared: Sandbox, receiver: Receiver
) -> None:
    integration_id = shared.add_integration("hibob", offers=0)
    shared.remove_integration(integration_id)

    created, deleted = receiver.events
    assert created["type"] == "integration-created"
    assert deleted["type"] == "integration-deleted"
    assert (
        created["data"].items()
        >= {
            "id": integration_id,
            "tool": "hibob",
            "category": "HRIS",
        }.items()
    )
    assert created["data"]["end_user"].keys() == {
        "organization_name",
        "creator_email",
        "origin_id",
    }
    assert deleted["data"].pop("deleted_at") <= shared.clock()
    assert deleted["data"] == created["data"]


def test_changing_the_state_of_an_integration_sends_an_event(
    shared: Sandbox, receiver: Receiver
) -> None:
    ats, *_ = shared.integration_ids
    shared.set_integration(ats, status="INVALID")
    shared.set_integration(ats, status="ACTIVE", setup_status="COMPLETED")
    shared.set_integration(ats, data_expired_at=None)

    first, second = receiver.events
    assert first["type"] == "integration-state-changed"
    assert first["data"]["integration_id"] == ats
    assert first["data"]["state"] == "INVALID"
    assert second["data"]["state"] == "ACTIVE"
    assert second["data"]["setup_status"] == "COMPLETED"
    assert second["data"]["qa_status"] == "PASSED"
    assert first["data"]["updated_at"] <= second["data"]["updated_at"] <= shared.clock()


def test_the_event_of_a_scheduled_operation_is_sent_before_the_response(
    shared: Sandbox, receiver: Receiver
) -> None:
    client = Client(shared)
    shared.schedule("change", before_request=1, model="ats_offers")
    assert receiver.received == []

    client.get("/ats/jobs")

    assert receiver.changed == {client.integration_id: ["ats_offers"]}


def test_a_receiver_that_rejects_events_does_not_fail_the_change(
    shared: Sandbox, receiver: Receiver
) -> None:
    receiver.status = 500

    assert shared.change("ats_offers")

    assert len(receiver.received) == 1


def test_a_receiver_that_is_down_does_not_fail_the_change(shared: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    shared.set_webhook(f"http://127.0.0.1:{port}/")

    assert shared.change("ats_offers")

    shared.set_webhook(None)


def test_other_requests_are_handled_while_an_event_is_sent(
    shared: Sandbox, receiver: Receiver
) -> None:
    statuses = []
    receiver.before_response = lambda: statuses.append(Client(shared).get("/ats/jobs").status_code)

    shared.change("ats_offers")

    assert statuses == [200]


def test_a_receiver_that_hangs_does_not_hang_the_change(shared: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shared.set_webhook(f"http://127.0.0.1:{silent.getsockname()[1]}/")

        assert shared.change("ats_offers")

    shared.set_webhook(None)


def test_the_receiver_can_be_set_as_an_option() -> None:
    with (
        receiving() as receiver,
        Sandbox(integrations=1, offers=5, webhook_url=receiver.url, webhook_secret="s") as sandbox,
    ):
        sandbox.change("ats_offers")
        sandbox.restart()
        sandbox.change("ats_offers")

        assert receiver.changed == {sandbox.integration_ids[0]: ["ats_offers"] * 2}
