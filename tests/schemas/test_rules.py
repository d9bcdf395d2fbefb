"""Rules that every schema follows, so that no record of Kombo can contradict its schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

import tap_kombo
from tap_kombo.settings import OWN_PARAMS, known_filters
from tap_kombo.streams import ALL_MODELS, MODELS

Schema = dict[str, Any]

PACKAGE = Path(tap_kombo.__file__).parent
SCHEMAS = {
    model.name: json.loads((PACKAGE / f"schemas/{model.name}.json").read_text("utf-8"))
    for model in MODELS
}
ANY_JSON = ["array", "boolean", "integer", "null", "number", "object", "string"]
FREE_FORM = {"type": ["object", "null"], "properties": {}, "additionalProperties": True}
KEYWORDS = {"type", "format", "description", "properties", "items", "additionalProperties"}

every_stream = pytest.mark.parametrize("stream", sorted(SCHEMAS))


def columns(stream: str) -> dict[str, Schema]:
    found: dict[str, Schema] = SCHEMAS[stream]["properties"]
    return found


def below(schema: Schema, where: str = "") -> Iterator[tuple[str, Schema]]:
    """Yield the nested schemas of a schema, with their paths."""
    inner = {f".{name}": child for name, child in schema.get("properties", {}).items()}
    if "items" in schema:
        inner["[]"] = schema["items"]
    for step, child in inner.items():
        yield where + step, child
        yield from below(child, where + step)


def without_description(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "description"}


def test_schemas_are_those_of_the_streams() -> None:
    names = {path.stem for path in PACKAGE.glob("schemas/*.json")}
    assert names == {model.name for model in ALL_MODELS}


@every_stream
def test_schema_is_valid(stream: str) -> None:
    Draft7Validator.check_schema(SCHEMAS[stream])


@every_stream
def test_schema_is_an_object_with_properties(stream: str) -> None:
    assert SCHEMAS[stream].keys() == {"type", "properties"}
    assert SCHEMAS[stream]["type"] == "object"


@every_stream
def test_only_type_and_format_restrict_values(stream: str) -> None:
    assert {path: schema.keys() - KEYWORDS for path, schema in below(SCHEMAS[stream])} == {
        path: set() for path, _ in below(SCHEMAS[stream])
    }


@every_stream
def test_only_keys_and_changed_at_are_not_nullable(stream: str) -> None:
    not_nullable = {path for path, schema in below(SCHEMAS[stream]) if "null" not in schema["type"]}
    assert not_nullable == {".id", ".integration_id", ".changed_at"} & {
        path for path, _ in below(SCHEMAS[stream])
    }


@every_stream
def test_keys_are_strings(stream: str) -> None:
    assert columns(stream)["id"]["type"] == "string"
    assert columns(stream)["integration_id"]["type"] == "string"


@every_stream
def test_no_property_is_always_null(stream: str) -> None:
    assert not [path for path, schema in below(SCHEMAS[stream]) if schema["type"] == ["null"]]


@every_stream
def test_property_has_one_type_or_several_scalar_types_or_is_any_json(stream: str) -> None:
    for path, schema in below(SCHEMAS[stream]):
        types = schema["type"]
        if isinstance(types, list) and types != ANY_JSON and len(types) > 2:
            assert not {"array", "object"} & set(types), path
            assert types == [*sorted(set(types) - {"null"}), "null"], path


@every_stream
def test_items_of_arrays_have_a_type(stream: str) -> None:
    arrays = [
        (path, schema)
        for path, schema in below(SCHEMAS[stream])
        if "array" in schema["type"] and schema["type"] != ANY_JSON
    ]
    assert not [path for path, schema in arrays if not schema.get("items", {}).get("type")]


@every_stream
def test_object_has_properties_or_is_free_form(stream: str) -> None:
    for path, schema in below(SCHEMAS[stream]):
        if "object" in schema["type"] and schema["type"] != ANY_JSON:
            assert schema["properties"] or without_description(schema) == FREE_FORM, path
            assert schema["properties"] == {} or "additionalProperties" not in schema, path


@every_stream
@pytest.mark.parametrize("name", ["custom_fields", "remote_data"])
def test_fields_of_customers_and_tools_are_free_form(stream: str, name: str) -> None:
    found = [schema for path, schema in below(SCHEMAS[stream]) if path.endswith(f".{name}")]
    assert all(without_description(schema) == FREE_FORM for schema in found)


@every_stream
def test_integration_fields_may_have_any_value(stream: str) -> None:
    fields = [s for path, s in below(SCHEMAS[stream]) if path.endswith(".integration_fields")]
    for field in fields:
        items = field["items"]["properties"]
        assert items["value"] == {"type": ANY_JSON}
        assert items.keys() >= {"id", "key", "type", "value", "label"}


@every_stream
def test_only_dates_and_times_have_a_format(stream: str) -> None:
    formats = {path: s["format"] for path, s in below(SCHEMAS[stream]) if "format" in s}
    assert set(formats.values()) <= {"date", "date-time"}
    for path in formats:
        assert "string" in dict(below(SCHEMAS[stream]))[path]["type"]


@every_stream
def test_fields_of_the_tap_come_last(stream: str) -> None:
    own = ["integration_id", "_sdc_deleted_at", "additional_fields"]
    if "remote_deleted_at" not in columns(stream):
        own.remove("_sdc_deleted_at")
    assert list(columns(stream))[-len(own) :] == own


@every_stream
def test_additional_fields_is_free_form(stream: str) -> None:
    assert without_description(columns(stream)["additional_fields"]) == FREE_FORM


def test_only_positions_and_sizes_are_integers() -> None:
    """Other numbers may have a fraction, which an integer column would cut off."""
    integers = {
        path.rpartition(".")[2]
        for schema in SCHEMAS.values()
        for path, inner in below(schema)
        if "integer" in inner["type"] and inner["type"] != ANY_JSON
    }
    assert integers == {"index", "max_length", "max_file_size_bytes"}


@pytest.mark.parametrize(
    ("stream", "name", "expected"),
    [
        ("hris_absences", "start_date", {"type": ["string", "null"], "format": "date"}),
        ("hris_absences", "end_date", {"type": ["string", "null"], "format": "date"}),
        ("hris_absences", "start_time", {"type": ["string", "null"]}),
        ("hris_absences", "end_time", {"type": ["string", "null"]}),
        ("hris_pay_runs", "start_date", {"type": ["string", "null"], "format": "date"}),
        ("hris_employees", "start_date", {"type": ["string", "null"], "format": "date-time"}),
        ("hris_employees", "date_of_birth", {"type": ["string", "null"], "format": "date-time"}),
        ("hris_timesheets", "payable_hours", {"type": ["number", "null"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_times_and_amounts_have_the_types_that_kombo_sends(
    stream: str, name: str, expected: Schema
) -> None:
    assert without_description(columns(stream)[name]) == expected


def test_models_of_an_integration_are_a_separate_stream() -> None:
    assert "read_models" not in columns("integrations")
    assert columns("integration_models").keys() >= {
        *("id", "label", "is_available", "coverage_status"),
        *("scope_config_setting", "opted_out_by_customer", "fields", "stream"),
    }


def test_filters_of_every_stream_are_known() -> None:
    filters = known_filters()

    assert filters.keys() == SCHEMAS.keys()
    assert "outcomes" in filters["ats_applications"]
    assert "custom_fields" in filters["hris_employees"]


def test_parameters_that_the_tap_sets_are_not_filters() -> None:
    names = {name for known in known_filters().values() for name in known}

    assert names.isdisjoint({*OWN_PARAMS, "integration_id"})
