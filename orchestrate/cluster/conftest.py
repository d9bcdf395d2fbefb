"""One story, lived through once: three runs of the DAG, a lost worker, changes in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import PROJECT
from harness.comparison import Difference, Key, Table, differences, tables
from harness.postgres import Postgres, postgres
from harness.processes import running
from kombo_sandbox import Request, Sandbox
from orchestrate.cluster.airflow import FOLDER, WORKERS, Airflow, MissingError, airflow, wait_until

INTEGRATIONS = 200
SHARD_SIZE = 10
OTHER_SIZE = 50
STREAMS = ("ats_jobs", "ats_offers")
TABLES = [table for table in tables(PROJECT / "catalog.json") if table.name in STREAMS]
BIN = Path(sys.executable).parent

RATE_LIMIT = (60, 5.0)
"""Requests, and seconds: all shards together would be faster."""

RUN_SECONDS = 400.0
"""How long a run may take on two cores."""


Read = tuple[str, str]
"""A stream and an integration."""


@dataclass(frozen=True)
class Run:
    """Kombo, the database and Airflow when a run has ended.

    Attributes:
        state: Airflow's name for how it ended.
        tasks: The instances of the task `read`.
        summary: What the task `summarise` has logged.
        requests: What it asked Kombo for.
        differences: Where the tables are not what Kombo holds of all but the broken integration.
        rows: How many rows there are.
        moved: The rows that it wrote.
        since: From when on each stream of each integration was asked for.
        bookmarks: Up to when each is read, by the table of states.
    """

    state: str
    tasks: list[dict[str, Any]]
    summary: str
    requests: list[Request]
    differences: list[Difference]
    rows: int
    moved: set[Key]
    since: dict[Read, set[str | None]]
    bookmarks: dict[Read, str]


@dataclass(frozen=True)
class Story:
    """What happened.

    Attributes:
        broken: The integration whose customer has to reconnect it.
        lost: How many shards the lost workers were reading, in the first run and in the second.
        mistakes: DAG -> what came of it.
        changed: What changed in Kombo before the second run, and before the third.
    """

    integration_ids: list[str]
    broken: str
    lost: tuple[int, ...]
    first: Run
    second: Run
    third: Run
    changed: tuple[set[Key], set[Key]]
    mistakes: dict[str, Mistake]


@dataclass(frozen=True)
class Mistake:
    """A run of a DAG for which not everything is set up.

    Attributes:
        tries: How often `plan` was run.
        plan: What it has logged.
        summary: What `summarise` has logged.
    """

    tries: int
    plan: str
    summary: str


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    folder = tmp_path_factory.mktemp("airflow")
    with (
        running(start_kombo, Sandbox.stop) as kombo,
        postgres() as database,
    ):
        broken = kombo.integration_ids[INTEGRATIONS // 2]
        kombo.set_integration(broken, status="INVALID")
        list_customers(kombo, database)
        try:
            with airflow(folder, database, variables(kombo, database), dag()) as cluster:
                choose_streams(cluster)
                story = live(cluster, kombo, database, broken)
        except MissingError as error:
            pytest.fail(str(error), pytrace=False)
    return story


def dag() -> str:
    """Edit dag.py as a user would: nobody here waits five minutes for another try."""
    shipped = (FOLDER / "dag.py").read_text()
    pace = "schedule=None, retry_delay=timedelta(seconds=5)"
    edited = shipped.replace(
        '("kombo")', f'("kombo", {pace}, shard_size={SHARD_SIZE}, lease_seconds=20)'
    )
    return (
        edited.replace("\n\nfrom", "\n\nfrom datetime import timedelta\nfrom", 1)
        + f'no_connection = shards_dag("no_connection", {pace}, kombo="nobody")\n'
        + f'no_variable = shards_dag("no_variable", {pace}, kombo="unlisted")\n'
    )


def start_kombo() -> Sandbox:
    sandbox = Sandbox(integrations=INTEGRATIONS, offers=3, seed=17)
    sandbox.rate_limit(*RATE_LIMIT)
    sandbox.advance(seconds=3600)
    return sandbox


def variables(kombo: Sandbox, database: Postgres) -> dict[str, str]:
    """Say what README.md says that a user sets."""
    query = "SELECT integration_id FROM customers WHERE is_live ORDER BY name"
    of_kombo = {
        "conn_type": "generic",
        "password": kombo.api_key,
        "extra": {
            "integration_ids": {"sql": query, "connection": "kombo_database"},
            "api_url": kombo.url,
        },
    }
    unlisted = {**of_kombo, "extra": {"integration_ids": {"variable": "kombo_customers"}}}
    of_database = {
        "conn_type": "postgres",
        "host": database.socket_folder,
        "login": "postgres",
        "schema": "postgres",
    }
    return {
        "AIRFLOW_CONN_KOMBO": json.dumps(of_kombo),
        "AIRFLOW_CONN_UNLISTED": json.dumps(unlisted),
        "AIRFLOW_CONN_KOMBO_DATABASE": json.dumps(of_database),
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }


def list_customers(kombo: Sandbox, database: Postgres) -> None:
    """Fill the vendor's own table, in which some customers are gone."""
    with psycopg.connect(
        host=database.socket_folder, user="postgres", dbname="postgres"
    ) as connection:
        connection.execute(
            "CREATE TABLE customers (name serial, integration_id text, is_live boolean)"
        )
        connection.cursor().executemany(
            "INSERT INTO customers (integration_id, is_live) VALUES (%s, %s)",
            [*((name, True) for name in kombo.integration_ids), ("personio:gone", False)],
        )


