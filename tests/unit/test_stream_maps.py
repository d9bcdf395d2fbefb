"""Checks of the `stream_maps` setting, without running the tap."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tap_kombo import stream_maps
from tap_kombo.errors import InputError
from tap_kombo.tap import STREAMS, TapKombo

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
        ({"ats_jobs": {"__alias__": "x"}, "ats_j*": {"name": "name"}}, "ats_jobs"),
    ],
    ids=repr,
)
def test_stream_must_not_have_two_maps(maps: dict[str, Any], name: str) -> None:
    [sentence] = stream_maps.check(maps, STREAMS)

    assert f"another map is for {name}, too" in sentence


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("shred(last_name)", "there is no field or function shred"),
        ("sha255(last_name)", "there is no field or function sha255 (did you mean sha256?)"),
        ("md5(lastname)", "there is no field or function lastname (did you mean last_name?)"),
        ("md5(last_name) if last_name else nothing()", "nothing"),
        ("[shred(x) for x in tags]", "shred"),
        ("last_name()", "there is no function last_name"),
        ("open('/etc/passwd')", "open"),
        ("last_name.format(1)", "there is no function last_name.format"),
        ("json.dumb(record)", "there is no function json.dumb"),
        ("datetime.sys.exit()", "there is no function datetime.sys.exit"),
        ("last_name.__class__()", "there is no function last_name.__class__"),
        ("lambda: 1", "cannot have a Lambda"),
        ("md5(", "not valid Python"),
        ("x = 1", "not valid Python"),
        ("", "not valid Python"),
    ],
)
@pytest.mark.parametrize("field", ["last_name", "new", "__filter__"])
def test_function_of_an_expression_must_exist(field: str, expression: str, words: str) -> None:
    [sentence] = stream_maps.check({CANDIDATES: {field: expression}}, STREAMS)

    assert sentence.startswith(f"`stream_maps.{CANDIDATES}.{field}`: ")
    assert words in sentence


@pytest.mark.parametrize(
    "expression",
    [
        "md5(config['salt'] + last_name) if last_name else None",
        "sha256(self)",
        "last_name.upper()[:1] + str(record['id'])",
        "[tag['name'].lower() for tag in tags]",
        "datetime.datetime.fromisoformat(changed_at).date()",
        "json.dumps(tags)",
        "fake.name()",
        "f'{__stream_name__} {_}'",
        "{'id': id, 'deleted': bool(remote_deleted_at)}",
        "int(1 / 0).bit_length()",
    ],
)
def test_expression_with_existing_functions_is_accepted(expression: str) -> None:
    assert list(stream_maps.check({CANDIDATES: {"last_name": expression}}, STREAMS)) == []


@pytest.mark.parametrize(
    ("maps", "sources", "name"),
    [
        (
            {"ats_jobs": {"__alias__": "x"}, "ats_tags": {"__alias__": "x"}},
            "ats_jobs and ats_tags",
            "x",
        ),
        ({"ats_*": {"__alias__": "x"}}, "ats_application_stages and ats_applications", "x"),
        ({"x": {"__source__": "ats_*"}}, "ats_application_stages and ats_applications", "x"),
        ({"ats_jobs": {"__alias__": "ats_tags"}}, "ats_jobs and ats_tags", "ats_tags"),
        ({"ats_tags": {"__source__": "ats_jobs"}}, "ats_jobs and ats_tags", "ats_tags"),
        ({"ats_jobs": {"__source__": "ats_jobs"}}, "ats_jobs and ats_jobs", "ats_jobs"),
    ],
    ids=repr,
)
def test_two_streams_must_not_have_the_same_name(
    maps: dict[str, Any], sources: str, name: str
) -> None:
    with pytest.raises(InputError) as caught:
        TapKombo(config={"api_key": "ks_dev_1", "integration_ids": ["a:b"], "stream_maps": maps})

    assert f"{sources} would both be emitted as {name}." in str(caught.value)


@pytest.mark.parametrize(
    "maps",
    [
        {"ats_*": {"__alias__": "__stream_name__ + '_eu'"}},
        {"ats_jobs": None, "ats_tags": {"__alias__": "ats_jobs"}},
        {"ats_jobs": None, "jobs": {"__source__": "ats_jobs"}},
    ],
    ids=repr,
)
def test_streams_with_different_names_are_accepted(maps: dict[str, Any]) -> None:
    TapKombo(config={"api_key": "ks_dev_1", "integration_ids": ["a:b"], "stream_maps": maps})


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


def test_undeclared_nested_field_is_added_to_the_additional_fields() -> None:
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
def test_flattened_value_of_a_column_that_is_not_text_is_unchanged(value: object) -> None:
    schema = {"type": ["number", "boolean", "null"]}

    assert stream_maps.columns({"x": value}, {"x": schema}) == {"x": value}


@pytest.mark.parametrize("number", ["1.5", "0.1", "1.50", "12345678901234567890.12", "1e-400"])
def test_mapped_record_keeps_all_digits_of_a_number(number: str) -> None:
    tap = TapKombo(
        config={
            "api_key": "ks_dev_1",
            "integration_ids": ["a:b"],
            "stream_maps": {"ats_jobs": {"name": None}},
        }
    )
    record = b'{"custom_fields":{"x":%b}}' % number.encode()

    [(stream, text)] = stream_maps.apply(tap.mapper.stream_maps["ats_jobs"], record)

    assert stream == "ats_jobs"
    assert Decimal(json.loads(text, parse_float=str)["custom_fields"]["x"]) == Decimal(number)
