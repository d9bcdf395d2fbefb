"""Benchmarks of tap-kombo and other tools that read Kombo: `make bench`."""

from __future__ import annotations

from harness import PROJECT

FOLDER = PROJECT / "benchmarks"
CACHE = PROJECT / ".cache/benchmarks"
