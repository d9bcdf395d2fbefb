"""The checks of the setting `stream_maps`, without a run of the tap."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tap_kombo import stream_maps
from tap_kombo.tap import STREAMS

CANDIDATES = "ats_candidates"

NULLABLE_TEXT = {"type": ["string", "null"]}


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ({"ats_candidate": {"last_name": None}}, ["no stream ats_candidate ", CANDIDATES]),
        ({"ats_candidate": None}, ["no stream ats_candidate ", CANDIDATES]),
        ({"crm_*": {"last_name": None}}, ["no stream crm_*"]),
        ({"people": {"last_name": None}}, ["no stream people"]),
        ({"people": {"__source__": "ats_candidats"}}, ["no stream ats_candidats", CANDIDATES]),
        ({"people": {"__source__": None}}, ["no stream None"]),
        ({"people": {"__source__": ""}}, ["no stream"]),
        ({"people": {"__source__": [CANDIDATES]}}, ["no stream"]),
    ],
    ids=repr,
)
def test_mapped_stream_must_exist(maps: dict[str, Any], words: list[str]) -> None:
    [sentence] = stream_maps.check(maps, STREAMS)

    assert sentence.startswith("`stream_maps.")
    assert "there is" in sentence
    assert [word for word in words if word not in sentence] == []


@pytest.mark.parametrize(
    "maps",
    [
        {CANDIDATES: {"lastname": None}},
        {CANDIDATES: {"lastname": "__NULL__"}},
        {"people": {"__source__": CANDIDATES, "lastname": None}},
        {"hris_*": {"lastname": None}},
    ],
    ids=repr,
)
def test_removed_field_must_exist(maps: dict[str, Any]) -> None:
    [sentence] = stream_maps.check(maps, STREAMS)

    assert "there is no field lastname (did you mean last_name?)" in sentence


@pytest.mark.parametrize(
    ("maps", "name"),
    [
        ({"*": {"remote_data": None}, CANDIDATES: {"last_name": None}}, CANDIDATES),
        ({CANDIDATES: {"__source__": CANDIDATES, "last_name": None}}, CANDIDATES),
        ({"ats_jobs": {"__source__": CANDIDATES}}, "ats_jobs"),
        ({"ats_*": {"__source__": "ats_*", "last_name": None}}, "ats_application_stages"),
    ],
    ids=repr,
)
def test_two_streams_must_not_have_the_same_name(maps: dict[str, Any], name: str) -> None:
    [sentence] = stream_maps.check(maps, STREAMS)

    assert f"another map or stream already makes {name}" in sentence
    assert "another name" in sentence


@pytest.mark.parametrize(
    "maps",
    [
        None,
        {},
        {"__else__": None},
        {CANDIDATES: None},
        {CANDIDATES: {"last_name": None, "shoe_size": "44", "__alias__": "people"}},
        {CANDIDATES: {"id": "id", "__else__": None}},
        {CANDIDATES: {"additional_fields": None, "__filter__": "first_name"}},
        {CANDIDATES: None, "people": {"__source__": CANDIDATES, "last_name": None}},
        {"hris_*": {"last_name": None}, "ats_*": {"remote_data": None}},
    ],
    ids=repr,
)
def test_valid_maps_are_accepted(maps: dict[str, Any] | None) -> None:
    assert list(stream_maps.check(maps, STREAMS)) == []


@pytest.mark.parametrize("use", ["config['salt']", 'config["salt"]', "config.get('salt')"])
@pytest.mark.parametrize("salt", [None, "", " ", 7, "${MASKING_SALT}"])
def test_maps_that_hash_with_a_salt_need_one(use: str, salt: object) -> None:
    maps = {CANDIDATES: {"last_name": f"sha256({use} + last_name)"}}

    [sentence] = stream_maps.check_salt(maps, salt)

    assert sentence.startswith("`stream_map_config.salt`: ")
    assert list(stream_maps.check_salt(maps, "a long random string")) == []


@pytest.mark.parametrize(
    "maps", [None, {CANDIDATES: None}, {CANDIDATES: {"a": "config['pepper']"}}]
)
def test_other_maps_need_no_salt(maps: dict[str, Any] | None) -> None:
    assert list(stream_maps.check_salt(maps, None)) == []


# Flattening


def test_flattened_object_that_is_null_has_all_columns() -> None:
    properties = {"id": NULLABLE_TEXT, "address__city": NULLABLE_TEXT}

    record = stream_maps.columns({"id": "1", "address": None}, properties)

    assert record == {"id": "1", "address__city": None}


def test_undeclared_nested_field_is_kept_beside_the_other_additional_fields() -> None:
    properties = {"id": NULLABLE_TEXT, "additional_fields": NULLABLE_TEXT}
    flat = {"id": "1", "additional_fields": '{"new":1.50}', "address__planet": "Earth"}

    record = stream_maps.columns(flat, properties)

    assert record == {
        "id": "1",
        "additional_fields": '{"new":1.50,"address__planet":"Earth"}',
    }


@pytest.mark.parametrize(
    ("properties", "flat"),
    [
        ({"id": NULLABLE_TEXT}, {}),
        ({"additional_fields": NULLABLE_TEXT}, {"additional_fields": "d41d8cd98f00b204"}),
    ],
    ids=["not selected", "hashed"],
)
def test_undeclared_nested_field_is_omitted_where_additional_fields_are_hidden(
    properties: dict[str, Any], flat: dict[str, Any]
) -> None:
    record = stream_maps.columns({**flat, "address__planet": "Earth"}, properties)

    assert "Earth" not in json.dumps(record)


@pytest.mark.parametrize(
    ("value", "text"),
    [("Meets", "Meets"), (3, "3"), (Decimal("4.50"), "4.50"), (True, "true"), (None, None)],
)
def test_flattened_value_of_several_types_is_text(value: object, text: str | None) -> None:
    schema = stream_maps.flattenable({"type": ["number", "string", "null"]})

    assert schema == NULLABLE_TEXT
    assert stream_maps.columns({"rating__value": value}, {"rating__value": schema}) == {
        "rating__value": text
    }


@pytest.mark.parametrize("value", [3, Decimal("4.50"), True])
def test_flattened_value_of_one_type_stays(value: object) -> None:
    schema = {"type": ["number", "boolean", "null"]}

    assert stream_maps.columns({"x": value}, {"x": schema}) == {"x": value}
