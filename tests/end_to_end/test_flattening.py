"""Flattened records in PostgreSQL: a column for each nested field, and nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.singer_pipe import Pipe

FLATTENING = {"flattening_enabled": True, "flattening_max_depth": 2}


@pytest.fixture
def kombo() -> Iterator[Sandbox]:
    with Sandbox(integrations=1, offers=5, seed=9, categories=("ATS", "HRIS")) as sandbox:
        yield sandbox


def test_flattened_rows_have_all_nested_fields(
    kombo: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    streams = ("ats_offers", "hris_employees", "hris_performance_reviews")
    offer = kombo.records("ats_offers")[0]
    kombo.patch("ats_offers", offer["id"], {"application": {"job": None, "reopened": True}})
    employee = kombo.records("hris_employees")[0]
    kombo.patch("hris_employees", employee["id"], {"home_address": None})
    first, second, *_ = kombo.records("hris_performance_reviews")
    for review, value in ((first, 4.5), (second, "Meets expectations")):
        rating = {"value": value, "label": None}
        kombo.patch("hris_performance_reviews", review["id"], {"summary_rating": rating})

    Pipe(kombo, database, tmp_path, "flattened", streams, FLATTENING).run()

    rows = {row["id"]: row for name in streams for row in database.table("flattened", name)}
    assert len(rows) == sum(len(kombo.records(name)) for name in streams)
    assert json.loads(rows[offer["id"]]["additional_fields"]) == {"application__reopened": True}
    assert rows[employee["id"]]["home_address__city"] is None
    assert rows[first["id"]]["summary_rating__value"] == "4.5"
    assert rows[second["id"]]["summary_rating__value"] == "Meets expectations"