def choose_streams(cluster: Airflow) -> None:
    catalog = subprocess.run(
        [BIN / "python", "-m", "kombo_shards", "catalog", *STREAMS],
        cwd=FOLDER.parent,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        capture_output=True,
        check=True,
    ).stdout
    (cluster.folder / "dags/kombo_shards/catalog.json").write_bytes(catalog)


def live(cluster: Airflow, kombo: Sandbox, database: Postgres, broken: str) -> Story:
    wait_until(lambda: "kombo" in cluster.dags(), 60)
    one, other = WORKERS
    lost = []

    def lose(worker: str, run: str, *, with_its_machine: bool) -> None:
        wait_until(lambda: cluster.is_reading(worker, "kombo", run), RUN_SECONDS)
        lost.append(cluster.lose(worker, with_its_machine=with_its_machine))

    first = run(
        cluster, kombo, database, broken, meanwhile=partial(lose, one, with_its_machine=True)
    )
    cluster.start_worker(one)
    before_second = change(kombo, broken)
    second = run(
        cluster, kombo, database, broken, meanwhile=partial(lose, other, with_its_machine=False)
    )
    cluster.start_worker(other)
    before_third = change(kombo, broken)
    third = run(cluster, kombo, database, broken, shard_size=OTHER_SIZE)
    return Story(
        integration_ids=kombo.integration_ids,
        broken=broken,
        lost=tuple(lost),
        first=first,
        second=second,
        third=third,
        changed=(before_second, before_third),
        mistakes={name: mistake(cluster, name) for name in ("no_connection", "no_variable")},
    )


def mistake(cluster: Airflow, dag_id: str) -> Mistake:
    name = cluster.trigger(dag_id)
    assert cluster.wait(dag_id, name, RUN_SECONDS) == "failed"
    [plan] = [task for task in cluster.tasks(dag_id, name) if task["task_id"] == "plan"]
    return Mistake(
        tries=plan["try_number"],
        plan=cluster.log(dag_id, name, "plan"),
        summary=cluster.log(dag_id, name, "summarise"),
    )


def run(
    cluster: Airflow,
    kombo: Sandbox,
    database: Postgres,
    broken: str,
    *,
    meanwhile: Callable[[str], object] = lambda _: None,
    **conf: Any,
) -> Run:
    kombo.clear_requests()
    [[began]] = [row.values() for row in database.rows("SELECT now()::timestamp AS now")]
    name = cluster.trigger("kombo", **conf)
    meanwhile(name)
    state = cluster.wait("kombo", name, RUN_SECONDS)
    rows = {table.name: database.table("kombo", table.name) for table in TABLES}
    return Run(
        state=state,
        tasks=[task for task in cluster.tasks("kombo", name) if task["task_id"] == "read"],
        summary=cluster.log("kombo", name, "summarise"),
        requests=kombo.requests(),
        differences=[
            difference
            for table in TABLES
            for difference in differences(table, held_by(kombo, table, broken), rows[table.name])
        ],
        rows=sum(map(len, rows.values())),
        moved={
            (table.name, *table.key_of(row))
            for table in TABLES
            for row in rows[table.name]
            if row["_sdc_received_at"] >= began
        },
        since=asked_since(kombo),
        bookmarks=bookmarks(database),
    )


def asked_since(kombo: Sandbox) -> dict[Read, set[str | None]]:
    streams = {"/ats/jobs": "ats_jobs", "/ats/offers": "ats_offers"}
    found: dict[Read, set[str | None]] = {}
    for request in kombo.requests():
        if request.integration_id and request.path in streams:
            since = found.setdefault((streams[request.path], request.integration_id), set())
            since.add(request.params.get("updated_after"))
    return found


def bookmarks(database: Postgres) -> dict[Read, str]:
    """Read the table of states, and make sure that each row speaks of its own integration."""
    states = database.rows("SELECT integration_id, state FROM kombo.tap_kombo_state")
    found = {}
    for row in states:
        for stream, bookmark in row["state"].get("bookmarks", {}).items():
            [partition] = bookmark["partitions"]
            assert partition["context"]["integration_id"] == row["integration_id"]
            found[stream, row["integration_id"]] = partition["replication_key_value"]
    return found


def change(kombo: Sandbox, broken: str) -> set[Key]:
    """Let things happen, out of reach of the last run's lookback."""
    kombo.advance(seconds=3600)
    living = [name for name in kombo.integration_ids if name != broken]
    changed = {
        ("ats_offers", key)
        for name in living[::20]
        for key in (
            *kombo.change("ats_offers", integration_id=name),
            *kombo.add("ats_offers", 1, name),
        )
    }
    deleted = {
        ("ats_jobs", key)
        for name in living[5::50]
        for key in kombo.delete("ats_jobs", integration_id=name)
    }
    kombo.advance(seconds=3600)
    return changed | deleted


def held_by(kombo: Sandbox, table: Table, broken: str) -> dict[str, list[dict[str, Any]]]:
    return {
        name: kombo.records(table.name, name) for name in kombo.integration_ids if name != broken
    }
