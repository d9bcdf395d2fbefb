"""Every model: lists, parameters, changes and availability."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from sandbox_client import INPUT_INVALID, Categories, Client, Record, error, ids

import tap_kombo
from kombo_sandbox.integrations import kombo_name
from kombo_sandbox.models import CATEGORIES, MODELS, SERVED, Model, NestedList

FILTERS = json.loads((Path(tap_kombo.__file__).parent / "filters.json").read_text())
BY_KOMBO_NAME = {kombo_name(model): model for model in SERVED}

each_model = pytest.mark.parametrize("model", SERVED, ids=lambda model: model.id)
each_tracked_model = pytest.mark.parametrize(
    "model", [one for one in SERVED if one.listing.tracks_changes], ids=lambda model: model.id
)


@each_model
def test_a_list_returns_every_record_page_by_page(categories: Categories, model: Model) -> None:
    client = categories.clients[model.category]
    params: Record = {"page_size": 7} if model.listing.max_page_size else {}
    live = client.stored(model.id, include_deleted=False)
    assert client.read_all(model.id, **params) == live != []
    if model.listing.tracks_changes:
        params["include_deleted"] = "true"
        assert client.read_all(model.id, **params) == client.stored(model.id)


@each_model
def test_ids_are_unique_across_integrations(categories: Categories, model: Model) -> None:
    found = ids(categories.seeded[model.id])
    if model.id == "assessment_packages":
        assert "1001" in found
    else:
        assert all(re.fullmatch(r"[1-9A-HJ-NP-Za-km-z]{24}", id_) for id_ in found)
    if not model.local_ids:
        assert len(set(found)) == len(found)


def test_integrations_have_the_same_custom_fields(categories: Categories) -> None:
    sandbox = categories.sandbox
    added = [sandbox.add_integration(tool, offers=2) for tool in ("docebo", "cornerstone")]
    one, other = (
        {
            field["id"]: {name: field[name] for name in ("key", "model", "label", "description")}
            for field in sandbox.records("custom_fields", integration_id)
        }
        for integration_id in added
    )
    assert one == other != {}
    for integration_id in added:
        sandbox.remove_integration(integration_id)


def test_packages_of_two_integrations_can_have_the_same_ids(categories: Categories) -> None:
    sandbox = categories.sandbox
    other = Client(sandbox, sandbox.add_integration("teamtailor", offers=2))
    packages = set(ids(other.stored("assessment_packages")))
    assert packages <= set(ids(categories.seeded["assessment_packages"]))
    assert len(other.stored("assessment_orders")) == 2
    sandbox.remove_integration(other.integration_id)


@each_model
def test_a_list_accepts_only_the_parameters_that_kombo_documents(
    categories: Categories, model: Model
) -> None:
    assert {one.name for one in model.all_filters} == set(FILTERS[model.id])
    client = categories.clients[model.category]
    path = model.path.format(integration_id=client.integration_id)
    largest, tracks_changes = model.listing.max_page_size, model.listing.tracks_changes
    for name, value, is_accepted in (
        ("page_size", largest or 1, largest is not None),
        ("updated_after", client.sandbox.clock(), tracks_changes),
        ("include_deleted", "false", tracks_changes),
        ("ignore_unsupported_filters", "true", tracks_changes),
        ("page_size", (largest or 0) + 1, False),
        ("nonsense", "1", False),
    ):
        response = client.get(path, **{name: value})
        if is_accepted:
            assert response.status_code == 200, (name, response.text)
        else:
            assert error(response) == INPUT_INVALID, name


@each_model
def test_records_can_be_changed_added_deleted_and_restored(
    categories: Categories, model: Model
) -> None:
    client, sandbox = categories.clients[model.category], categories.sandbox
    here = {"integration_id": client.integration_id}

    def stored() -> dict[str, Record]:
        return {record["id"]: record for record in client.stored(model.id)}

    before = stored()
    [changed] = sandbox.change(model.id, integration_id=client.integration_id)
    assert changed in {id_ for id_, record in stored().items() if record != before[id_]}
    [added] = sandbox.add(model.id, 1, client.integration_id)
    assert set(stored()) - set(before) == {added}
    assert set(stored()[added]) == set(before[changed])
    sandbox.call("delete", model=model.id, ids=[added], **here)
    assert (added in stored()) is model.listing.tracks_changes
    assert added not in client.ids(model.id)
    sandbox.call("restore", model=model.id, ids=[added], **here)
    assert added in client.ids(model.id)
    sandbox.call("anonymize", model=model.id, ids=[added], **here)
    if model.listing.tracks_changes:
        kept = {name for name, value in stored()[added].items() if value is not None}
        assert kept == {"id", "changed_at", "remote_deleted_at"}
    else:
        assert added not in stored()


@each_tracked_model
def test_updated_after_matches_the_changed_records(categories: Categories, model: Model) -> None:
    client = categories.clients[model.category]
    since = client.sandbox.clock()
    client.sandbox.advance(1)
    changed = client.sandbox.change(model.id, count=2, integration_id=client.integration_id)
    matches = client.read_all(model.id, updated_after=since)
    # Others can match, too: an employee can be the manager of another one.
    assert {one["id"] for one in matches if one["changed_at"] > since} == set(changed)


NESTED = [
    pytest.param(model, node.name, id=f"{model.id}-{node.name}")
    for model in SERVED
    # For an ATS, test_sandbox_changes.py tests the same in more detail.
    if model.category != "ATS" and model.listing.tracks_changes
    for node in model.nested
]


@pytest.mark.parametrize(("model", "name"), NESTED)
def test_a_nested_change_matches_if_the_model_tracks_it(
    categories: Categories, model: Model, name: str
) -> None:
    client = categories.clients[model.category]
    [node] = [node for node in model.nested if node.name == name]
    target = _target(model, node)
    before = {one["id"]: one for one in client.stored(model.id)}
    since = client.sandbox.clock()
    client.sandbox.advance(1)
    client.sandbox.change(target, count=3, integration_id=client.integration_id)
    after = client.read_all(model.id, updated_after=since, include_deleted="true")
    different = {
        one["id"] for one in client.stored(model.id) if one[name] != before[one["id"]][name]
    } - {one["id"] for one in after if one["changed_at"] > since}
    matches = {one["id"] for one in after if one["changed_at"] <= since}
    assert different <= matches if node.tracks_changes else not matches & different


def _target(model: Model, node: Any) -> str:
    if not isinstance(node, NestedList):
        return model.links[node.name]
    return MODELS[node.model].links[node.through] if node.through else node.model


@pytest.mark.parametrize("model", [one for one in SERVED if one.category], ids=lambda one: one.id)
def test_models_of_another_category_are_not_available(categories: Categories, model: Model) -> None:
    other = next(category for category in CATEGORIES if category != model.category)
    response = categories.clients[other].get(model.path)
    assert error(response) == (400, "INTEGRATION.MODEL_NOT_AVAILABLE")


def test_an_unavailable_model_is_reported_in_the_details_and_rejected(
    categories: Categories,
) -> None:
    sandbox, reasons = categories.sandbox, set()
    for integration_id in sandbox.integration_ids:
        client = Client(sandbox, integration_id)
        for model in sandbox.records("integration_models", integration_id):
            served = BY_KOMBO_NAME[model["id"]]
            response = client.get(served.path)
            if model["is_available"]:
                assert response.status_code == 200
                continue
            assert client.stored(served.id) == []
            shown = ("coverage_status", "scope_config_setting", "opted_out_by_customer")
            reasons.add((*(model[name] for name in shown), error(response)[1]))
    assert reasons == {
        ("UNSUPPORTED", "ENABLED", False, "INTEGRATION.MODEL_NOT_AVAILABLE"),
        ("SUPPORTED", "DISABLED", False, "INTEGRATION.MODEL_DISABLED"),
        ("SUPPORTED", "OPTIONAL", True, "INTEGRATION.MODEL_DISABLED"),
    }


def test_an_unavailable_field_is_null(categories: Categories) -> None:
    sandbox = categories.sandbox
    unavailable = [
        (integration_id, BY_KOMBO_NAME[model["id"]].id, field["id"])
        for integration_id in sandbox.integration_ids
        for model in sandbox.records("integration_models", integration_id)
        if model["is_available"]
        for field in model["fields"]
        if not field["is_available"]
    ]
    assert len(unavailable) >= 4
    for integration_id, model_id, name in unavailable:
        assert {one[name] for one in sandbox.records(model_id, integration_id)} == {None}


def test_the_details_name_groups_hris_teams(categories: Categories) -> None:
    models = {one["id"] for one in categories.clients["HRIS"].stored("integration_models")}
    assert "hris_teams" in models
    assert "hris_groups" not in models


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_first_tool_of_each_category_supports_everything(
    categories: Categories, category: str
) -> None:
    client = categories.clients[category]
    models = client.stored("integration_models")
    assert {one["id"] for one in models} == {
        kombo_name(one) for one in SERVED if one.category == category
    }
    assert all(one["is_available"] for one in models)


@pytest.mark.parametrize(
    ("tool", "model"),
    [
        ("lever", "ats_offers"),
        ("gusto", "hris_employees"),
        ("docebo", "lms_users"),
        ("icims", "assessment_orders"),
    ],
)
def test_an_integration_can_be_added_for_each_category(
    categories: Categories, tool: str, model: str
) -> None:
    sandbox = categories.sandbox
    added = sandbox.add_integration(tool, offers=11)
    assert added.startswith(f"{tool}:")
    assert len(sandbox.records(model, added)) == 11
    sandbox.remove_integration(added)
