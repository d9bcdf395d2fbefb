"""Stream maps and flattening: the SDK applies them, and no removed value is emitted."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import jsonschema
import pytest

from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox

CANDIDATES = catalog_with("ats_candidates")
PERSON = "Zacharias Quellenhof"
MASKS: dict[str, dict[str, Any]] = {
    "hashed": {"last_name": "md5(last_name) if last_name else None"},
    "removed": {"last_name": None},
    "removed by __NULL__": {"last_name": "__NULL__"},
    "removed by __else__": {"id": "id", "__else__": None},
    "removed by __else__, additional_fields kept": {
        "id": "id",
        "additional_fields": "additional_fields",
        "__else__": None,
    },
    "removed in a copy": {"__source__": "ats_candidates", "last_name": None},
}
SHAPES: dict[str, Any] = {
    "string": PERSON,
    "object": {"full": PERSON},
}


def serve(sandbox: Sandbox, record: dict[str, Any]) -> dict[str, Any]:
    """Let the first integration return only this candidate; return settings to read it."""
    integration_id = sandbox.integration_ids[0]
    page = {"status": "success", "data": {"next": None, "results": [record]}}
    sandbox.fault(path="/ats/candidates", integration_id=integration_id, body=json.dumps(page))
    return settings_for(sandbox, integration_ids=[integration_id])


def test_maps_hash_remove_and_rename(sandbox: Sandbox) -> None:
    maps = {
        "ats_candidates": {
            "last_name": "md5(last_name)",
            "email_addresses": "__NULL__",
            "__alias__": "people",
        }
    }

    run = run_tap(settings_for(sandbox, stream_maps=maps), catalog=catalog_with("ats_candidates"))

    truth = {r["id"]: r for r in sandbox.records("ats_candidates")}
    assert set(run.records) == set(run.schemas) == {"people"}
    assert "email_addresses" not in run.schemas["people"]["properties"]
    assert {r["id"] for r in run.records["people"]} == set(truth)
    for record in run.records["people"]:
        name = truth[record["id"]]["last_name"]
        if name:
            assert record["last_name"] == hashlib.md5(name.encode()).hexdigest()  # noqa: S324
        assert "email_addresses" not in record


def test_expressions_can_calculate_with_numbers(
    sandbox: Sandbox,
) -> None:
    candidate = sandbox.records("ats_candidates")[0]
    fields = {"ratio": 1.5, "exact": 1}
    settings = serve(sandbox, {**candidate, "custom_fields": fields, "last_name": None})
    maps = {
        "ats_candidates": {
            "last_name": "json.dumps(custom_fields)",
            "first_name": "str(custom_fields['ratio'] * 1.5)",
        }
    }

    run = run_tap({**settings, "stream_maps": maps}, catalog=CANDIDATES)

    [record] = run.records["ats_candidates"]
    assert (json.loads(record["last_name"]), record["first_name"]) == (fields, "2.25")


def test_removed_stream_is_not_requested(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, stream_maps={"ats_offers": None}),
        catalog=catalog_with("ats_offers", "ats_jobs"),
    )

    assert run.code == 0
    assert set(run.records) == set(run.schemas) == {"ats_jobs"}
    assert "/ats/offers" not in {r.path for r in sandbox.requests()}


def test_flattening_makes_a_column_of_each_nested_field(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, flattening_enabled=True, flattening_max_depth=3),
        catalog=catalog_with("ats_offers"),
    )

    truth = {r["id"]: r for r in sandbox.records("ats_offers")}
    columns = run.schemas["ats_offers"]["properties"]
    assert "application__candidate__last_name" in columns
    assert len(run.records["ats_offers"]) == len(truth)
    for record in run.records["ats_offers"]:
        application = truth[record["id"]]["application"]
        if application and application["candidate"]:
            expected = application["candidate"]["last_name"]
            assert record["application__candidate__last_name"] == expected


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_flattening_keeps_free_form_objects_as_json_text(sandbox: Sandbox, depth: int) -> None:
    integration_id = sandbox.integration_ids[0]
    application = sandbox.records("ats_applications", integration_id)[0]
    odd = {
        "invented_later": 1,
        "outcome": {"x": "y"},
        "custom_fields": {"a": [1]},
        "remote_data": None,
        "current_stage": {"id": "s", "name": None, "index": 1, "custom_fields": {"b": 2}},
    }
    page = {"status": "success", "data": {"next": None, "results": [{**application, **odd}]}}
    sandbox.fault(path="/ats/applications", integration_id=integration_id, body=json.dumps(page))

    run = run_tap(
        settings_for(
            sandbox,
            integration_ids=[integration_id],
            flattening_enabled=True,
            flattening_max_depth=depth,
        ),
        catalog=catalog_with("ats_applications"),
    )

    [record] = run.records["ats_applications"]
    schema = run.schemas["ats_applications"]
    columns = ["additional_fields", "custom_fields", "remote_data", "current_stage__custom_fields"]
    assert all("string" in schema["properties"][column]["type"] for column in columns)
    assert [json.loads(record[column] or "null") for column in columns] == [
        {"invented_later": 1, "outcome": {"x": "y"}},
        {"a": [1]},
        None,
        {"b": 2},
    ]
    assert set(record) == set(schema["properties"])
    jsonschema.Draft7Validator(schema).validate(record)


@pytest.mark.parametrize("maps", [{}, {"ats_candidates": {"shoe_size": "44"}}], ids=["", "a map"])
def test_flattening_keeps_nested_fields_that_the_schema_does_not_declare(
    sandbox: Sandbox, maps: dict[str, Any]
) -> None:
    candidate = sandbox.records("ats_candidates")[0]
    location = {"city": "Berlin", "planet": "Earth", "moon": None, "sea": {"name": "Wannsee"}}
    settings = serve(sandbox, {**candidate, "location": location, "nickname": "Zac"})
    flattening = {"flattening_enabled": True, "flattening_max_depth": 2, "stream_maps": maps}

    run = run_tap({**settings, **flattening}, catalog=CANDIDATES)

    [record] = run.records["ats_candidates"]
    assert set(record) == set(run.schemas["ats_candidates"]["properties"])
    assert record["location__city"] == "Berlin"
    assert json.loads(record["additional_fields"]) == {
        "nickname": "Zac",
        "location__planet": "Earth",
        "location__sea__name": "Wannsee",
    }


@pytest.mark.parametrize(
    ("stream", "more"),
    [
        ("ats_applications", {"flattening_separator": "_"}),
        ("ats_scorecards", {"flattening_max_key_length": 12}),
    ],
)
def test_flattening_rejects_two_columns_of_the_same_name(
    sandbox: Sandbox, stream: str, more: dict[str, Any]
) -> None:
    settings = settings_for(sandbox, flattening_enabled=True, flattening_max_depth=2, **more)

    run = run_tap(settings, catalog=catalog_with(stream))
    other = run_tap(settings, catalog=catalog_with("ats_offers"))

    assert run.code == 1
    assert run.stdout == b""
    [error] = run.errors
    assert next(iter(more)) in error
    assert f"two columns of {stream}" in error
    assert other.code == 0, other.stderr


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", SHAPES)
def test_removed_value_is_in_no_message(sandbox: Sandbox, mask: str, shape: str) -> None:
    candidate = sandbox.records("ats_candidates")[0]
    settings = serve(sandbox, {**candidate, "last_name": SHAPES[shape]})
    names = {"people": MASKS[mask], "ats_candidates": None}
    maps = names if "__source__" in MASKS[mask] else {"ats_candidates": MASKS[mask]}

    run = run_tap({**settings, "stream_maps": maps}, catalog=CANDIDATES)

    assert run.code == 0, run.stderr
    assert len([m for m in run.messages if m["type"] == "RECORD"]) == 1
    assert PERSON.encode() not in run.stdout
    assert PERSON not in run.stderr


def test_field_that_the_schema_does_not_declare_can_be_removed(sandbox: Sandbox) -> None:
    candidate = sandbox.records("ats_candidates")[0]
    settings = serve(sandbox, {**candidate, "nickname": PERSON, "shoe_size": 44})

    maps = {"ats_candidates": {"nickname": "None"}}
    run = run_tap({**settings, "stream_maps": maps}, catalog=CANDIDATES)

    [record] = run.records["ats_candidates"]
    assert PERSON.encode() not in run.stdout
    assert record["additional_fields"] == {"shoe_size": 44}


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"ats_candidate": {"last_name": None}}, ["no stream ats_candidate", "ats_candidates?"]),
        ({"ats_candidates": {"last_name": "md5("}}, ["ats_candidates.last_name`"]),
        ({"ats_candidates": {"last_name": "shred(last_name)"}}, ["function shred"]),
        ({"ats_*": {"__alias__": "x"}, "ats_candidates": None}, ["ats_candidates"]),
        ({"ats_candidates": {"id": None}}, ["'id'"]),
        ({"ats_candidates": {"__key_properties__": ["x"]}}, ["[x]"]),
    ],
    ids=["unknown stream", "syntax error", "function", "two maps", "removed key", "unknown key"],
)
def test_mistake_in_a_map_is_one_error_before_any_request(
    sandbox: Sandbox, maps: dict[str, Any], words: list[str]
) -> None:
    run = run_tap(settings_for(sandbox, stream_maps=maps), catalog=CANDIDATES)

    assert run.code == 1
    assert run.stdout == b""
    assert sandbox.requests() == []
    [error] = run.errors
    assert error.startswith("`stream_maps")
    assert [word for word in words if word not in error] == []
    assert "Traceback" not in run.stderr


def test_map_of_a_pattern_applies_to_the_selected_streams(sandbox: Sandbox) -> None:
    maps = {"hris_*": {"remote_data": None}, "ats_*": {"remote_data": None}}

    run = run_tap(settings_for(sandbox, stream_maps=maps), catalog=CANDIDATES)

    assert run.code == 0, run.stderr
    assert set(run.schemas) == {"ats_candidates"}
    assert "remote_data" not in run.schemas["ats_candidates"]["properties"]
    assert "remote_data" not in run.records["ats_candidates"][0]


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("md5(last_name)", id="raises"),
        pytest.param("last_name or first_name.upper", id="returns a function"),
    ],
)
def test_expression_that_fails_on_a_record_fails_only_its_read(
    sandbox: Sandbox, expression: str
) -> None:
    broken = sandbox.integration_ids[0]
    candidate = sandbox.records("ats_candidates")[0]
    serve(sandbox, {**candidate, "last_name": None, "first_name": PERSON})
    maps = {"ats_candidates": {"last_name": expression}}

    run = run_tap(settings_for(sandbox, stream_maps=maps), catalog=CANDIDATES)

    assert run.code == 1
    [error] = run.errors
    assert broken in error
    assert "stream map of ats_candidates" in error
    assert "if name else None" in error
    assert "Traceback" not in run.stderr
    assert PERSON not in run.stderr
    assert run.partition("ats_candidates", broken) == {}
    assert run.bookmark("ats_candidates", sandbox.integration_ids[1])
