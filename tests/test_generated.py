"""What is told in several places is the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from harness.tap import run_tap

ROOT = Path(__file__).parents[1]


def test_catalog_json_is_what_discovery_prints() -> None:
    assert run_tap({}, "--discover").stdout.decode() == (ROOT / "catalog.json").read_text()


def test_generated_tables_and_settings_are_up_to_date() -> None:
    check = subprocess.run(
        [sys.executable, "scripts/generate.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert check.stdout == "", "run `make generate`"
    assert check.returncode == 0, check.stderr
