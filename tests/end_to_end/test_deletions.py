"""The SQL of docs/deletions.md: the rows that are current."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest

from harness import PROJECT
from harness.postgres import Postgres, postgres
from kombo_sandbox import Sandbox
from tests.code_blocks import code_block
from tests.end_to_end.singer_pipe import Pipe

BEFORE, FULL_SYNC, AFTER = "2026-01-01 11:59:59.999", "2026-01-01 12:00", "2026-01-01 12:01"
A, B, C = "personio:a", "personio:b", "lever:c"
ROWS = [
    # integration, id, extracted, deleted
    (A, "extracted later", AFTER, None),
    (A, "extracted as the full sync started", FULL_SYNC, None),
    (A, "not extracted since", BEFORE, None),
    (A, "deleted", AFTER, FULL_SYNC),
    (B, "never read completely", BEFORE, None),
    (B, "never read completely, deleted", BEFORE, BEFORE),
    (C, "without a status", BEFORE, None),
    (C, "without a status, deleted", AFTER, AFTER),
]
CURRENT = {
    "extracted later",
    "extracted as the full sync started",
    "never read completely",
    "without a status",
}
TABLES: LiteralString = """
    CREATE TABLE ats_candidates (integration_id text, id text,
      _sdc_extracted_at timestamp, _sdc_deleted_at timestamp);
    CREATE TABLE hris_employees (LIKE ats_candidates);
    CREATE TABLE sync_status (integration_id text, stream text, full_sync_started_at timestamp);
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with postgres() as found:
        yield found


@pytest.fixture
def connection(server: Postgres) -> Iterator[psycopg.Connection[Any]]:
    """Connect to a database with the tables of two streams; the test is rolled back."""
    with psycopg.connect(host=server.socket_folder, user="postgres", dbname="postgres") as found:
        found.execute("DROP SCHEMA IF EXISTS kombo CASCADE")
        found.execute("CREATE SCHEMA kombo")
        found.execute("SET search_path = kombo")
        found.execute(TABLES)
        with found.cursor() as cursor:
            cursor.executemany("INSERT INTO ats_candidates VALUES (%s, %s, %s, %s)", ROWS)
            cursor.executemany("INSERT INTO hris_employees VALUES (%s, %s, %s, %s)", ROWS[:3])
            cursor.executemany(
                "INSERT INTO sync_status VALUES (%s, %s, %s)",
                [
                    (A, "ats_candidates", FULL_SYNC),
                    (B, "ats_candidates", None),
                    (A, "ats_jobs", AFTER),
                    (B, "ats_jobs", AFTER),
                ],
            )
        yield found
        found.rollback()


def example(page: str, start: str) -> LiteralString:
    """Return the SQL of the only code block that contains a text."""
    document = (PROJECT / "docs" / page).read_text()
    return code_block("sql", start, document)


def ids(connection: psycopg.Connection[Any], query: LiteralString) -> set[str]:
    return {id_ for (id_,) in connection.execute(query)}


def test_a_view_for_each_table_has_the_rows_that_are_current(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute(example("deletions.md", "CREATE OR REPLACE VIEW"))

    assert ids(connection, "SELECT id FROM ats_candidates_current") == CURRENT
    assert len(ids(connection, "SELECT id FROM hris_employees_current")) == 3


def test_the_views_can_be_created_again(connection: psycopg.Connection[Any]) -> None:
    for _ in range(2):
        connection.execute(example("deletions.md", "CREATE OR REPLACE VIEW"))

    views = ids(connection, "SELECT viewname FROM pg_views WHERE schemaname = 'kombo'")
    assert views == {"ats_candidates_current", "hris_employees_current"}


def test_the_views_have_the_records_that_kombo_still_has(server: Postgres, tmp_path: Path) -> None:
    streams = ("ats_offers", "ats_tags", "sync_status")
    with Sandbox(integrations=2, offers=20, seed=3) as sandbox:

        def sync(name: str) -> None:
            """Run a sync without a state."""
            (tmp_path / name).mkdir()
            Pipe(sandbox, server, tmp_path / name, "kombo", streams).run()

        sync("first")
        sandbox.advance(3600)
        forgotten = sandbox.forget("ats_offers", count=3)
        sandbox.forget("ats_tags")
        sandbox.delete("ats_offers", count=2)
        sync("second")
        live = {
            name: {record["id"] for record in sandbox.records(name, include_deleted=False)}
            for name in ("ats_offers", "ats_tags")
        }

    with psycopg.connect(
        host=server.socket_folder, user="postgres", dbname="postgres"
    ) as connection:
        connection.execute(example("deletions.md", "CREATE OR REPLACE VIEW"))
        assert set(forgotten) <= ids(connection, "SELECT id FROM kombo.ats_offers")
        assert ids(connection, "SELECT id FROM kombo.ats_offers_current") == live["ats_offers"]
        assert ids(connection, "SELECT id FROM kombo.ats_tags_current") == live["ats_tags"]


def test_a_statement_deletes_the_rows_that_are_not_current(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute(example("deletions.md", "DELETE FROM"))

    assert ids(connection, "SELECT id FROM ats_candidates") == CURRENT


def test_a_customer_can_be_erased_from_tables_with_views(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute(example("deletions.md", "CREATE OR REPLACE VIEW"))
    connection.execute(example("privacy.md", "DO $$").replace("INTEGRATION", A))

    assert ids(connection, "SELECT integration_id FROM ats_candidates") == {B, C}
    assert ids(connection, "SELECT integration_id FROM sync_status") == {B}
