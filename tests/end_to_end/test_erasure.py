"""The SQL of docs/privacy.md, on tables with the records of the sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from harness import PROJECT
from harness.comparison import Record, Table, tables
from harness.postgres import Postgres, postgres
from kombo_sandbox import Sandbox
from tests.code_blocks import code_block

TABLES = tables(PROJECT / "catalog.json")


@pytest.fixture(scope="module")
def records() -> dict[str, list[Record]]:
    with Sandbox(integrations=2, offers=40, seed=5, categories=("ATS", "HRIS")) as sandbox:
        return {
            table.name: [
                {**record, "integration_id": integration_id}
                for integration_id in sandbox.integration_ids
                for record in sandbox.records(table.name, integration_id)
            ]
            for table in TABLES
            if table.name.startswith(("ats_", "hris_"))
        }


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture
def connection(
    server: Postgres, records: dict[str, list[Record]]
) -> Iterator[psycopg.Connection[Any]]:
    """Connect to a database with all tables of target-postgres; the test is rolled back."""
    with psycopg.connect(host=server.socket_folder, user="postgres", dbname="postgres") as found:
        found.execute("CREATE SCHEMA kombo")
        found.execute("SET search_path = kombo")
        for table in TABLES:
            if table.name in records:
                store(found, table, records[table.name])
        yield found
        found.rollback()


def store(connection: psycopg.Connection[Any], table: Table, rows: list[Record]) -> None:
    name = sql.Identifier(table.name)
    columns = [
        sql.SQL("{} {}").format(
            sql.Identifier(column),
            sql.SQL("jsonb" if {"array", "object"} & set(schema["type"]) else "text"),
        )
        for column, schema in table.columns.items()
    ]
    connection.execute(sql.SQL("CREATE TABLE {} ({})").format(name, sql.SQL(",").join(columns)))
    connection.execute(
        sql.SQL("INSERT INTO {0} SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s)").format(
            name
        ),
        [json.dumps(rows)],
    )


def queries(start: str, **ids: str) -> LiteralString:
    """Return the SQL of the only code block that contains a text, with IDs for placeholders."""
    code = code_block("sql", start, (PROJECT / "docs/privacy.md").read_text())
    for placeholder, value in ids.items():
        code = code.replace(placeholder, value)
    return code


def rows(connection: psycopg.Connection[Any], names: dict[str, list[Record]]) -> list[str]:
    return [
        row
        for name in names
        for (row,) in connection.execute(
            sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(name))
        )
    ]


@pytest.mark.parametrize("model", ["ats_candidates", "hris_employees"])
def test_sql_erases_all_rows_and_copies_of_a_person(
    connection: psycopg.Connection[Any], records: dict[str, list[Record]], model: str
) -> None:
    before = rows(connection, records)
    mentions = {r["id"]: sum(r["id"] in row for row in before) for r in records[model]}
    person = max(mentions, key=lambda name: mentions[name])
    [integration_id] = {r["integration_id"] for r in records[model] if r["id"] == person}

    connection.execute(queries(f"DELETE FROM {model} ", INTEGRATION=integration_id, PERSON=person))

    after = rows(connection, records)
    assert mentions[person] > 5
    assert [row for row in after if person in row] == []
    others = [row for row in before if person not in row]
    assert [row for row in others if row not in after] == []


def test_sql_erases_all_rows_of_an_integration(
    connection: psycopg.Connection[Any], records: dict[str, list[Record]]
) -> None:
    before = rows(connection, records)
    integration_id = records["ats_candidates"][0]["integration_id"]

    connection.execute(queries("DO $$", INTEGRATION=integration_id))

    assert rows(connection, records) == [row for row in before if integration_id not in row]


def test_sql_erases_an_integration_without_its_mark_in_the_list_of_integrations(
    connection: psycopg.Connection[Any], records: dict[str, list[Record]]
) -> None:
    integration_id = records["ats_candidates"][0]["integration_id"]
    connection.execute("CREATE TABLE tap_kombo_integrations (integration_id text)")
    connection.execute("INSERT INTO tap_kombo_integrations VALUES (%s)", [integration_id])

    connection.execute(queries("DO $$", INTEGRATION=integration_id))

    assert connection.execute("SELECT * FROM tap_kombo_integrations").fetchall()
