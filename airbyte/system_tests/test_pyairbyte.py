"""PyAirbyte reads `source-kombo` into DuckDB, whose tables must equal the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from harness import PROJECT
from harness.comparison import differences, records_of, tables
from harness.source import singer_record
from harness.tap import settings_for
from kombo_sandbox import Sandbox

PYTHON = PROJECT / ".cache/benchmarks/airbyte/bin/python"
COMMAND = Path(sys.executable).with_name("source-kombo")
SCRIPT = Path(__file__).with_name("pyairbyte_duckdb.py")
FEW = ["ats_offers", "ats_applications", "custom_fields"]

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def kombo() -> Iterator[Sandbox]:
    categories = ["ATS", "HRIS", "LMS", "ASSESSMENT"]
    with Sandbox(integrations=4, categories=categories, offers=10, seed=4) as sandbox:
        yield sandbox


class Cache:
    """A cache of PyAirbyte.

    Args:
        folder: The folder of its files.
        kombo: The sandbox.
    """

    def __init__(self, folder: Path, kombo: Sandbox) -> None:
        self._folder = folder
        self._kombo = kombo

    def read(
        self,
        streams: list[str] | str = "*",
        *,
        full_refresh: bool = False,
        kill_after: float | None = None,
    ) -> int:
        """Read the source into the cache.

        Args:
            streams: The streams.
            full_refresh: Whether to ignore the state.
            kill_after: Seconds after which PyAirbyte is killed; None for never.

        Returns:
            The exit status.
        """
        task = {
            "command": str(COMMAND),
            "config": settings_for(self._kombo, page_size=5, max_wait_seconds=0),
            "streams": streams,
            "full_refresh": full_refresh,
        }
        path = self._folder / "task.json"
        path.write_text(json.dumps(task))
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        process = subprocess.Popen([PYTHON, SCRIPT, path], env=env, cwd=self._folder)
        try:
            return process.wait(kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Return the rows of all tables, as the last read left them."""
        return {
            name: [
                singer_record(
                    {
                        column: CONVERTERS.get(kind.partition("(")[0], _same)(value)
                        for (column, kind), value in zip(table["columns"], row, strict=True)
                    }
                )
                for row in table["rows"]
            ]
            for name, table in json.loads((self._folder / "tables.json").read_text()).items()
        }

    def differences(self) -> list[str]:
        """Compare the tables with the sandbox."""
        rows = self.rows()
        return [
            str(difference)
            for table in tables(PROJECT / "catalog.json")
            if table.name in rows
            for difference in differences(table, records_of(self._kombo, table), rows[table.name])
        ]


def _same(value: Any) -> Any:
    return value


def _or_null(convert: Callable[[str], Any], text: str | None) -> Any:
    return None if text is None else convert(text)


CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "DATE": partial(_or_null, date.fromisoformat),
    "TIMESTAMP": partial(_or_null, datetime.fromisoformat),
    "JSON": partial(_or_null, partial(json.loads, parse_float=Decimal)),
    "DECIMAL": partial(_or_null, Decimal),
}
"""DuckDB's type -> the value in the comparison with the sandbox"""


@pytest.fixture
def cache(tmp_path: Path, kombo: Sandbox) -> Cache:
    return Cache(tmp_path, kombo)


def test_all_streams_are_equal_to_the_sandbox(cache: Cache) -> None:
    assert cache.read() == 0
    assert cache.differences()[:10] == []
    assert len(cache.rows()) >= 41


def test_second_read_stores_changes_and_deletions(cache: Cache, kombo: Sandbox) -> None:
    assert cache.read(FEW) == 0
    kombo.advance(seconds=3600)
    kombo.change("ats_offers", count=3)
    kombo.change_nested("ats_applications", count=2)
    [deleted] = kombo.delete("ats_offers", count=1)

    assert cache.read(FEW) == 0

    assert cache.differences() == []
    assert deleted in {r["id"] for r in cache.rows()["ats_offers"] if r["_sdc_deleted_at"]}


def test_failed_integration_is_stored_by_the_next_read(cache: Cache, kombo: Sandbox) -> None:
    assert cache.read(FEW) == 0
    kombo.advance(seconds=3600)
    kombo.change("ats_offers", count=3)
    kombo.fault(
        integration_id=kombo.integration_ids[0],
        status=401,
        code="INTEGRATION.AUTHENTICATION_INVALID",
    )

    assert cache.read(FEW) == 1
    kombo.clear_faults()

    assert cache.read(FEW) == 0
    assert cache.differences() == []


def test_killed_read_loses_no_record(cache: Cache, kombo: Sandbox) -> None:
    kombo.fault(path="/ats/offers", delay=1.0)
    assert cache.read(FEW, kill_after=8) != 0
    kombo.clear_faults()
    kombo.change("ats_offers", count=3)

    assert cache.read(FEW) == 0

    assert cache.differences() == []


def test_full_refresh_reads_everything_again(cache: Cache, kombo: Sandbox) -> None:
    assert cache.read(FEW) == 0
    kombo.clear_requests()

    assert cache.read(FEW, full_refresh=True) == 0

    offers = [r for r in kombo.requests() if r.path == "/ats/offers"]
    assert offers
    assert not any("updated_after" in request.params for request in offers)
    assert cache.differences() == []
