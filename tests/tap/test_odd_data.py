"""Odd but valid JSON: each record is emitted in one line, valid against its SCHEMA.

`tests/unit/test_records.py` tests more values.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from harness.tap import TapRun, catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox

OFFERS = catalog_with("ats_offers")


def sync_offer(sandbox: Sandbox, **changes: str) -> TapRun:
    """Run the tap over a page with one offer, after these changes: field -> JSON."""
    integration_id = sandbox.integration_ids[0]
    offer = sandbox.records("ats_offers", integration_id)[0]
    fields = {name: json.dumps(value) for name, value in offer.items()} | changes
    record = ",".join(f'"{name}":{text}' for name, text in fields.items())
    body = f'{{"status":"success","data":{{"next":null,"results":[{{{record}}}]}}}}'
    sandbox.fault(path="/ats/offers", integration_id=integration_id, body=body)
    run = run_tap(settings_for(sandbox, integration_ids=[integration_id]), catalog=OFFERS)
    assert run.code == 0, run.stderr
    return run


def offer_of(run: TapRun) -> dict[str, Any]:
    [record] = run.records["ats_offers"]
    jsonschema.Draft7Validator(run.schemas["ats_offers"]).validate(record)
    return record


DEEP = '{"a":' * 200 + "null" + "}" * 200


@pytest.mark.parametrize(
    ("field", "sent", "column"),
    [
        ("status", '"a\\u0000b"', "a\ufffdb"),
        ("remote_data", '{"a": [{"b": "\\u0000\\u0000"}]}', {"a": [{"b": "\ufffd\ufffd"}]}),
        ("status", '"a\\\\u0000b"', "a\\u0000b"),
        ("status", '"a\\ud800b"', "a\ufffdb"),
        ("status", '"\\ud83d\\ude00"', "\U0001f600"),
        ("status", '"a\u2028b"', "a\u2028b"),
        ("status", '"a\\nb"', "a\nb"),
        ("remote_data", '{\n"a":\r\n1}', {"a": 1}),
        ("remote_data", DEEP, json.loads(DEEP)),
    ],
    ids=[
        "NUL",
        "nested NUL",
        "backslash before u0000",
        "lone surrogate",
        "surrogate pair",
        "line separator",
        "escaped line break",
        "line breaks between tokens",
        "200 levels",
    ],
)
def test_odd_text_is_emitted_in_one_line(
    sandbox: Sandbox, field: str, sent: str, column: object
) -> None:
    run = sync_offer(sandbox, **{field: sent})

    record = offer_of(run)
    assert record[field] == column
    assert record["additional_fields"] is None
    assert run.warnings == []


def test_value_of_another_type_is_in_additional_fields(sandbox: Sandbox) -> None:
    run = sync_offer(sandbox, status="4711", invented_later='{"a": [1, null]}')

    record = offer_of(run)
    assert record["status"] is None
    assert record["additional_fields"] == {"status": 4711, "invented_later": {"a": [1, None]}}
    [warning] = run.warnings
    assert "`status`" in warning
    assert "4711" not in run.stderr


@pytest.mark.parametrize(
    "number",
    ["123456789.123456789012345678", "7" * 5000, "1e999999999"],
    ids=["decimal", "5000 digits", "exponent"],
)
def test_number_keeps_all_its_digits(sandbox: Sandbox, number: str) -> None:
    run = sync_offer(sandbox, status=number)

    assert f'"additional_fields":{{"status":{number}}}'.encode() in run.stdout


def test_record_of_20_mb_is_emitted_in_one_line(sandbox: Sandbox) -> None:
    remote_data: Any = {"cv": "x" * 20_000_000}

    run = sync_offer(sandbox, remote_data=json.dumps(remote_data))

    assert offer_of(run)["remote_data"] == remote_data


def test_emptied_record_has_its_key_and_the_time_of_its_deletion(sandbox: Sandbox) -> None:
    """Kombo empties records 14 days after it no longer finds them in the tool."""
    [emptied] = sandbox.anonymize("ats_offers", count=1)

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    [record] = [r for r in run.records["ats_offers"] if r["id"] == emptied]
    assert record["_sdc_deleted_at"]
    assert record["changed_at"]
    assert record["application"] is None
