"""The staging models equal Kombo's live records after changes, deletions and removals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from databases import Copy, DuckdbCopy, PostgresCopy

from harness import PROJECT
from harness.comparison import Record, Table, differences, tables
from harness.dbt import DbtProject
from harness.postgres import Postgres
from harness.tap import run_tap, settings_for
from kombo_sandbox import Sandbox

DAY = 86_400
COMPLETE = {"full_refresh_interval_days": 1}
TABLES = [
    replace(table, columns={n: c for n, c in table.columns.items() if n != "_sdc_deleted_at"})
    for table in tables(PROJECT / "catalog.json")
]

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Step:
    """A sync.

    Attributes:
        name: The changes before it.
        messages: The output of the tap.
        live: Kombo's live records after it: stream -> integration -> records.
    """

    name: str
    messages: bytes
    live: Mapping[str, Mapping[str, list[Record]]]


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    categories = ["ATS", "HRIS", "LMS", "ASSESSMENT"]
    with Sandbox(integrations=2, categories=categories, offers=10, seed=8) as kombo:
        return list(sync_after_changes(kombo))


def sync_after_changes(kombo: Sandbox) -> Iterator[Step]:
    state: Any = None

    def sync(name: str, **settings: Any) -> Step:
        nonlocal state
        run = run_tap(settings_for(kombo, **settings), state=state)
        assert run.code == 0, run.stderr
        state = run.state
        live = {table.name: live_records(kombo, table) for table in TABLES}
        return Step(name, run.stdout, live)

    kombo.advance(3600)
    yield sync("nothing")

    kombo.advance(3600)
    kombo.change("ats_offers", count=5)
    kombo.change_nested("ats_offers", count=2)
    kombo.change("hris_timesheets", count=3)
    kombo.add("ats_applications", count=2)
    deleted = kombo.delete("ats_offers", count=4)
    kombo.delete("hris_timesheets", count=2)
    kombo.delete("lms_course_progressions", count=1)
    yield sync("changes and deletions")

    kombo.advance(3600)
    kombo.restore("ats_offers", ids=deleted[:2])
    for name in kombo.integration_ids:
        kombo.set_integration(name, disabled_models=["ats_interviews", "hris_absences"])
        kombo.set_integration(name, opted_out_models=["lms_skills"])
    yield sync("restored records, and models that were switched off")

    kombo.advance(2 * DAY)
    for name in kombo.integration_ids:
        kombo.set_integration(name, disabled_models=["ats_interviews"])
    yield sync("another scope")

    kombo.advance(15 * DAY)
    kombo.anonymize("ats_candidates", count=2)
    kombo.forget("ats_offers", count=3)
    kombo.forget("hris_employments", count=3)
    kombo.forget("assessment_orders", count=1)
    yield sync("records that disappeared without a mark", **COMPLETE)


def live_records(kombo: Sandbox, table: Table) -> dict[str, list[Record]]:
    return {
        name: kombo.records(table.name, name, include_deleted=False)
        for name in kombo.integration_ids
    }


def wrong_rows(copy: Copy, live: Mapping[str, Mapping[str, list[Record]]]) -> list[str]:
    """Return the differences between the staging models and the live records."""
    found = []
    for table in TABLES:
        rows = copy.models(f"stg_kombo__{table.name}")
        for row in rows:
            if "course_origin_id" in row:
                row["origin_id"] = row["course_origin_id"]
        found += [str(d) for d in differences(table, live[table.name], rows)]
    return found


@pytest.fixture(params=["postgres", "append-only", "duckdb"])
def copy(request: pytest.FixtureRequest, database: Postgres, tmp_path: Path) -> Iterator[Copy]:
    if request.param == "duckdb":
        yield DuckdbCopy(tmp_path)
        return
    method = "append-only" if request.param == "append-only" else "upsert"
    postgres = PostgresCopy(database, tmp_path, f"current_{method.replace('-', '_')}", method)
    yield postgres
    postgres.drop()


def test_staging_models_equal_the_live_records(
    copy: Copy, steps: list[Step], tmp_path: Path
) -> None:
    project = DbtProject(tmp_path / "project", copy.profile, {"kombo_schema": copy.schema})
    first, *others, last = steps
    copy.load(first.messages)

    for step in others:
        copy.load(step.messages)
        run = project.run("run", "--select", "staging")
        assert run.code == 0, run.output
        assert wrong_rows(copy, step.live) == [], step.name
    copy.load(last.messages)
    build = project.run("build")

    assert build.code == 0, build.output
    assert build.with_status("error", "fail", "skipped") == []
    assert wrong_rows(copy, last.live) == []


def test_each_step_changes_the_live_records(steps: list[Step]) -> None:
    for before, after in itertools.pairwise(steps):
        assert before.live != after.live, after.name


@pytest.mark.parametrize("copy", ["append-only", "duckdb"], indirect=True)
def test_rows_that_are_not_current_can_be_deleted(
    copy: Copy, steps: list[Step], tmp_path: Path
) -> None:
    variables = {"kombo_schema": copy.schema, "kombo__deleted": True}
    project = DbtProject(tmp_path / "project", copy.profile, variables)
    for step in steps:
        copy.load(step.messages)
    assert project.run("run", "--select", "staging", "deleted").code == 0
    loaded = {row["id"] for row in copy.rows(copy.schema, "ats_offers")}
    live = {r["id"] for records in steps[-1].live["ats_offers"].values() for r in records}
    deleted = {row["id"] for row in copy.models("kombo__deleted_ats_offers")}
    assert deleted == loaded - live
    assert len(deleted) > 3

    purge = project.run("run-operation", "kombo_purge_deleted")

    assert purge.code == 0, purge.output
    assert {row["id"] for row in copy.rows(copy.schema, "ats_offers")} == live
    assert project.run("run", "--select", "staging", "deleted").code == 0
    assert wrong_rows(copy, steps[-1].live) == []
    assert copy.models("kombo__deleted_ats_offers") == []
