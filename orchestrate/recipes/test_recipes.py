"""The recipes of README.md, run: each brings all integrations, and each its own state."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from harness import PROJECT
from harness.comparison import Difference, differences, records_of, tables
from harness.meltano import Pipeline, installed_plugins
from harness.postgres import Postgres, postgres
from harness.processes import running
from kombo_sandbox import Sandbox

RECIPES = Path(__file__).parent
BIN = Path(sys.executable).parent
DAGSTER = PROJECT / ".cache/dagster-venv/bin"
STREAMS = ("ats_jobs", "ats_offers")
TABLES = [table for table in tables(PROJECT / "catalog.json") if table.name in STREAMS]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with running(lambda: Sandbox(integrations=3, offers=5, seed=23), Sandbox.stop) as sandbox:
        sandbox.advance(seconds=3600)
        yield sandbox


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def integrations(kombo: Sandbox, tmp_path: Path) -> Path:
    file = tmp_path / "integrations"
    file.write_text("".join(f"{name}\n" for name in kombo.integration_ids))
    return file


def test_cron_and_meltano_keep_a_state_for_each_integration(
    kombo: Sandbox, database: Postgres, integrations: Path, tmp_path: Path
) -> None:
    settings = {
        "TAP_KOMBO_API_URL": kombo.url,
        "TAP_KOMBO_API_KEY": kombo.api_key,
        "TAP_KOMBO__SELECT": json.dumps([f"{stream}.*" for stream in STREAMS]),
        "TAP_KOMBO__LOAD_SCHEMA": "cron",
        "TARGET_POSTGRES_SQLALCHEMY_URL": database.url,
    }
    pipeline = Pipeline(tmp_path, settings, tmp_path / "log")
    environment = {
        **pipeline.environment,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "MELTANO_ENVIRONMENT": "dev",
    }

    with installed_plugins(pipeline.install):
        command = [RECIPES / "kombo-el.sh", integrations, "3"]
        run(command, environment, cwd=PROJECT)
        assert differing(kombo, database, "cron") == []

        # All at once went on from their own bookmarks, or unchanged records would come again.
        changed = pass_time_and_change(kombo)
        run(command, environment, cwd=PROJECT)

    assert differing(kombo, database, "cron") == []
    assert {name for name, since in asked_since(kombo).items() if None in since} == set()
    assert moved_last(database, "cron") == changed


def test_dagster_reads_all_shards(
    kombo: Sandbox, database: Postgres, integrations: Path, tmp_path: Path
) -> None:
    environment = {
        **without_airflow(kombo, database),
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "KOMBO_INTEGRATIONS": str(integrations),
        "KOMBO_PYTHON": str(BIN / "python"),
    }
    job = RECIPES / "dagster_shards.py"

    run([DAGSTER / "dagster", "job", "execute", "-f", job, "-j", "kombo"], environment)

    assert differing(kombo, database, "kombo") == []


def test_the_kubernetes_job_is_one_and_its_command_reads_a_shard(
    kombo: Sandbox, database: Postgres, integrations: Path, tmp_path: Path
) -> None:
    manifest = RECIPES / "kubernetes.yml"
    run([DAGSTER / "kubernetes-validate", "--strict", manifest], os.environ)
    code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    as_json = run([DAGSTER / "python", "-c", code, manifest], os.environ)
    job = json.loads(as_json)["spec"]["jobTemplate"]["spec"]
    command = " ".join(job["template"]["spec"]["containers"][0]["command"][2:])
    assert f"--of {job['completions']}" in command

    here = command.replace("/etc/kombo/integrations", str(integrations))
    environment = {**without_airflow(kombo, database), "JOB_COMPLETION_INDEX": "2"}
    environment["PATH"] = f"{BIN}:{os.environ['PATH']}"
    run(["sh", "-c", f"{here} --schema kubernetes"], environment, cwd=tmp_path)

    rows = database.rows("SELECT DISTINCT integration_id FROM kubernetes.ats_offers")
    assert [row["integration_id"] for row in rows] == kombo.integration_ids[2:3]


def run(command: list[Any], environment: Mapping[str, str], cwd: Path | None = None) -> str:
    done = subprocess.run(
        command, env=dict(environment), cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}{done.stderr[-5000:]}"
    return done.stdout


def without_airflow(kombo: Sandbox, database: Postgres) -> dict[str, str]:
    """Say what the recipes say that is set."""
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT / "orchestrate/airflow"),
        "TAP_KOMBO_API_URL": kombo.url,
        "TAP_KOMBO_API_KEY": kombo.api_key,
        "KOMBO_DATABASE_URL": f"postgresql://postgres@/postgres?host={database.socket_folder}",
    }


def pass_time_and_change(kombo: Sandbox) -> set[str]:
    kombo.advance(seconds=3600)
    changed = {
        key
        for name in kombo.integration_ids[:2]
        for key in kombo.change("ats_offers", integration_id=name)
    }
    kombo.advance(seconds=3600)
    kombo.clear_requests()
    return changed


def asked_since(kombo: Sandbox) -> dict[str, set[str | None]]:
    """Find from when on each integration was read."""
    found: dict[str, set[str | None]] = {}
    for request in kombo.requests():
        if request.integration_id and request.path.startswith("/ats/"):
            since = found.setdefault(request.integration_id, set())
            since.add(request.params.get("updated_after"))
    return found


def moved_last(database: Postgres, schema: str) -> set[str]:
    """Find the rows that were written a while after the first ones."""
    query = sql.SQL(
        "SELECT id FROM {table} WHERE _sdc_received_at > (SELECT max(first) FROM (SELECT "
        "min(_sdc_received_at) AS first FROM {table} GROUP BY integration_id) AS firsts) "
        "+ interval '3 seconds'"
    ).format(table=sql.Identifier(schema, "ats_offers"))
    return {row["id"] for row in database.rows(query)}


def differing(kombo: Sandbox, database: Postgres, schema: str) -> list[Difference]:
    return [
        difference
        for table in TABLES
        for difference in differences(
            table,
            records_of(kombo, table),
            database.table(schema, table.name),
        )
    ]
