"""Settings and catalogs that the documentation shows, used by the real tap."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tests.code_blocks import code_block

DOCS = Path(__file__).parents[1] / "docs"


def example(page: str, content: str) -> Any:
    """Return the JSON of the only code block that contains a text."""
    return json.loads(code_block("json", content, (DOCS / page).read_text()))


def test_the_stream_maps_mask_personal_data() -> None:
    settings = example("privacy.md", "stream_maps")

    with Sandbox(integrations=1) as kombo:
        run = run_tap(settings_for(kombo, **settings), catalog=catalog_with("ats_candidates"))
        candidates = kombo.records("ats_candidates")

    assert run.code == 0
    names = {record["last_name"] for record in run.records["ats_candidates"]}
    assert names.isdisjoint(c["last_name"] for c in candidates if c["last_name"])
    assert "phone_numbers" not in run.schemas["ats_candidates"]["properties"]


def test_the_filters_select_records() -> None:
    settings = example("selection.md", '"filters"')

    with Sandbox(integrations=1) as kombo:
        run = run_tap(settings_for(kombo, **settings), catalog=catalog_with("ats_applications"))

    assert run.code == 0
    assert {record["outcome"] for record in run.records["ats_applications"]} <= {"HIRED"}


def test_the_metadata_deselects_a_field() -> None:
    metadata = example("selection.md", '"selected": false')
    catalog = catalog_with("ats_candidates")
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if item["breadcrumb"] == metadata["breadcrumb"]:
                item["metadata"] |= metadata["metadata"]

    with Sandbox(integrations=1) as kombo:
        run = run_tap(settings_for(kombo), catalog=catalog)

    assert run.records["ats_candidates"]
    assert "'email_address'" not in str(run.records["ats_candidates"])
