"""Whatever Kombo sends comes through to PostgreSQL: in its column, or in `additional_fields`.

All through the real target, with the settings of meltano.yml, which checks nothing itself: a value
that a column cannot hold would end its whole load, and that of every night after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from harness.comparison import Row
from harness.postgres import Postgres
from harness.processes import running
from kombo_sandbox import Sandbox
from tests.end_to_end.conftest import CATALOG, PATHS
from tests.end_to_end.piping import Pipe

TABLE = next(table for table in CATALOG if table.name == "hris_absences")

NESTED = '{"a":' * 200 + "1" + "}" * 200


def clashing_names(count: int) -> list[str]:
    """Make names that are one to whoever ignores case, spaces, signs, or what is very long."""
    forms = ("{}", " {}", "{} ", "{}.x", "{}_x", "{}-x", "{}\U0001f600", "{}" + "x" * 2000, '{}"x')
    names = [
        form.format(word)
        for number in range(count)
        for word in (f"Shirt size {number}", f"shirt size {number}")
        for form in forms
    ]
    return names[:count]


FITTING: dict[str, tuple[str, str, Any]] = {
    # what: field, what Kombo sends (JSON), what the column holds
    "an unknown value": ("status", '"ON_HOLD"', "ON_HOLD"),
    "a text of many scripts": ("status", '"\\u00e4\\ud83d\\ude00 \\u05d0"', "ä\U0001f600 א"),
    "an empty text": ("status", '""', ""),
    "a NUL": ("status", '"a\\u0000b"', "a\ufffdb"),
    "a NUL deep inside": (
        "remote_data",
        '{"a": [{"b\\u0000": ["\\u0000"]}]}',
        {"a": [{"b�": ["�"]}]},
    ),
    "half a surrogate pair": ("status", '"a\\ud800b"', "a\ufffdb"),
    "half a surrogate pair deep inside": (
        "remote_data",
        '{"a": [{"b": "x\\udc00", "\\ud800": 1}]}',
        {"a": [{"b": "x\ufffd", "\ufffd": 1}]},
    ),
    "a whole surrogate pair deep inside": (
        "remote_data",
        '{"a": "\\ud83d\\ude00"}',
        {"a": "\U0001f600"},
    ),
    "a line separator": ("status", '"a\u2028b\\u2029c"', "a\u2028b\u2029c"),
    "line breaks and tabs": ("status", '"a\\r\\n\\tb\\\\N"', "a\r\n\tb\\N"),
    "what COPY takes for null": ("status", '"\\\\N"', "\\N"),
    "what COPY takes for an end": ("status", '"\\\\."', "\\."),
    "a whole number": ("amount", "3", Decimal(3)),
    "a whole number with a point": ("amount", "1.0", Decimal(1)),
    "a number with an exponent": ("amount", "1e3", Decimal(1000)),
    # In columns, not in JSON, the target makes floats of numbers.
    "a number with many digits": (
        "amount",
        "123456789.123456789012345678",
        Decimal("123456789.12345679"),
    ),
    "a whole number beyond 64 bits": (
        "amount",
        "123456789012345678901234567890",
        Decimal(123456789012345680000000000000),
    ),
    "a whole number beyond 64 bits deep inside": (
        "remote_data",
        '{"a": [123456789012345678901234567890]}',
        {"a": [123456789012345678901234567890]},
    ),
    "a number beyond any float deep inside": (
        "remote_data",
        '{"a": 1e400}',
        {"a": Decimal("1e400")},
    ),
    "a number near zero deep inside": ("remote_data", '{"a": 1e-400}', {"a": Decimal("1e-400")}),
    "a number of 5,000 digits behind its point deep inside": (
        "remote_data",
        f'{{"a": 0.{"7" * 5000}}}',
        {"a": Decimal(f"0.{'7' * 5000}")},
    ),
    "any JSON where an object belongs deep inside": (
        "remote_data",
        '{"": [], "a": {}, "b": [[null, true, 0, ""]], "c": "{}"}',
        {"": [], "a": {}, "b": [[None, True, 0, ""]], "c": "{}"},
    ),
    "a name that comes twice": ("remote_data", '{"a": 1, "a": 2}', {"a": 2}),
    "300 fields with names that clash": (
        "remote_data",
        json.dumps(CLASHING := {name: number for number, name in enumerate(clashing_names(300))}),
        CLASHING,
    ),
    "200 levels": ("remote_data", NESTED, json.loads(NESTED)),
    "a day": ("start_date", '"2024-02-29"', date(2024, 2, 29)),
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
    "the first day": ("start_date", '"0001-01-01"', date(1, 1, 1)),
    "the last moment": (
        "remote_created_at",
        '"9999-12-31T23:59:59.999Z"',
        datetime.fromisoformat("9999-12-31T23:59:59.999000"),
    ),
    "an absent field": ("status", "", None),
}
"""What a column can hold."""

CONTRADICTING: dict[str, tuple[str, Any]] = {
    # what: field, what Kombo sends
    "an unknown field": ("invented_later", {"a": [1, None]}),
    "a field with a name like a column's": ("Status", "x"),
    "a field with the name of the target's own": ("_sdc_sequence", "x"),
    "a number where a text belongs": ("status", 4711),
    "an object where a text belongs": ("status", {"x": "y"}),
    "a list where an object belongs": ("remote_data", [1, 2]),
    "a text where an object belongs": ("remote_data", "{}"),
    "a text where a number belongs": ("amount", "3 days"),
    "a number beyond any float": ("amount", Decimal("1e400")),
    "a number as a text": ("amount", "3"),
    "a text where yes or no belongs": ("start_half_day", "yes"),
    "a number where yes or no belongs": ("start_half_day", 1),
    "an empty text where a day belongs": ("start_date", ""),
    "an empty text where a time belongs": ("remote_created_at", ""),
    **{
        f"{day!r} where a day belongs": ("start_date", day)
        for day in (
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
        f"{moment!r} where a time belongs": ("remote_created_at", moment)
        for moment in (
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
"""What contradicts the column: it is null, and the value stands in `additional_fields`."""


@pytest.fixture(scope="module")
def kombo_of_absences() -> Iterator[Sandbox]:
    def start() -> Sandbox:
        return Sandbox(integrations=1, offers=5, seed=9, categories=("HRIS",))

    with running(start, Sandbox.stop) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def pipe(
    kombo_of_absences: Sandbox, database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Pipe:
    folder = tmp_path_factory.mktemp("odd")
    return Pipe(kombo_of_absences, database, folder, "odd", (TABLE.name,))


@pytest.fixture(scope="module")
def odd_rows(pipe: Pipe) -> dict[str, Row]:
    """Run once over a page in which each record is odd in one way."""
    odd = {what: (field, text) for what, (field, text, _) in FITTING.items()}
    odd |= {what: (field, json_text(value)) for what, (field, value) in CONTRADICTING.items()}
    return rows_after(pipe, odd)


@pytest.mark.parametrize("what", FITTING)
def test_what_a_column_can_hold_is_in_it(odd_rows: dict[str, Row], what: str) -> None:
    field, _, value = FITTING[what]

    assert odd_rows[what][field] == value
    assert odd_rows[what]["additional_fields"] is None


@pytest.mark.parametrize("what", CONTRADICTING)
def test_what_contradicts_its_column_is_whole_in_additional_fields(
    odd_rows: dict[str, Row], what: str
) -> None:
    field, value = CONTRADICTING[what]

    assert odd_rows[what]["additional_fields"] == {field: value}
    if field in TABLE.columns:
        assert odd_rows[what][field] is None


def test_a_record_of_20_mb_comes_whole(pipe: Pipe) -> None:
    text = json.dumps({"cv": "x" * 20_000_000})

    row = rows_after(pipe, {"a big one": ("remote_data", text)})["a big one"]

    assert len(row["remote_data"]["cv"]) == 20_000_000


def json_text(value: Any) -> str:
    return str(value) if isinstance(value, Decimal) else json.dumps(value)


def rows_after(pipe: Pipe, odd: dict[str, tuple[str, str]]) -> dict[str, Row]:
    """Run over a page of records, each with one field (JSON text) that is odd.

    Args:
        pipe: The pipe to run.
        odd: What is odd -> the field, and its JSON text; empty for a field that is left away.

    Returns:
        What is odd -> the row that came of it.
    """
    good = pipe.sandbox.records(TABLE.name)[0]
    texts = []
    for number, (field, text) in enumerate(odd.values()):
        record = {name: json.dumps(value) for name, value in good.items()}
        record |= {"id": f'"odd{number:021}"', field: text}
        fields = ",".join(f'"{name}":{value}' for name, value in record.items() if value)
        texts.append("{" + fields + "}")
    body = '{"status":"success","data":{"next":null,"results":[' + ",".join(texts) + "]}}"
    pipe.sandbox.clear_faults()
    pipe.sandbox.fault(path=PATHS[TABLE.name], body=body)
    pipe.run()
    pipe.sandbox.clear_faults()
    rows = {row["id"]: row for row in pipe.database.table(pipe.schema, TABLE.name)}
    return {what: rows[f"odd{number:021}"] for number, what in enumerate(odd)}
