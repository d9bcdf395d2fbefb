"""`meltano run tap-kombo target-postgres`, twice: the tables equal the records of the sandbox."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from harness import PROJECT
from harness.comparison import (
    Key,
    Record,
    Row,
    Table,
    changed_records,
    differences,
    records_of,
    tables,
)
from harness.meltano import Pipeline, sandbox_settings
from harness.postgres import Postgres
from harness.processes import running
from kombo_sandbox import Request, Sandbox
from tap_kombo.responses import stream_name
from tap_kombo.streams import MODELS

TABLES = tables(PROJECT / "catalog.json")
PATHS = {model.name: model.path for model in MODELS}
CATEGORIES = ("ATS", "HRIS", "LMS", "ASSESSMENT")
PREFIXES = tuple(f"{category.lower()}_" for category in CATEGORIES)
LOOKBACK = timedelta(seconds=60)

pytestmark = pytest.mark.timeout(600)  # the first test installs the plugins, and waits for all runs

each_table = pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
each_incremental_table = pytest.mark.parametrize(
    "table", [table for table in TABLES if table.is_incremental], ids=lambda table: table.name
)


@dataclass(frozen=True)
class Run:
    """The sandbox and the database after a run.

    Attributes:
        records: The sandbox's records: stream -> integration -> records.
        rows: The rows of the tables: stream -> primary key -> row.
        requests: The requests that the sandbox received.
        log: Meltano's output.
        started: The sandbox's clock at the start.
        ended: The sandbox's clock at the end.
    """

    records: dict[str, dict[str, list[Record]]]
    rows: dict[str, dict[Key, Row]]
    requests: list[Request]
    log: str
    started: datetime
    ended: datetime


@dataclass(frozen=True)
class Changes:
    """The changes between the runs.

    Attributes:
        changed: The ids of offers whose own fields changed.
        nested: The ids of offers of which only a nested record changed.
        deleted: The id of a deleted offer.
        expected: The records that Kombo returns for `updated_after`: stream -> primary keys.
    """

    changed: set[str]
    nested: set[str]
    deleted: str
    expected: dict[str, set[Key]]


@dataclass(frozen=True)
class TwoRuns:
    """A full sync, changes in the sandbox, and an incremental sync.

    Attributes:
        supporting: The integrations that support a model: stream -> integrations.
    """

    supporting: dict[str, set[str]]
    first: Run
    changes: Changes
    second: Run

    def written(self, stream: str) -> dict[Key, Row]:
        """Return the rows that the second run wrote."""
        before = self.first.rows[stream]
        return {
            key: row
            for key, row in self.second.rows[stream].items()
            if key not in before or row["_sdc_batched_at"] > before[key]["_sdc_batched_at"]
        }


@pytest.fixture(scope="module")
def runs(
    installed_plugins: None,  # noqa: ARG001  # needed by the runs
    database: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TwoRuns]:
    folder = tmp_path_factory.mktemp("meltano")

    def start() -> Sandbox:
        return Sandbox(integrations=2, offers=120, seed=7, categories=CATEGORIES)

    with running(start, Sandbox.stop) as sandbox:
        settings = {
            **sandbox_settings(sandbox),
            "TARGET_POSTGRES_SQLALCHEMY_URL": database.url,
        }
        supporting = integrations_by_stream(sandbox)
        # All records are older than the lookback of the run that follows.
        sandbox.advance(seconds=3600)
        first = run(Pipeline(folder, settings, folder / "first.log"), sandbox, database)
        sandbox.advance(seconds=3600)
        changes = change(sandbox, supporting)
        second = run(Pipeline(folder, settings, folder / "second.log"), sandbox, database)
        yield TwoRuns(supporting, first, changes, second)


@each_table
def test_rows_equal_the_records_after_the_first_run(runs: TwoRuns, table: Table) -> None:
    rows = runs.first.rows[table.name].values()

    assert rows
    assert not list(differences(table, runs.first.records[table.name], rows))


@each_table
def test_rows_equal_the_records_after_the_second_run(runs: TwoRuns, table: Table) -> None:
    rows = runs.second.rows[table.name].values()

    assert not list(differences(table, runs.second.records[table.name], rows))


@each_table
def test_second_run_writes_exactly_the_records_that_kombo_returns_as_changed(
    runs: TwoRuns, table: Table
) -> None:
    assert runs.written(table.name).keys() == runs.changes.expected[table.name]


def test_second_run_writes_the_changed_offers_and_no_others(runs: TwoRuns) -> None:
    changes = runs.changes

    assert len(changes.changed) == 4
    assert runs.written("ats_offers").keys() == {
        (id_,) for id_ in {*changes.changed, *changes.nested, changes.deleted}
    }


def test_row_is_updated_when_only_a_nested_record_changed(runs: TwoRuns) -> None:
    before = runs.first.rows["ats_applications"]
    after = {
        key: row
        for key, row in runs.written("ats_applications").items()
        if {offer["id"] for offer in row["offers"]} & runs.changes.changed
    }

    assert len(after) == 4
    assert all(row["changed_at"] == before[key]["changed_at"] for key, row in after.items())
    # An application contains only some fields of an offer, so that not all need differ.
    assert any(row["offers"] != before[key]["offers"] for key, row in after.items())


def test_deleted_offer_keeps_its_row_with_a_deletion_time(runs: TwoRuns) -> None:
    key = (runs.changes.deleted,)
    before, after = runs.first.rows["ats_offers"][key], runs.second.rows["ats_offers"][key]

    assert before["_sdc_deleted_at"] is None
    assert after["_sdc_deleted_at"] is not None
    assert after["_sdc_deleted_at"] == after["remote_deleted_at"]
    assert after["status"] == before["status"]


@each_incremental_table
def test_first_run_requests_all_records(runs: TwoRuns, table: Table) -> None:
    requested = [r for r in runs.first.requests if r.path == PATHS[table.name]]

    assert {r.integration_id for r in requested} == runs.supporting[table.name]
    assert not any("updated_after" in r.params for r in requested)


@each_incremental_table
def test_second_run_requests_changes_since_the_first_run_started_minus_the_lookback(
    runs: TwoRuns, table: Table
) -> None:
    updated_after = {
        r.integration_id: datetime.fromisoformat(r.params["updated_after"])
        for r in runs.second.requests
        if r.path == PATHS[table.name]
    }

    assert updated_after.keys() == runs.supporting[table.name]
    for since in updated_after.values():
        # The tap reads Kombo's clock in whole seconds.
        earliest = runs.first.started - timedelta(seconds=2)
        assert earliest <= since + LOOKBACK <= runs.first.ended


@pytest.mark.parametrize("name", ["first", "second"])
def test_run_logs_no_warning(runs: TwoRuns, name: str) -> None:
    log = {"first": runs.first, "second": runs.second}[name].log
    expected = "No state was found, complete import."

    warnings = [line for line in log.splitlines() if re.search(r"\[(warning|error|crit)", line)]
    assert [line for line in warnings if expected not in line] == []
    assert "Traceback" not in log


def run(pipeline: Pipeline, sandbox: Sandbox, database: Postgres) -> Run:
    sandbox.clear_requests()
    started = datetime.fromisoformat(sandbox.clock())
    pipeline.run("target-postgres")
    return Run(
        records={table.name: records_of(sandbox, table) for table in TABLES},
        rows={
            table.name: {table.key_of(row): row for row in database.table("kombo", table.name)}
            for table in TABLES
        },
        requests=sandbox.requests(),
        log=pipeline.log.read_text(),
        started=started,
        ended=datetime.fromisoformat(sandbox.clock()),
    )


def change(sandbox: Sandbox, supporting: dict[str, set[str]]) -> Changes:
    since = sandbox.clock()
    offers = sandbox.records("ats_offers", include_deleted=False)
    applications = [offer["application_id"] for offer in offers]
    # A change of an offer also changes the other offers of its application.
    single = [offer["id"] for offer in offers if applications.count(offer["application_id"]) == 1]
    *changed, nested, deleted = single[:: len(single) // 6][:6]
    return Changes(
        changed=set(sandbox.change("ats_offers", ids=changed)),
        nested=set(sandbox.change_nested("ats_offers", ids=[nested])),
        deleted=sandbox.delete("ats_offers", ids=[deleted])[0],
        expected={
            table.name: {
                table.key_of({**record, "integration_id": integration_id})
                for integration_id in supporting[table.name]
                for record in (
                    changed_records(sandbox, PATHS[table.name], integration_id, since)
                    if table.is_incremental
                    else sandbox.records(table.name, integration_id)
                )
            }
            for table in TABLES
        },
    )


def integrations_by_stream(sandbox: Sandbox) -> dict[str, set[str]]:
    """Return the integrations that support a model; all have the streams about integrations."""
    available = {
        (integration_id, stream_name(model["id"]))
        for integration_id in sandbox.integration_ids
        for model in sandbox.records("integration_models", integration_id)
        if model["is_available"]
    }
    return {
        table.name: {
            integration_id
            for integration_id in sandbox.integration_ids
            if not table.name.startswith(PREFIXES) or (integration_id, table.name) in available
        }
        for table in TABLES
    }
