"""What the demo, the tests and the benchmarks share: processes, PostgreSQL, Meltano, comparison."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The project's folder"""
