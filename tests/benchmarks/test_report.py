"""The tables and the chart of the benchmarks are those of the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.places import HERE, RESULTS
from benchmarks.results import load


@pytest.mark.parametrize("name", ["RESULTS.md", "chart.svg"])
def test_they_are_up_to_date(tmp_path: Path, name: str) -> None:
    report.write(load(RESULTS), tmp_path)

    assert (tmp_path / name).read_text() == (HERE / name).read_text(), "make bench ONLY=report"
