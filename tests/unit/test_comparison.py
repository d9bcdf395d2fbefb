"""The comparison of a table with Kombo's records finds every difference."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from harness.comparison import Table, differences

ANYTHING = ["array", "boolean", "integer", "null", "number", "object", "string"]
TABLE = Table(
    name="things",
    key=("id",),
    columns={
        "id": {"type": "string"},
        "at": {"type": ["string", "null"], "format": "date-time"},
        "on": {"type": ["string", "null"], "format": "date"},
        "amount": {"type": ["number", "null"]},
        "flag": {"type": ["boolean", "null"]},
        "names": {"type": ["array", "null"], "items": {"type": "string"}},
        "parts": {"type": ["array", "null"], "items": {"type": "object", "properties": {}}},
        "anything": {"type": ANYTHING},
        "integration_id": {"type": "string"},
        "_sdc_deleted_at": {"type": ["string", "null"], "format": "date-time"},
        "additional_fields": {"type": ["object", "null"], "properties": {}},
    },
    is_incremental=True,
)
RECORD = {
    "id": "a",
    "at": "2026-01-31T02:00:00.123Z",
    "on": "2026-01-31",
    "amount": 0.1,
    "flag": True,
    "names": ["x", "y"],
    "parts": [{"at": "2026-01-31T02:00:00.123Z", "size": 1.5}],
    "anything": {"deep": [1, "1", None]},
    "remote_deleted_at": "2026-01-31T03:00:00.000Z",
}
ROW = {
    "id": "a",
    "at": datetime(2026, 1, 31, 2, 0, 0, 123000),  # noqa: DTZ001  # columns have no time zone
    "on": date(2026, 1, 31),
    "amount": Decimal("0.1"),
    "flag": True,
    "names": ["x", "y"],
    "parts": [{"size": Decimal("1.5"), "at": "2026-01-31T02:00:00.123Z"}],
    "anything": {"deep": [1, "1", None]},
    "integration_id": "tool:1",
    "_sdc_deleted_at": datetime(2026, 1, 31, 3),  # noqa: DTZ001
    "additional_fields": {"remote_deleted_at": "2026-01-31T03:00:00.000Z"},
    "_sdc_sequence": 7,
}


def test_a_row_equals_its_record_whatever_the_types() -> None:
    assert found([RECORD], [ROW]) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("at", datetime(2026, 1, 31, 2, 0, 0, 124000)),  # noqa: DTZ001
        ("at", None),
        ("on", date(2026, 2, 1)),
        ("amount", Decimal("0.1000000001")),
        ("flag", None),
        ("names", ["y", "x"]),
        ("parts", [{"size": Decimal("1.5")}]),
        ("anything", {"deep": [True, "1", None]}),
        ("integration_id", "tool:2"),
        ("_sdc_deleted_at", None),
        ("additional_fields", None),
    ],
)
def test_a_value_that_differs_is_found(column: str, value: Any) -> None:
    assert found([RECORD], [ROW | {column: value}]) == [("a", column)]


def test_a_missing_column_is_found() -> None:
    row = {name: value for name, value in ROW.items() if name != "flag"}

    assert found([RECORD], [row]) == [("a", "flag")]


def test_a_missing_row_is_found() -> None:
    assert found([RECORD], []) == [("a", "the row")]


def test_a_row_too_many_is_found() -> None:
    assert found([RECORD], [ROW, ROW | {"id": "b"}]) == [("b", "the row")]


def found(records: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(d.key[0], d.column) for d in differences(TABLE, {"tool:1": records}, rows)]
