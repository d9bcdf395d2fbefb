"""Operations scheduled during a read, and the reset to the initial state."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox_client import Client, ids

from kombo_sandbox import Sandbox, SandboxError, ScheduledResult


def test_a_scheduled_operation_runs_before_the_response_to_its_request(client: Client) -> None:
    before = client.stored("ats_offers")
    client.sandbox.schedule(
        "change", before_request=2, model="ats_offers", integration_id=client.integration_id
    )
    client.get("/check-api-key")
    client.get(f"/integrations/{client.integration_id}")
    client.get("/ats/jobs")
    assert client.stored("ats_offers") == before
    assert client.sandbox.scheduled_results() == []

    response = client.get("/ats/offers", page_size=250, include_deleted="true").json()

    [result] = client.sandbox.scheduled_results()
    assert response["data"]["results"] == client.stored("ats_offers") != before
    assert (result.operation, result.error) == ("change", None)
    changed_at = client.record("ats_offers", result.result[0])["changed_at"]
    assert client.ids("ats_offers", updated_after=changed_at) == set(result.result)


def test_operations_before_the_same_request_run_in_the_order_of_scheduling(client: Client) -> None:
    offer = client.stored("ats_offers", include_deleted=False)[0]["id"]
    for operation in ("delete", "restore", "restore", "anonymize"):
        client.sandbox.schedule(operation, before_request=1, model="ats_offers", ids=[offer])
    client.get("/ats/offers")
    assert client.sandbox.scheduled_results() == [
        ScheduledResult("delete", [offer], None),
        ScheduledResult("restore", [offer], None),
        ScheduledResult("restore", None, "ats_offers: only 0 records match, not 1"),
        ScheduledResult("anonymize", [offer], None),
    ]


def test_requests_with_a_fault_are_not_counted(client: Client) -> None:
    client.sandbox.fault(status=503, count=1)
    client.sandbox.schedule("advance", before_request=1, seconds=3600)
    client.get("/ats/offers")
    assert client.sandbox.scheduled_results() == []
    client.get("/ats/offers")
    assert len(client.sandbox.scheduled_results()) == 1


def test_clear_schedule_removes_scheduled_operations_and_results(client: Client) -> None:
    client.sandbox.schedule("advance", before_request=1, seconds=3600)
    client.sandbox.schedule("advance", before_request=2, seconds=3600)
    client.get("/ats/offers")
    client.sandbox.clear_schedule()
    client.get("/ats/offers")
    assert client.sandbox.scheduled_results() == []


@pytest.mark.parametrize(
    ("operation", "before_request", "message"),
    [("explode", 1, "there is no operation explode"), ("clock", 0, "before_request")],
)
def test_an_invalid_schedule_is_rejected(
    sandbox: Sandbox, operation: str, before_request: int, message: str
) -> None:
    with pytest.raises(SandboxError, match=message):
        sandbox.schedule(operation, before_request=before_request)


def test_a_reset_restores_the_initial_data_and_options() -> None:
    with Sandbox(integrations=2, offers=10, seed=7, clock="2026-01-31T12:00:00.000Z") as sandbox:

        def everything() -> list[Any]:
            stored = [sandbox.records(model) for model in ("ats_offers", "ats_applications")]
            return [sandbox.integration_ids, stored, sandbox.clock()[:16]]

        def changes() -> list[Any]:
            changed = sandbox.change("ats_offers", count=3)
            added = sandbox.add_integration(offers=3)
            sandbox.remove_integration(sandbox.integration_ids[0])
            sandbox.advance(86_400)
            return [changed, added, sandbox.delete("ats_offers")]

        before = everything()
        first = changes()
        sandbox.fault(status=500)
        sandbox.rate_limit(limit=1, window_seconds=3600)
        sandbox.set_listing(order="shuffled", sparse=True)
        sandbox.schedule("advance", before_request=1, seconds=10)

        sandbox.reset()

        assert everything() == before
        client = Client(sandbox)
        live = client.stored("ats_offers", include_deleted=False)
        assert ids(client.read_all("ats_offers", page_size=4)) == ids(live)
        assert sandbox.scheduled_results() == []
        assert len(sandbox.requests()) == 3
        assert changes() == first
