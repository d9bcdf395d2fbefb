"""`meltano run tap-kombo target-postgres`, twice: PostgreSQL holds what Kombo holds."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from harness.comparison import Key, Row, Table, differences
from tests.end_to_end.conftest import CATALOG, PATHS, Journey, Moment

TABLES = {table.name: table for table in CATALOG}

each_table = pytest.mark.parametrize("table", CATALOG, ids=lambda table: table.name)
each_incremental_table = pytest.mark.parametrize(
    "table", [table for table in CATALOG if table.is_incremental], ids=lambda table: table.name
)


@each_table
def test_after_the_first_run_every_column_of_every_row_equals_kombos_record(
    journey: Journey, table: Table
) -> None:
    first = journey.first

    assert not list(differences(table, first.held[table.name], first.rows[table.name]))


@each_table
def test_after_the_second_run_every_column_of_every_row_equals_kombos_record(
    journey: Journey, table: Table
) -> None:
    second = journey.second

    assert not list(differences(table, second.held[table.name], second.rows[table.name]))


def test_there_is_something_to_compare(journey: Journey) -> None:
    assert len(journey.first.rows["ats_offers"]) == 240
    assert [table.name for table in CATALOG if not journey.first.rows[table.name]] == []
    assert len(CATALOG) == 40
    assert any(row["_sdc_deleted_at"] for row in journey.first.rows["ats_offers"])


@each_table
def test_the_second_run_brings_what_kombo_says_has_changed_and_nothing_else(
    journey: Journey, table: Table
) -> None:
    assert came(journey, table.name) == journey.changes.found[table.name]


def test_the_second_run_brings_exactly_the_offers_that_changed_in_themselves_or_in_what_they_show(
    journey: Journey,
) -> None:
    changes = journey.changes

    assert len(changes.changed) == 4
    assert came(journey, "ats_offers") == {
        (id_,) for id_ in changes.changed | changes.nested | changes.deleted
    }


def test_a_row_comes_again_when_only_what_is_nested_in_it_changed(journey: Journey) -> None:
    before, after = (
        rows("ats_applications", journey.first),
        came_rows(journey, "ats_applications"),
    )

    showing_changed_offers = [
        row
        for row in after.values()
        if {offer["id"] for offer in row["offers"]} & journey.changes.changed
    ]
    assert len(showing_changed_offers) == 4
    for row in showing_changed_offers:
        assert row["changed_at"] == before[row["id"],]["changed_at"]
    # Of an offer, an application shows only some fields.
    assert any(row["offers"] != before[row["id"],]["offers"] for row in showing_changed_offers)


def test_the_deleted_offer_is_marked_and_keeps_its_fields(journey: Journey) -> None:
    (deleted,) = journey.changes.deleted
    before, after = (rows("ats_offers", moment)[deleted,] for moment in moments(journey))

    assert before["_sdc_deleted_at"] is None
    assert after["_sdc_deleted_at"] is not None
    assert after["_sdc_deleted_at"] == after["remote_deleted_at"]
    assert after["status"] == before["status"]


@each_incremental_table
def test_the_first_run_asks_for_everything(journey: Journey, table: Table) -> None:
    asked = [r for r in journey.first.requests if r.path == PATHS[table.name]]

    assert {r.integration_id for r in asked} == journey.first.giving[table.name]
    assert not any("updated_after" in r.params for r in asked)


@each_incremental_table
def test_the_second_run_asks_for_changes_since_the_first_began_minus_the_lookback(
    journey: Journey, table: Table
) -> None:
    bookmarks = {
        partition["context"]["integration_id"]: partition["replication_key_value"]
        for partition in journey.state["bookmarks"][table.name]["partitions"]
    }
    asked = {
        r.integration_id: r.params.get("updated_after")
        for r in journey.second.requests
        if r.path == PATHS[table.name]
    }

    assert asked == bookmarks
    began, ended = (datetime.fromisoformat(text) for text in journey.first.clock)
    for bookmark in bookmarks.values():
        read_began = datetime.fromisoformat(bookmark) + timedelta(seconds=60)
        # Kombo's Date header knows no fractions of a second.
        assert began - timedelta(seconds=2) <= read_began <= ended


@pytest.mark.parametrize("run", ["first", "second"])
def test_no_run_warns_of_anything(journey: Journey, run: str) -> None:
    log = {"first": journey.first, "second": journey.second}[run].log
    usual = "No state was found, complete import."

    complaints = [line for line in log.splitlines() if re.search(r"\[(warning|error|crit)", line)]
    assert [line for line in complaints if usual not in line] == []
    assert "Traceback" not in log


def moments(journey: Journey) -> tuple[Moment, Moment]:
    return journey.first, journey.second


def rows(table: str, moment: Moment) -> dict[Key, Row]:
    return {TABLES[table].key_of(row): row for row in moment.rows[table]}


def came_rows(journey: Journey, table: str) -> dict[Key, Row]:
    """Find the rows that the second run has written."""
    before = rows(table, journey.first)
    return {
        key: row
        for key, row in rows(table, journey.second).items()
        if key not in before or row["_sdc_batched_at"] > before[key]["_sdc_batched_at"]
    }


def came(journey: Journey, table: str) -> set[Key]:
    return set(came_rows(journey, table))
