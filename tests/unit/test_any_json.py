"""Random JSON as records: the output is valid against the SCHEMA, and no value is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker
from msgspec import Raw
from singer_sdk.singerlib import SelectionMask

from tap_kombo.errors import KomboError
from tap_kombo.records import OWN_FIELDS, RecordEncoder
from tap_kombo.streams import MODELS, KomboStream
from tap_kombo.tap import TapKombo

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
FORMATS = FormatChecker(())

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
DAYS = st.builds("{:04}-{:02}-{:02}".format, st.integers(0, 9999), *[st.integers(0, 32)] * 2)
TIMES = st.builds("{}T{:02}:{:02}:00{}Z".format, DAYS, *[st.integers(0, 61)] * 2, TEXTS)
VALID_DAYS = st.dates().map(str)
VALID_TIMES = st.datetimes().map(lambda time: f"{time.isoformat(timespec='milliseconds')}Z")
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS | DAYS | TIMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@FORMATS.checks("date")
def is_date(value: object) -> bool:
    return not isinstance(value, str) or has_format(value, "%Y-%m-%d")


@FORMATS.checks("date-time")
def is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    return any(has_format(value, f) for f in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"))


def has_format(text: str, time_format: str) -> bool:
    try:
        datetime.strptime(text, time_format)  # noqa: DTZ007  # the result is not used
    except ValueError:
        return False
    return True


def nearly_valid(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Draw mostly values that are valid against a schema, and sometimes any JSON."""
    valid = mostly_valid(schema)
    return st.one_of(valid, valid, DAYS | TIMES, ANYTHING)


def mostly_valid(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "string": {"date": VALID_DAYS, "date-time": VALID_TIMES}.get(
            schema.get("format", ""), TEXTS
        ),
        "integer": st.integers(-(2**65), 2**65),
        "number": NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
        "array": st.deferred(lambda: st.lists(nearly_valid(schema.get("items", {})), max_size=2)),
        "object": st.deferred(lambda: some_fields(schema.get("properties", {}))),
    }
    names = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type", "null")]
    return st.one_of(*(by_type[name] for name in names))


@cache
def properties_of(stream: str) -> dict[str, Any]:
    properties: dict[str, Any] = streams()[stream].schema["properties"]
    return {name: schema for name, schema in properties.items() if name not in OWN_FIELDS}


@st.composite
def complete_record(draw: st.DrawFn, properties: dict[str, Any]) -> dict[str, Any]:
    """Draw a record with all fields, so that most can be emitted unchanged."""
    record = {name: draw(mostly_valid(schema)) for name, schema in properties.items()}
    return record | draw(st.just({}) | some_fields(properties))


@st.composite
def some_fields(draw: st.DrawFn, properties: dict[str, Any]) -> dict[str, Any]:
    """Draw a few fields of a schema, and perhaps others."""
    names = draw(st.lists(st.sampled_from(sorted(properties)), max_size=4)) if properties else []
    others = draw(st.dictionaries(TEXTS, ANYTHING, max_size=2))
    return others | {name: draw(nearly_valid(properties[name])) for name in names}


@cache
def streams() -> dict[str, KomboStream]:
    return TapKombo(config={"api_key": "k", "integration_ids": ["a:b"]}).kombo_streams


@cache
def encoder_of(stream: str) -> tuple[RecordEncoder, Draft7Validator]:
    found = streams()[stream]
    return found.record_encoder(), Draft7Validator(found.effective_schema, format_checker=FORMATS)


@pytest.mark.parametrize("stream", [model.name for model in MODELS])
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_json_becomes_a_valid_record_with_all_its_values(
    stream: str, data: st.DataObject
) -> None:
    encoder, validator = encoder_of(stream)
    properties = properties_of(stream)
    records = st.one_of(complete_record(properties), some_fields(properties))
    page = data.draw(st.lists(records, min_size=1, max_size=3))

    try:
        texts = encoder.encode([Raw(json.dumps(record).encode()) for record in page], "a:b", NOW)
    except KomboError:
        assert not all(isinstance(record.get("id"), str) for record in page)
        return

    for record, text in zip(page, texts, strict=True):
        emitted = json.loads(text)
        validator.validate(emitted)
        assert_has_all_values(emitted, json.loads(json.dumps(record)))


def assert_has_all_values(emitted: dict[str, Any], record: dict[str, Any]) -> None:
    additional = emitted["additional_fields"] or {}
    for name, value in record.items():
        is_in_column = name in emitted and emitted[name] == value
        is_additional = name in additional and additional[name] == value
        assert is_in_column != is_additional, name


@pytest.mark.parametrize("stream", [model.name for model in MODELS])
@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_record_emitted_unchanged_equals_the_one_encoded_field_by_field(
    stream: str, data: st.DataObject
) -> None:
    found = streams()[stream]
    encoder, _ = encoder_of(stream)
    # If any field is deselected, even one that no record has, records are encoded field by field.
    mask = SelectionMask({**found.mask, ("properties", "no such field"): False})
    by_field = RecordEncoder(stream, found.effective_schema, mask)
    page = data.draw(st.lists(complete_record(properties_of(stream)), min_size=1, max_size=3))
    records = [Raw(json.dumps(record).encode()) for record in page]

    def encode(encoder: RecordEncoder) -> list[Any] | str:
        try:
            return [json.loads(text) for text in encoder.encode(records, "a:b", NOW)]
        except KomboError as error:
            return str(error)

    assert encode(encoder) == encode(by_field)
