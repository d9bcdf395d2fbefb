"""Unusual values in PostgreSQL: in their column if it can store them, else in `additional_fields`.

The target does not validate records, as in meltano.yml: a value that its column cannot store would
fail the load, and every later one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from harness import PROJECT
from harness.comparison import Row, tables
from harness.postgres import Postgres
from harness.processes import running
from kombo_sandbox import Sandbox
from tests.end_to_end.singer_pipe import Pipe

TABLE = next(table for table in tables(PROJECT / "catalog.json") if table.name == "hris_absences")

NESTED = '{"a":' * 200 + "1" + "}" * 200


def clashing_names(count: int) -> list[str]:
    """Build names that differ only in case, spaces, punctuation or a long suffix."""
    forms = ("{}", " {}", "{} ", "{}.x", "{}_x", "{}-x", "{}\U0001f600", "{}" + "x" * 2000, '{}"x')
    names = [
        form.format(word)
        for number in range(count)
        for word in (f"Shirt size {number}", f"shirt size {number}")
        for form in forms
    ]
    return names[:count]


VALID: dict[str, tuple[str, str, Any]] = {
    # description: field, JSON from Kombo, value of the column
    "an unknown enum value": ("status", '"ON_HOLD"', "ON_HOLD"),
    "text in several scripts": ("status", '"\\u00e4\\ud83d\\ude00 \\u05d0"', "ä\U0001f600 א"),
    "empty text": ("status", '""', ""),
    "a NUL": ("status", '"a\\u0000b"', "a\ufffdb"),
    "nested NULs": (
        "remote_data",
        '{"a": [{"b\\u0000": ["\\u0000"]}]}',
        {"a": [{"b�": ["�"]}]},
    ),
    "half a surrogate pair": ("status", '"a\\ud800b"', "a\ufffdb"),
    "nested halves of surrogate pairs": (
        "remote_data",
        '{"a": [{"b": "x\\udc00", "\\ud800": 1}]}',
        {"a": [{"b": "x\ufffd", "\ufffd": 1}]},
    ),
    "a nested surrogate pair": (
        "remote_data",
        '{"a": "\\ud83d\\ude00"}',
        {"a": "\U0001f600"},
    ),
    "line separators": ("status", '"a\u2028b\\u2029c"', "a\u2028b\u2029c"),
    "line breaks and tabs": ("status", '"a\\r\\n\\tb\\\\N"', "a\r\n\tb\\N"),
    "the NULL marker of COPY": ("status", '"\\\\N"', "\\N"),
    "the end marker of COPY": ("status", '"\\\\."', "\\."),
    "an integer": ("amount", "3", Decimal(3)),
    "an integer with a decimal point": ("amount", "1.0", Decimal(1)),
    "a number with an exponent": ("amount", "1e3", Decimal(1000)),
    # The target rounds numbers in columns, but not inside JSON, to floats.
    "a number with many digits": (
        "amount",
        "123456789.123456789012345678",
        Decimal("123456789.12345679"),
    ),
    "an integer of more than 64 bits": (
        "amount",
        "123456789012345678901234567890",
        Decimal(123456789012345680000000000000),
    ),
    "a nested integer of more than 64 bits": (
        "remote_data",
        '{"a": [123456789012345678901234567890]}',
        {"a": [123456789012345678901234567890]},
    ),
    "a nested number too large for a float": (
        "remote_data",
        '{"a": 1e400}',
        {"a": Decimal("1e400")},
    ),
    "a nested number too small for a float": (
        "remote_data",
        '{"a": 1e-400}',
        {"a": Decimal("1e-400")},
    ),
    "a nested number with 5,000 decimals": (
        "remote_data",
        f'{{"a": 0.{"7" * 5000}}}',
        {"a": Decimal(f"0.{'7' * 5000}")},
    ),
    "nested values of all JSON types": (
        "remote_data",
        '{"": [], "a": {}, "b": [[null, true, 0, ""]], "c": "{}"}',
        {"": [], "a": {}, "b": [[None, True, 0, ""]], "c": "{}"},
    ),
    "a duplicate key": ("remote_data", '{"a": 1, "a": 2}', {"a": 2}),
    "300 fields with similar names": (
        "remote_data",
        json.dumps(CLASHING := {name: number for number, name in enumerate(clashing_names(300))}),
        CLASHING,
    ),
    "200 levels of nesting": ("remote_data", NESTED, json.loads(NESTED)),
    "a date": ("start_date", '"2024-02-29"', date(2024, 2, 29)),
    "a time": (
        "remote_created_at",
        '"2026-01-31T02:03:04.567Z"',
        datetime.fromisoformat("2026-01-31T02:03:04.567000"),
    ),
    "a time in seconds": (
        "remote_created_at",
        '"2026-01-31T02:03:04Z"',
        datetime.fromisoformat("2026-01-31T02:03:04"),
    ),
    "a time in nanoseconds": (
        "remote_created_at",
        '"2026-01-31T02:03:04.123456789Z"',
        datetime.fromisoformat("2026-01-31T02:03:04.123456"),
    ),
    "a time with an offset": (
        "remote_created_at",
        '"2026-01-31T12:00:00+02:00"',
        datetime.fromisoformat("2026-01-31T10:00:00"),
    ),
    "the first date": ("start_date", '"0001-01-01"', date(1, 1, 1)),
    "the last time": (
        "remote_created_at",
        '"9999-12-31T23:59:59.999Z"',
        datetime.fromisoformat("9999-12-31T23:59:59.999000"),
    ),
    "a missing field": ("status", "", None),
}
"""Values that the column can store"""

INVALID: dict[str, tuple[str, Any]] = {
    # description: field, value from Kombo
    "an unknown field": ("invented_later", {"a": [1, None]}),
    "an unknown field whose name differs from a column only in case": ("Status", "x"),
    "an unknown field with the name of a column of the target": ("_sdc_sequence", "x"),
    "a number instead of text": ("status", 4711),
    "an object instead of text": ("status", {"x": "y"}),
    "an array instead of an object": ("remote_data", [1, 2]),
    "text instead of an object": ("remote_data", "{}"),
    "text instead of a number": ("amount", "3 days"),
    "a number too large for a float": ("amount", Decimal("1e400")),
    "a number in quotes": ("amount", "3"),
    "text instead of a boolean": ("start_half_day", "yes"),
    "a number instead of a boolean": ("start_half_day", 1),
    "empty text instead of a date": ("start_date", ""),
    "empty text instead of a time": ("remote_created_at", ""),
    **{
        f"{text!r} instead of a date": ("start_date", text)
        for text in (
            "2026-02-31",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "0000-01-01",
            "10000-01-01",
            "+10000-01-01",
            "-0044-03-15",
            "2026-01-01\n",
            "\uff12\uff10\uff12\uff16-01-01",
            "2026-1-1",
            "20260101",
            "2026-W01-1",
            "2026-01-01T00:00:00.000Z",
            "infinity",
            "today",
        )
    },
    **{
        f"{text!r} instead of a time": ("remote_created_at", text)
        for text in (
            "2026-02-31T00:00:00.000Z",
            "2026-13-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:00Z\n",
            "\uff12\uff10\uff12\uff16-01-01T00:00:00Z",
            "2026-01-01T00:00:00.\uff11Z",
            "0001-01-01T00:00:00+02:00",
            "9999-12-31T23:59:59-02:00",
            "2026-01-01T00:00:00+25:00",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "now",
        )
    },
}
"""Values that the column cannot store"""


@pytest.fixture(scope="module")
def pipe(database: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipe]:
    def start() -> Sandbox:
        return Sandbox(integrations=1, offers=5, seed=9, categories=("HRIS",))

    with running(start, Sandbox.stop) as sandbox:
        folder = tmp_path_factory.mktemp("unusual")
        yield Pipe(sandbox, database, folder, "unusual", (TABLE.name,))


@pytest.fixture(scope="module")
def rows(pipe: Pipe) -> dict[str, Row]:
    """Sync a page in which each record has one unusual value."""
    valid = {name: (field, text) for name, (field, text, _) in VALID.items()}
    invalid = {name: (field, json_text(value)) for name, (field, value) in INVALID.items()}
    return sync(pipe, valid | invalid)


@pytest.mark.parametrize("name", VALID)
def test_valid_value_is_stored_in_its_column(rows: dict[str, Row], name: str) -> None:
    field, _, value = VALID[name]

    assert rows[name][field] == value
    assert rows[name]["additional_fields"] is None


@pytest.mark.parametrize("name", INVALID)
def test_invalid_value_is_stored_in_additional_fields(rows: dict[str, Row], name: str) -> None:
    field, value = INVALID[name]

    assert rows[name]["additional_fields"] == {field: value}
    if field in TABLE.columns:
        assert rows[name][field] is None


def test_record_of_20_mb_is_stored_completely(pipe: Pipe) -> None:
    text = json.dumps({"cv": "x" * 20_000_000})

    row = sync(pipe, {"20 MB": ("remote_data", text)})["20 MB"]

    assert len(row["remote_data"]["cv"]) == 20_000_000


def json_text(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def sync(pipe: Pipe, changes: Mapping[str, tuple[str, str]]) -> dict[str, Row]:
    """Sync a page of records, in each of which one field is replaced.

    Args:
        pipe: The pipe to run.
        changes: Description -> the field and its JSON; if the JSON is empty, the field is omitted.

    Returns:
        Description -> the row.
    """
    original = pipe.sandbox.records(TABLE.name)[0]
    ids = {name: f"unusual{number:017}" for number, name in enumerate(changes)}
    records = []
    for name, (field, text) in changes.items():
        fields = {key: json.dumps(value) for key, value in original.items()}
        fields |= {"id": json.dumps(ids[name]), field: text}
        members = ",".join(f'"{key}":{value}' for key, value in fields.items() if value)
        records.append("{" + members + "}")
    body = '{"status":"success","data":{"next":null,"results":[' + ",".join(records) + "]}}"
    pipe.sandbox.fault(path="/hris/absences", body=body)
    pipe.run()
    pipe.sandbox.clear_faults()
    rows = {row["id"]: row for row in pipe.database.table(pipe.schema, TABLE.name)}
    return {name: rows[id_] for name, id_ in ids.items()}
