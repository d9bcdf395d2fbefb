"""Sync the sandbox with a loader, and compare the rows with Kombo's records."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from harness import PROJECT
from harness.comparison import (
    Difference,
    Record,
    Row,
    Table,
    column_value,
    differences,
    records_of,
    tables,
)
from harness.processes import running, stop_group
from harness.tap import settings_for, tap_process
from kombo_sandbox import Sandbox
from loaders.faults import FAULTS
from loaders.stores import ENVIRONMENTS, STORES, Place, Rows, parsed
from loaders.table import Loader

Schema = Mapping[str, Any]

TIMEOUT = 60.0
"""Seconds until a loader counts as hung"""

FLATTENING = {"flattening_enabled": True, "flattening_max_depth": 1}
"""The settings with which the tap flattens records"""

SEPARATOR = "__"
"""Between the names in a flattened column"""


@dataclass(frozen=True)
class Load:
    """Repeatable syncs from the sandbox into the place of a loader.

    Attributes:
        loader: The loader.
        sandbox: The sandbox.
        place: The loader's place.
        folder: For settings, states and logs.
    """

    loader: Loader
    sandbox: Sandbox
    place: Place
    folder: Path

    def run(self) -> tuple[int, int]:
        """Sync from the loader's last state; return the exit statuses of tap and loader."""
        config = self.folder / "loader.json"
        config.write_text(json.dumps(self.loader.config(self.place.names)))
        executable = ENVIRONMENTS / self.loader.environment / "bin" / self.loader.command
        flattening = FLATTENING if self.loader.flattened else {}
        settings = settings_for(self.sandbox, page_size=5, **flattening)
        with (
            self._log.open("ab") as log,
            self._states.open("ab") as states,
            tap_process(settings, state=self._state(), stderr=log) as tap,
            running(
                lambda: subprocess.Popen(
                    [executable, "--config", config],
                    text=True,
                    stdin=tap.stdout,
                    stdout=states,
                    stderr=log,
                    cwd=self.folder,
                    start_new_session=True,
                ),
                stop_group,
            ) as loader,
        ):
            assert tap.stdout
            # As long as this process has the pipe open, the tap does not notice a stopped loader.
            tap.stdout.close()
            # A loader that hangs is stopped, and its exit status is negative.
            with contextlib.suppress(subprocess.TimeoutExpired):
                loader.wait(TIMEOUT)
            stop_group(loader)
            return tap.wait(TIMEOUT), loader.returncode

    def rows(self) -> Rows:
        """Read the rows of all tables."""
        return STORES[self.loader.store](self.place)

    def differences(self, rows: Rows, faults: Collection[str] | None = None) -> list[Difference]:
        """Compare rows with the sandbox's records.

        Args:
            rows: The rows of each table.
            faults: The faults that are expected; by default those of the loader.
        """
        expected = self.loader.faults if faults is None else faults
        depth = FLATTENING["flattening_max_depth"] if self.loader.flattened else 0
        return [
            difference
            for table in tables(PROJECT / "catalog.json")
            for columns in [list(columns_of(table.columns, depth))]
            for difference in differences(
                table,
                self._records(table),
                [decoded_row(columns, row) for row in rows.get(table.name, ())],
                partial(expected_row, columns, expected),
            )
        ]

    def _records(self, table: Table) -> dict[str, list[Record]]:
        found = records_of(self.sandbox, table)
        if self.loader.result != "deletes":
            return found
        return {
            name: [record for record in records if not record.get("remote_deleted_at")]
            for name, records in found.items()
        }

    @property
    def log(self) -> str:
        """The logs of all syncs."""
        return self._log.read_text("utf-8", errors="replace")

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    @property
    def _states(self) -> Path:
        return self.folder / "states.jsonl"

    def _state(self) -> Any:
        lines = self._states.read_text().splitlines() if self._states.exists() else []
        return json.loads(lines[-1]) if lines else None


class Column(NamedTuple):
    """A column: a field of a RECORD, or a field of an object that the tap has flattened.

    Attributes:
        path: The names that lead to its value.
        schema: The JSON schema of the value.
    """

    path: tuple[str, ...]
    schema: Schema

    @property
    def name(self) -> str:
        return SEPARATOR.join(self.path)

    def value_in(self, record: Record) -> Any:
        """Return its value in a RECORD before flattening."""
        value: Any = record
        for name in self.path:
            value = value.get(name) if value else None
        return value


def columns_of(
    fields: Mapping[str, Schema], depth: int, parents: tuple[str, ...] = ()
) -> Iterator[Column]:
    """Yield the columns of fields, with objects flattened down to a depth."""
    for name, schema in fields.items():
        path = (*parents, name)
        if depth and "array" not in schema["type"] and schema.get("properties"):
            yield from columns_of(schema["properties"], depth - 1, path)
        else:
            yield Column(path, schema)


def expected_row(
    columns: Iterable[Column],
    faults: Collection[str],
    table: Table,  # noqa: ARG001  # the signature of `differences`
    record: Record,
) -> Row:
    """Return the row that a RECORD becomes in a loader with faults."""
    row = {}
    for column in columns:
        value = column_value(column.value_in(record), column.schema)
        if isinstance(value, int | Decimal) and "string" in column.schema["type"]:
            value = str(value)
        for fault in faults:
            value = FAULTS[fault].change(value, column.schema)
        row[column.name] = value
    return row


def decoded_row(columns: Iterable[Column], row: Row) -> Row:
    """Convert the values of a stored row to the types that the comparison expects."""
    schemas = {column.name: column.schema for column in columns}
    return {
        name: decoded(value, schemas[name]) if name in schemas else value
        for name, value in row.items()
    }


BOOLEANS = {"0": False, "1": True, "False": False, "True": True}


def decoded(value: Any, schema: Schema) -> Any:
    """Convert a stored value to the type that the comparison expects.

    A value that does not fit its schema is returned unchanged, and differs.
    """
    with contextlib.suppress(ValueError, ArithmeticError):
        return value if value is None else _decoded(value, schema)
    return value


def _decoded(value: Any, schema: Schema) -> Any:
    types = {schema["type"]} if isinstance(schema["type"], str) else {*schema["type"]} - {"null"}
    if not types.isdisjoint({"array", "object"}):
        nested = parsed(value) if isinstance(value, str) else value
        is_list = isinstance(nested, list) and types == {"array"}
        return [decoded(item, schema["items"]) for item in nested] if is_list else nested
    if "format" in schema:
        return _moment(value, schema["format"])
    if types <= {"integer", "number"}:
        return Decimal(str(value))
    if types == {"boolean"}:
        return BOOLEANS.get(str(value), value)
    return value


def _moment(value: Any, format_: str) -> Any:
    """Return a date, or a time in UTC without a zone."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        if value.tzinfo:
            value = value.astimezone(UTC).replace(tzinfo=None)
        if format_ == "date" and value.time() == time.min:
            return value.date()
    return value
