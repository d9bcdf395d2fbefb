"""Kombo's records as RECORD bodies: valid against the SCHEMA, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import jsonschema
import pytest
from msgspec import Raw

from harness.tap import catalog_with
from tap_kombo.errors import KomboError
from tap_kombo.records import OWN_FIELDS, RecordEncoder
from tap_kombo.streams import KomboStream
from tap_kombo.tap import TapKombo

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
CHANGED_AT = "2026-01-30T12:00:00.000Z"
DEEP = '{"a":' * 200 + "null" + "}" * 200
TIME = "remote_created_at"

ODD: dict[str, tuple[str, str, Any, Any]] = {
    # name: field, JSON that Kombo sends, content of the column, content of additional_fields
    "unknown field": ("invented_later", '{"a": [1, null]}', None, {"a": [1, None]}),
    "unknown value": ("status", '"ON_HOLD"', "ON_HOLD", None),
    "number for a string": ("status", "4711", None, 4711),
    "object for a string": ("status", '{"x": "y"}', None, {"x": "y"}),
    "list for an object": ("application", "[1, 2]", None, [1, 2]),
    "string for a list": ("integration_fields", '"none"', None, "none"),
    "nested number for a string": (
        "application",
        '{"candidate": {"first_name": 7}, "job": null}',
        None,
        {"candidate": {"first_name": 7}, "job": None},
    ),
    "unknown nested field": (
        "application",
        '{"candidate": {"first_name": "A", "shoe_size": 44}, "job": null, "new": 1}',
        {"candidate": {"first_name": "A", "shoe_size": 44}, "job": None, "new": 1},
        None,
    ),
    "object with 200 levels": ("remote_data", DEEP, json.loads(DEEP), None),
    "integer of 100 bits": ("remote_data", f'{{"n": {2**100}}}', {"n": 2**100}, None),
    "escaped line break": ("status", '"a\\nb"', "a\nb", None),
    "line separator": ("status", '"a\u2028b"', "a\u2028b", None),
    "any JSON as a field's value": (
        "integration_fields",
        '[{"id":"1","key":"k","type":"CUSTOM","label":null,"value":[1,{"a":null},"x"]}]',
        [{"id": "1", "key": "k", "type": "CUSTOM", "label": None, "value": [1, {"a": None}, "x"]}],
        None,
    ),
    "time": (TIME, '"2026-01-31T12:00:00Z"', "2026-01-31T12:00:00Z", None),
    "time in year 1": (TIME, '"0001-01-01T00:00:00Z"', "0001-01-01T00:00:00Z", None),
    "time with an offset": (
        TIME,
        '"2026-01-31T12:00:00+02:00"',
        "2026-01-31T10:00:00.000Z",
        None,
    ),
    "time with an offset without a colon": (
        TIME,
        '"2026-01-31T12:00:00+0200"',
        "2026-01-31T10:00:00.000Z",
        None,
    ),
    "time with an offset and without seconds": (
        TIME,
        '"2026-01-31T12:00+02:00"',
        "2026-01-31T10:00:00.000Z",
        None,
    ),
    "time with an offset in year 1": (
        TIME,
        '"0001-01-02T00:00:00+02:00"',
        "0001-01-01T22:00:00.000Z",
        None,
    ),
    **{
        f"{text!r} for a time": (TIME, json.dumps(text), None, text)
        for text in (
            "0001-01-01T00:00:00+02:00",
            "2026-01-31T12:00:00Z\n",
            "\uff12026-01-31T12:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31",
            "2026-02-30T12:00:00Z",
            "last week",
            "",
        )
    },
}


@cache
def stream_of(name: str, *deselected: str) -> KomboStream:
    catalog = catalog_with(name, deselected=deselected)
    tap = TapKombo(config={"api_key": "k", "integration_ids": ["a:b"]}, catalog=catalog)
    return tap.kombo_streams[name]


def encode(
    changes: Iterable[Mapping[str, str]], stream: str = "ats_offers", *deselected: str
) -> list[str]:
    """Encode a record for each of these changes: field -> JSON."""
    schema = stream_of(stream).schema
    fields = dict.fromkeys(schema["properties"].keys() - OWN_FIELDS, "null")
    fields |= {"id": '"1"', "changed_at": json.dumps(CHANGED_AT)}
    records = [
        "{" + ",".join(f'"{name}":{text}' for name, text in {**fields, **change}.items()) + "}"
        for change in changes
    ]
    # A new encoder, because each warns only once per field.
    encoder = stream_of(stream, *deselected).record_encoder()
    encoded = encoder.encode([Raw(record.encode()) for record in records], "a:b", NOW)
    return [text.decode() for text in encoded]


def encode_one(change: Mapping[str, str], *deselected: str, stream: str = "ats_offers") -> Any:
    [text] = encode([change], stream, *deselected)
    return json.loads(text)


@pytest.mark.parametrize(("field", "sent", "column", "additional"), ODD.values(), ids=ODD)
def test_value_is_in_its_column_or_in_additional_fields(
    field: str, sent: str, column: Any, additional: Any
) -> None:
    record = encode_one({field: sent})

    assert record.get(field) == column
    assert record["additional_fields"] == (None if additional is None else {field: additional})
    jsonschema.Draft7Validator(dict(stream_of("ats_offers").schema)).validate(record)


@pytest.mark.parametrize(
    ("field", "time_of_day"), [("changed_at", "T12:00:00Z"), ("start_date", "")], ids=str
)
def test_date_must_exist_in_the_calendar(field: str, time_of_day: str) -> None:
    days = [
        f"{year:04}-{month:02}-{day:02}"
        for year in (0, 1, 1900, 2000, 2023, 2024, 2100, 9999)
        for month in range(14)
        for day in (0, 1, 28, 29, 30, 31, 32)
    ]

    texts = encode([{field: json.dumps(day + time_of_day)} for day in days], "hris_absences")

    for day, record in zip(days, map(json.loads, texts), strict=True):
        exists = is_in_calendar(day)
        assert (record[field] == day + time_of_day) == exists, day
        assert record["additional_fields"] == (None if exists else {field: day + time_of_day})


def is_in_calendar(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


def stage_with(index: str) -> dict[str, str]:
    return {"current_stage": f'{{"id":"s","name":"Screening","index":{index}}}'}


@pytest.mark.parametrize(
    ("sent", "emitted"), [("1.0", "1"), ("-2e3", "-2000"), ("-0.0", "0"), ("7", "7")]
)
def test_whole_number_is_an_integer_however_it_is_written(sent: str, emitted: str) -> None:
    [text] = encode([stage_with(sent)], "ats_applications")

    assert f'"index":{emitted}' in text
    assert json.loads(text)["additional_fields"] is None


@pytest.mark.parametrize("sent", ["1.5", "1e30", "1e999", str(2**63)])
def test_number_that_is_not_a_64_bit_integer_is_in_additional_fields(sent: str) -> None:
    [text] = encode([stage_with(sent)], "ats_applications")

    assert json.loads(text)["current_stage"] is None
    assert f'"additional_fields":{{"current_stage":{stage_with(sent)["current_stage"]}}}' in text


@pytest.mark.parametrize("number", ["123456789.123456789012345678", "-0.10", "1E+2"])
@pytest.mark.parametrize("deselected", [(), ("ats_jobs.remote_id",)], ids=["all", "some"])
def test_number_keeps_all_its_digits(number: str, deselected: tuple[str, ...]) -> None:
    [text] = encode([{"salary_amount": number}], "ats_jobs", *deselected)

    assert f'"salary_amount":{number}' in text


@pytest.mark.parametrize("number", ["7" * 5000, "1e999999999"], ids=["5000 digits", "exponent"])
def test_number_of_any_length_is_kept(number: str) -> None:
    [text] = encode([{"status": number}])

    assert f'"additional_fields":{{"status":{number}}}' in text


@pytest.mark.parametrize(
    "value",
    ['{"a":' + "7" * 5000 + "}", '{"a":1e99999999999999999999}'],
    ids=["5000 digits", "exponent"],
)
@pytest.mark.parametrize("field", ["application", "status"])
def test_value_that_cannot_be_decoded_is_not_in_its_column(
    field: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A partly deselected value is omitted, because its parts cannot be removed."""
    [text] = encode([{field: value}], "ats_offers", "ats_offers.application.candidate")

    assert f'"{field}":null' in text
    assert (value in text) == (field == "status")
    assert f"`{field}`" in caplog.text


