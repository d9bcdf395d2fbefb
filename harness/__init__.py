"""Shared by demo, tests and benchmarks: runs of the tap, processes, PostgreSQL, Meltano."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The project's folder"""
