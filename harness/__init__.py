"""Shared by demo, tests and benchmarks: run the tap, processes, PostgreSQL and Meltano."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).parents[1]
"""The root folder of the project"""
