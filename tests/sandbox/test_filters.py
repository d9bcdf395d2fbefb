"""The query parameters that narrow a list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.client import Client, Record, code


def test_ids_and_remote_ids_find_their_records(client: Client) -> None:
    first, second, *_ = client.held("ats_offers", include_deleted=False)
    both = {first["id"], second["id"]}
    assert client.ids("ats_offers", ids=",".join(both)) == both
    assert client.ids("ats_offers", remote_ids=f"{first['remote_id']},nobody") == {first["id"]}


def test_filters_combine_with_and(client: Client) -> None:
    first, second, *_ = client.held("ats_offers", include_deleted=False)
    assert client.ids("ats_offers", ids=first["id"], remote_ids=second["remote_id"]) == set()


@pytest.mark.parametrize("ids", ["", "short", "0" * 24, "B5DVmypWENfU6eMe6gYDyJG3,"])
def test_what_is_no_id_is_refused(client: Client, ids: str) -> None:
    answer = client.get("/ats/offers", ids=ids)
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")


def test_an_id_that_the_integration_does_not_have_is_not_found(client: Client) -> None:
    other = Client(client.sandbox).held("ats_offers")[0]["id"]
    own = client.held("ats_offers")[0]["id"]
    answer = client.get("/ats/offers", ids=f"{own},{other}", include_deleted="true")
    assert (answer.status_code, code(answer)) == (404, "PLATFORM.INPUT_INVALID")
    assert other in answer.json()["error"]["message"]


# Model, parameter, the value for a record, and what must be true of each record that is found.
FILTERS = [
    ("ats_applications", "outcome", lambda one: one["outcome"], lambda one: one["outcome"]),
    ("ats_applications", "outcomes", lambda one: one["outcome"], lambda one: one["outcome"]),
    ("ats_applications", "job_ids", lambda one: one["job_id"], lambda one: one["job_id"]),
    (
        "ats_applications",
        "job_remote_ids",
        lambda one: one["job"]["remote_id"],
        lambda one: one["job_id"],
    ),
    (
        "ats_applications",
        "current_stage_ids",
        lambda one: one["current_stage_id"],
        lambda one: one["current_stage_id"],
    ),
    (
        "ats_candidates",
        "email",
        lambda one: one["email_addresses"][0]["email_address"].upper(),
        lambda one: one["email_addresses"][0]["email_address"],
    ),
    (
        "ats_candidates",
        "first_name",
        lambda one: one["first_name"].lower(),
        lambda one: one["first_name"],
    ),
    ("ats_candidates", "last_name", lambda one: one["last_name"], lambda one: one["last_name"]),
    ("ats_jobs", "job_codes", lambda one: one["job_code"], lambda one: one["job_code"]),
    ("ats_jobs", "post_url", lambda one: one["post_url"], lambda one: one["post_url"]),
    ("ats_jobs", "name_contains", lambda one: one["name"].upper()[1:], lambda one: one["name"]),
    ("ats_jobs", "status", lambda one: one["status"], lambda one: one["status"]),
    ("ats_jobs", "statuses", lambda one: one["status"], lambda one: one["status"]),
    (
        "ats_jobs",
        "employment_types",
        lambda one: one["employment_type"],
        lambda one: one["employment_type"],
    ),
    ("ats_jobs", "visibilities", lambda one: one["visibility"], lambda one: one["visibility"]),
]
UNMAPPED = {None, "On hold", "Werkvertrag"}


@pytest.mark.parametrize(
    ("model", "name", "value", "trait"), FILTERS, ids=[f"{one[0]}-{one[1]}" for one in FILTERS]
)
def test_a_filter_finds_all_that_fit_and_nothing_else(
    client: Client, model: str, name: str, value: Any, trait: Any
) -> None:
    held = client.held(model, include_deleted=False)
    sample = next(one for one in held if value(one) not in UNMAPPED)
    fitting = {one["id"] for one in held if trait(one) == trait(sample)}
    assert client.ids(model, **{name: value(sample)}) == fitting


def test_names_are_compared_whatever_their_case(client: Client) -> None:
    [candidate] = client.sandbox.add("ats_candidates", 1, client.integration_id)
    client.sandbox.patch("ats_candidates", candidate, {"first_name": "Élodie"})
    assert client.ids("ats_candidates", first_name="éLODIE") >= {candidate}


def test_several_values_combine_with_or(client: Client) -> None:
    held = client.held("ats_applications", include_deleted=False)
    fitting = {one["id"] for one in held if one["outcome"] in {"HIRED", "DECLINED"}}
    assert client.ids("ats_applications", outcomes="HIRED,DECLINED") == fitting


def test_candidates_are_found_by_the_jobs_they_applied_for(client: Client) -> None:
    def jobs(candidate: Record) -> set[str]:
        return {application["job"]["id"] for application in candidate["applications"]}

    held = client.held("ats_candidates", include_deleted=False)
    wanted = next(iter(jobs(next(one for one in held if one["applications"]))))
    fitting = {one["id"] for one in held if wanted in jobs(one)}
    assert client.ids("ats_candidates", job_ids=wanted) >= fitting


@pytest.mark.parametrize("model", ["ats_jobs", "ats_applications"])
def test_remote_created_after_includes_its_moment(client: Client, model: str) -> None:
    held = client.held(model, include_deleted=False)
    moment = sorted(one["remote_created_at"] for one in held)[len(held) // 2]
    fitting = {one["id"] for one in held if one["remote_created_at"] >= moment}
    assert client.ids(model, remote_created_after=moment) == fitting


def test_a_value_that_kombo_does_not_know_is_refused(client: Client) -> None:
    answer = client.get("/ats/applications", outcomes="HIRED,FIRED")
    assert (answer.status_code, code(answer)) == (400, "PLATFORM.INPUT_INVALID")
    assert "FIRED" in answer.json()["error"]["message"]


def test_a_filter_that_the_tool_cannot_do_gives_nothing_unless_ignored(client: Client) -> None:
    client.sandbox.set_integration(client.integration_id, unsupported_filters=["outcomes"])
    assert client.ids("ats_applications", outcomes="HIRED") == set()
    everything = {one["id"] for one in client.held("ats_applications", include_deleted=False)}
    ignored = client.ids("ats_applications", outcomes="HIRED", ignore_unsupported_filters="true")
    assert ignored == everything
    assert client.ids("ats_applications") == everything
