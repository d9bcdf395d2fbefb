"""With stream maps, flattening or deselection, what comes out is what the SDK makes."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tap_kombo.tap import TapKombo
from tests.tap_run import catalog_with, run_tap, settings_for

WAYS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "nothing": ({}, []),
    "deselected fields": ({}, ["ats_offers.status", "ats_offers.application.candidate"]),
    "a deselected field of the tap's own": ({}, ["ats_offers._sdc_deleted_at"]),
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
    """Drive the stream as the SDK drives any stream."""
    stdout = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stdout)
    TapKombo(config=settings, catalog=catalog).streams["ats_offers"].sync()
    monkeypatch.undo()
    stdout.flush()
    return [json.loads(line) for line in stdout.buffer.getvalue().splitlines()]


def told(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Reduce messages to what a target makes of them."""
    schemas = {m["stream"]: m["schema"] for m in messages if m["type"] == "SCHEMA"}
    records = [(m["stream"], m["record"]) for m in messages if m["type"] == "RECORD"]
    return {
        "schemas": schemas,
        "records": sorted(records, key=lambda record: str(record[1]["id"])),
    }


@pytest.mark.parametrize("way", WAYS)
def test_the_output_is_what_the_sdk_makes(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    more, deselected = WAYS[way]
    settings = settings_for(sandbox, **more)
    catalog = catalog_with("ats_offers", deselected=deselected)

    run = run_tap(settings, catalog=catalog)

    expected = told(sdk_messages(settings, catalog, monkeypatch))
    assert run.code == 0, run.stderr
    assert len(expected["records"]) > 100
    assert told(run.messages) == expected
