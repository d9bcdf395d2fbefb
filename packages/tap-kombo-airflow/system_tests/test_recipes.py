"""The recipes of docs/scaling.md: each reads all integrations, with a state for each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import PROJECT
from harness.comparison import compare_tables
from harness.meltano import Pipeline, installed_plugins
from harness.postgres import Postgres, postgres
from harness.processes import running
from kombo_sandbox import Sandbox

RECIPES = PROJECT / "docs/recipes"
BIN = Path(sys.executable).parent
DAGSTER = PROJECT / ".cache/dagster-venv/bin"
STREAMS = ("ats_jobs", "ats_offers")

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with running(lambda: Sandbox(integrations=3, offers=5, seed=23), Sandbox.stop) as sandbox:
        sandbox.advance(seconds=3600)
        yield sandbox


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def test_cron_and_meltano_keep_a_state_for_each_integration(
    kombo: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    integrations = tmp_path / "integrations"
    integrations.write_text("".join(f"{name}\n" for name in kombo.integration_ids))
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
        assert compare_tables(kombo, database, "cron", STREAMS) == []
        change_after(kombo)
        run(command, environment, cwd=PROJECT)

    assert compare_tables(kombo, database, "cron", STREAMS) == []
    # Each concurrent run resumed from its own bookmarks.
    requests = [request for request in kombo.requests() if request.path.startswith("/ats/")]
    assert {request.integration_id for request in requests} == set(kombo.integration_ids)
    assert all("updated_after" in request.params for request in requests)


def test_dagster_reads_all_shards_of_a_compact_json_list(
    kombo: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    integrations = tmp_path / "integrations.json"
    integrations.write_text(json.dumps(kombo.integration_ids, separators=(",", ":")))
    environment = {
        **environment_of(kombo, database),
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "KOMBO_INTEGRATIONS": str(integrations),
    }
    recipe = tmp_path / "dagster_shards.py"
    small = (RECIPES / recipe.name).read_text().replace("SHARD_SIZE = 20", "SHARD_SIZE = 1")
    recipe.write_text(small)

    # The first run is alone, because the target creates its tables.
    run(["kombo-shards", "run", integrations], environment)
    change_after(kombo)
    log = run([DAGSTER / "dagster", "job", "execute", "-f", recipe, "-j", "kombo"], environment)

    assert compare_tables(kombo, database, "kombo", STREAMS) == []
    assert [f"read[{shard}]" in log for shard in range(4)] == [True, True, True, False]


def test_the_kubernetes_job_is_valid_and_its_command_reads_a_shard(
    kombo: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    integrations = tmp_path / "integrations"
    integrations.write_text("\n".join(kombo.integration_ids))
    manifest = RECIPES / "kubernetes.yml"
    run([DAGSTER / "kubernetes-validate", "--strict", manifest], os.environ)
    code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))"
    parsed = subprocess.check_output([DAGSTER / "python", "-c", code, manifest])
    job = json.loads(parsed)["spec"]["jobTemplate"]["spec"]
    command = " ".join(job["template"]["spec"]["containers"][0]["command"][2:])
    assert f"--of {job['completions']}" in command

    command = command.replace("/etc/kombo/integrations", str(integrations))
    environment = {**environment_of(kombo, database), "JOB_COMPLETION_INDEX": "2"}
    run(["sh", "-c", f"{command} --schema kubernetes"], environment)

    rows = database.rows("SELECT DISTINCT integration_id FROM kubernetes.ats_offers")
    assert [row["integration_id"] for row in rows] == sorted(kombo.integration_ids)[2:3]


def run(command: list[Any], environment: Mapping[str, str], cwd: Path | None = None) -> str:
    """Run a command, and return its output."""
    process = subprocess.run(
        command,
        env=dict(environment),
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-8000:]
    return process.stdout


def environment_of(kombo: Sandbox, database: Postgres) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "TAP_KOMBO_API_URL": kombo.url,
        "TAP_KOMBO_API_KEY": kombo.api_key,
        "PGHOST": database.socket_folder,
        "PGUSER": "postgres",
    }


def change_after(kombo: Sandbox) -> None:
    """Change records, later than the last run's lookback."""
    kombo.advance(seconds=3600)
    for name in kombo.integration_ids[:2]:
        kombo.change("ats_offers", integration_id=name)
    kombo.advance(seconds=3600)
    kombo.clear_requests()
