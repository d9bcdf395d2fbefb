"""Kombo to PostgreSQL, end to end: a first sync, and a sync of changed records."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from psycopg import sql

from benchmarks import tools
from benchmarks.measuring import BenchmarkError, Run, measure
from benchmarks.stand_in import StandIn, stand_in
from benchmarks.stand_in_server import Shape
from benchmarks.streams import OFFERS
from benchmarks.tools import Arguments, Job
from harness.postgres import Postgres, postgres
from harness.processes import private_folder

SHIPPED = {"use_copy": True, "validate_records": False, "sanitize_null_text_characters": True}
"""Settings of target-postgres in `meltano.yml`"""

CHANGED = 1_000
"""Records that change between the two syncs"""

COLUMNS = ("id", "remote_id", "status", "application_id", "changed_at")
"""Columns whose values are checked"""


def singer(job: Job, folder: Path, database: Postgres, settings: dict[str, Any]) -> Arguments:
    """Pipe the tap into the target, with the last state that the target printed."""
    states = folder / "states.jsonl"
    tap = tools.tap_kombo(job, folder)
    if states.exists():
        last = states.read_text().splitlines()[-1]
        tap += ["--state", tools.write(folder, "state.json", json.loads(last))]
    config = {"sqlalchemy_url": database.url, "default_target_schema": "kombo", **settings}
    target = [
        tools.TAP_BIN / "target-postgres",
        "--config",
        tools.write(folder, "target.json", config),
    ]
    pipe = f"{shlex.join(map(str, tap))} | {shlex.join(map(str, target))} > {states}"
    return ["bash", "-o", "pipefail", "-c", pipe]


def dlt(job: Job, folder: Path, database: Postgres) -> Arguments:
    return tools.dlt(job, folder, postgres=database.socket_folder)


def pyairbyte(job: Job, folder: Path, database: Postgres) -> Arguments:
    fields = {"manifest": job.manifest, "postgres": database.socket_folder}
    python = tools.AIRBYTE_BIN / "python"
    return tools.script(python, "pyairbyte_postgres.py", job, folder, **fields)


OWN = "tap-kombo and target-postgres"
DEFAULTS = f"{OWN}, default settings"

PIPELINES: dict[str, Callable[[Job, Path, Postgres], Arguments]] = {
    OWN: partial(singer, settings=SHIPPED),
    "dlt": dlt,
    "PyAirbyte": pyairbyte,
    DEFAULTS: partial(singer, settings={}),
}
"""Pipeline -> the function that builds its command; both syncs use the same folder"""


def measure_postgres(records: int) -> Iterator[tuple[str, str, Run]]:
    """Measure and check both syncs of each pipeline."""
    for name, command in PIPELINES.items():
        with (
            stand_in(Shape(records=records)) as kombo,
            postgres() as database,
            private_folder("kombo-bench-") as folder,
        ):
            for table, changed in (("first_sync", 0), ("changes", CHANGED)):
                kombo.change(changed)
                kombo.counts()
                run = measure(command(Job(kombo), folder, database), folder) | kombo.counts()
                if run["records"] != (changed or records):
                    raise BenchmarkError(f"{name} read {run['records']} records")
                check_rows(kombo, database, changed)
                yield table, name, run


def check_rows(kombo: StandIn, database: Postgres, changed: int) -> None:
    """Check that the table has each record once, in its current version.

    Raises:
        BenchmarkError: A row is missing, repeated or outdated.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    query = sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier("kombo", *OFFERS))
    rows = database.rows(query)
    found = {row["id"]: row | {"changed_at": utc(row["changed_at"])} for row in rows}
    revised = sum(row["remote_id"] == "revision-2" for row in rows)
    if not len(rows) == len(found) == kombo.shape.records or revised != changed:
        raise BenchmarkError(f"{len(rows)} rows, {len(found)} ids, {revised} changed")
    for record in kombo.first_records(*OFFERS):
        expected = {name: record[name] for name in COLUMNS}
        expected["changed_at"] = datetime.fromisoformat(record["changed_at"])
        if found[record["id"]] != expected:
            raise BenchmarkError(f"{found[record['id']]} was loaded for {expected}")


def utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
