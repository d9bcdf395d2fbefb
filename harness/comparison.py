"""Compare the rows of a stream's table with Kombo's records, column by column."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import requests

from harness import PROJECT
from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tap_kombo.responses import stream_name

Record = dict[str, Any]
Row = dict[str, Any]
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """The table that a target creates for a stream of the catalog.

    Attributes:
        name: The name of the stream and the table.
        key: The primary key.
        columns: Name -> JSON schema.
        is_incremental: Whether the stream is incremental.
    """

    name: str
    key: tuple[str, ...]
    columns: Mapping[str, Mapping[str, Any]]
    is_incremental: bool

    def key_of(self, row: Mapping[str, Any]) -> Key:
        return tuple(row[name] for name in self.key)


def tables(catalog: Path) -> list[Table]:
    """Return the tables of all streams of a catalog except `sync_status`, selected or not."""
    return [
        Table(
            name=entry["tap_stream_id"],
            key=tuple(entry["key_properties"]),
            columns=entry["schema"]["properties"],
            is_incremental=entry["replication_method"] == "INCREMENTAL",
        )
        for entry in json.loads(catalog.read_text())["streams"]
        if entry["tap_stream_id"] != "sync_status"
    ]


def records_of(sandbox: Sandbox, table: Table) -> dict[str, list[Record]]:
    """Return the sandbox's records of a table, deleted ones included, by integration."""
    return {name: sandbox.records(table.name, name) for name in sandbox.integration_ids}


def changed_records(
    sandbox: Sandbox, path: str, integration_id: str, since: str
) -> Iterator[Record]:
    """Read changed records with `updated_after`, without the tap."""
    headers = {"Authorization": f"Bearer {sandbox.api_key}", "X-Integration-Id": integration_id}
    params = {"include_deleted": "true", "updated_after": since}
    while True:
        response = requests.get(sandbox.url + path, params=params, headers=headers, timeout=10)
        response.raise_for_status()
        data = response.json()["data"]
        yield from data["results"]
        if not data["next"]:
            return
        params["cursor"] = data["next"]


@dataclass(frozen=True)
class Difference:
    """A value that differs between Kombo and the database."""

    table: str
    key: Key
    column: str
    in_kombo: Any
    in_database: Any

    def __str__(self) -> str:
        return (
            f"{self.table} {'/'.join(map(str, self.key))}, {self.column}: "
            f"{self.in_kombo!r:.200} in Kombo, {self.in_database!r:.200} in the database"
        )


def compare_tables(
    sandbox: Sandbox, database: Postgres, schema: str, streams: Collection[str]
) -> list[str]:
    """Return the first 10 differences between the tables of streams and the sandbox's records."""
    found = (
        difference
        for table in tables(PROJECT / "catalog.json")
        if table.name in streams
        for difference in differences(
            table, records_of(sandbox, table), database.table(schema, table.name)
        )
    )
    return [str(difference) for difference in islice(found, 10)]


def expected_row(table: Table, record: Record) -> Row:
    """Return the row that a RECORD becomes in PostgreSQL."""
    return {name: column_value(record[name], schema) for name, schema in table.columns.items()}


def differences(
    table: Table,
    records: Mapping[str, Iterable[Record]],
    rows: Iterable[Row],
    row_of: Callable[[Table, Record], Row] = expected_row,
) -> Iterator[Difference]:
    """Compare the rows of a table with Kombo's records.

    Args:
        table: The table.
        records: Kombo's records by integration.
        rows: All rows; columns that the target adds are ignored. If several rows have the same key,
            the last one is compared.
        row_of: Returns the row that a RECORD becomes; by default the row in PostgreSQL.
    """
    expected = {
        table.key_of(row): row
        for integration_id, found in records.items()
        for row in (
            row_of(table, expected_record(table, record, integration_id)) for record in found
        )
    }
    found = {table.key_of(row): row for row in rows}
    for key in expected.keys() - found.keys():
        yield Difference(table.name, key, "the row", "present", "missing")
    for key in found.keys() - expected.keys():
        yield Difference(table.name, key, "the row", "missing", "present")
    for key in expected.keys() & found.keys():
        for column, value in expected[key].items():
            actual = found[key].get(column, "no such column")
            if not _is_equal(value, actual):
                yield Difference(table.name, key, column, value, actual)


def expected_record(table: Table, record: Record, integration_id: str) -> Record:
    """Return the RECORD that the tap emits for a record of Kombo."""
    unknown = {name: value for name, value in record.items() if name not in table.columns}
    sent = record | {
        "integration_id": integration_id,
        "_sdc_deleted_at": record.get("remote_deleted_at"),
        "additional_fields": unknown or None,
    }
    if table.name == "integration_models":
        sent["stream"] = stream_name(record["id"])
    return {name: sent.get(name) for name in table.columns}


def column_value(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a value of a RECORD as PostgreSQL returns it: times are UTC, without a zone."""
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if isinstance(value, str) and "array" not in types:
        if schema.get("format") == "date-time":
            return datetime.fromisoformat(value).astimezone(UTC).replace(tzinfo=None)
        if schema.get("format") == "date":
            return date.fromisoformat(value)
    if isinstance(value, list) and "object" not in types:
        return [column_value(item, schema.get("items", {})) for item in value]
    # All other values are jsonb. Decimals, because floats would lose digits.
    return json.loads(json.dumps(value), parse_float=Decimal)


def _is_equal(one: Any, other: Any) -> bool:
    """Compare as JSON does: true is not equal to 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_is_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_is_equal, one, other))
    return bool(one == other)
