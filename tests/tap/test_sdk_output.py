"""With stream maps, flattening or deselection, the output equals that of the plain SDK."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo.tap import TapKombo

CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "deselected fields": ({}, ["ats_offers.status", "ats_offers.application.candidate"]),
    "a deselected field that the tap adds": ({}, ["ats_offers._sdc_deleted_at"]),
    "flattening": ({"flattening_enabled": True, "flattening_max_depth": 3}, []),
    "stream maps": (
        {
            "stream_maps": {
                "ats_offers": {
                    "status": "md5(status) if status else None",
                    "application": None,
                    "is_deleted": "_sdc_deleted_at is not None",
                    "__alias__": "offers",
                    "__filter__": "id > 'M'",
                }
            }
        },
        [],
    ),
    "all of them": (
        {
            "flattening_enabled": True,
            "flattening_max_depth": 1,
            "stream_maps": {"ats_offers": {"status": None}},
        },
        ["ats_offers.application.job"],
    ),
}


def sdk_messages(
    settings: dict[str, Any], catalog: Any, monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """Return the messages of the SDK's own sync of the stream."""
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)
    TapKombo(config=settings, catalog=catalog).streams["ats_offers"].sync()
    monkeypatch.undo()
    stdout.flush()
    return [json.loads(line) for line in stdout.buffer.getvalue().splitlines()]


def parts(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schemas, and the records sorted by `id`, for a comparison.

    A column that a record lacks counts as null: the SDK's flattening omits those of null objects.
    """
    schemas = {m["stream"]: m["schema"] for m in messages if m["type"] == "SCHEMA"}
    records = [
        (m["stream"], {name: m["record"].get(name) for name in schemas[m["stream"]]["properties"]})
        for m in messages
        if m["type"] == "RECORD"
    ]
    return {
        "schemas": schemas,
        "records": sorted(records, key=lambda record: str(record[1]["id"])),
    }


@pytest.mark.parametrize("case", CASES)
def test_the_output_equals_the_output_of_the_sdk(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    own_settings, deselected = CASES[case]
    settings = settings_for(sandbox, **own_settings)
    catalog = catalog_with("ats_offers", deselected=deselected)

    run = run_tap(settings, catalog=catalog)

    expected = parts(sdk_messages(settings, catalog, monkeypatch))
    assert run.code == 0, run.stderr
    assert len(expected["records"]) > 100
    assert parts(run.messages) == expected
