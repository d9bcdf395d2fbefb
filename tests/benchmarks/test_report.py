from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import FOLDER
from benchmarks.report import results_page, with_measurements
from benchmarks.streams import STREAMS, paths
from harness import PROJECT
from tap_kombo.streams import MODELS

RESULTS = json.loads((FOLDER / "results.json").read_text())


def test_results_page_has_the_latest_results() -> None:
    assert (FOLDER / "RESULTS.md").read_text() == results_page(RESULTS)


def test_documentation_has_the_latest_measurements() -> None:
    page = (PROJECT / "docs/performance.md").read_text()

    assert page == with_measurements(page, RESULTS)


def test_chart_shows_the_latest_results(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="make bench installs it")
    from benchmarks.chart import write_chart  # noqa: PLC0415  # needs matplotlib

    write_chart(RESULTS, tmp_path / "chart.svg")

    assert (tmp_path / "chart.svg").read_text() == (FOLDER / "chart.svg").read_text()


def test_paths_are_those_of_the_tap() -> None:
    expected = {model.name: model.path for model in MODELS}

    assert paths(STREAMS) == {stream: expected[stream] for stream in STREAMS}
