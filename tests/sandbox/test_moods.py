"""What Kombo does not promise, and what can happen to it while it is being read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kombo_sandbox import Happening, Sandbox, SandboxError
from tests.sandbox.client import Client

ORDERS = ["oldest first", "shuffled", "latest change first", "latest change last"]


@pytest.fixture
def client(client: Client) -> Iterator[Client]:
    yield client
    client.sandbox.behave(strict=False, order="oldest first", sparse=False)
    client.sandbox.clear_schedule()


def offers(client: Client, **params: Any) -> list[str]:
    """The ids of all pages, in the order in which they come."""
    return [
        one["id"]
        for one in client.walk("ats_offers", **{"page_size": 9, "include_deleted": "true"} | params)
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_in_any_order_pages_add_up_to_all_records(client: Client, order: str) -> None:
    client.sandbox.behave(order=order)
    listed = offers(client)
    assert sorted(listed) == sorted(one["id"] for one in client.held("ats_offers"))
    assert listed == offers(client), "the order stays"


def test_the_orders_are_what_they_are_called(client: Client) -> None:
    orders = {}
    client.sandbox.advance(1)
    [changed] = client.sandbox.change("ats_offers", integration_id=client.integration_id)
    for order in ORDERS:
        client.sandbox.behave(order=order)
        orders[order] = offers(client)
    assert orders["oldest first"] == [one["id"] for one in client.held("ats_offers")]
    assert orders["latest change first"][0] == orders["latest change last"][-1] == changed
    assert orders["latest change first"] == orders["latest change last"][::-1]
    assert orders["shuffled"] not in (orders["oldest first"], orders["oldest first"][::-1])


@pytest.mark.parametrize(
    ("order", "times"), [("latest change first", 0), ("latest change last", 2)]
)
def test_a_change_moves_a_record_from_page_to_page(client: Client, order: str, times: int) -> None:
    client.sandbox.behave(order=order)
    listed = offers(client)
    # What the reader has not come to yet is moved behind it, or what it has passed is moved ahead.
    live = {one["id"] for one in client.held("ats_offers") if one["remote_deleted_at"] is None}
    changeable = [id_ for id_ in listed if id_ in live]
    moved = changeable[-1] if times == 0 else changeable[0]
    client.sandbox.schedule("change", before_request=2, model="ats_offers", ids=[moved])
    assert offers(client).count(moved) == times


def test_a_cursor_goes_on_in_the_order_that_it_began_in(client: Client) -> None:
    client.sandbox.behave(order="latest change last")
    listed = offers(client)
    first = client.get("/ats/offers", page_size=9, include_deleted="true").json()["data"]
    client.sandbox.behave(order="shuffled")
    rest = offers(client, cursor=first["next"])
    assert [one["id"] for one in first["results"]] + rest == listed


def test_updated_after_can_become_strict(client: Client) -> None:
    [id_] = client.sandbox.change("ats_offers", integration_id=client.integration_id)
    moment = client.record("ats_offers", id_)["changed_at"]
    client.sandbox.behave(strict=True)
    assert offers(client, updated_after=moment) == []
    client.sandbox.behave(strict=False)
    assert offers(client, updated_after=moment) == [id_]


def test_pages_can_be_short_or_empty_in_the_middle(client: Client) -> None:
    client.sandbox.advance(1)
    since = client.sandbox.clock()
    ids = [one["id"] for one in client.held("ats_offers", include_deleted=False)]
    client.sandbox.change("ats_offers", ids=[ids[0], ids[-1]])
    client.sandbox.behave(sparse=True)
    asked = {"page_size": "9", "updated_after": since, "include_deleted": "true"}
    sizes = []
    while asked.get("cursor", "") is not None:
        data = client.get("/ats/offers", **asked).json()["data"]
        sizes.append(len(data["results"]))
        asked["cursor"] = data["next"]
    assert sizes == [1, *[0] * (len(sizes) - 2), 1]
    assert len(sizes) > 3
    assert offers(client, updated_after=since) == [ids[0], ids[-1]]


def test_what_is_not_given_stays(client: Client) -> None:
    client.sandbox.behave(order="latest change first")
    listed = offers(client)
    client.sandbox.behave(strict=True)
    assert offers(client) == listed


def test_an_order_that_is_unknown_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="there is no order best first, but oldest first, shuff"):
        sandbox.behave(order="best first")


def test_a_scheduled_operation_happens_before_its_request_is_answered(client: Client) -> None:
    before = {model: client.held(model) for model in ("ats_offers", "ats_jobs")}
    client.sandbox.schedule(
        "change", before_request=2, model="ats_offers", integration_id=client.integration_id
    )
    client.get("/check-api-key")
    client.get(f"/integrations/{client.integration_id}")
    client.get("/ats/jobs")
    assert client.held("ats_offers") == before["ats_offers"]
    assert client.sandbox.happened() == []
    answer = client.get("/ats/offers", page_size=250, include_deleted="true").json()
    [happened] = client.sandbox.happened()
    assert answer["data"]["results"] == client.held("ats_offers") != before["ats_offers"]
    assert (happened.operation, happened.error) == ("change", None)
    assert client.ids(
        "ats_offers", updated_after=client.record("ats_offers", happened.result[0])["changed_at"]
    ) == set(happened.result)


def test_what_is_due_together_happens_in_the_order_of_scheduling(client: Client) -> None:
    one = client.held("ats_offers", include_deleted=False)[0]["id"]
    for operation in ("delete", "restore", "restore", "anonymize"):
        client.sandbox.schedule(operation, before_request=1, model="ats_offers", ids=[one])
    client.get("/ats/offers")
    assert client.sandbox.happened() == [
        Happening("delete", [one], None),
        Happening("restore", [one], None),
        Happening("restore", None, "ats_offers has only 0 such records, not 1"),
        Happening("anonymize", [one], None),
    ]


def test_requests_that_a_fault_answers_are_not_counted(client: Client) -> None:
    client.sandbox.fault(status=503, count=1)
    client.sandbox.schedule("advance", before_request=1, seconds=3600)
    client.get("/ats/offers")
    assert client.sandbox.happened() == []
    client.get("/ats/offers")
    assert len(client.sandbox.happened()) == 1


def test_what_was_scheduled_can_be_forgotten(client: Client) -> None:
    client.sandbox.schedule("advance", before_request=1, seconds=3600)
    client.sandbox.schedule("advance", before_request=2, seconds=3600)
    client.get("/ats/offers")
    client.sandbox.clear_schedule()
    client.get("/ats/offers")
    assert client.sandbox.happened() == []


@pytest.mark.parametrize(
    ("operation", "before_request", "sentence"),
    [("explode", 1, "there is no operation explode"), ("change", 0, "counts from 1")],
)
def test_what_cannot_be_scheduled_is_refused(
    sandbox: Sandbox, operation: str, before_request: int, sentence: str
) -> None:
    with pytest.raises(SandboxError, match=sentence):
        sandbox.schedule(operation, before_request=before_request)


def test_the_log_tells_the_sandboxs_time_of_each_answer(client: Client) -> None:
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


def test_a_reset_brings_back_the_beginning() -> None:
    with Sandbox(integrations=2, offers=10, seed=7, clock="2026-01-31T12:00:00.000Z") as sandbox:

        def everything() -> list[Any]:
            held = [sandbox.records(model) for model in ("ats_offers", "ats_applications")]
            return [sandbox.integration_ids, held, sandbox.clock()[:16]]

        def live_through_something() -> list[Any]:
            changed = sandbox.change("ats_offers", count=3)
            added = sandbox.add_integration(offers=3)
            sandbox.remove_integration(sandbox.integration_ids[0])
            sandbox.advance(86_400)
            return [changed, added, sandbox.delete("ats_offers")]

        before = everything()
        first = live_through_something()
        sandbox.fault(status=500)
        sandbox.rate_limit(limit=1, window_seconds=3600)
        sandbox.behave(order="shuffled", sparse=True)
        sandbox.schedule("advance", before_request=1, seconds=10)

        sandbox.reset()

        assert everything() == before
        client = Client(sandbox)
        assert [one["id"] for one in client.walk("ats_offers", page_size=4)] == [
            one["id"] for one in client.held("ats_offers", include_deleted=False)
        ]
        assert sandbox.happened() == []
        assert len(sandbox.requests()) == 3
        assert live_through_something() == first
