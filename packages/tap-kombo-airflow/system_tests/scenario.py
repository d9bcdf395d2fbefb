"""Three runs of the DAG, with a lost worker, a broken integration and changes in between."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from cluster import WORKERS, Cluster, airflow, wait_until

from harness import PROJECT
from harness.comparison import Difference, Key, differences, records_of, tables
from harness.postgres import Postgres, postgres
from harness.processes import running
from kombo_sandbox import Request, Sandbox

INTEGRATIONS = 200
SHARD_SIZE = 10
OTHER_SIZE = 50
STREAMS = ("ats_jobs", "ats_offers")
TABLES = [table for table in tables(PROJECT / "catalog.json") if table.name in STREAMS]
BIN = Path(sys.executable).parent

RATE_LIMIT = (10, 1.0)
"""Requests, and seconds: all shards together would be faster."""

Read = tuple[str, str]
"""A stream and an integration."""


@dataclass(frozen=True)
class Run:
    """Kombo, the database and Airflow when a run has finished.

    Attributes:
        state: The state of the run in Airflow.
        tasks: The instances of the task `read`.
        summary: The log of the task `summary`.
        requests: The requests that Kombo received.
        differences: The differences between Kombo and the tables, without the broken integration.
        rows: The number of rows in the tables.
        written: The keys of the rows that the run wrote.
        since: The values of `updated_after` for each stream of each integration.
        bookmarks: The bookmarks in the table of states.
    """

    state: str
    tasks: list[dict[str, Any]]
    summary: str
    requests: list[Request]
    differences: list[Difference]
    rows: int
    written: set[Key]
    since: dict[Read, set[str | None]]
    bookmarks: dict[Read, str]


@dataclass(frozen=True)
class Scenario:
    """The three runs.

    Attributes:
        integration_ids: All integrations.
        broken: The integration whose customer has to reconnect it.
        lost: The numbers of shards that the killed workers were reading, in the first run and in
            the second.
        first: A run during which a worker was killed with its tasks.
        second: A run during which a worker was killed, but not its tasks.
        third: A run with shards of another size.
        changed: The keys of the rows that changed before the second run, and before the third.
        not_valid: DAG id -> the number of tries of `plan` and the logs of its run, for DAGs
            with a setting that is not valid.
    """

    integration_ids: list[str]
    broken: str
    lost: tuple[int, ...]
    first: Run
    second: Run
    third: Run
    changed: tuple[set[Key], set[Key]]
    not_valid: dict[str, tuple[int, str]]


def run_scenario(folder: Path) -> Scenario:
    with running(start_kombo, Sandbox.stop) as kombo, postgres() as database:
        broken = kombo.integration_ids[INTEGRATIONS // 2]
        kombo.set_integration(broken, status="INVALID")
        create_customers(kombo, database)
        (folder / "dags").mkdir()
        (folder / "dags/kombo.py").write_text(dags())
        (folder / "dags/catalog.json").write_bytes(catalog())
        with airflow(folder, database, variables(kombo, database)) as cluster:
            return run_all(cluster, kombo, database, broken)


def start_kombo() -> Sandbox:
    sandbox = Sandbox(integrations=INTEGRATIONS, offers=3, seed=17)
    sandbox.rate_limit(*RATE_LIMIT)
    sandbox.advance(seconds=3600)
    return sandbox


def create_customers(kombo: Sandbox, database: Postgres) -> None:
    """Create the vendor's own table of customers, some of which are gone."""
    with psycopg.connect(
        host=database.socket_folder, user="postgres", dbname="postgres"
    ) as connection:
        connection.execute("CREATE TABLE customers (integration_id text, is_live boolean)")
        connection.cursor().executemany(
            "INSERT INTO customers VALUES (%s, %s)",
            [*((name, True) for name in kombo.integration_ids), ("personio:gone", False)],
        )


def dags() -> str:
    """Return the DAG of docs/scaling.md with shorter delays, and two that are not valid."""
    document = (PROJECT / "docs/scaling.md").read_text()
    blocks: list[str] = re.findall(r"```python\n(.*?)```", document, re.DOTALL)
    [shown] = [block for block in blocks if "PostgresHook" in block]
    call = "kombo_dag(integration_ids=customers)"
    assert call in shown
    delay = "schedule=None, retry_delay=timedelta(seconds=10)"
    catalog = 'Path(__file__).with_name("catalog.json")'
    arguments = f"integration_ids=customers, shard_size={SHARD_SIZE}, catalog={catalog}, {delay}"
    return (
        "from datetime import timedelta\nfrom pathlib import Path\n"
        + shown.replace(call, f"kombo_dag({arguments})")
        + f'no_connection = kombo_dag("no_connection", kombo_conn_id="nobody", {delay})\n'
        + f'empty = kombo_dag("empty_shards", shard_size=0, {delay})\n'
    )


