"""The SQL for Snowflake and BigQuery is valid in their dialects."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from harness.dbt import DBT_BIN, DbtProject

PROFILES = {
    "snowflake": {
        "type": "snowflake",
        "account": "none",
        "user": "none",
        "password": "none",
        "warehouse": "none",
        "database": "warehouse",
        "schema": "kombo_dbt",
    },
    "bigquery": {
        "type": "bigquery",
        "method": "oauth-secrets",
        "token": "none",
        "project": "warehouse",
        "dataset": "kombo_dbt",
    },
}
VARIABLES: dict[str, Any] = {
    "kombo__deleted": True,
    "kombo__stage_history": True,
    "kombo__custom_fields": {"hris_employees": ["cost_center"], "ats_jobs": ["Team Nr."]},
}

pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("dialect", PROFILES)
def test_compiled_sql_is_valid(dialect: str, tmp_path: Path) -> None:
    project = DbtProject(tmp_path / "project", PROFILES[dialect], VARIABLES)

    compiled = project.run("--no-populate-cache", "compile", "--no-introspect")

    assert compiled.code == 0, compiled.output
    folder = project.folder / "target/compiled"
    assert len(list(folder.rglob("*.sql"))) > 300
    # A reserved word, so that the check is known to find an error
    (folder / "wrong.sql").write_text("select 1 as from\n")
    command: list[str | Path] = [
        DBT_BIN / "sqlfluff", "lint", folder, "--dialect", dialect, "--templater", "raw",
        # A rule is required; all parsing errors are reported in addition.
        "--rules", "convention.not_equal", "--format", "github-annotation",
    ]  # fmt: skip
    lint = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    files = {Path(line["file"]).name for line in json.loads(lint.stdout)}
    assert files == {"wrong.sql"}, lint.stdout
