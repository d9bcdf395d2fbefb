"""Databases that a loader writes and dbt reads: PostgreSQL and DuckDB."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from harness import PROJECT
from harness.comparison import Row
from harness.dbt import DBT_BIN
from harness.postgres import Postgres

BIN = Path(sys.executable).parent
LOADER_BIN = PROJECT / ".cache/loaders/duckdb/bin"
DUCKDB_ROWS = Path(__file__).with_name("duckdb_rows.py")


@dataclass(frozen=True)
class PostgresCopy:
    """A copy of Kombo's records in PostgreSQL, written by target-postgres.

    Attributes:
        database: The server.
        folder: For the loader's settings.
        schema: The schema of the loader's tables; dbt's schema is `<schema>_dbt`.
        load_method: `upsert`, or `append-only`.
    """

    database: Postgres
    folder: Path
    schema: str = "kombo"
    load_method: str = "upsert"

    @property
    def profile(self) -> dict[str, Any]:
        """The output of dbt's profile."""
        return self.database.dbt_profile(schema=f"{self.schema}_dbt")

    def load(self, messages: bytes) -> None:
        """Write the records of a tap's output."""
        settings = {
            "sqlalchemy_url": self.database.url,
            "default_target_schema": self.schema,
            "load_method": self.load_method,
            "use_copy": True,
            "validate_records": False,
        }
        load(BIN / "target-postgres", settings, self.folder, messages)

    def rows(self, schema: str, name: str) -> list[Row]:
        """Return the rows of a table."""
        return self.database.table(schema, name)

    def models(self, name: str) -> list[Row]:
        """Return the rows of a model of dbt."""
        return self.rows(f"{self.schema}_dbt", name)

    def drop(self) -> None:
        """Drop all tables and models."""
        self.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
        self.execute(f"DROP SCHEMA IF EXISTS {self.schema}_dbt CASCADE")

    def execute(self, statement: str) -> None:
        with psycopg.connect(
            host=self.database.socket_folder, user="postgres", dbname="postgres"
        ) as connection:
            connection.execute(statement.encode())


@dataclass(frozen=True)
class DuckdbCopy:
    """A copy of Kombo's records in DuckDB, written by target-duckdb.

    Attributes:
        folder: For the database and the loader's settings.
        schema: The schema of the loader's tables.
    """

    folder: Path
    schema: str = "kombo"

    @property
    def path(self) -> Path:
        return self.folder / "warehouse.duckdb"

    @property
    def profile(self) -> dict[str, Any]:
        """The output of dbt's profile."""
        return {
            "type": "duckdb",
            "path": str(self.path),
            "schema": f"{self.schema}_dbt",
            "threads": 4,
        }

    def load(self, messages: bytes) -> None:
        """Write the records of a tap's output."""
        settings = {
            "path": str(self.path),
            "default_target_schema": self.schema,
            "add_metadata_columns": True,
        }
        load(LOADER_BIN / "target-duckdb", settings, self.folder, messages)

    def rows(self, schema: str, name: str) -> list[Row]:
        """Return the rows of a table."""
        command: list[str | Path] = [DBT_BIN / "python", DUCKDB_ROWS, self.path, schema, name]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        found = json.loads(ended.stdout, parse_float=Decimal)
        return [
            {
                column: CONVERTERS.get(kind, _same)(value)
                for (column, kind), value in zip(found["columns"], row, strict=True)
            }
            for row in found["rows"]
        ]

    def models(self, name: str) -> list[Row]:
        """Return the rows of a model of dbt."""
        return self.rows(f"{self.schema}_dbt", name)


Copy = PostgresCopy | DuckdbCopy


def _same(value: Any) -> Any:
    return value


def _or_null(convert: Callable[[str], Any], text: str | None) -> Any:
    return None if text is None else convert(text)


CONVERTERS: Mapping[str, Callable[[Any], Any]] = {
    "DATE": partial(_or_null, date.fromisoformat),
    "TIMESTAMP": partial(_or_null, datetime.fromisoformat),
    "JSON": partial(_or_null, partial(json.loads, parse_float=Decimal)),
}
"""Type of DuckDB -> conversion from text to the value that psycopg returns"""


def load(target: Path, settings: Mapping[str, Any], folder: Path, messages: bytes) -> None:
    """Run a Singer target."""
    config = folder / f"{target.name}.json"
    config.write_text(json.dumps(settings))
    ended = subprocess.run(
        [target, "--config", config], input=messages, capture_output=True, cwd=folder, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()[-3000:]
