"""All of Kombo's models are served, each with all its fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

import tap_kombo
from kombo_sandbox import Sandbox, SandboxError
from kombo_sandbox.clock import moment
from kombo_sandbox.models import CATEGORIES, MODELS, SERVED, Many, Model
from tests.sandbox.client import Client, Record, code

SCHEMAS = Path(tap_kombo.__file__).parent / "schemas"
FILTERS = json.loads((SCHEMAS.parent / "filters.json").read_text())
ABOUT = ("integrations", "integration_models")
ALL = [*(model.id for model in SERVED), *ABOUT]
# What the tap adds to the records.
ADDED = {"integration_id", "_sdc_deleted_at", "additional_fields"}

# Nested lists show live records only, and a skill that is gone is not listed.
ALWAYS_NULL = {
    "hris_employees.employments[].remote_deleted_at",
    "hris_employees.time_off_balances[].remote_deleted_at",
    "hris_skills.remote_deleted_at",
    "lms_courses.revisions[].remote_deleted_at",
}


@pytest.fixture(scope="module")
def fresh() -> Iterator[Sandbox]:
    """Nobody drives it."""
    with Sandbox(integrations=2, offers=150, categories=CATEGORIES, seed=3) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def whole() -> Iterator[Sandbox]:
    """Two integrations of each category: one that gives all, and mostly one that does not."""
    with Sandbox(integrations=2, offers=150, categories=CATEGORIES, seed=3) as sandbox:
        yield sandbox


@pytest.fixture
def asking(whole: Sandbox) -> Iterator[dict[str | None, Client]]:
    """A client for the integration of each category that gives all."""
    whole.advance(60)
    clients = {category: Client(whole, name) for category, name in giving_all(whole).items()}
    yield clients
    for client in clients.values():
        client.session.close()


def giving_all(sandbox: Sandbox) -> dict[str | None, str]:
    names: dict[str | None, str] = {}
    for record in sandbox.records("integrations"):
        names.setdefault(record["category"], record["id"])
    return {**names, None: names["HRIS"]}


def client_of(asking: dict[str | None, Client], model: Model) -> Client:
    return asking[model.category]


def walk(client: Client, model: Model, **params: Any) -> list[Record]:
    path = model.path.format(integration_id=client.integration_id)
    records: list[Record] = []
    while True:
        answer = client.get(path, **params)
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        [results] = (value for value in data.values() if isinstance(value, list))
        records += results
        if data.get("next") is None:
            return records
        params["cursor"] = data["next"]


def ids(records: list[Record]) -> list[str]:
    return [record["id"] for record in records]


def schema_of(model: str) -> Record:
    schema: Record = json.loads((SCHEMAS / f"{model}.json").read_text())
    return schema


def declared(schema: Record, path: str) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        if name not in ADDED:
            yield f"{path}.{name}"
            yield from declared(inner, f"{path}.{name}")
            if "items" in inner:
                yield f"{path}.{name}[]"
                yield from declared(inner["items"], f"{path}.{name}[]")


def filled(value: object, path: str) -> Iterator[str]:
    if value is not None:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from filled(inner, f"{path}.{name}")
    if isinstance(value, list):
        for inner in value:
            yield from filled(inner, f"{path}[]")


def test_every_model_of_the_tap_is_served_and_no_other() -> None:
    assert set(ALL) == {path.stem for path in SCHEMAS.glob("*.json")}


@pytest.mark.parametrize("model", ALL)
def test_every_record_is_as_the_schema_says(fresh: Sandbox, model: str) -> None:
    schema = schema_of(model)
    schema.pop("required", None)
    formats = FormatChecker()
    formats.checks("date-time", ValueError)(lambda text: text is None or moment(text) >= -(10**14))
    validator = Draft202012Validator(schema, format_checker=formats)
    records = fresh.records(model)
    assert records
    for record in records:
        assert [error.message for error in validator.iter_errors(record)] == []
        assert set(record) == set(schema["properties"]) - ADDED


def test_every_property_is_filled_in_some_record() -> None:
    with Sandbox(integrations=2, offers=400, categories=CATEGORIES, seed=4) as sandbox:
        for model in SERVED:
            if model.listing.tracks_changes:
                sandbox.delete(model.id, count=2)
        sandbox.set_integration(sandbox.integration_ids[0], data_expired_at=sandbox.clock())
        empty = {
            path
            for model in ALL
            for path in set(declared(schema_of(model), model))
            - {path for record in sandbox.records(model) for path in filled(record, model)}
        }
    assert empty == ALWAYS_NULL


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_a_list_gives_what_the_sandbox_holds_page_by_page(
    asking: dict[str | None, Client], model: Model
) -> None:
    client = client_of(asking, model)
    params: Record = {"page_size": 7} if model.listing.largest_page else {}
    held = client.held(model.id, include_deleted=False)
    assert walk(client, model, **params) == held
    assert held
    if model.listing.tracks_changes:
        assert walk(client, model, include_deleted="true", **params) == client.held(model.id)


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_ids_are_unique_over_all_integrations(whole: Sandbox, model: Model) -> None:
    found = ids(whole.records(model.id))
    if model.local_ids:
        assert "1001" in found
    else:
        assert len(set(found)) == len(found)
        assert all(re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{24}", id_) for id_ in found)


def test_packages_of_two_integrations_can_have_the_same_ids(whole: Sandbox) -> None:
    other = whole.add_integration("teamtailor", offers=2)
    found = ids(whole.records("assessment_packages"))
    assert len(set(found)) == len(found) / 2
    assert len(whole.records("assessment_orders", other)) == 2
    whole.remove_integration(other)


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_a_list_takes_the_parameters_of_kombos(
    asking: dict[str | None, Client], model: Model
) -> None:
    assert {one.name for one in model.all_filters} == set(FILTERS[model.id])
    client = client_of(asking, model)
    path = model.path.format(integration_id=client.integration_id)
    largest, tracks = model.listing.largest_page, model.listing.tracks_changes
    for name, value, is_known in (
        ("page_size", largest or 1, largest is not None),
        ("updated_after", client.sandbox.clock(), tracks),
        ("include_deleted", "false", tracks),
        ("ignore_unsupported_filters", "true", tracks),
        ("page_size", (largest or 0) + 1, False),
        ("nonsense", "1", False),
    ):
        answer = client.get(path, **{name: value})
        assert answer.status_code == (200 if is_known else 400), (name, answer.text)
        assert is_known or code(answer) == "PLATFORM.INPUT_INVALID"


@pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
def test_records_can_be_driven(asking: dict[str | None, Client], model: Model) -> None:
    client = client_of(asking, model)
    sandbox, integration_id = client.sandbox, client.integration_id
    before = {record["id"]: record for record in client.held(model.id)}

    def now() -> dict[str, Record]:
        return {record["id"]: record for record in client.held(model.id)}

    [changed] = sandbox.change(model.id, integration_id=integration_id)
    assert {id_ for id_, one in now().items() if one != before[id_]} >= {changed}
    [added] = sandbox.add(model.id, 1, integration_id)
    assert set(now()) - set(before) == {added}
    assert set(now()[added]) == set(before[changed])
    sandbox.patch(model.id, added, {"additional": 1})
    assert now()[added]["additional"] == 1
    sandbox.delete(model.id, ids=[added], integration_id=integration_id)
    assert (added in now()) is model.listing.tracks_changes
    assert added not in ids(walk(client, model))
    sandbox.restore(model.id, ids=[added], integration_id=integration_id)
    assert added in ids(walk(client, model))
    sandbox.anonymize(model.id, ids=[added], integration_id=integration_id)
    if model.listing.tracks_changes:
        kept = {"id", "changed_at", "remote_deleted_at"}
        assert {name for name, value in now()[added].items() if value is not None} == kept
    else:
        assert added not in now()


@pytest.mark.parametrize(
    "model", [one for one in SERVED if one.listing.tracks_changes], ids=lambda one: one.id
)
def test_only_what_changed_is_found_since(asking: dict[str | None, Client], model: Model) -> None:
    client = client_of(asking, model)
    since = client.sandbox.clock()
    client.sandbox.advance(1)
    chosen = client.sandbox.change(model.id, count=2, integration_id=client.integration_id)
    # An employee may be the manager of others.
    assert set(ids(walk(client, model, updated_after=since))) >= set(chosen)
    moved = [one for one in walk(client, model, updated_after=since) if one["changed_at"] > since]
    assert set(ids(moved)) == set(chosen)


NESTED = [
    pytest.param(model, node.name, id=f"{model.id}-{node.name}")
    for model in SERVED
    if model.category != "ATS" and model.listing.tracks_changes
    for node in model.nested
]


@pytest.mark.parametrize(("model", "name"), NESTED)
def test_a_change_of_what_is_nested_counts_as_the_table_says(
    asking: dict[str | None, Client], model: Model, name: str
) -> None:
    client = client_of(asking, model)
    [node] = [node for node in model.nested if node.name == name]
    target, counts = _target(model, node), node.linked if isinstance(node, Many) else node.counts
    before = {one["id"]: one for one in client.held(model.id)}
    since = client.sandbox.clock()
    client.sandbox.advance(1)
    client.sandbox.change(target, count=3, integration_id=client.integration_id)
    after = walk(client, model, updated_after=since, include_deleted="true")
    showing = {
        one["id"] for one in client.held(model.id) if one[name] != before[one["id"]][name]
    } - {one["id"] for one in after if one["changed_at"] > since}
    found = {one["id"] for one in after if one["changed_at"] <= since}
    assert showing <= found if counts else not found & showing


def _target(model: Model, node: Any) -> str:
    if not isinstance(node, Many):
        return model.links[node.link]
    return MODELS[node.model].links[node.through] if node.through else node.model


# Model, parameter, and the value that a record has for it.
FILTERING = [
    ("ats_interviews", "job_ids", lambda one: one["application"]["job"]["id"]),
    ("ats_attachments", "candidate_ids", lambda one: one["candidate_id"]),
    ("ats_notes", "application_ids", lambda one: one["application_id"]),
    ("ats_scorecards", "application_ids", lambda one: one["application_id"]),
    ("ats_roles", "scopes", lambda one: one["scope"]),
    ("ats_users", "emails", lambda one: one["email"]),
    ("hris_employees", "employment_statuses", lambda one: one["employment_status"]),
    ("hris_employees", "legal_entity_ids", lambda one: one["legal_entity_id"]),
    ("hris_employees", "work_location_ids", lambda one: one["work_location_id"]),
    ("hris_employees", "work_emails", lambda one: one["work_email"]),
    ("hris_absences", "type_ids", lambda one: one["type_id"]),
    ("hris_absences", "employee_id", lambda one: one["employee_id"]),
    ("hris_groups", "types", lambda one: str(one["type"]).replace("None", "null")),
    ("hris_groups", "name_contains", lambda one: one["name"]),
    ("hris_pay_runs", "legal_entity_ids", lambda one: one["legal_entity_id"]),
    ("hris_payslips", "legal_entity_ids", lambda one: one["pay_run"]["legal_entity_id"]),
    ("hris_payslips", "employee_ids", lambda one: one["employee"]["id"]),
    ("hris_payslips", "payrun_ids", lambda one: one["pay_run"]["id"]),
    ("hris_performance_reviews", "reviewee_ids", lambda one: one["reviewee"]["id"]),
    ("hris_performance_reviews", "review_cycle_ids", lambda one: one["review_cycle"]["id"]),
    ("hris_performance_reviews", "types", lambda one: one["type"]),
    ("hris_employee_skill_assignments", "employee_ids", lambda one: one["employee_id"]),
    ("hris_employee_skill_assignments", "skill_ids", lambda one: one["skill_id"]),
    ("hris_staffing_entities", "model_types", lambda one: one["model_type"]),
    ("hris_staffing_entities", "statuses", lambda one: one["status"]),
    ("hris_time_off_balances", "employee_id", lambda one: one["employee_id"]),
    ("hris_timesheets", "employee_id", lambda one: one["employee_id"]),
    ("lms_users", "work_emails", lambda one: one["work_email"]),
    ("lms_course_progressions", "user_ids", lambda one: one["user_id"]),
    ("lms_course_progressions", "course_ids", lambda one: one["course_revision"]["course"]["id"]),
    ("assessment_orders", "statuses", lambda one: one["status"]),
    ("assessment_orders", "ids", lambda one: one["id"]),
]


@pytest.mark.parametrize(("model", "parameter", "value_of"), FILTERING)
def test_a_filter_keeps_what_has_the_value(
    asking: dict[str | None, Client], model: str, parameter: str, value_of: Any
) -> None:
    client = client_of(asking, MODELS[model])
    live = client.held(model, include_deleted=False)
    value = next(value_of(one) for one in live if value_of(one))
    found = walk(client, MODELS[model], **{parameter: value})
    assert ids(found) == [one["id"] for one in live if value_of(one) == value]


def test_employees_are_found_by_their_groups_and_custom_fields(
    asking: dict[str | None, Client],
) -> None:
    client, model = asking["HRIS"], MODELS["hris_employees"]
    live = client.held("hris_employees", include_deleted=False)
    group = next(one["groups"][0]["id"] for one in live if one["groups"])
    assert ids(walk(client, model, group_ids=group)) == [
        one["id"] for one in live if group in ids(one["groups"])
    ]
    center = next(
        one["custom_fields"]["cost_center"]
        for one in live
        if (one["custom_fields"] or {}).get("cost_center")
    )
    pair = json.dumps({"cost_center": center})
    assert ids(walk(client, model, custom_fields=pair)) == [
        one["id"] for one in live if (one["custom_fields"] or {}).get("cost_center") == center
    ]


@pytest.mark.parametrize(
    ("model", "parameter", "keeps"),
    [
        ("hris_absences", "date_from", lambda one, day: one["end_date"] >= day[:10]),
        ("hris_absences", "date_until", lambda one, day: one["start_date"] <= day[:10]),
        ("hris_timesheets", "started_after", lambda one, time: one["started_at"] >= time),
        ("hris_timesheets", "started_before", lambda one, time: one["started_at"] < time),
        ("hris_timesheets", "ended_after", lambda one, time: one["ended_at"] >= time),
        ("hris_timesheets", "ended_before", lambda one, time: one["ended_at"] <= time),
    ],
)
def test_a_filter_keeps_what_lies_in_a_time(
    asking: dict[str | None, Client], model: str, parameter: str, keeps: Any
) -> None:
    client = asking["HRIS"]
    live = client.held(model, include_deleted=False)
    times = sorted(one.get("started_at") or f"{one['start_date']}T00:00:00.000Z" for one in live)
    middle = times[len(times) // 2]
    found = ids(walk(client, MODELS[model], **{parameter: middle}))
    assert found == [one["id"] for one in live if keeps(one, middle)]
    assert 0 < len(found) < len(live)


def test_orders_are_found_by_when_they_were_made(asking: dict[str | None, Client]) -> None:
    client, model = asking["ASSESSMENT"], MODELS["assessment_orders"]
    past = walk(client, model, created_after="2000-01-01T00:00:00.000Z")
    assert past == client.held("assessment_orders")
    assert walk(client, model, created_after=client.sandbox.clock()) == []


@pytest.mark.parametrize("model", [one for one in SERVED if one.category], ids=lambda one: one.id)
def test_models_of_another_category_are_not_available(
    asking: dict[str | None, Client], model: Model
) -> None:
    other = next(category for category in CATEGORIES if category != model.category)
    answer = asking[other].get(model.path)
    assert (answer.status_code, code(answer)) == (400, "INTEGRATION.MODEL_NOT_AVAILABLE")


def test_what_an_integration_withholds_is_told_and_refused(whole: Sandbox) -> None:
    reasons = set()
    for integration_id in whole.integration_ids:
        client = Client(whole, integration_id)
        for model in whole.records("integration_models", integration_id):
            answer = client.get(MODELS[model["id"]].path)
            assert (answer.status_code == 200) is model["is_available"]
            if not model["is_available"]:
                assert whole.records(model["id"], integration_id) == []
                reasons.add(
                    (
                        model["coverage_status"],
                        model["scope_config_setting"],
                        model["opted_out_by_customer"],
                        code(answer),
                    )
                )
    assert reasons == {
        ("UNSUPPORTED", "ENABLED", False, "INTEGRATION.MODEL_NOT_AVAILABLE"),
        ("SUPPORTED", "DISABLED", False, "INTEGRATION.MODEL_DISABLED"),
        ("SUPPORTED", "OPTIONAL", True, "INTEGRATION.MODEL_DISABLED"),
    }


def test_a_field_that_an_integration_withholds_is_null(whole: Sandbox) -> None:
    withheld = [
        (integration_id, model["id"], field["id"])
        for integration_id in whole.integration_ids
        for model in whole.records("integration_models", integration_id)
        if model["is_available"]
        for field in model["fields"]
        if not field["is_available"]
    ]
    assert len(withheld) >= 4
    for integration_id, model_id, name in withheld:
        assert {one[name] for one in whole.records(model_id, integration_id)} == {None}


def test_the_first_tool_of_each_category_gives_all(asking: dict[str | None, Client]) -> None:
    for category in CATEGORIES:
        client = asking[category]
        models = client.sandbox.records("integration_models", client.integration_id)
        assert {one["id"] for one in models} == {
            one.id for one in SERVED if one.category == category
        }
        assert all(one["is_available"] for one in models)


def test_integration_fields_of_records_are_those_of_the_integration(fresh: Sandbox) -> None:
    names = giving_all(fresh)
    for model in SERVED:
        if model.customised:
            known = {
                field["id"]: field["key"]
                for field in fresh.records("integration_fields", names[model.category])
                if field["model"] == model.id and field["is_passthrough_enabled"]
            }
            shown = {
                field["id"]: field["key"]
                for record in fresh.records(model.id, names[model.category])
                for field in record["integration_fields"] or ()
            }
            assert shown.items() <= known.items()
            assert shown


def test_one_person_is_the_same_everywhere(fresh: Sandbox) -> None:
    client = Client(fresh, fresh.integration_ids[2])
    employees = {one["id"]: one for one in client.held("hris_employees")}
    employments = {one["id"]: one for one in client.held("hris_employments")}
    for employee in employees.values():
        if employee["manager"]:
            manager = employees[employee["manager_id"]]
            assert employee["manager"] == {name: manager[name] for name in employee["manager"]}
        for employment in employee["employments"] or ():
            assert employment == employments[employment["id"]]
    for model in ("hris_absences", "hris_timesheets", "hris_employee_skill_assignments"):
        assert all(
            one["employee_id"] in employees for one in client.held(model) if one["employee_id"]
        )
    for slip in client.held("hris_payslips"):
        if slip["employee"]:
            employee = employees[slip["employee"]["id"]]
            assert slip["employee"].items() <= employee.items()


def test_an_integration_can_be_added_for_a_tool_of_each_category(whole: Sandbox) -> None:
    for tool, model in (
        ("lever", "ats_offers"),
        ("gusto", "hris_employees"),
        ("docebo", "lms_users"),
        ("icims", "assessment_orders"),
    ):
        added = whole.add_integration(tool, offers=11)
        assert added.startswith(f"{tool}:")
        assert len(whole.records(model, added)) == 11
        whole.remove_integration(added)


def test_the_size_of_the_other_categories_is_an_option_of_its_own() -> None:
    with Sandbox(integrations=1, offers=3, categories=("ATS", "HRIS"), employees=9) as sandbox:
        assert len(sandbox.records("ats_offers")) == 3
        assert len(sandbox.records("hris_employees")) == 9


def test_an_unknown_category_is_refused() -> None:
    with pytest.raises(SandboxError):
        Sandbox(categories=("CRM",))
