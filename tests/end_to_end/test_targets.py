"""Other ways from Kombo to somewhere: another target, and no Meltano at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from harness import PROJECT
from harness.comparison import differences, expected_record, records_of
from harness.meltano import Pipeline, sandbox_settings
from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.conftest import CATALOG


@pytest.mark.usefixtures("installed_plugins")
def test_meltano_brings_the_same_records_into_files_with_target_jsonl(
    kombo: Sandbox, tmp_path: Path
) -> None:
    files = tmp_path / "output"
    files.mkdir()
    settings = {**sandbox_settings(kombo), "TARGET_JSONL_DESTINATION_PATH": str(files)}

    Pipeline(tmp_path, settings, tmp_path / "log").run("target-jsonl")

    for table in CATALOG:
        expected = [
            exact(expected_record(table, record, integration_id))
            for integration_id, records in records_of(kombo, table).items()
            for record in records
        ]
        file = files / f"{table.name}.jsonl"
        # Without records there is no file.
        lines = file.read_text().splitlines() if file.exists() else []
        written = [json.loads(line, parse_float=Decimal) for line in lines]
        assert sorted(written, key=table.key_of) == sorted(expected, key=table.key_of)


def test_a_pipe_without_meltano_fills_the_same_tables(
    kombo: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    tap = {
        "api_key": kombo.api_key,
        "api_url": kombo.url,
        "integration_ids": kombo.integration_ids,
    }
    target = {
        "sqlalchemy_url": database.url,
        "default_target_schema": "piped",
        "use_copy": True,
    }
    (tmp_path / "tap.json").write_text(json.dumps(tap))
    (tmp_path / "target.json").write_text(json.dumps(target))

    subprocess.run(
        ["bash", "-o", "pipefail", "-c", PIPE],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        timeout=60,
    )

    for table in CATALOG:
        rows = database.table("piped", table.name)
        assert not list(differences(table, records_of(kombo, table), rows))
    state = json.loads((tmp_path / "states.jsonl").read_text().splitlines()[-1])
    assert set(state["bookmarks"]) == {
        table.name for table in CATALOG if table.is_incremental and table.name.startswith("ats_")
    }


PIPE = f"""
tap-kombo --config tap.json --catalog {PROJECT}/catalog.json |
target-postgres --config target.json > states.jsonl
"""


def exact(record: dict[str, Any]) -> Any:
    """The record as JSON text would be read, with all digits of its numbers."""
    return json.loads(json.dumps(record), parse_float=Decimal)
