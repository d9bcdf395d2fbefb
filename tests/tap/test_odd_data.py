"""Whatever Kombo sends: one line a record, valid against its SCHEMA, and nothing lost."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from kombo_sandbox import Sandbox
from tests.tap_run import TapRun, catalog_with, run_tap, settings_for

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
    "a time that is none": ("remote_created_at", '"last week"', None, "last week"),
    "a time without an offset": (
        "remote_created_at",
        '"2026-01-31T12:00:00"',
        None,
        "2026-01-31T12:00:00",
    ),
    "a date where a time belongs": ("remote_created_at", '"2026-01-31"', None, "2026-01-31"),
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


@pytest.fixture(scope="module")
def odd_run(shared_sandbox: Sandbox) -> tuple[TapRun, dict[str, dict[str, Any]]]:
    """Run once over a page in which each record is odd in one way."""
    shared_sandbox.clear_faults()
    good = shared_sandbox.records("ats_offers", shared_sandbox.integration_ids[0])[0]
    texts = []
    for number, (field, text, _, _) in enumerate(ODD.values()):
        record = {name: json.dumps(value) for name, value in good.items()}
        record["id"] = f'"odd{number:021}"'
        if text is None:
            del record[field]
        else:
            record[field] = text
        texts.append("{" + ",".join(f'"{name}":{value}' for name, value in record.items()) + "}")
    body = '{"status":"success","data":{"next":null,"results":[' + ",".join(texts) + "]}}"
    integration_id = shared_sandbox.integration_ids[0]
    shared_sandbox.fault(path="/ats/offers", integration_id=integration_id, body=body)
    run = run_tap(
        settings_for(shared_sandbox, integration_ids=[integration_id]),
        catalog=catalog_with("ats_offers"),
    )
    shared_sandbox.clear_faults()
    assert run.code == 0, run.stderr
    return run, {record["id"]: record for record in run.records["ats_offers"]}


@pytest.mark.parametrize("what", ODD)
def test_odd_data_arrives_where_it_fits_and_else_in_additional_fields(
    odd_run: tuple[TapRun, dict[str, dict[str, Any]]], what: str
) -> None:
    field, _, column, additional = ODD[what]
    record = odd_run[1][f"odd{list(ODD).index(what):021}"]

    assert record.get(field) == column
    assert record["additional_fields"] == (additional and {field: additional})


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
