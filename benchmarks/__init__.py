"""Measurements of tap-kombo next to other ways to read Kombo: `make bench`."""

from __future__ import annotations

from harness import PROJECT

FOLDER = PROJECT / "benchmarks"
CACHE = PROJECT / ".cache/benchmarks"
