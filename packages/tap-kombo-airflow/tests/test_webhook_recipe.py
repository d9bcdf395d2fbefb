"""The recipe with webhooks: the receiver, cron, the real tap and a real target."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import PROJECT
from harness.comparison import compare_tables
from harness.postgres import Postgres
from kombo_sandbox import Sandbox

RECIPE = PROJECT / "docs/recipes/webhooks.crontab"
COMMANDS = Path(sys.executable).parent


@pytest.fixture(name="environment")
def environment_fixture(database: Postgres) -> dict[str, str]:
    return {
        **os.environ,
        "PATH": f"{COMMANDS}:{os.environ['PATH']}",
        "PGHOST": database.socket_folder,
        "PGUSER": "postgres",
        "KOMBO_WEBHOOK_SECRET": "secret",
    }


@contextmanager
def receiving(environment: Mapping[str, str]) -> Iterator[str]:
    """Run the receiver, and yield its URL."""
    with subprocess.Popen(
        ["kombo-shards", "webhooks", "--port", "0"],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        try:
            found = re.search(r"at (\S+) port (\d+)", process.stderr.readline())
            assert found
            yield f"http://{found[1]}:{found[2]}/"
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate()
    assert process.returncode == 0


def test_cron_reads_the_changes_of_the_integrations_that_webhooks_announce(
    database: Postgres, environment: dict[str, str], tmp_path: Path
) -> None:
    recipe = RECIPE.read_text()
    query = re.search(r"\{.*\}", recipe)
    assert query
    (tmp_path / "integrations.json").write_text(query[0])
    lines = [line for line in recipe.splitlines() if not line.startswith("#")]
    commands = [line.split(maxsplit=5)[5].replace("/etc/kombo", str(tmp_path)) for line in lines]
    read_all, read_changes = commands

    def run(command: str) -> set[tuple[str | None, str]]:
        """Run a command of the recipe, and return the lists that the tap requested."""
        sandbox.clear_requests()
        subprocess.run(["sh", "-c", command], env=environment, check=True)
        return {
            (request.integration_id, request.path)
            for request in sandbox.requests()
            if request.path.startswith("/hris/")
        }

    with (
        receiving(environment) as url,
        Sandbox(integrations=0, webhook_url=url, webhook_secret="secret") as sandbox,
    ):
        environment |= {"TAP_KOMBO_API_URL": sandbox.url, "TAP_KOMBO_API_KEY": sandbox.api_key}
        gone, one, other = (sandbox.add_integration("hibob", offers=5) for _ in range(3))
        sandbox.remove_integration(gone)
        sandbox.advance(3600)
        assert {integration_id for integration_id, _ in run(read_all)} == {one, other}

        sandbox.advance(3600)
        sandbox.change("hris_absences", integration_id=one)
        sandbox.add("hris_legal_entities", 1, one)
        sandbox.delete("hris_absences", integration_id=other)
        assert run(read_changes) == {
            (one, "/hris/absences"),
            (one, "/hris/employees"),
            (one, "/hris/legal-entities"),
            (one, "/hris/staffing-entities"),
            (other, "/hris/absences"),
        }
        assert run(read_changes) == set()

        streams = ("hris_absences", "hris_employees", "hris_legal_entities")
        assert compare_tables(sandbox, database, "kombo", streams) == []
