"""A user's dbt project that has installed the package."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databases import DBT_BIN

from harness import PROJECT


@dataclass(frozen=True)
class Run:
    """A run of dbt.

    Attributes:
        code: The exit status.
        output: Standard output.
        results: `target/run_results.json`: the name of a node -> its result.
    """

    code: int
    output: str
    results: Mapping[str, Any]

    def with_status(self, *statuses: str) -> list[str]:
        """Return the nodes whose status is one of these."""
        return sorted(name for name, r in self.results.items() if r["status"] in statuses)


class Project:
    """A user's dbt project.

    Args:
        folder: The folder of the project, which is created.
        profile: The output of its profile: type of the database, connection and schema.
        variables: The variables in `dbt_project.yml`.
        config: More of `dbt_project.yml`.
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

    def run(self, *args: str) -> Run:
        """Run a command of dbt."""
        results = self.folder / "target/run_results.json"
        results.unlink(missing_ok=True)
        environment = {**os.environ, "DO_NOT_TRACK": "1", "DBT_VERSION_CHECK": "false"}
        ended = subprocess.run(
            [DBT_BIN / "dbt", "--no-version-check", "--no-use-colors", *args],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(results.read_text())["results"] if results.exists() else []
        return Run(
            ended.returncode,
            ended.stdout + ended.stderr,
            {result["unique_id"]: result for result in found},
        )
