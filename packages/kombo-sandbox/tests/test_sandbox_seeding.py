"""The generated data: schemas, links, times and names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from sandbox_client import CORE_MODELS, Categories, Record

import tap_kombo
from kombo_sandbox import Sandbox
from kombo_sandbox.clock import parse_time
from kombo_sandbox.models import SERVED

SCHEMAS = {
    path.stem: json.loads(path.read_text())
    for path in (Path(tap_kombo.__file__).parent / "schemas").glob("*.json")
    if path.stem != "sync_status"  # the tap's own records
}
# The tap adds these to the records.
ADDED = {"integration_id", "_sdc_deleted_at", "additional_fields", "stream"}

# Nested lists contain live records only, and the list of skills omits deleted ones.
ALWAYS_NULL = {
    "hris_employees.employments[].remote_deleted_at",
    "hris_employees.time_off_balances[].remote_deleted_at",
    "hris_skills.remote_deleted_at",
    "lms_courses.revisions[].remote_deleted_at",
}


def declared(schema: Record, path: str) -> Iterator[str]:
    """Yield the paths of all properties of a schema."""
    for name, inner in schema.get("properties", {}).items():
        if name not in ADDED:
            yield f"{path}.{name}"
            yield from declared(inner, f"{path}.{name}")
            if "items" in inner:
                yield f"{path}.{name}[]"
                yield from declared(inner["items"], f"{path}.{name}[]")


def filled(value: object, path: str) -> Iterator[str]:
    """Yield the paths of all values of a record that are not null."""
    if value is not None:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from filled(inner, f"{path}.{name}")
    if isinstance(value, list):
        for inner in value:
            yield from filled(inner, f"{path}[]")


def test_the_sandbox_has_the_same_models_as_the_tap(categories: Categories) -> None:
    assert set(categories.seeded) == set(SCHEMAS)


@pytest.mark.parametrize("model", SCHEMAS)
def test_every_record_matches_the_schema_of_the_tap(categories: Categories, model: str) -> None:
    schema = {name: value for name, value in SCHEMAS[model].items() if name != "required"}
    formats = FormatChecker()
    formats.checks("date-time", ValueError)(
        lambda text: text is None or parse_time(text) is not None
    )
    validator = Draft202012Validator(schema, format_checker=formats)
    assert categories.seeded[model]
    for record in categories.seeded[model]:
        assert [error.message for error in validator.iter_errors(record)] == []
        assert set(record) == set(schema["properties"]) - ADDED


def test_every_property_has_a_value_in_some_record(categories: Categories) -> None:
    sandbox = categories.sandbox
    sandbox.set_integration(sandbox.integration_ids[1], data_expired_at=sandbox.clock())
    deleted = {}
    for model in (one for one in SERVED if one.listing.tracks_changes):
        integration_id = categories.clients[model.category].integration_id
        deleted[model.id] = sandbox.delete(model.id, count=3, integration_id=integration_id)
    empty = {path for model, schema in SCHEMAS.items() for path in declared(schema, model)}
    for model_id in SCHEMAS:
        for record in (*categories.seeded[model_id], *sandbox.records(model_id)):
            empty.difference_update(filled(record, model_id))
    for model_id, ids in deleted.items():
        sandbox.restore(model_id, ids=ids)
    assert empty == ALWAYS_NULL


def test_an_integration_has_the_requested_number_of_offers() -> None:
    with Sandbox(integrations=3, offers=[40, 0, 3]) as sandbox:
        sizes = [len(sandbox.records("ats_offers", one)) for one in sandbox.integration_ids]
    assert sizes == [40, 0, 3]


def test_other_categories_can_have_their_own_size() -> None:
    with Sandbox(integrations=1, offers=3, categories=("ATS", "HRIS"), employees=9) as sandbox:
        assert len(sandbox.records("ats_offers")) == 3
        assert len(sandbox.records("hris_employees")) == 9


def test_offers_belong_to_applications_of_candidates_for_jobs(categories: Categories) -> None:
    by_id = {
        model: {record["id"]: record for record in categories.seeded[model]}
        for model in CORE_MODELS
    }
    for offer in categories.seeded["ats_offers"]:
        application = by_id["ats_applications"][offer["application_id"]]
        assert offer["application"]["candidate"]["id"] == application["candidate_id"]
        assert offer["application"]["job"]["id"] == application["job_id"]
        assert application["candidate_id"] in by_id["ats_candidates"]
        stages = by_id["ats_jobs"][application["job_id"]]["stages"]
        assert application["current_stage"]["id"] in {stage["id"] for stage in stages}
        assert offer["remote_created_at"] >= application["remote_created_at"]


def test_nested_copies_of_employees_equal_the_employees(categories: Categories) -> None:
    employees = {one["id"]: one for one in categories.seeded["hris_employees"]}
    employments = {one["id"]: one for one in categories.seeded["hris_employments"]}
    for employee in employees.values():
        if employee["manager"]:
            manager = employees[employee["manager_id"]]
            assert employee["manager"].items() <= manager.items()
        for employment in employee["employments"]:
            assert employment == employments[employment["id"]]
    for slip in categories.seeded["hris_payslips"]:
        assert slip["employee"].items() <= employees[slip["employee"]["id"]].items()
    for model in ("hris_absences", "hris_timesheets", "hris_employee_skill_assignments"):
        assert all(one["employee_id"] in employees for one in categories.seeded[model])


@pytest.mark.parametrize("model", CORE_MODELS)
def test_a_few_records_are_deleted(categories: Categories, model: str) -> None:
    records = categories.seeded[model]
    assert sum(one["remote_deleted_at"] is not None for one in records) < len(records) / 5
    assert any(one["remote_deleted_at"] for one in categories.seeded["ats_offers"])


@pytest.mark.parametrize("model", CORE_MODELS)
def test_records_were_created_and_changed_in_the_past_two_years(
    categories: Categories, model: str
) -> None:
    now = datetime.fromisoformat(categories.sandbox.clock())
    for record in categories.seeded[model]:
        created = datetime.fromisoformat(record["remote_created_at"])
        changed = datetime.fromisoformat(record["changed_at"])
        # Other tests advance the clock.
        assert now - timedelta(days=800) < created <= changed <= now


def test_email_addresses_are_at_example_domains(categories: Categories) -> None:
    for candidate in categories.seeded["ats_candidates"]:
        for address in candidate["email_addresses"]:
            assert re.fullmatch(r"[a-z0-9.]+@example\.(com|net|org)", address["email_address"])


def test_integration_fields_have_values_of_every_json_type(categories: Categories) -> None:
    types = {
        type(field["value"])
        for offer in categories.seeded["ats_offers"]
        for field in offer["integration_fields"]
    }
    assert types >= {str, int, float, bool, dict, type(None)}


def test_integration_fields_of_records_are_fields_of_the_integration(
    categories: Categories,
) -> None:
    for model in (one for one in SERVED if one.has_custom_fields):
        known = {
            field["id"]: field["key"]
            for field in categories.seeded["integration_fields"]
            if field["model"] == model.id and field["is_passthrough_enabled"]
        }
        used = {
            field["id"]: field["key"]
            for record in categories.seeded[model.id]
            for field in record["integration_fields"]
        }
        assert used.items() <= known.items()
        assert used


def test_some_enums_have_unmapped_values_of_the_tool(categories: Categories) -> None:
    mapped = {"FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP"}
    assert {job["employment_type"] for job in categories.seeded["ats_jobs"]} - mapped


def test_the_same_seed_generates_the_same_data_and_changes(categories: Categories) -> None:
    def run() -> list[object]:
        with Sandbox(
            integrations=1, offers=20, seed=1, clock="2026-01-31T12:00:00.000Z"
        ) as sandbox:
            offers = [
                # Times differ, because the clock runs.
                {name: value for name, value in one.items() if not name.endswith("_at")}
                for one in sandbox.records("ats_offers")
            ]
            return [sandbox.integration_ids, offers, sandbox.change("ats_offers", count=2)]

    first, again = run(), run()
    assert first == again
    assert first[0] != categories.sandbox.integration_ids[:1]
