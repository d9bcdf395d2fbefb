"""Kombo to PostgreSQL, end to end: a first sync, and a sync of changed records."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from psycopg import sql

from benchmarks import tools
from benchmarks.measuring import BenchmarkError, Figures, Run, middle
from benchmarks.measuring import measure as run_command
from benchmarks.stand_in import StandIn, stand_in
from benchmarks.stand_in_server import Shape
from benchmarks.streams import OFFERS
from benchmarks.tables import Column, Ratio, cpu, number, runs_table, spread, wall
from benchmarks.tools import TAP_KOMBO, Arguments, Job
from harness.postgres import Postgres, postgres
from harness.processes import private_folder

SHIPPED = {"use_copy": True, "validate_records": False, "sanitize_null_text_characters": True}
"""Settings of target-postgres in `meltano.yml`"""

CHANGED = 1_000
"""Records that change between the two syncs"""


@dataclass(frozen=True)
class Pipeline:
    """A tool that loads PostgreSQL.

    Attributes:
        name: Its name in RESULTS.md.
        schema: The database schema of its tables.
        command: Builds its command. The folder is the same for both syncs.
    """

    name: str
    schema: str
    command: Callable[[Job, Path, Postgres], Arguments]


def singer(job: Job, folder: Path, database: Postgres, settings: dict[str, Any]) -> Arguments:
    """Pipe the tap into the target, with the last state that the target printed."""
    states = folder / "states.jsonl"
    tap = [tools.TAP_BIN / "tap-kombo", *tools.singer_files(job, folder, {})]
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


def dlt_postgres(job: Job, folder: Path, database: Postgres) -> Arguments:
    return tools.dlt(job, folder, until="load", postgres=database.socket_folder)


def pyairbyte(job: Job, folder: Path, database: Postgres) -> Arguments:
    fields = {"manifest": job.manifest, "postgres": database.socket_folder}
    return tools.script(
        tools.AIRBYTE_BIN / "python", "pyairbyte_postgres.py", job, folder, **fields
    )


OWN = "tap-kombo and target-postgres"
DEFAULTS = f"{OWN}, default settings"

PIPELINES = (
    Pipeline(OWN, "kombo", partial(singer, settings=SHIPPED)),
    Pipeline("dlt", "kombo", dlt_postgres),
    Pipeline("PyAirbyte", "airbyte", pyairbyte),
)
SLOW = Pipeline(DEFAULTS, "kombo", partial(singer, settings={}))
"""Runs once"""

MOST_ROUNDS = 2
"""The runs are long enough to differ little."""


def measure(records: int, rounds: int) -> Figures:
    changed = min(CHANGED, records)
    runs: Figures = {each.name: {"first": [], "changes": []} for each in (*PIPELINES, SLOW)}
    with stand_in(Shape(records=records)) as kombo:
        alone = [TAP_KOMBO.run(Job(kombo, OFFERS)) for _ in range(rounds)]
    for round_ in range(1, min(rounds, MOST_ROUNDS) + 1):
        for pipeline in (*PIPELINES, *([SLOW] if round_ == 1 else [])):
            print(f"postgres, round {round_}: {pipeline.name}", flush=True)
            first, changes = measure_pipeline(pipeline, records, changed)
            runs[pipeline.name]["first"].append(first)
            runs[pipeline.name]["changes"].append(changes)
    return {"records": records, "changed": changed, "pipelines": runs, "tap": alone}


def measure_pipeline(pipeline: Pipeline, records: int, changed: int) -> tuple[Run, Run]:
    """Measure the first sync and the sync of changes, and check their rows."""
    with (
        stand_in(Shape(records=records)) as kombo,
        postgres() as database,
        private_folder("kombo-bench-") as folder,
    ):
        first = sync(pipeline, kombo, database, folder)
        check_rows(pipeline, kombo, database, changed=0)
        kombo.change(changed)
        changes = sync(pipeline, kombo, database, folder)
        check_rows(pipeline, kombo, database, changed)
    if (first["records"], changes["records"]) != (records, changed):
        raise BenchmarkError(f"{pipeline.name} read {first['records']}, {changes['records']}")
    return first, changes


def sync(pipeline: Pipeline, kombo: StandIn, database: Postgres, folder: Path) -> Run:
    kombo.counts()
    before = server_cpu(database)
    command = pipeline.command(Job(kombo, OFFERS), folder, database)
    usage = run_command(command, folder)
    return {
        **usage,
        "server_cpu": server_cpu(database) - before,
        "records": kombo.counts().records,
    }


def server_cpu(database: Postgres) -> float:
    """Return the CPU seconds of the server and all its processes so far."""
    server: Any = database.server.get_postmaster_info().process
    times = [process.cpu_times() for process in (server, *server.children())]
    ended = times[0].children_user + times[0].children_system
    return float(ended + sum(time.user + time.system for time in times))


def check_rows(pipeline: Pipeline, kombo: StandIn, database: Postgres, changed: int) -> None:
    """Check that the table has each record once, as it is in Kombo now.

    Raises:
        BenchmarkError: It does not.
    """
    table = sql.Identifier(pipeline.schema, *OFFERS)
    query = sql.SQL(
        "SELECT count(*) AS rows, count(DISTINCT id) AS ids,"
        " count(*) FILTER (WHERE remote_id = 'revision-2') AS changed FROM {}"
    )
    [counts] = database.rows(query.format(table))
    records = kombo.shape.records
    if counts != {"rows": records, "ids": records, "changed": changed}:
        raise BenchmarkError(f"{pipeline.name} loaded {counts} of {records} and {changed} changed")
    columns = ("id", "remote_id", "status", "application_id", "changed_at")
    expected = {record["id"]: record for record in kombo.first_records(*OFFERS)}
    query = sql.SQL("SELECT {} FROM {} WHERE id = ANY(%(ids)s)")
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    for row in database.rows(query.format(names, table), {"ids": list(expected)}):
        record = {name: expected[row["id"]][name] for name in columns}
        record["changed_at"] = datetime.fromisoformat(record["changed_at"])
        if row | {"changed_at": utc(row["changed_at"])} != record:
            raise BenchmarkError(f"{pipeline.name} loaded {row} for {record}")


def utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def ratios(figures: Figures) -> Iterator[Ratio]:
    own = figures["pipelines"][OWN]
    labels = {
        "first": f"first sync of {figures['records']:,} offers",
        "changes": f"sync of {figures['changed']:,} changed offers",
    }
    for name, pipeline in figures["pipelines"].items():
        for step, label in labels.items():
            for figure, title in (("wall", "Time"), ("cpu", "CPU")):
                if name != OWN:
                    what = f"{title} of {name} ÷ of {OWN}, {label}"
                    ratio = middle(pipeline[step], figure) / middle(own[step], figure)
                    yield f"postgres, {step}, {title.lower()}: {name}", what, ratio
    what = "Time of tap-kombo alone ÷ with target-postgres, first sync"
    ratio = middle(figures["tap"], "wall") / middle(own["first"], "wall")
    yield "postgres: tap-kombo alone", what, ratio


def texts(figures: Figures) -> dict[str, str]:
    columns: dict[str, Column] = {
        "Time, s": wall,
        "CPU, s": cpu,
        "CPU of PostgreSQL, s": partial(spread, name="server_cpu"),
        "Runs": number,
    }
    pipelines = figures["pipelines"].items()
    return {
        "postgres_records": f"{figures['records']:,}",
        "changed": f"{figures['changed']:,}",
        "first_sync": runs_table("Pipeline", {n: runs["first"] for n, runs in pipelines}, columns),
        "changes": runs_table("Pipeline", {n: runs["changes"] for n, runs in pipelines}, columns),
        "tap_alone": wall(figures["tap"]),
    }
