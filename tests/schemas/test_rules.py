"""What holds for every schema, so that no record of Kombo's can ever contradict its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

import tap_kombo

Schema = dict[str, Any]

PACKAGE = Path(tap_kombo.__file__).parent
SCHEMAS = {
    path.stem: json.loads(path.read_text("utf-8")) for path in PACKAGE.glob("schemas/*.json")
}
ANY_JSON = ["array", "boolean", "integer", "null", "number", "object", "string"]
FREE_FORM = {"type": ["object", "null"], "properties": {}, "additionalProperties": True}
SAID = {"type", "format", "description", "properties", "items", "additionalProperties"}

every_stream = pytest.mark.parametrize("stream", sorted(SCHEMAS))


def columns(stream: str) -> dict[str, Schema]:
    found: dict[str, Schema] = SCHEMAS[stream]["properties"]
    return found


def below(schema: Schema, where: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema below another, with its path."""
    inner = {f".{name}": child for name, child in schema.get("properties", {}).items()}
    if "items" in schema:
        inner["[]"] = schema["items"]
    for step, child in inner.items():
        yield where + step, child
        yield from below(child, where + step)


def without_description(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key != "description"}


def test_there_are_forty_streams() -> None:
    assert len(SCHEMAS) == 40


@every_stream
def test_a_schema_compiles(stream: str) -> None:
    Draft7Validator.check_schema(SCHEMAS[stream])


@every_stream
def test_a_schema_is_an_object_of_properties_and_nothing_else(stream: str) -> None:
    assert SCHEMAS[stream].keys() == {"type", "properties"}
    assert SCHEMAS[stream]["type"] == "object"


@every_stream
def test_nothing_restricts_values_but_type_and_format(stream: str) -> None:
    assert {path: schema.keys() - SAID for path, schema in below(SCHEMAS[stream])} == {
        path: set() for path, _ in below(SCHEMAS[stream])
    }


@every_stream
def test_only_the_key_and_changed_at_are_never_null(stream: str) -> None:
    never_null = {path for path, schema in below(SCHEMAS[stream]) if "null" not in schema["type"]}
    assert never_null == {".id", ".integration_id", ".changed_at"} & {
        path for path, _ in below(SCHEMAS[stream])
    }


@every_stream
def test_the_key_is_there(stream: str) -> None:
    assert columns(stream)["id"]["type"] == "string"
    assert columns(stream)["integration_id"]["type"] == "string"


@every_stream
def test_no_property_can_be_null_alone(stream: str) -> None:
    assert not [path for path, schema in below(SCHEMAS[stream]) if schema["type"] == ["null"]]


@every_stream
def test_a_value_has_one_type_or_several_scalar_ones_or_is_any_json(stream: str) -> None:
    for path, schema in below(SCHEMAS[stream]):
        types = schema["type"]
        if isinstance(types, list) and types != ANY_JSON and len(types) > 2:
            assert not {"array", "object"} & set(types), path
            assert types == [*sorted(set(types) - {"null"}), "null"], path


@every_stream
def test_arrays_say_what_their_items_are(stream: str) -> None:
    arrays = [
        (path, schema)
        for path, schema in below(SCHEMAS[stream])
        if "array" in schema["type"] and schema["type"] != ANY_JSON
    ]
    assert not [path for path, schema in arrays if not schema.get("items", {}).get("type")]


@every_stream
def test_objects_list_their_properties_or_are_free_form(stream: str) -> None:
    for path, schema in below(SCHEMAS[stream]):
        if "object" in schema["type"] and schema["type"] != ANY_JSON:
            assert schema["properties"] or without_description(schema) == FREE_FORM, path
            assert schema["properties"] == {} or "additionalProperties" not in schema, path


@every_stream
@pytest.mark.parametrize("name", ["custom_fields", "remote_data"])
def test_what_the_customer_decides_is_free_form_everywhere(stream: str, name: str) -> None:
    found = [schema for path, schema in below(SCHEMAS[stream]) if path.endswith(f".{name}")]
    assert all(without_description(schema) == FREE_FORM for schema in found)


@every_stream
def test_integration_fields_hold_any_value(stream: str) -> None:
    fields = [s for path, s in below(SCHEMAS[stream]) if path.endswith(".integration_fields")]
    for field in fields:
        items = field["items"]["properties"]
        assert items["value"] == {"type": ANY_JSON}
        assert items.keys() >= {"id", "key", "type", "value", "label"}


@every_stream
def test_only_dates_and_iso_times_have_a_format(stream: str) -> None:
    formats = {path: s["format"] for path, s in below(SCHEMAS[stream]) if "format" in s}
    assert set(formats.values()) <= {"date", "date-time"}
    for path in formats:
        assert "string" in dict(below(SCHEMAS[stream]))[path]["type"]


@every_stream
def test_the_taps_own_fields_come_last(stream: str) -> None:
    own = ["integration_id", "_sdc_deleted_at", "additional_fields"]
    if "remote_deleted_at" not in columns(stream):
        own.remove("_sdc_deleted_at")
    assert list(columns(stream))[-len(own) :] == own


@every_stream
def test_additional_fields_are_free_form(stream: str) -> None:
    assert without_description(columns(stream)["additional_fields"]) == FREE_FORM


def test_whole_numbers_are_places_and_sizes() -> None:
    """Anything else may come with a fraction, which a column of whole numbers would cut off."""
    whole = {
        path.rpartition(".")[2]
        for schema in SCHEMAS.values()
        for path, inner in below(schema)
        if "integer" in inner["type"] and inner["type"] != ANY_JSON
    }
    assert whole == {"index", "max_length", "max_file_size_bytes"}


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
def test_times_and_amounts_are_what_kombo_writes(stream: str, name: str, expected: Schema) -> None:
    assert without_description(columns(stream)[name]) == expected


def test_the_models_of_an_integration_are_rows_of_their_own() -> None:
    assert "read_models" not in columns("integrations")
    assert columns("integration_models").keys() >= {
        *("id", "label", "is_available", "coverage_status"),
        *("scope_config_setting", "opted_out_by_customer", "fields"),
    }


def test_filters_are_known_for_every_stream_and_none_of_them_is_the_taps() -> None:
    filters = json.loads((PACKAGE / "filters.json").read_text("utf-8"))
    taps = {"cursor", "page_size", "updated_after", "include_deleted", "integration_id"}
    assert filters.keys() == SCHEMAS.keys()
    assert not [stream for stream, known in filters.items() if taps & known.keys()]
    assert filters["ats_applications"]["outcomes"] == "list"
    assert filters["hris_employees"]["custom_fields"] == "string"
