"""Where things are."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent
PROJECT = HERE.parent
CACHE = PROJECT / ".cache/bench"
RESULTS = HERE / "results.json"
