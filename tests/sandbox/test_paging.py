"""Pages and cursors."""

from __future__ import annotations

import pytest

from tests.sandbox.client import PATHS, Client, code


def next_cursor(client: Client, **params: object) -> str:
    cursor = client.get("/ats/offers", page_size=10, **params).json()["data"]["next"]
    assert isinstance(cursor, str)
    return cursor


@pytest.mark.parametrize("model", PATHS)
@pytest.mark.parametrize("page_size", [1, 7, 250])
def test_pages_add_up_to_all_records(client: Client, model: str, page_size: int) -> None:
    records = client.walk(model, page_size=page_size, include_deleted="true")
    assert records == client.held(model)


def test_a_page_has_100_records_unless_told_otherwise(client: Client) -> None:
    client.sandbox.add("ats_offers", 100, client.integration_id)
    assert len(client.get("/ats/offers").json()["data"]["results"]) == 100


@pytest.mark.parametrize("page_size", ["0", "251", "-1", "1.5", "ten", ""])
def test_other_page_sizes_are_refused(client: Client, page_size: str) -> None:
    answer = client.get("/ats/offers", page_size=page_size)
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")
    assert "page_size" in answer.json()["error"]["message"]


def test_the_last_page_has_no_next(client: Client) -> None:
    count = len(client.held("ats_offers"))
    data = client.get("/ats/offers", page_size=count, include_deleted="true").json()["data"]
    assert (len(data["results"]), data["next"]) == (count, None)


def test_a_cursor_does_not_remember_filters(client: Client) -> None:
    live = [record["id"] for record in client.held("ats_offers", include_deleted=False)]
    client.sandbox.delete("ats_offers", ids=live[-3:])
    cursor = next_cursor(client, include_deleted="true")
    without = client.walk("ats_offers", page_size=10, cursor=cursor)
    resent = client.walk("ats_offers", page_size=10, cursor=cursor, include_deleted="true")
    assert len(without) < len(resent)
    assert not any(record["remote_deleted_at"] for record in without)

    since = client.sandbox.clock()
    client.sandbox.change("ats_offers", ids=live[:20])
    cursor = next_cursor(client, updated_after=since)
    assert len(client.walk("ats_offers", cursor=cursor, updated_after=since)) == 10
    assert len(client.walk("ats_offers", cursor=cursor)) > 10


def test_a_walk_is_stable_while_records_change(client: Client) -> None:
    before = [record["id"] for record in client.held("ats_offers", include_deleted=False)]
    first = client.get("/ats/offers", page_size=10).json()["data"]
    client.sandbox.change("ats_offers", count=10, integration_id=client.integration_id)
    added = client.sandbox.add("ats_offers", 2, client.integration_id)
    rest = client.walk("ats_offers", page_size=10, cursor=first["next"])
    assert [record["id"] for record in first["results"] + rest] == before + added


@pytest.mark.parametrize("cursor", ["", "garbage", "äöü", "bm90IG1pbmU="])
def test_what_is_no_cursor_is_refused(client: Client, cursor: str) -> None:
    answer = client.get("/ats/offers", cursor=cursor)
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")


def test_a_changed_cursor_is_refused(client: Client) -> None:
    cursor = next_cursor(client)
    other = "A" if cursor[20] != "A" else "B"
    answer = client.get("/ats/offers", cursor=cursor[:20] + other + cursor[21:])
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")


def test_a_cursor_of_another_model_is_refused(client: Client) -> None:
    answer = client.get("/ats/jobs", cursor=next_cursor(client))
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")


def test_a_cursor_of_another_integration_is_refused(client: Client) -> None:
    other = Client(client.sandbox, client.sandbox.integration_ids[1])
    answer = other.get("/ats/offers", cursor=next_cursor(client))
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")


def test_a_cursor_expires_on_the_clock_of_the_sandbox(client: Client) -> None:
    cursor = next_cursor(client)
    client.sandbox.advance(23 * 3600)
    assert client.get("/ats/offers", cursor=cursor).status_code == 200
    client.sandbox.advance(2 * 3600)
    answer = client.get("/ats/offers", cursor=cursor)
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")
    assert "expired" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "params",
    [
        {"updated_since": "2026-01-01"},
        {"page-size": "5"},
        {"include_deleted": "yes"},
        {"outcomes": "HIRED"},
    ],
)
def test_a_parameter_that_offers_do_not_have_is_refused(
    client: Client, params: dict[str, str]
) -> None:
    answer = client.get("/ats/offers", **params)
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")
    assert next(iter(params)) in answer.json()["error"]["message"]


def test_a_parameter_that_is_given_twice_is_refused(client: Client) -> None:
    answer = client.get("/ats/offers?page_size=5&page_size=6")
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")
