"""Query parameters that filter a list."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sandbox_client import INPUT_INVALID, Categories, Client, Record, error, ids

from kombo_sandbox.models import MODELS

# Model, parameter, and the path of the property that has the value.
FILTERS = [
    ("ats_applications", "outcome", "outcome"),
    ("ats_applications", "outcomes", "outcome"),
    ("ats_applications", "job_ids", "job_id"),
    ("ats_applications", "job_remote_ids", "job.remote_id"),
    ("ats_applications", "current_stage_ids", "current_stage_id"),
    ("ats_candidates", "first_name", "first_name"),
    ("ats_candidates", "last_name", "last_name"),
    ("ats_jobs", "job_codes", "job_code"),
    ("ats_jobs", "post_url", "post_url"),
    ("ats_jobs", "name_contains", "name"),
    ("ats_jobs", "status", "status"),
    ("ats_jobs", "statuses", "status"),
    ("ats_jobs", "employment_types", "employment_type"),
    ("ats_jobs", "visibilities", "visibility"),
    ("ats_interviews", "job_ids", "application.job.id"),
    ("ats_attachments", "candidate_ids", "candidate_id"),
    ("ats_notes", "application_ids", "application_id"),
    ("ats_scorecards", "application_ids", "application_id"),
    ("ats_roles", "scopes", "scope"),
    ("ats_users", "emails", "email"),
    ("hris_employees", "employment_statuses", "employment_status"),
    ("hris_employees", "legal_entity_ids", "legal_entity_id"),
    ("hris_employees", "work_location_ids", "work_location_id"),
    ("hris_employees", "work_emails", "work_email"),
    ("hris_absences", "type_ids", "type_id"),
    ("hris_absences", "employee_id", "employee_id"),
    ("hris_groups", "name_contains", "name"),
    ("hris_groups", "types", "type"),
    ("hris_pay_runs", "legal_entity_ids", "legal_entity_id"),
    ("hris_payslips", "legal_entity_ids", "pay_run.legal_entity_id"),
    ("hris_payslips", "employee_ids", "employee.id"),
    ("hris_payslips", "payrun_ids", "pay_run.id"),
    ("hris_performance_reviews", "types", "type"),
    ("hris_performance_reviews", "reviewee_ids", "reviewee.id"),
    ("hris_performance_reviews", "review_cycle_ids", "review_cycle.id"),
    ("hris_employee_skill_assignments", "employee_ids", "employee_id"),
    ("hris_employee_skill_assignments", "skill_ids", "skill_id"),
    ("hris_staffing_entities", "model_types", "model_type"),
    ("hris_staffing_entities", "statuses", "status"),
    ("hris_time_off_balances", "employee_id", "employee_id"),
    ("hris_timesheets", "employee_id", "employee_id"),
    ("lms_users", "work_emails", "work_email"),
    ("lms_course_progressions", "user_ids", "user_id"),
    ("lms_course_progressions", "course_ids", "course_revision.course.id"),
    ("assessment_orders", "statuses", "status"),
    ("assessment_orders", "ids", "id"),
]
UNMAPPED = {None, "On hold", "Werkvertrag"}


@pytest.mark.parametrize(("model", "parameter", "path"), FILTERS)
def test_a_filter_matches_exactly_the_records_with_the_value(
    categories: Categories, model: str, parameter: str, path: str
) -> None:
    def value(record: Record) -> Any:
        found: Any = record
        for name in path.split("."):
            found = found[name]
        return found

    client = categories.clients[MODELS[model].category]
    live = client.stored(model, include_deleted=False)
    sample = next(value(one) for one in live if value(one) not in UNMAPPED)
    contains = parameter == "name_contains"
    expected = {
        one["id"] for one in live if (sample in value(one) if contains else value(one) == sample)
    }
    assert client.ids(model, **{parameter: sample}) == expected


def test_groups_without_a_type_match_null(categories: Categories) -> None:
    client = categories.clients["HRIS"]
    live = client.stored("hris_groups", include_deleted=False)
    expected = {one["id"] for one in live if one["type"] is None}
    assert client.ids("hris_groups", types="null") == expected != set()


def test_employees_match_by_groups_and_custom_fields(categories: Categories) -> None:
    client = categories.clients["HRIS"]
    live = client.stored("hris_employees", include_deleted=False)
    group = next(one["groups"][0]["id"] for one in live if one["groups"])
    assert client.ids("hris_employees", group_ids=group) == {
        one["id"] for one in live if group in ids(one["groups"])
    }

    def cost_center(employee: Record) -> Any:
        return (employee["custom_fields"] or {}).get("cost_center")

    value = next(cost_center(one) for one in live if cost_center(one))
    pair = json.dumps({"cost_center": value})
    assert client.ids("hris_employees", custom_fields=pair) == {
        one["id"] for one in live if cost_center(one) == value
    }


@pytest.mark.parametrize(
    ("model", "parameter", "matches"),
    [
        ("ats_jobs", "remote_created_after", lambda one, time: one["remote_created_at"] >= time),
        (
            "ats_applications",
            "remote_created_after",
            lambda one, time: one["remote_created_at"] >= time,
        ),
        ("hris_absences", "date_from", lambda one, time: one["end_date"] >= time[:10]),
        ("hris_absences", "date_until", lambda one, time: one["start_date"] <= time[:10]),
        ("hris_timesheets", "started_after", lambda one, time: one["started_at"] >= time),
        ("hris_timesheets", "started_before", lambda one, time: one["started_at"] < time),
        ("hris_timesheets", "ended_after", lambda one, time: one["ended_at"] >= time),
        ("hris_timesheets", "ended_before", lambda one, time: one["ended_at"] <= time),
    ],
)
def test_a_filter_by_time_matches_exactly_the_records_in_the_period(
    categories: Categories, model: str, parameter: str, matches: Any
) -> None:
    client = categories.clients[MODELS[model].category]
    live = client.stored(model, include_deleted=False)

    def time(record: Record) -> str:
        if "start_date" in record:
            return f"{record['start_date']}T00:00:00.000Z"
        return str(record.get("started_at") or record["remote_created_at"])

    middle = sorted(map(time, live))[len(live) // 2]
    expected = {one["id"] for one in live if matches(one, middle)}
    assert client.ids(model, **{parameter: middle}) == expected
    assert 0 < len(expected) < len(live)


def test_created_after_matches_orders_by_their_creation_time(categories: Categories) -> None:
    client = categories.clients["ASSESSMENT"]
    past = client.read_all("assessment_orders", created_after="2000-01-01T00:00:00.000Z")
    assert past == client.stored("assessment_orders")
    assert client.read_all("assessment_orders", created_after=client.sandbox.clock()) == []


def test_ids_and_remote_ids_match_their_records(client: Client) -> None:
    first, second, *_ = client.stored("ats_offers", include_deleted=False)
    both = {first["id"], second["id"]}
    assert client.ids("ats_offers", ids=",".join(both)) == both
    assert client.ids("ats_offers", remote_ids=f"{first['remote_id']},nobody") == {first["id"]}


def test_several_filters_combine_with_and(client: Client) -> None:
    first, second, *_ = client.stored("ats_offers", include_deleted=False)
    assert client.ids("ats_offers", ids=first["id"], remote_ids=second["remote_id"]) == set()


def test_several_values_of_a_filter_combine_with_or(client: Client) -> None:
    live = client.stored("ats_applications", include_deleted=False)
    expected = {one["id"] for one in live if one["outcome"] in {"HIRED", "DECLINED"}}
    assert client.ids("ats_applications", outcomes="HIRED,DECLINED") == expected


@pytest.mark.parametrize("value", ["", "short", "0" * 24, "B5DVmypWENfU6eMe6gYDyJG3,"])
def test_an_id_that_is_not_valid_is_rejected(client: Client, value: str) -> None:
    assert error(client.get("/ats/offers", ids=value)) == INPUT_INVALID


def test_an_id_of_another_integration_is_not_found(client: Client) -> None:
    other = Client(client.sandbox).stored("ats_offers")[0]["id"]
    own = client.stored("ats_offers")[0]["id"]
    response = client.get("/ats/offers", ids=f"{own},{other}", include_deleted="true")
    assert error(response) == (404, "PLATFORM.INPUT_INVALID")
    assert other in response.json()["error"]["message"]


def test_names_and_email_addresses_match_case_insensitively(client: Client) -> None:
    [candidate] = client.sandbox.add("ats_candidates", 1, client.integration_id)
    addresses = [{"email_address": "Elodie@example.com", "type": "WORK"}]
    values = {"first_name": "Élodie", "email_addresses": addresses}
    client.sandbox.patch("ats_candidates", candidate, values)
    assert candidate in client.ids("ats_candidates", first_name="éLODIE")
    assert candidate in client.ids("ats_candidates", email="eLODIE@example.com")
    job = client.stored("ats_jobs", include_deleted=False)[0]
    assert job["id"] in client.ids("ats_jobs", name_contains=job["name"].upper()[1:])


def test_candidates_match_by_the_jobs_of_their_applications(client: Client) -> None:
    def jobs(candidate: Record) -> set[str]:
        return {application["job"]["id"] for application in candidate["applications"]}

    live = client.stored("ats_candidates", include_deleted=False)
    job = next(iter(jobs(next(one for one in live if one["applications"]))))
    assert client.ids("ats_candidates", job_ids=job) >= {
        one["id"] for one in live if job in jobs(one)
    }


def test_an_unknown_value_of_an_enum_is_rejected(client: Client) -> None:
    response = client.get("/ats/applications", outcomes="HIRED,FIRED")
    assert error(response) == INPUT_INVALID
    assert "FIRED" in response.json()["error"]["message"]


def test_an_unsupported_filter_matches_nothing_unless_it_is_ignored(client: Client) -> None:
    client.sandbox.set_integration(client.integration_id, unsupported_filters=["outcomes"])
    assert client.ids("ats_applications", outcomes="HIRED") == set()
    everything = set(ids(client.stored("ats_applications", include_deleted=False)))
    ignored = client.ids("ats_applications", outcomes="HIRED", ignore_unsupported_filters="true")
    assert ignored == client.ids("ats_applications") == everything
