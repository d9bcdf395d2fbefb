"""Whatever Kombo sends: one line a record, valid against its SCHEMA, and nothing lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import jsonschema
import pytest

from kombo_sandbox import Sandbox
from tests.tap_run import TapRun, catalog_with, run_tap, settings_for

CLASHING = {
    name.format(number): number
    for number in range(50)
    for name in ("Cost {}", "cost {}", "COST_{}", "cost.{}", " cost{} ", "\U0001f4b6" * 40 + "{}")
}
DEEP = '{"a":' * 200 + "null" + "}" * 200

ODD: dict[str, tuple[str, Any, Any, Any]] = {
    # what: field, what Kombo sends (JSON), what the column holds, what additional_fields holds
    "an unknown field": ("invented_later", '{"a": [1, null]}', None, {"a": [1, None]}),
    "an unknown enum value": ("status", '"ON_HOLD"', "ON_HOLD", None),
    "a number where a string belongs": ("status", "4711", None, 4711),
    "an object where a string belongs": ("status", '{"x": "y"}', None, {"x": "y"}),
    "a list where an object belongs": ("application", "[1, 2]", None, [1, 2]),
    "a string where a list belongs": ("integration_fields", '"none"', None, "none"),
    "a wrong type deep inside": (
        "application",
        '{"candidate": {"first_name": 7}, "job": null}',
        None,
        {"candidate": {"first_name": 7}, "job": None},
    ),
    "an unknown field deep inside": (
        "application",
        '{"candidate": {"first_name": "A", "shoe_size": 44}, "job": null, "new": 1}',
        {"candidate": {"first_name": "A", "shoe_size": 44}, "job": None, "new": 1},
        None,
    ),
    "a time with an offset": (
        "remote_created_at",
        '"2026-01-31T12:00:00+02:00"',
        "2026-01-31T10:00:00.000Z",
        None,
    ),
    "a time whose offset leads out of the calendar": (
        "remote_created_at",
        '"0001-01-01T00:00:00+02:00"',
        None,
        "0001-01-01T00:00:00+02:00",
    ),
    "a time in year 1": (
        "remote_created_at",
        '"0001-01-01T00:00:00Z"',
        "0001-01-01T00:00:00Z",
        None,
    ),
    "a time with an offset in year 1": (
        "remote_created_at",
        '"0001-01-02T00:00:00+02:00"',
        "0001-01-01T22:00:00.000Z",
        None,
    ),
    "a time with a line break behind it": (
        "remote_created_at",
        '"2026-01-31T12:00:00Z\\n"',
        None,
        "2026-01-31T12:00:00Z\n",
    ),
    "a time in other digits": (
        "remote_created_at",
        '"\\uff12026-01-31T12:00:00Z"',
        None,
        "\uff12026-01-31T12:00:00Z",
    ),
    "an empty time": ("remote_created_at", '""', None, ""),
    "a time that is none": ("remote_created_at", '"last week"', None, "last week"),
    "a time without an offset": (
        "remote_created_at",
        '"2026-01-31T12:00:00"',
        None,
        "2026-01-31T12:00:00",
    ),
    "a date where a time belongs": ("remote_created_at", '"2026-01-31"', None, "2026-01-31"),
    "300 fields whose names clash": (
        "custom_fields",
        json.dumps(CLASHING),
        CLASHING,
        None,
    ),
    "an object 200 levels deep": ("remote_data", DEEP, json.loads(DEEP), None),
    "a number beyond 64 bits": (
        "remote_data",
        '{"n": 123456789012345678901234567890}',
        {"n": 123456789012345678901234567890},
        None,
    ),
    "a NUL": ("status", '"a\\u0000b"', "a\ufffdb", None),
    "a NUL deep inside": (
        "remote_data",
        '{"a": [{"b": "\\u0000\\u0000"}]}',
        {"a": [{"b": "\ufffd\ufffd"}]},
        None,
    ),
    "a backslash before u0000": ("status", '"a\\\\u0000b"', "a\\u0000b", None),
    "half a surrogate pair": ("status", '"a\\ud800b"', "a\ufffdb", None),
    "a whole surrogate pair": ("status", '"\\ud83d\\ude00"', "\U0001f600", None),
    "a line separator": ("status", '"a\u2028b"', "a\u2028b", None),
    "an escaped line break": ("status", '"a\\nb"', "a\nb", None),
    "line breaks between tokens": ("remote_data", '{\n"a":\r\n1}', {"a": 1}, None),
    "any JSON as a field's value": (
        "integration_fields",
        '[{"id":"1","key":"k","type":"CUSTOM","label":null,"value":[1,{"a":null},"x"]}]',
        [{"id": "1", "key": "k", "type": "CUSTOM", "label": None, "value": [1, {"a": None}, "x"]}],
        None,
    ),
    "an absent field": ("status", None, None, None),
}


def run_over(
    sandbox: Sandbox,
    changes: Iterable[Mapping[str, str | None]],
    stream: str = "ats_offers",
    catalog: Any = None,
    **settings: Any,
) -> TapRun:
    """Run over a page with a record for each change: field -> JSON text, None to leave it out.

    Args:
        sandbox: A Kombo; its first integration alone is read.
        changes: What to change in a good record.
        stream: Of which model.
        catalog: With this stream selected; by default, with all of it.
        settings: More of them.
    """
    integration_id = sandbox.integration_ids[0]
    good = sandbox.records(stream, integration_id)[0]
    texts = []
    for number, change in enumerate(changes):
        record: dict[str, str | None] = {name: json.dumps(value) for name, value in good.items()}
        record |= {"id": json.dumps(key_of(number)), **change}
        fields = (f'"{name}":{text}' for name, text in record.items() if text is not None)
        texts.append("{" + ",".join(fields) + "}")
    body = '{"status":"success","data":{"next":null,"results":[' + ",".join(texts) + "]}}"
    path = f"/{stream.replace('_', '/', 1)}"
    sandbox.fault(path=path, integration_id=integration_id, body=body)
    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id], **settings),
        catalog=catalog or catalog_with(stream),
    )
    sandbox.clear_faults()
    assert run.code == 0, run.stderr
    return run


def key_of(number: int) -> str:
    return f"odd{number:021}"


@pytest.fixture(scope="module")
def odd_run(shared_sandbox: Sandbox) -> tuple[TapRun, dict[str, dict[str, Any]]]:
    """Run once over a page in which each record is odd in one way."""
    shared_sandbox.clear_faults()
    run = run_over(shared_sandbox, ({field: text} for field, text, _, _ in ODD.values()))
    return run, {record["id"]: record for record in run.records["ats_offers"]}


@pytest.mark.parametrize("what", ODD)
def test_odd_data_arrives_where_it_fits_and_else_in_additional_fields(
    odd_run: tuple[TapRun, dict[str, dict[str, Any]]], what: str
) -> None:
    field, _, column, additional = ODD[what]
    record = odd_run[1][key_of(list(ODD).index(what))]

    assert record.get(field) == column
    assert record["additional_fields"] == (None if additional is None else {field: additional})


def test_every_odd_record_is_valid_against_the_schema_before_it(
    odd_run: tuple[TapRun, dict[str, dict[str, Any]]],
) -> None:
    run, records = odd_run
    validator = jsonschema.Draft7Validator(run.schemas["ats_offers"])

    assert len(records) == len(ODD)
    for record in records.values():
        validator.validate(record)


def test_a_wrong_type_is_warned_of_once_for_each_field_without_the_value(
    odd_run: tuple[TapRun, dict[str, dict[str, Any]]],
) -> None:
    run, _ = odd_run

    assert len([w for w in run.warnings if "`status`" in w]) == 1
    assert "4711" not in run.stderr
    assert "last week" not in run.stderr


def catalog_without_additional_fields() -> dict[str, Any]:
    """Build a catalog of before the tap had them."""
    catalog = catalog_with("ats_offers")
    [entry] = [e for e in catalog["streams"] if e["tap_stream_id"] == "ats_offers"]
    del entry["schema"]["properties"]["additional_fields"]
    return catalog


@pytest.mark.parametrize(
    ("maps", "catalog", "told"),
    [
        ({}, None, "null; the value stands in `additional_fields`."),
        (
            {"ats_offers": {"additional_fields": None}},
            None,
            "null; the value stands in `additional_fields`, before that is mapped.",
        ),
        ({"ats_offers": {"status": "status"}}, None, "null; the value is left out, because"),
        (
            {},
            catalog_with("ats_offers", deselected=["ats_offers.additional_fields"]),
            "null; the value is left out, because",
        ),
        ({}, catalog_without_additional_fields(), "null; the value is left out, because"),
    ],
    ids=["as it is", "mapped", "itself mapped", "deselected", "not in the catalog"],
)
def test_the_warning_tells_where_a_value_of_a_wrong_type_is(
    sandbox: Sandbox, maps: dict[str, Any], catalog: Any, told: str
) -> None:
    run = run_over(sandbox, [{"status": "4711"}], "ats_offers", catalog, stream_maps=maps)

    [warning] = run.warnings
    assert f"`status` is not of its declared type. Its column is {told}" in warning
    [record] = run.records["ats_offers"]
    assert record["status"] is None


def test_the_warning_tells_what_stands_in_for_a_missing_time_of_change(sandbox: Sandbox) -> None:
    run = run_over(sandbox, [{"changed_at": "null"}])

    [warning] = run.warnings
    assert "Its column holds the time of Kombo's answer; the value stands" in warning


def test_an_emptied_record_arrives_with_its_key_and_its_mark(sandbox: Sandbox) -> None:
    [gone] = sandbox.anonymise("ats_offers", count=1)

    run = run_tap(settings_for(sandbox), catalog=catalog_with("ats_offers"))

    [record] = [r for r in run.records["ats_offers"] if r["id"] == gone]
    assert record["_sdc_deleted_at"]
    assert record["changed_at"]
    assert record["application"] is None


def test_a_record_emptied_of_its_times_still_arrives(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(
        path="/ats/offers",
        integration_id=integration_id,
        body='{"status":"success","data":{"next":null,"results":[{"id":"abc","changed_at":null}]}}',
    )

    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id]), catalog=catalog_with("ats_offers")
    )

    [record] = run.records["ats_offers"]
    assert record["id"] == "abc"
    assert record["changed_at"] is not None
    assert record["additional_fields"] == {"changed_at": None}


def test_numbers_keep_all_their_digits(sandbox: Sandbox) -> None:
    job = sandbox.records("ats_jobs", sandbox.integration_ids[0])[0]
    text = json.dumps({**job, "salary_amount": 0}).replace(
        '"salary_amount": 0', '"salary_amount": 123456789.123456789012345678'
    )
    sandbox.fault(
        path="/ats/jobs",
        integration_id=sandbox.integration_ids[0],
        body='{"status":"success","data":{"next":null,"results":[' + text + "]}}",
    )

    run = run_tap(
        settings_for(sandbox, integration_ids=sandbox.integration_ids[:1]),
        catalog=catalog_with("ats_jobs"),
    )

    assert b"123456789.123456789012345678" in run.stdout


def test_a_record_of_20_mb_arrives_in_one_line(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    offer = sandbox.records("ats_offers", integration_id)[0]
    big = {**offer, "remote_data": {"cv": "x" * 20_000_000}}
    sandbox.fault(
        path="/ats/offers",
        integration_id=integration_id,
        body=json.dumps({"status": "success", "data": {"next": None, "results": [big]}}),
    )

    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id]), catalog=catalog_with("ats_offers")
    )

    [record] = run.records["ats_offers"]
    assert record["remote_data"] == big["remote_data"]


@pytest.fixture(scope="module")
def absences() -> Iterator[Sandbox]:
    with Sandbox(integrations=1, offers=10, seed=29, categories=("HRIS",)) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("field", "tail"),
    [
        pytest.param("changed_at", "T12:00:00Z", id="times"),
        pytest.param("start_date", "", id="dates"),
    ],
)
def test_a_day_stands_in_its_column_if_and_only_if_it_is_in_the_calendar(
    absences: Sandbox, field: str, tail: str
) -> None:
    days = [
        f"{year:04}-{month:02}-{day:02}"
        for year in (0, 1, 1900, 2000, 2023, 2024, 2100, 9999)
        for month in range(14)
        for day in (0, 1, 28, 29, 30, 31, 32)
    ]

    changes = ({field: json.dumps(day + tail)} for day in days)

    run = run_over(absences, changes, "hris_absences")

    for day, record in zip(days, run.records["hris_absences"], strict=True):
        assert (record[field] == day + tail) == is_in_the_calendar(day), day
        misfit = None if is_in_the_calendar(day) else {field: day + tail}
        assert record["additional_fields"] == misfit


def is_in_the_calendar(day: str) -> bool:
    try:
        datetime.fromisoformat(day)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "index"), [("1.0", "1"), ("-2e3", "-2000"), ("-0.0", "0"), ("7", "7")]
)
def test_a_whole_number_is_one_however_it_is_written(
    sandbox: Sandbox, text: str, index: str
) -> None:
    run = run_over(sandbox, [{"current_stage": stage_with(text)}], "ats_applications")

    assert f'"index":{index}'.encode() in run.stdout
    assert run.records["ats_applications"][0]["additional_fields"] is None


@pytest.mark.parametrize("text", ["1.5", "1e30", "1e999", str(2**63)])
def test_a_number_that_no_integer_column_holds_is_told_beside_it(
    sandbox: Sandbox, text: str
) -> None:
    run = run_over(sandbox, [{"current_stage": stage_with(text)}], "ats_applications")

    [record] = run.records["ats_applications"]
    assert record["current_stage"] is None
    assert f'"additional_fields":{{"current_stage":{stage_with(text)}}}'.encode() in run.stdout


def stage_with(index: str) -> str:
    return f'{{"id":"s","name":"Screening","index":{index}}}'


def test_numbers_that_no_computer_can_hold_stop_nothing(sandbox: Sandbox) -> None:
    digits = "7" * 5000

    run = run_over(sandbox, [{"status": digits}, {"status": "1e999999999"}])

    lines = [line for line in run.stdout.splitlines() if b'"RECORD"' in line]
    assert b'"additional_fields":{"status":' + digits.encode() + b"}" in lines[0]
    assert b'"additional_fields":{"status":1e999999999}' in lines[1]


@pytest.mark.parametrize("field", ["remote_deleted_at", "remote_created_at"])
@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"type": ["string", "null"]}, id="any text"),
        pytest.param({"type": ["integer", "null"], "format": "date-time"}, id="numbers"),
        pytest.param(
            {
                "type": ["array", "object", "string", "number", "boolean", "null"],
                "format": "date-time",
            },
            id="anything",
        ),
    ],
)
def test_times_that_a_catalog_declares_otherwise_are_what_it_declares(
    sandbox: Sandbox, field: str, schema: dict[str, Any]
) -> None:
    catalog = catalog_with("ats_offers")
    [entry] = [e for e in catalog["streams"] if e["tap_stream_id"] == "ats_offers"]
    entry["schema"]["properties"][field] = schema
    values = ['say "so"\n', 5, "2026-01-31T12:00:00Z", None]

    run = run_over(sandbox, ({field: json.dumps(value)} for value in values), "ats_offers", catalog)

    validator = jsonschema.Draft7Validator(run.schemas["ats_offers"])
    for value, record in zip(values, run.records["ats_offers"], strict=True):
        validator.validate(record)
        assert value in (record[field], (record["additional_fields"] or {}).get(field))
        if field == "remote_deleted_at":
            assert record["_sdc_deleted_at"] == (value if str(value).startswith("2026") else None)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"a":' * 400 + "null" + "}" * 400, id="deep"),
        pytest.param('{"a":' + "7" * 5000 + "}", id="5000 digits"),
        pytest.param('{"a":1e99999999999999999999}', id="a vast exponent"),
    ],
)
@pytest.mark.parametrize("field", ["application", "status"])
def test_a_value_that_cannot_be_handled_in_parts_stops_nothing(
    sandbox: Sandbox, field: str, text: str
) -> None:
    catalog = catalog_with("ats_offers", deselected=["ats_offers.application.candidate"])

    run = run_over(sandbox, [{field: text}], "ats_offers", catalog)

    [line] = [line for line in run.stdout.splitlines() if b'"RECORD"' in line]
    assert f'"{field}":null'.encode() in line
    assert (text.encode() in line) == (field == "status")
    assert [warning for warning in run.warnings if f"`{field}`" in warning]
