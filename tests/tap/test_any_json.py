"""Whatever JSON stands in a record: it is valid against the SCHEMA, and nothing of it is lost."""

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
from tap_kombo.records import OWN_FIELDS, RecordShape
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
    return not isinstance(value, str) or is_read(value, "%Y-%m-%d")


@FORMATS.checks("date-time")
def is_time(value: object) -> bool:
    if not isinstance(value, str):
        return True
    return any(is_read(value, form) for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S.%fZ"))


def is_read(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)  # noqa: DTZ007  # only whether it is one
    except ValueError:
        return False
    return True


def near(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Mostly what a schema wants, and sometimes anything, at any depth."""
    wanted = wanted_by(schema)
    return st.one_of(wanted, wanted, DAYS | TIMES, ANYTHING)


def wanted_by(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "string": {"date": VALID_DAYS, "date-time": VALID_TIMES}.get(
            schema.get("format", ""), TEXTS
        ),
        "integer": st.integers(-(2**65), 2**65),
        "number": NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
        "array": st.deferred(lambda: st.lists(near(schema.get("items", {})), max_size=2)),
        "object": st.deferred(lambda: fields_near(schema.get("properties", {}))),
    }
    names = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type", "null")]
    return st.one_of(*(by_type[name] for name in names))


@cache
def properties_of(stream: str) -> dict[str, Any]:
    properties: dict[str, Any] = streams()[stream].schema["properties"]
    return {name: schema for name, schema in properties.items() if name not in OWN_FIELDS}


@st.composite
def whole_record(draw: st.DrawFn, properties: dict[str, Any]) -> dict[str, Any]:
    """All fields, as wanted but for one or two perhaps: mostly its text can go out as it is."""
    record = {name: draw(wanted_by(schema)) for name, schema in properties.items()}
    return record | draw(st.just({}) | fields_near(properties))


@st.composite
def fields_near(draw: st.DrawFn, properties: dict[str, Any]) -> dict[str, Any]:
    """A few of the fields, because what is not there is always null, and perhaps others."""
    names = draw(st.lists(st.sampled_from(sorted(properties)), max_size=4)) if properties else []
    others = draw(st.dictionaries(TEXTS, ANYTHING, max_size=2))
    return others | {name: draw(near(properties[name])) for name in names}


@cache
def streams() -> dict[str, KomboStream]:
    tap = TapKombo(config={"api_key": "k", "integration_ids": ["a:b"]})
    return {name: s for name, s in tap.streams.items() if isinstance(s, KomboStream)}


@cache
def shape_of(stream: str) -> tuple[RecordShape, Draft7Validator]:
    found = streams()[stream]
    return found.record_shape(), Draft7Validator(found.effective_schema, format_checker=FORMATS)


@pytest.mark.parametrize("stream", [model.name for model in MODELS])
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_json_is_valid_against_its_schema_and_kept(stream: str, data: st.DataObject) -> None:
    shape, validator = shape_of(stream)
    properties = properties_of(stream)
    records = st.one_of(whole_record(properties), fields_near(properties))
    page = data.draw(st.lists(records, min_size=1, max_size=3))

    try:
        texts = shape.texts([Raw(json.dumps(record).encode()) for record in page], "a:b", NOW)
    except KomboError:
        assert not all(isinstance(record.get("id"), str) for record in page)
        return

    for record, text in zip(page, texts, strict=True):
        shaped = json.loads(text)
        validator.validate(shaped)
        assert_is_kept(json.loads(json.dumps(record)), shaped)


def assert_is_kept(record: dict[str, Any], shaped: dict[str, Any]) -> None:
    additional = shaped["additional_fields"] or {}
    for name, value in record.items():
        is_in_its_column = name in shaped and shaped[name] == value
        is_told = name in additional and additional[name] == value
        assert is_in_its_column or is_told, name
        assert not (is_in_its_column and is_told), name


@pytest.mark.parametrize("stream", [model.name for model in MODELS])
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_text_that_goes_out_as_it_came_says_what_the_slow_way_says(
    stream: str, data: st.DataObject
) -> None:
    """The slow way alone is taken where something is deselected, be it of no consequence."""
    found = streams()[stream]
    fast, _ = shape_of(stream)
    slow = RecordShape(stream, found.effective_schema, NoPassage(found.mask))
    page = data.draw(st.lists(whole_record(properties_of(stream)), min_size=1, max_size=3))
    raws = [Raw(json.dumps(record).encode()) for record in page]

    def said(shape: RecordShape) -> list[Any] | str:
        try:
            return [json.loads(text) for text in shape.texts(raws, "a:b", NOW)]
        except KomboError as error:
            return str(error)

    assert said(fast) == said(slow)


class NoPassage(SelectionMask):
    """A mask with something deselected that is in no record."""

    def __init__(self, mask: SelectionMask) -> None:
        super().__init__({**mask, ("properties", "no such field"): False})