# Deselected fields


def test_deselected_field_is_neither_in_its_column_nor_in_additional_fields() -> None:
    record = encode_one({"status": '{"a": "b"}'}, "ats_offers.status")

    assert "status" not in record
    assert record["additional_fields"] is None


def test_invalid_value_with_deselected_parts_is_omitted() -> None:
    record = encode_one(
        {"application": '[{"candidate": {"first_name": "Ada"}}]'},
        "ats_offers.application.candidate.first_name",
    )

    assert record["application"] is None
    assert record["additional_fields"] is None


@pytest.mark.parametrize(
    ("emails", "column"),
    [
        ('[{"type":"WORK","email_address":"t@x","new":1}]', [{"type": "WORK", "new": 1}]),
        ('[{"email_address":["t@x"]}, {}]', [{}, {}]),
        ('["t@x", null, 7, ["t@x"], [{"email_address": "t@x"}]]', [None, None, None, None, None]),
        ('{"email_address": "t@x"}', None),
        ('"t@x"', None),
        ("null", None),
        ("[]", []),
    ],
)
def test_field_in_a_list_is_removed_from_each_item(emails: str, column: object) -> None:
    deselected = "ats_candidates.email_addresses.email_address"

    record = encode_one({"email_addresses": emails}, deselected, stream="ats_candidates")

    assert record["email_addresses"] == column
    assert record["additional_fields"] is None


