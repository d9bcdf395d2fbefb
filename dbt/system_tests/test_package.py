"""The package's variables, models, tests and macros, on PostgreSQL."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from databases import PostgresCopy

from harness.dbt import DbtProject
from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo.streams import ALL_MODELS

STREAMS = [model.name for model in ALL_MODELS]

pytestmark = pytest.mark.timeout(600)


def manifest(project: DbtProject) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / "target/manifest.json").read_text())
    return found


def test_first_build_has_no_warnings_and_marts_with_rows(
    copy: PostgresCopy, project: DbtProject
) -> None:
    build = project.run("build", "--vars", "{kombo__stage_history: true, kombo__deleted: true}")

    assert build.code == 0, build.output
    assert build.with_status("warn", "error", "fail", "skipped") == []
    for mart in (
        "applications",
        "application_stages",
        "offers",
        "headcount_by_month",
        "absences_by_month",
    ):
        assert copy.models(f"kombo__{mart}"), mart


@pytest.mark.parametrize("half", [0, 1])
def test_builds_with_half_of_the_tables(copy: PostgresCopy, project: DbtProject, half: int) -> None:
    for stream in STREAMS[half::2]:
        copy.execute(f"DROP TABLE kombo.{stream}")

    build = project.run("build")

    assert build.code == 0, build.output
    assert build.with_status("error", "fail", "skipped") == []
    rows = {stream: len(copy.models(f"stg_kombo__{stream}")) for stream in STREAMS}
    assert {stream for stream in STREAMS[half::2] if rows[stream]} == set()
    assert sum(rows.values()) > 100


def test_a_schema_without_any_table_is_rejected(copy: PostgresCopy, tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "elsewhere", copy.profile, {"kombo_schema": "nowhere"})

    run = project.run("run", "--select", "stg_kombo__sync_status")

    assert run.code != 0
    assert "kombo_schema: nowhere in the database postgres has no tables" in run.output


def test_deselected_columns_are_null(
    kombo: Sandbox, copy: PostgresCopy, project: DbtProject
) -> None:
    deselected = [
        "ats_jobs.remote_data",
        "ats_jobs.opened_at",
        "ats_jobs.salary_amount",
        "ats_jobs.confidential",
        "lms_course_progressions.user",
        "integrations.end_user",
    ]
    catalog = catalog_with(
        "ats_jobs", "lms_course_progressions", "integrations", deselected=deselected
    )
    copy.drop()
    copy.load(run_tap(settings_for(kombo), catalog=catalog).stdout)

    run = project.run("run", "--select", "staging")

    assert run.code == 0, run.output
    for column in deselected:
        stream, name = column.split(".")
        rows = copy.models(f"stg_kombo__{stream}")
        assert {row[name] for row in rows} == {None}, column


def test_categories_can_be_switched_off(copy: PostgresCopy, tmp_path: Path) -> None:
    for stream in STREAMS:
        if stream.startswith(("hris_", "lms_", "assessment_")):
            copy.execute(f"DROP TABLE kombo.{stream}")
    names = ("hris", "lms", "assessment")
    switches = {f"kombo__using_{name}": False for name in names}
    project = DbtProject(tmp_path / "switched_off", copy.profile, switches)

    build = project.run("build")

    assert build.code == 0, build.output
    models = [name.split(".")[-1] for name in build.results if name.startswith("model.")]
    assert "stg_kombo__ats_offers" in models
    assert "kombo__offers" in models
    assert not [name for name in models if any(part in name.split("_") for part in names)]


def test_custom_fields_become_columns(copy: PostgresCopy, tmp_path: Path) -> None:
    variables = {"kombo__custom_fields": {"hris_employees": ["cost_center", "Büro Nr."]}}
    project = DbtProject(tmp_path / "custom_fields", copy.profile, variables)
    employee = copy.rows("kombo", "hris_employees")[0]["id"]
    copy.execute(
        "UPDATE kombo.hris_employees SET custom_fields ="
        ' \'{"cost_center": "CC-1", "Büro Nr.": 5}\' ' + f"WHERE id = '{employee}'"
    )

    run = project.run("run", "--select", "+stg_kombo__hris_employees")

    assert run.code == 0, run.output
    rows = {row["id"]: row for row in copy.models("stg_kombo__hris_employees")}
    assert rows[employee]["custom_cost_center"] == "CC-1"
    assert rows[employee]["custom_b_ro_nr"] == "5"


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (["cost_center", "Cost-Center"], "Cost-Center would be a second column custom_cost_center"),
        (["fields"], "fields would be a second column custom_fields"),
        (["it's"], "The field it's is not supported"),
    ],
)
def test_custom_fields_with_ambiguous_names_are_rejected(
    copy: PostgresCopy, tmp_path: Path, keys: list[str], problem: str
) -> None:
    variables = {"kombo__custom_fields": {"hris_employees": keys}}
    project = DbtProject(tmp_path / "custom_fields", copy.profile, variables)

    parse = project.run("parse")

    assert parse.code != 0
    assert problem in parse.output


def test_columns_have_the_classes_of_personal_data(project: DbtProject) -> None:
    assert project.run("parse").code == 0

    nodes = manifest(project)
    columns = nodes["nodes"]["model.kombo.stg_kombo__hris_employees"]["columns"]
    classes = {name: column["config"]["meta"].get("pii") for name, column in columns.items()}
    assert classes["ssn"] == ["government_ids"]
    assert classes["manager"] == ["contact", "names"]
    assert classes["id"] is None
    source = nodes["sources"]["source.kombo.kombo.hris_employees"]["columns"]
    assert source["ssn"]["config"]["meta"] == {"pii": ["government_ids"]}


def test_rows_of_an_integration_can_be_deleted(
    kombo: Sandbox, copy: PostgresCopy, project: DbtProject
) -> None:
    gone, *others = kombo.integration_ids
    before = Counter(row["integration_id"] for row in copy.rows("kombo", "ats_offers"))
    assert before[gone]

    purge = project.run(
        "run-operation",
        "kombo_purge_integrations",
        "--args",
        json.dumps({"integration_ids": [gone]}),
    )

    assert purge.code == 0, purge.output
    for stream in STREAMS:
        assert gone not in {row["integration_id"] for row in copy.rows("kombo", stream)}
    after = Counter(row["integration_id"] for row in copy.rows("kombo", "ats_offers"))
    assert after == {name: before[name] for name in others if before[name]}


@pytest.mark.parametrize("value", ["personio:x", [], {}])
def test_integrations_to_delete_must_be_a_list(project: DbtProject, value: Any) -> None:
    arguments = json.dumps({"integration_ids": value})

    purge = project.run("run-operation", "kombo_purge_integrations", "--args", arguments)

    assert purge.code != 0
    assert "integration_ids: is not a list of integrations" in purge.output


def test_stored_failures_contain_only_ids(copy: PostgresCopy, tmp_path: Path) -> None:
    config = {"data_tests": {"+store_failures": True}}
    project = DbtProject(tmp_path / "stored", copy.profile, config=config)
    copy.execute("ALTER TABLE kombo.hris_employees DROP CONSTRAINT hris_employees_pkey")
    copy.execute("ALTER TABLE kombo.hris_employees ALTER id DROP NOT NULL")
    copy.execute(
        "INSERT INTO kombo.hris_employees (first_name, weekly_hours, integration_id, manager_id,"
        " _sdc_extracted_at) VALUES ('Jane', 500, 'personio:x', 'nobody', '2099-01-01')"
    )

    build = project.run("build", "--select", "+stg_kombo__hris_employees")

    failed = build.with_status("fail", "warn")
    for test in ("not_null", "accepted_range", "relationship"):
        assert any(f".kombo_{test}_stg_kombo__hris_employees" in name for name in failed)
    audit = copy.database.rows("SELECT * FROM pg_tables WHERE schemaname ~ 'dbt_test__audit'")
    stored = [row for t in audit for row in copy.rows(t["schemaname"], t["tablename"])]
    assert {name for row in stored for name in row} <= {"id", "integration_id", "manager_id"}
    assert len(stored) >= 3
    assert "Jane" not in str(stored)
    assert "500" not in str(stored)


def test_missing_parents_are_warnings(copy: PostgresCopy, project: DbtProject) -> None:
    job = copy.rows("kombo", "ats_applications")[0]["job_id"]
    copy.execute(f"DELETE FROM kombo.ats_jobs WHERE id = '{job}'")

    build = project.run("build", "--select", "+stg_kombo__ats_applications")

    assert build.code == 0, build.output
    [warning] = build.with_status("warn")
    assert "kombo_relationship_stg_kombo__ats_applications_job_id" in warning


def test_freshness_is_the_end_of_the_last_complete_reads(
    kombo: Sandbox, copy: PostgresCopy, project: DbtProject
) -> None:
    first = kombo.integration_ids[0]
    outdated = "SET completed_at = completed_at - interval '4 days'"
    copy.execute(
        f"UPDATE kombo.sync_status {outdated}"
        f" WHERE stream = 'ats_offers' AND integration_id = '{first}'"
    )
    copy.execute("UPDATE kombo.sync_status SET status = 'failed' WHERE stream = 'ats_tags'")

    freshness = project.run("source", "freshness")

    assert freshness.code != 0
    results = json.loads((project.folder / "target/sources.json").read_text())["results"]
    outdated_streams = {r["unique_id"].split(".")[-1] for r in results if r["status"] != "pass"}
    assert outdated_streams == {"ats_offers", "ats_tags"}


def test_documentation_can_be_generated(project: DbtProject) -> None:
    assert project.run("run", "--select", "staging").code == 0

    docs = project.run("docs", "generate")

    assert docs.code == 0, docs.output
    catalog = json.loads((project.folder / "target/catalog.json").read_text())
    undocumented = [
        (name, column)
        for name, node in catalog["nodes"].items()
        for column in node["columns"]
        if column not in manifest(project)["nodes"][name]["columns"]
    ]
    assert undocumented == []


def test_time_in_stages_is_the_time_between_versions(copy: PostgresCopy, tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "history", copy.profile, {"kombo__stage_history": True})
    select = ["--select", "+kombo__application_stages"]
    rows = copy.rows("kombo", "ats_applications")
    application, other = [row for row in rows if row["outcome"] == "PENDING"][:2]
    first, second = (row["id"] for row in copy.rows("kombo", "ats_application_stages")[:2])

    def change(id_: str, values: str, time: str) -> None:
        copy.execute(
            f"UPDATE kombo.ats_applications SET {values}, changed_at = '{time}',"
            f" _sdc_extracted_at = _sdc_extracted_at + interval '1 second' WHERE id = '{id_}'"
        )
        build = project.run("build", *select)
        assert build.code == 0, build.output

    change(application["id"], f"current_stage_id = '{first}'", "2099-01-01")
    change(application["id"], "rejection_reason_name = 'None'", "2099-01-05")
    change(application["id"], f"current_stage_id = '{second}'", "2099-01-08")
    change(application["id"], "outcome = 'DECLINED'", "2099-01-10")

    stages = [
        (
            row["stage_id"],
            str(row["entered_at"])[:10],
            row["days_in_stage"],
            row["is_entry_observed"],
        )
        for row in copy.models("kombo__application_stages")
        if row["application_id"] == application["id"]
    ]
    assert sorted(stages, key=lambda stage: stage[1]) == [
        (first, "2099-01-01", 7, False),
        (second, "2099-01-08", 2, True),
    ]
    [unchanged] = [
        row
        for row in copy.models("kombo__application_stages")
        if row["application_id"] == other["id"]
    ]
    assert unchanged["left_at"] is None
