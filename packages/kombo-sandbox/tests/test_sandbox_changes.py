"""Changes of records, and the records that `updated_after` then matches."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from sandbox_client import CORE_MODELS, Client, Record, error

from kombo_sandbox import Sandbox, SandboxError
from kombo_sandbox.models import MODELS


def time_between_changes(client: Client) -> str:
    """Return a time after all earlier changes and before all later ones."""
    client.sandbox.advance(1)
    now = client.sandbox.clock()
    client.sandbox.advance(1)
    return now


def changed_since(client: Client, model: str, since: str) -> set[str]:
    return client.ids(model, updated_after=since, include_deleted="true")


def changed_ids(before: list[Record], after: list[Record]) -> set[str]:
    old = {record["id"]: record for record in before}
    return {record["id"] for record in after if old.get(record["id"]) != record}


def nested_ids(record: Record, path: str) -> set[str]:
    """Return the ids of the records nested under a dotted path, also in lists."""
    values: list[Any] = [record]
    for name in path.split("."):
        values = [value.get(name) for value in values if value]
        values = [
            one for value in values for one in (value if isinstance(value, list) else [value])
        ]
    return {value if isinstance(value, str) else value["id"] for value in values if value}


class Link(NamedTuple):
    """A row of the tables in the `updated_after` descriptions of Kombo's OpenAPI document.

    Records of `linked` are nested in those of `model` under the dotted `path`.
    """

    model: str
    path: str
    linked: str
    is_tracked: bool


NESTED_RECORDS = [
    Link("ats_applications", "candidate", "ats_candidates", True),
    Link("ats_applications", "candidate.tags", "ats_tags", False),
    Link("ats_applications", "current_stage", "ats_application_stages", True),
    Link("ats_applications", "job", "ats_jobs", False),
    Link("ats_applications", "interviews", "ats_interviews", True),
    Link("ats_applications", "offers", "ats_offers", True),
    Link("ats_candidates", "applications", "ats_applications", True),
    Link("ats_candidates", "applications.current_stage", "ats_application_stages", False),
    Link("ats_candidates", "applications.job", "ats_jobs", False),
    Link("ats_candidates", "tags", "ats_tags", False),
    Link("ats_jobs", "stages", "ats_application_stages", False),
    Link("ats_jobs", "screening_questions", "ats_screening_questions", False),
    Link("ats_jobs", "job_postings", "ats_job_postings", True),
    Link("ats_jobs", "hiring_team", "ats_users", False),
    Link("ats_offers", "application_id", "ats_applications", True),
    Link("ats_offers", "application.candidate", "ats_candidates", False),
    Link("ats_offers", "application.job", "ats_jobs", False),
]
NESTED_LISTS = [
    Link("ats_applications", "interviews", "ats_interviews", True),
    Link("ats_applications", "offers", "ats_offers", True),
    Link("ats_applications", "candidate.tags", "ats_candidate_tags", False),
    Link("ats_candidates", "applications", "ats_applications", True),
    Link("ats_candidates", "tags", "ats_candidate_tags", True),
    Link("ats_jobs", "stages", "ats_application_stages", True),
    Link("ats_jobs", "screening_questions", "ats_screening_questions", True),
    Link("ats_jobs", "job_postings", "ats_job_postings", True),
    Link("ats_jobs", "hiring_team", "ats_hiring_team_members", True),
]


@pytest.mark.parametrize("link", NESTED_RECORDS, ids=lambda link: f"{link.model}-{link.path}")
def test_a_change_of_a_linked_record_matches_if_kombo_documents_it(
    client: Client, link: Link
) -> None:
    model, path, linked, is_tracked = link
    before = client.stored(model)
    shown = set().union(*(nested_ids(record, path) for record in before))
    live = [record["id"] for record in client.stored(linked, include_deleted=False)]
    target = next(id_ for id_ in live if id_ in shown)
    containing = {record["id"] for record in before if target in nested_ids(record, path)}

    since = time_between_changes(client)
    client.sandbox.change(linked, ids=[target])

    assert changed_since(client, model, since) == (containing if is_tracked else set())
    changed_at = {record["id"]: record["changed_at"] for record in before}
    assert all(record["changed_at"] == changed_at[record["id"]] for record in client.stored(model))


@pytest.mark.parametrize("operation", ["add", "delete"])
@pytest.mark.parametrize("link", NESTED_LISTS, ids=lambda link: f"{link.model}-{link.path}")
def test_an_addition_to_or_removal_from_a_nested_list_matches_if_kombo_documents_it(
    client: Client, link: Link, operation: str
) -> None:
    model, path, linked, is_tracked = link
    client.sandbox.add(linked, 5, client.integration_id)
    before = client.stored(model)
    since = time_between_changes(client)
    getattr(client.sandbox, operation)(linked, integration_id=client.integration_id)
    after = client.stored(model)
    shown = path.partition(".")[0]
    changed = {
        record["id"]
        for record, old in zip(after, before, strict=True)
        if record[shown] != old[shown]
    }
    assert changed
    assert changed_since(client, model, since) == (changed if is_tracked else set())
    assert [record["changed_at"] for record in after] == [old["changed_at"] for old in before]


@pytest.mark.parametrize("model", CORE_MODELS)
def test_a_change_moves_changed_at_and_matches(client: Client, model: str) -> None:
    before = client.stored(model)
    since = time_between_changes(client)
    ids = client.sandbox.change(model, count=2, integration_id=client.integration_id)
    assert len(ids) == 2
    assert (
        changed_since(client, model, since) == set(ids) == changed_ids(before, client.stored(model))
    )
    assert all(client.record(model, id_)["changed_at"] > since for id_ in ids)


@pytest.mark.parametrize("model", CORE_MODELS)
def test_a_nested_change_keeps_changed_at_and_matches(client: Client, model: str) -> None:
    before = {record["id"]: record["changed_at"] for record in client.stored(model)}
    since = time_between_changes(client)
    ids = client.sandbox.change_nested(model, count=2, integration_id=client.integration_id)
    assert len(ids) >= 2
    assert changed_since(client, model, since) == set(ids)
    assert {record["id"]: record["changed_at"] for record in client.stored(model)} == before


def test_a_nested_copy_is_never_stale(client: Client) -> None:
    offer = client.stored("ats_offers", include_deleted=False)[0]
    candidate = offer["application"]["candidate"]
    client.sandbox.patch("ats_candidates", candidate["id"], {"first_name": "Ada"})
    offer = client.record("ats_offers", offer["id"])
    assert offer["application"]["candidate"]["first_name"] == "Ada"


@pytest.mark.parametrize("model", CORE_MODELS)
def test_a_deleted_record_is_hidden_and_matches_with_include_deleted(
    client: Client, model: str
) -> None:
    since = time_between_changes(client)
    [id_] = client.sandbox.delete(model, integration_id=client.integration_id)
    assert id_ not in client.ids(model)
    assert client.ids(model, updated_after=since) == set()
    [record] = client.read_all(model, updated_after=since, include_deleted="true")
    assert record["id"] == id_
    assert record["remote_deleted_at"] > since
    assert record["changed_at"] > since


@pytest.mark.parametrize("model", CORE_MODELS)
def test_an_anonymized_record_keeps_only_its_id_and_two_times(client: Client, model: str) -> None:
    fields = client.stored(model)[0].keys()
    since = time_between_changes(client)
    [id_] = client.sandbox.anonymize(model, integration_id=client.integration_id)
    assert id_ not in client.ids(model)
    assert changed_since(client, model, since) == {id_}
    record = client.record(model, id_)
    assert record.keys() == fields
    assert {name for name, value in record.items() if value is not None} == {
        "id",
        "changed_at",
        "remote_deleted_at",
    }


def test_an_anonymized_record_keeps_the_time_of_its_deletion(client: Client) -> None:
    ids = client.sandbox.delete("ats_offers", integration_id=client.integration_id)
    deleted = client.record("ats_offers", ids[0])["remote_deleted_at"]
    client.sandbox.advance(14 * 86_400)
    assert client.sandbox.anonymize("ats_offers", ids=ids) == ids
    assert client.record("ats_offers", ids[0])["remote_deleted_at"] == deleted


def test_a_restored_record_is_listed_again(client: Client) -> None:
    ids = client.sandbox.delete("ats_offers", integration_id=client.integration_id)
    since = time_between_changes(client)
    assert client.sandbox.restore("ats_offers", ids=ids) == ids
    assert client.ids("ats_offers", updated_after=since) == set(ids)
    assert client.record("ats_offers", ids[0])["remote_deleted_at"] is None


@pytest.mark.parametrize("model", CORE_MODELS)
def test_a_forgotten_record_disappears_without_being_marked_as_deleted(
    client: Client, model: str
) -> None:
    every_id = client.ids(model, include_deleted="true")
    since = time_between_changes(client)
    [id_] = client.sandbox.forget(model, integration_id=client.integration_id)
    assert client.ids(model, include_deleted="true") == every_id - {id_}
    assert id_ not in {record["id"] for record in client.stored(model)}
    assert all(changed_since(client, one, since) == set() for one in CORE_MODELS)
    assert client.get(MODELS[model].path, ids=id_).status_code == 404


def test_records_linked_to_a_forgotten_one_can_still_be_changed(client: Client) -> None:
    offer = client.stored("ats_offers", include_deleted=False)[0]
    client.sandbox.forget("ats_applications", ids=[offer["application_id"]])
    client.sandbox.change("ats_offers", ids=[offer["id"]])
    changed = client.record("ats_offers", offer["id"])
    assert changed["application_id"] == offer["application_id"]
    assert changed["application"] is None
    assert changed["changed_at"] > offer["changed_at"]


def test_a_deleted_record_can_be_forgotten(client: Client) -> None:
    ids = client.sandbox.delete("ats_offers", integration_id=client.integration_id)
    assert client.sandbox.forget("ats_offers", ids=ids) == ids
    assert ids[0] not in client.ids("ats_offers", include_deleted="true")
    with pytest.raises(SandboxError, match="only 0 records match"):
        client.sandbox.restore("ats_offers", ids=ids)


@pytest.mark.parametrize("setting", ["disabled_models", "opted_out_models"])
def test_records_of_a_switched_off_model_are_listed_as_deleted_for_14_days(
    client: Client, setting: str
) -> None:
    every_id = client.ids("ats_offers", include_deleted="true")
    live = client.ids("ats_offers")
    since = time_between_changes(client)
    client.sandbox.call(
        "set_integration", integration_id=client.integration_id, **{setting: ["ats_offers"]}
    )
    client.sandbox.advance(13.9 * 86_400)
    marked = client.read_all("ats_offers", updated_after=since, include_deleted="true")
    assert {record["id"] for record in marked} == live
    assert all(record["remote_deleted_at"] > since for record in marked)
    assert client.ids("ats_offers") == set()
    assert client.ids("ats_offers", include_deleted="true") == every_id
    assert len(client.stored("ats_offers")) == len(every_id)
    client.sandbox.advance(0.2 * 86_400)
    response = client.get("/ats/offers", include_deleted="true")
    assert error(response) == (400, "INTEGRATION.MODEL_DISABLED")
    assert client.stored("ats_offers") == []


@pytest.mark.parametrize("days", [1, 20])
def test_a_model_that_is_switched_on_again_gets_its_records_back(client: Client, days: int) -> None:
    here = client.integration_id
    [deleted] = client.sandbox.delete("ats_offers", integration_id=here)
    live = client.ids("ats_offers")
    client.sandbox.set_integration(here, disabled_models=["ats_offers"])
    client.sandbox.advance(days * 86_400)
    since = time_between_changes(client)
    client.sandbox.set_integration(here, disabled_models=[])
    assert client.ids("ats_offers", updated_after=since) == live
    assert client.record("ats_offers", deleted)["remote_deleted_at"]


def test_data_expired_at_is_returned_until_it_is_cleared(client: Client) -> None:
    def expired() -> object:
        [details] = client.sandbox.records("integrations", client.integration_id)
        return details["data_expired_at"]

    now = client.sandbox.clock()
    client.sandbox.set_integration(client.integration_id, data_expired_at=now)
    client.sandbox.set_integration(client.integration_id, status="ACTIVE")
    assert expired() == now
    client.sandbox.set_integration(client.integration_id, data_expired_at=None)
    assert expired() is None


def test_records_of_a_model_that_the_tool_lacks_are_not_listed(client: Client) -> None:
    client.sandbox.set_integration(client.integration_id, unavailable_models=["ats_offers"])
    response = client.get("/ats/offers", include_deleted="true")
    assert error(response) == (400, "INTEGRATION.MODEL_NOT_AVAILABLE")


@pytest.mark.parametrize("model", CORE_MODELS)
def test_an_added_record_is_linked_and_matches(client: Client, model: str) -> None:
    fields = client.stored(model)[0].keys()
    since = time_between_changes(client)
    ids = client.sandbox.add(model, 2, client.integration_id)
    assert client.ids(model, updated_after=since) == set(ids)
    record = client.record(model, ids[0])
    assert record.keys() == fields
    if model == "ats_offers":
        assert record["application"]["candidate"]["first_name"]


@pytest.mark.parametrize(
    "moment",
    ["2020-01-01", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00", "2020-01-01T00:00:00.123456Z"],
)
def test_updated_after_accepts_every_format_that_kombo_accepts(client: Client, moment: str) -> None:
    assert client.get("/ats/offers", updated_after=moment).status_code == 200


@pytest.mark.parametrize(
    "moment", ["", "yesterday", "2020-13-01", "2020-01-01T00:00:00+02:00", "1577836800"]
)
def test_updated_after_in_another_format_is_rejected(client: Client, moment: str) -> None:
    response = client.get("/ats/offers", updated_after=moment)
    assert response.status_code == 400
    assert "updated_after" in response.json()["error"]["message"]


@pytest.mark.parametrize("model", CORE_MODELS)
def test_seeded_records_match_if_linked_records_changed(client: Client, model: str) -> None:
    moments = {
        linked: {record["id"]: record["changed_at"] for record in client.stored(linked)}
        for _, _, linked, _ in NESTED_RECORDS
    }
    rows = [
        (link.path, moments[link.linked])
        for link in NESTED_RECORDS
        if link.model == model and link.is_tracked
    ]
    middle = sorted(record["changed_at"] for record in client.stored(model))[
        len(client.stored(model)) // 2
    ]
    expected = {
        record["id"]
        for record in client.stored(model)
        if record["changed_at"] >= middle
        or any(changed[id_] >= middle for path, changed in rows for id_ in nested_ids(record, path))
    }
    assert expected <= changed_since(client, model, middle)
    assert changed_since(client, model, "2100-01-01") == set()


@pytest.fixture
def offer(client: Client) -> str:
    [id_] = client.sandbox.add("ats_offers", 1, client.integration_id)
    return id_


def test_a_record_can_be_patched_with_any_value(client: Client, offer: str) -> None:
    since = time_between_changes(client)
    odd = {"status": 7, "new_field": {"a": [1, None, "\ud83d"]}, "remote_id": None}
    client.sandbox.patch("ats_offers", offer, odd)
    [record] = client.read_all("ats_offers", updated_after=since)
    assert {name: record[name] for name in odd} == odd
    assert record["application"]["candidate"]


def test_a_nested_copy_can_be_patched(client: Client, offer: str) -> None:
    client.sandbox.patch("ats_offers", offer, {"application": "none", "status": "SENT"})
    record = client.record("ats_offers", offer)
    assert (record["application"], record["status"]) == ("none", "SENT")
    client.sandbox.patch("ats_offers", offer, {"status": "DRAFT"})
    record = client.record("ats_offers", offer)
    assert (record["application"], record["status"]) == ("none", "DRAFT")


def test_a_record_with_a_patched_changed_at_still_matches(client: Client, offer: str) -> None:
    since = time_between_changes(client)
    client.sandbox.patch("ats_offers", offer, {"changed_at": "2001-01-01T00:00:00.000Z"})
    [record] = client.read_all("ats_offers", updated_after=since)
    assert record["changed_at"] == "2001-01-01T00:00:00.000Z"


def test_a_raw_record_is_returned_unchanged(client: Client) -> None:
    text = (
        '{"id":"rawRecordWithBigNumbers1", "salary": 12345678901234567890.10,'
        ' "twice": 1, "twice": 2,\n"nul": "\\u0000", "changed_at": null}'
    )
    client.sandbox.put_raw("ats_offers", client.integration_id, text)
    assert text in client.get("/ats/offers", page_size=250).text
    assert client.record("ats_offers", "rawRecordWithBigNumbers1")["nul"] == "\0"
    replaced = json.dumps({"id": "rawRecordWithBigNumbers1", "status": "SENT"})
    client.sandbox.put_raw("ats_offers", client.integration_id, replaced)
    listed = client.get("/ats/offers", page_size=250).text
    assert replaced in listed
    assert text not in listed
    client.sandbox.delete("ats_offers", ids=["rawRecordWithBigNumbers1"])
    assert "rawRecordWithBigNumbers1" not in client.ids("ats_offers")


@pytest.mark.parametrize(
    ("json_text", "message"), [("[]", "JSON object"), ("{", "Expecting"), ('{"id": 1}', "string")]
)
def test_a_raw_record_must_be_a_json_object_with_an_id(
    client: Client, json_text: str, message: str
) -> None:
    with pytest.raises(SandboxError, match=message):
        client.sandbox.put_raw("ats_offers", client.integration_id, json_text)


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("change", {"model": "ats_nothing"}, "model: 'ats_nothing' is not one of"),
        ("change", {"model": "ats_offers", "count": 10_000}, "ats_offers: only"),
        ("delete", {"model": "ats_offers", "ids": ["x"]}, "ats_offers: only 0"),
        (
            "add",
            {"model": "ats_offers", "integration_id": "x"},
            "the integration 'x' does not exist",
        ),
        ("change_nested", {"model": "ats_tags"}, "ats_tags: only 0"),
        ("change", {"model": "ats_candidate_tags"}, "no values that could change"),
        ("patch", {"model": "ats_offers", "id": "x", "values": {"id": "y"}}, "cannot be patched"),
        ("records", {"model": "ats_nothing"}, "there is no model ats_nothing"),
    ],
)
def test_an_impossible_operation_is_rejected_with_a_message(
    sandbox: Sandbox, operation: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(SandboxError, match=message):
        getattr(sandbox, operation)(**arguments)