def test_fields_are_removed_from_objects_in_a_list() -> None:
    record = encode_one(
        {"screening_question_answers": '[{"question":{"title":"t","type":"x"},"answer":{"a":1}}]'},
        "ats_applications.screening_question_answers.question.title",
        "ats_applications.screening_question_answers.answer",
        stream="ats_applications",
    )

    assert record["screening_question_answers"] == [{"question": {"type": "x"}}]


def test_if_all_fields_in_a_list_are_deselected_its_objects_are_empty() -> None:
    record = encode_one(
        {"tags": '[{"id":"1","name":"t"},{"id":"2","remote_id":"t"}]'},
        *(f"ats_candidates.tags.{field}" for field in ("id", "name", "remote_id")),
        stream="ats_candidates",
    )

    assert record["tags"] == [{}, {}]


def test_deleted_at_is_set_while_remote_deleted_at_is_deselected() -> None:
    record = encode_one({"remote_deleted_at": f'"{CHANGED_AT}"'}, "ats_offers.remote_deleted_at")

    assert record["_sdc_deleted_at"] == CHANGED_AT
    assert "remote_deleted_at" not in record


# Warnings


def test_each_field_causes_one_warning_without_its_value(caplog: pytest.LogCaptureFixture) -> None:
    encode([{"status": "4711"}, {"status": "4711"}, {TIME: '"last week"'}])

    assert [message.partition(";")[0] for message in caplog.messages] == [
        "ats_offers: a value of `status` does not have its declared type",
        f"ats_offers: a value of `{TIME}` does not have its declared type",
    ]
    assert "4711" not in caplog.text
    assert "last week" not in caplog.text


def test_warning_says_that_additional_fields_has_the_value(
    caplog: pytest.LogCaptureFixture,
) -> None:
    encode([{"status": "4711"}])

    assert "the value is kept in `additional_fields`" in caplog.text


def test_warning_says_that_the_value_is_omitted(caplog: pytest.LogCaptureFixture) -> None:
    encode([{"status": "4711"}], "ats_offers", "ats_offers.additional_fields")

    assert "the value is omitted" in caplog.text


def test_mapped_field_with_an_invalid_value_is_omitted() -> None:
    stream = stream_of("ats_offers")
    encoder = RecordEncoder("ats_offers", stream.effective_schema, stream.mask, {"status"})

    [text] = encoder.encode([Raw(b'{"id":"1","changed_at":null,"status":4711}')], "a:b", NOW)

    assert b"4711" not in text


# Keys and deleted records


def test_emptied_record_keeps_its_key_and_gets_the_time_of_the_response(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Kombo empties records 14 days after it no longer finds them in the tool."""
    record = encode_one({"changed_at": "null", "remote_deleted_at": f'"{CHANGED_AT}"'})

    assert record["id"] == "1"
    assert record["_sdc_deleted_at"] == CHANGED_AT
    assert record["changed_at"] == "2026-01-31T12:00:00.000Z"
    assert record["additional_fields"] == {"changed_at": None}
    assert "the column is set to the time of Kombo's response" in caplog.text


@pytest.mark.parametrize("key", ["null", "7", '{"a": "Ada"}'])
def test_record_without_a_key_is_an_error(key: str) -> None:
    with pytest.raises(KomboError, match="A record of ats_offers has no valid `id`") as caught:
        encode([{"id": key}])

    assert "Ada" not in str(caught.value)
