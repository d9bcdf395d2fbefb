"""Generated files are up to date, and their sources are complete."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.tap import run_tap
from loaders.faults import FAULTS
from loaders.table import LOADERS, TRANSLATORS
from scripts.generate_dbt import MODELS, dbt_files, personal_classes
from scripts.generate_docs import (
    MODEL,
    OTHER_JOINS,
    OTHER_NAMES,
    PAGES,
    SCHEMAS,
    STREAMS,
    diagram,
    joins,
    page_of,
    paths,
    reference,
)

ROOT = Path(__file__).parents[1]


def test_catalog_json_is_what_discovery_prints() -> None:
    assert run_tap({}, "--discover").stdout.decode() == (ROOT / "catalog.json").read_text()


def test_generated_files_are_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "scripts/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert check.stdout == "", "run `make generate`"
    assert check.returncode == 0, check.stderr


def test_every_stream_is_described() -> None:
    assert STREAMS.keys() == MODEL.keys()


@pytest.mark.parametrize("stream", MODEL)
def test_joins_refer_to_columns_that_exist(stream: str) -> None:
    for join in joins(stream):
        columns = [".".join(path) for path in paths(SCHEMAS[join.stream])]
        assert join.column in columns, join


def test_every_exception_of_the_joins_is_used() -> None:
    found = [(stream, join.path) for stream in MODEL for join in joins(stream)]
    names = {reference(path) for _, path in found}

    assert names >= OTHER_NAMES.keys()
    assert {(stream, ".".join(path)) for stream, path in found} >= OTHER_JOINS.keys()


def test_joins_of_a_stream_follow_the_names_of_its_columns() -> None:
    found = {
        ".".join(join.path): f"{join.stream}.{join.column}" for join in joins("ats_interviews")
    }

    assert found == {
        "application_id": "ats_applications.id",
        "stage_id": "ats_application_stages.id",
        "users[].id": "ats_users.id",
        "application.id": "ats_applications.id",
        "application.candidate.id": "ats_candidates.id",
        "application.job.id": "ats_jobs.id",
    }


def test_diagrams_omit_copies_and_lists_that_another_column_implies() -> None:
    streams = [name for name in MODEL if name.startswith("ats_")]

    lines = [line.strip() for line in diagram(streams)]

    assert [line for line in lines if "ats_interviews }" in line] == [
        'ats_interviews }o--o| ats_applications : "application_id"',
        'ats_interviews }o--o| ats_application_stages : "stage_id"',
        'ats_interviews }o--o{ ats_users : "users"',
    ]
    assert not any(line.endswith('"interviews"') for line in lines)


def test_every_stream_is_on_one_page() -> None:
    for page in PAGES:
        text = (ROOT / f"docs/streams/{page.name}.md").read_text()
        assert [name for name in MODEL if f"\n## `{name}`\n" in text] == [
            name for name in MODEL if page_of(name) is page
        ]


def test_dbt_models_belong_to_streams() -> None:
    expected = {path for path, _ in dbt_files()}

    found = {path for folder in ("staging", "deleted") for path in (MODELS / folder).iterdir()}

    assert found <= expected
    assert {f"stg_kombo__{name}.sql" for name in MODEL} <= {path.name for path in found}


def test_personal_data_in_nested_fields_belongs_to_its_dbt_column() -> None:
    assert personal_classes("hris_employees", "manager") == ["contact", "names"]
    assert personal_classes("hris_absences", "type_id") == ["health_and_eeo"]
    assert personal_classes("ats_jobs", "location") == []


def test_every_known_fault_belongs_to_a_loader() -> None:
    assert {fault for loader in LOADERS for fault in loader.faults} == FAULTS.keys()


def test_every_environment_of_loaders_is_used() -> None:
    used = {loader.environment for loader in LOADERS} | {"s3-server"}
    used |= {translator.environment for translator in TRANSLATORS}
    folder = ROOT / "loaders/environments"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{suffix}" for name in used for suffix in ("in", "txt")
    }