def catalog() -> bytes:
    return subprocess.run(
        [BIN / "kombo-shards", "catalog", *STREAMS],
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout


def variables(kombo: Sandbox, database: Postgres) -> dict[str, str]:
    """Return the environment variables of docs/scaling.md."""
    of_kombo = {
        "conn_type": "generic",
        "password": kombo.api_key,
        "extra": {
            "api_url": kombo.url,
            "integration_ids": {"sql": "SELECT integration_id FROM customers WHERE is_live"},
            # Otherwise some runs would read everything.
            "full_refresh_interval_days": 0,
        },
    }
    of_database = json.dumps(
        {
            "conn_type": "postgres",
            "host": database.socket_folder,
            "login": "postgres",
            "schema": "postgres",
        }
    )
    return {
        "AIRFLOW_CONN_KOMBO": json.dumps(of_kombo),
        "AIRFLOW_CONN_KOMBO_DATABASE": of_database,
        "AIRFLOW_CONN_CRM": of_database,
        "PATH": f"{BIN}:{os.environ['PATH']}",
    }


def run_all(cluster: Cluster, kombo: Sandbox, database: Postgres, broken: str) -> Scenario:
    wait_until(lambda: "kombo" in cluster.dag_ids())
    one, other = WORKERS
    lost = []

    def kill(worker: str, run_id: str, *, with_its_tasks: bool) -> None:
        lost.append(cluster.kill_worker(worker, "kombo", run_id, with_its_tasks=with_its_tasks))

    run = partial(run_once, cluster, kombo, database, broken)
    first = run(during=partial(kill, one, with_its_tasks=True))
    cluster.start_worker(one)
    before_second = change(kombo, broken)
    second = run(during=partial(kill, other, with_its_tasks=False))
    cluster.start_worker(other)
    before_third = change(kombo, broken)
    third = run(shard_size=OTHER_SIZE)
    return Scenario(
        integration_ids=kombo.integration_ids,
        broken=broken,
        lost=tuple(lost),
        first=first,
        second=second,
        third=third,
        changed=(before_second, before_third),
        not_valid={
            name: run_not_valid(cluster, name) for name in ("no_connection", "empty_shards")
        },
    )


def run_once(
    cluster: Cluster,
    kombo: Sandbox,
    database: Postgres,
    broken: str,
    *,
    during: Callable[[str], object] = lambda _: None,
    **conf: Any,
) -> Run:
    kombo.clear_requests()
    [started] = database.rows("SELECT now()::timestamp AS now")
    run_id = cluster.trigger("kombo", **conf)
    during(run_id)
    state = cluster.wait("kombo", run_id)
    rows = {table.name: database.table("kombo", table.name) for table in TABLES}
    found: list[Difference] = []
    for table in TABLES:
        records = {k: v for k, v in records_of(kombo, table).items() if k != broken}
        found += differences(table, records, rows[table.name])
    return Run(
        state=state,
        tasks=[task for task in cluster.tasks("kombo", run_id) if task["task_id"] == "read"],
        summary=cluster.log("kombo", run_id, "summary"),
        requests=kombo.requests(),
        differences=found,
        rows=sum(map(len, rows.values())),
        written={
            (table.name, *table.key_of(row))
            for table in TABLES
            for row in rows[table.name]
            if row["_sdc_received_at"] >= started["now"]
        },
        since=requested_since(kombo),
        bookmarks=bookmarks(database),
    )


def run_not_valid(cluster: Cluster, dag_id: str) -> tuple[int, str]:
    run_id = cluster.trigger(dag_id)
    assert cluster.wait(dag_id, run_id) == "failed"
    [plan] = [task for task in cluster.tasks(dag_id, run_id) if task["task_id"] == "plan"]
    logs = cluster.log(dag_id, run_id, "plan") + cluster.log(dag_id, run_id, "summary")
    return plan["try_number"], logs


def requested_since(kombo: Sandbox) -> dict[Read, set[str | None]]:
    streams = {"/ats/jobs": "ats_jobs", "/ats/offers": "ats_offers"}
    since: dict[Read, set[str | None]] = {}
    for request in kombo.requests():
        if request.integration_id and request.path in streams:
            read = (streams[request.path], request.integration_id)
            since.setdefault(read, set()).add(request.params.get("updated_after"))
    return since


def bookmarks(database: Postgres) -> dict[Read, str]:
    """Return the bookmarks of all rows, each of which has the state of its integration only."""
    found = {}
    for row in database.rows("SELECT integration_id, state FROM kombo.tap_kombo_state"):
        for stream, bookmark in row["state"].get("bookmarks", {}).items():
            [partition] = bookmark["partitions"]
            assert partition["context"]["integration_id"] == row["integration_id"]
            found[stream, row["integration_id"]] = partition["replication_key_value"]
    return found


def change(kombo: Sandbox, broken: str) -> set[Key]:
    """Change, add and delete records, later than the last run's lookback."""
    kombo.advance(seconds=3600)
    names = [name for name in kombo.integration_ids if name != broken]
    changed = {
        ("ats_offers", key)
        for name in names[::20]
        for key in (
            *kombo.change("ats_offers", integration_id=name),
            *kombo.add("ats_offers", 1, name),
        )
    }
    deleted = {
        ("ats_jobs", key)
        for name in names[5::50]
        for key in kombo.delete("ats_jobs", integration_id=name)
    }
    kombo.advance(seconds=3600)
    return changed | deleted
