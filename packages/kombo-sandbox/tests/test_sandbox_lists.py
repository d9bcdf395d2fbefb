"""Pages, cursors, parameters, and the behavior of lists that Kombo does not document."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox_client import CORE_MODELS, INPUT_INVALID, Client, error, ids

from kombo_sandbox import Sandbox, SandboxError

ORDERS = ["oldest first", "shuffled", "latest change first", "latest change last"]


def next_cursor(client: Client, **params: object) -> str:
    cursor = client.get("/ats/offers", page_size=10, **params).json()["data"]["next"]
    assert isinstance(cursor, str)
    return cursor


def listed(client: Client, **params: Any) -> list[str]:
    """Return the ids of all offers in the order of the list."""
    return ids(
        client.read_all("ats_offers", **{"page_size": 9, "include_deleted": "true"} | params)
    )


@pytest.mark.parametrize("model", CORE_MODELS)
@pytest.mark.parametrize("page_size", [1, 7, 250])
def test_the_pages_contain_every_record_once(client: Client, model: str, page_size: int) -> None:
    records = client.read_all(model, page_size=page_size, include_deleted="true")
    assert records == client.stored(model)


def test_the_default_page_size_is_100(client: Client) -> None:
    client.sandbox.add("ats_offers", 100, client.integration_id)
    assert len(client.get("/ats/offers").json()["data"]["results"]) == 100


@pytest.mark.parametrize("page_size", ["0", "251", "-1", "1.5", "ten", ""])
def test_a_page_size_that_is_not_between_1_and_250_is_rejected(
    client: Client, page_size: str
) -> None:
    response = client.get("/ats/offers", page_size=page_size)
    assert error(response) == INPUT_INVALID
    assert "page_size" in response.json()["error"]["message"]


def test_the_last_page_has_no_next_cursor(client: Client) -> None:
    count = len(client.stored("ats_offers"))
    data = client.get("/ats/offers", page_size=count, include_deleted="true").json()["data"]
    assert (len(data["results"]), data["next"]) == (count, None)


def test_filters_must_be_sent_with_every_cursor(client: Client) -> None:
    live = ids(client.stored("ats_offers", include_deleted=False))
    client.sandbox.delete("ats_offers", ids=live[-3:])
    cursor = next_cursor(client, include_deleted="true")
    without = client.read_all("ats_offers", page_size=10, cursor=cursor)
    resent = client.read_all("ats_offers", page_size=10, cursor=cursor, include_deleted="true")
    assert len(without) < len(resent)
    assert not any(record["remote_deleted_at"] for record in without)

    since = client.sandbox.clock()
    client.sandbox.change("ats_offers", ids=live[:20])
    cursor = next_cursor(client, updated_after=since)
    assert len(client.read_all("ats_offers", cursor=cursor, updated_after=since)) == 10
    assert len(client.read_all("ats_offers", cursor=cursor)) > 10


def test_changes_while_a_list_is_read_do_not_move_records(client: Client) -> None:
    before = ids(client.stored("ats_offers", include_deleted=False))
    first = client.get("/ats/offers", page_size=10).json()["data"]
    client.sandbox.change("ats_offers", count=10, integration_id=client.integration_id)
    added = client.sandbox.add("ats_offers", 2, client.integration_id)
    rest = client.read_all("ats_offers", page_size=10, cursor=first["next"])
    assert ids(first["results"] + rest) == before + added


@pytest.mark.parametrize("cursor", ["", "garbage", "äöü", "bm90IG1pbmU="])
def test_a_cursor_that_is_not_valid_is_rejected(client: Client, cursor: str) -> None:
    assert error(client.get("/ats/offers", cursor=cursor)) == INPUT_INVALID


def test_a_modified_cursor_is_rejected(client: Client) -> None:
    cursor = next_cursor(client)
    other = "A" if cursor[20] != "A" else "B"
    response = client.get("/ats/offers", cursor=cursor[:20] + other + cursor[21:])
    assert error(response) == INPUT_INVALID


def test_a_cursor_of_another_model_or_integration_is_rejected(client: Client) -> None:
    cursor = next_cursor(client)
    assert error(client.get("/ats/jobs", cursor=cursor)) == INPUT_INVALID
    other = Client(client.sandbox, client.sandbox.integration_ids[1])
    assert error(other.get("/ats/offers", cursor=cursor)) == INPUT_INVALID


def test_a_cursor_expires_after_a_day_of_the_sandboxs_clock(client: Client) -> None:
    cursor = next_cursor(client)
    client.sandbox.advance(23 * 3600)
    assert client.get("/ats/offers", cursor=cursor).status_code == 200
    client.sandbox.advance(2 * 3600)
    response = client.get("/ats/offers", cursor=cursor)
    assert error(response) == INPUT_INVALID
    assert "expired" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "params",
    [
        {"updated_since": "2026-01-01"},
        {"page-size": "5"},
        {"include_deleted": "yes"},
        {"outcomes": "HIRED"},
    ],
)
def test_an_unknown_parameter_or_value_is_rejected(client: Client, params: dict[str, str]) -> None:
    response = client.get("/ats/offers", **params)
    assert error(response) == INPUT_INVALID
    assert next(iter(params)) in response.json()["error"]["message"]


def test_a_parameter_that_is_sent_twice_is_rejected(client: Client) -> None:
    assert error(client.get("/ats/offers?page_size=5&page_size=6")) == INPUT_INVALID


@pytest.mark.parametrize("order", ORDERS)
def test_in_any_order_the_pages_contain_every_record_once(client: Client, order: str) -> None:
    client.sandbox.set_listing(order=order)
    first = listed(client)
    assert sorted(first) == sorted(ids(client.stored("ats_offers")))
    assert listed(client) == first


def test_each_order_sorts_as_its_name_says(client: Client) -> None:
    orders = {}
    client.sandbox.advance(1)
    [changed] = client.sandbox.change("ats_offers", integration_id=client.integration_id)
    for order in ORDERS:
        client.sandbox.set_listing(order=order)
        orders[order] = listed(client)
    assert orders["oldest first"] == ids(client.stored("ats_offers"))
    assert orders["latest change first"][0] == orders["latest change last"][-1] == changed
    assert orders["latest change first"] == orders["latest change last"][::-1]
    assert orders["shuffled"] not in (orders["oldest first"], orders["oldest first"][::-1])


@pytest.mark.parametrize(
    ("order", "times"), [("latest change first", 0), ("latest change last", 2)]
)
def test_in_orders_by_latest_change_a_change_moves_a_record_to_another_page(
    client: Client, order: str, times: int
) -> None:
    client.sandbox.set_listing(order=order)
    live = set(ids(client.stored("ats_offers", include_deleted=False)))
    changeable = [id_ for id_ in listed(client) if id_ in live]
    moved = changeable[-1] if times == 0 else changeable[0]
    client.sandbox.schedule("change", before_request=2, model="ats_offers", ids=[moved])
    assert listed(client).count(moved) == times


def test_a_cursor_keeps_the_order_that_was_set_when_it_was_issued(client: Client) -> None:
    client.sandbox.set_listing(order="latest change last")
    before = listed(client)
    first = client.get("/ats/offers", page_size=9, include_deleted="true").json()["data"]
    client.sandbox.set_listing(order="shuffled")
    assert ids(first["results"]) + listed(client, cursor=first["next"]) == before


def test_updated_after_is_inclusive_unless_strict_is_set(client: Client) -> None:
    [id_] = client.sandbox.change("ats_offers", integration_id=client.integration_id)
    moment = client.record("ats_offers", id_)["changed_at"]
    assert listed(client, updated_after=moment) == [id_]
    client.sandbox.set_listing(strict=True)
    assert listed(client, updated_after=moment) == []


def test_sparse_pages_can_be_empty_before_the_end_of_the_list(client: Client) -> None:
    client.sandbox.advance(1)
    since = client.sandbox.clock()
    live = ids(client.stored("ats_offers", include_deleted=False))
    client.sandbox.change("ats_offers", ids=[live[0], live[-1]])
    client.sandbox.set_listing(sparse=True)
    params = {"page_size": "9", "updated_after": since, "include_deleted": "true"}
    sizes = []
    while params.get("cursor", "") is not None:
        data = client.get("/ats/offers", **params).json()["data"]
        sizes.append(len(data["results"]))
        params["cursor"] = data["next"]
    assert sizes == [1, *[0] * (len(sizes) - 2), 1]
    assert len(sizes) > 3
    assert listed(client, updated_after=since) == [live[0], live[-1]]


def test_set_listing_keeps_options_that_are_not_given(client: Client) -> None:
    client.sandbox.set_listing(order="latest change first")
    before = listed(client)
    client.sandbox.set_listing(strict=True)
    assert listed(client) == before


def test_an_unknown_order_is_rejected(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="order: 'best first' is not one of oldest first, shuf"):
        sandbox.set_listing(order="best first")
