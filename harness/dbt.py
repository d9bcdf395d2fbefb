"""A user's dbt project that has installed the package `dbt/`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import PROJECT
from harness.processes import run

DBT_BIN = PROJECT / ".cache/dbt-venv/bin"


@dataclass(frozen=True)
class DbtRun:
    """A run of dbt.

    Attributes:
        code: The exit status.
        output: Standard output and standard error.
        results: `target/run_results.json`: the ID of a node -> its result.
    """

    code: int
    output: str
    results: Mapping[str, Any]

    def with_status(self, *statuses: str) -> list[str]:
        """Return the nodes whose status is one of these."""
        return sorted(name for name, r in self.results.items() if r["status"] in statuses)


class DbtProject:
    """A user's dbt project.

    Args:
        folder: The folder of the project, which is created.
        profile: The output of its profile: type of the database, connection and schema.
        variables: The variables in `dbt_project.yml`.
        config: More settings in `dbt_project.yml`.
    """

    def __init__(
        self,
        folder: Path,
        profile: Mapping[str, Any],
        variables: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir()
        files = {
            "dbt_project.yml": {
                "name": "warehouse",
                "config-version": 2,
                "profile": "warehouse",
                "vars": variables or {},
                "flags": {"send_anonymous_usage_stats": False},
                **(config or {}),
            },
            "profiles.yml": {"warehouse": {"target": "test", "outputs": {"test": profile}}},
            "packages.yml": {"packages": [{"local": str(PROJECT / "dbt")}]},
        }
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
        deps = self.run("deps")
        assert deps.code == 0, deps.output

    def run(self, *args: str) -> DbtRun:
        """Run a dbt command."""
        results = self.folder / "target/run_results.json"
        log = self.folder / "output"
        for path in (results, log):
            path.unlink(missing_ok=True)
        code = run(
            [DBT_BIN / "dbt", "--no-version-check", "--no-use-colors", *args],
            env={**os.environ, "DO_NOT_TRACK": "1"},
            cwd=self.folder,
            log=log,
        )
        found = json.loads(results.read_text())["results"] if results.exists() else []
        return DbtRun(code, log.read_text(), {result["unique_id"]: result for result in found})
