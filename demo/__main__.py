"""`make demo`: Kombo into PostgreSQL through Meltano, twice, and the proof that all came.

Everything here is real: HTTP requests, the processes that Meltano starts, a PostgreSQL server. Only
Kombo is a sandbox, unless TAP_KOMBO_API_KEY and TAP_KOMBO_INTEGRATION_IDS are set.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from psycopg import sql

from demo.comparison import Record, Row, Table, differences, tables
from demo.pipeline import PROJECT, Pipeline, PipelineError, plugins
from demo.postgres import Postgres, postgres
from demo.processes import private_folder, running, stop_on_signals
from demo.screen import Screen
from kombo_sandbox import Sandbox, SandboxError

LOGS = PROJECT / ".cache" / "demo"

REQUIRED = ("TAP_KOMBO_API_KEY", "TAP_KOMBO_INTEGRATION_IDS")

SIDE_BY_SIDE = 4
"""So many integrations can have a column each."""

Held = dict[str, dict[str, list[Record]]]
"""What Kombo holds: stream -> integration -> records."""

CANDIDATES_OF_OFFERS = """\
SELECT o.status, o.employment_start_date::date AS starts, j.name AS job,
       c.first_name || ' ' || c.last_name AS candidate
FROM kombo.ats_offers o
JOIN kombo.ats_applications a ON a.id = o.application_id
JOIN kombo.ats_candidates c ON c.id = a.candidate_id
JOIN kombo.ats_jobs j ON j.id = a.job_id
WHERE o._sdc_deleted_at IS NULL
ORDER BY o.changed_at DESC
LIMIT 5"""

OFFERS_THAT_CAME = """\
SELECT id, changed_at, _sdc_deleted_at
FROM kombo.ats_offers
WHERE _sdc_batched_at > %(began)s
ORDER BY changed_at"""

YOUR_KOMBO = """\
The same with your own Kombo, still into a database that is gone afterwards:

    export TAP_KOMBO_API_KEY='ks_...'
    export TAP_KOMBO_INTEGRATION_IDS='["personio:B1hu5NGyhdjSq5X3hxEz4bAN"]'
    export TAP_KOMBO_REGION=eu    # or us, ca
    make demo
"""

YOUR_DATABASE = """\
Into your own database, where it stays (its tables are in the schema `kombo`):

    export TARGET_POSTGRES_HOST=... TARGET_POSTGRES_DATABASE=...
    export TARGET_POSTGRES_USER=... TARGET_POSTGRES_PASSWORD=...
    .venv/bin/meltano install
    .venv/bin/meltano run tap-kombo target-postgres

Each further run brings what has changed since. All settings are in meltano.yml."""


@dataclass
class Demo:
    """The demo, while everything that it needs is up."""

    screen: Screen
    pipeline: Pipeline
    database: Postgres
    tables: list[Table]

    def run(self) -> datetime:
        """Run the pipeline; tells when it began."""
        began = datetime.now(UTC).replace(tzinfo=None)
        self.screen.command("meltano run tap-kombo target-postgres")
        with self.screen.progress("Running.") as on_line:
            self.pipeline.run("target-postgres", on_line)
        return began

    def show_tables(self) -> int:
        """Show what is in the database; tells how many rows that are."""
        counts = {
            table.name: Counter(row["integration_id"] for row in self.rows(table))
            for table in self.tables
        }
        integrations = sorted({name for count in counts.values() for name in count})
        if len(integrations) > SIDE_BY_SIDE:
            integrations = []
        self.screen.rows(
            [
                {"table": f"kombo.{name}"}
                | {integration.split(":")[0]: count[integration] for integration in integrations}
                | {"rows": count.total()}
                for name, count in counts.items()
                if count
            ]
        )
        return sum(count.total() for count in counts.values())

    def show_candidates(self) -> None:
        self.screen.say("Tables are joined as records are in Kombo. The newest offers:")
        self.screen.sql(CANDIDATES_OF_OFFERS)
        self.screen.rows(self.database.rows(CANDIDATES_OF_OFFERS))

    def rows(self, table: Table, *, since: datetime | None = None) -> list[Row]:
        query = sql.SQL("SELECT * FROM kombo.{} WHERE _sdc_batched_at > %(since)s")
        values = {"since": since or "-infinity"}
        return self.database.rows(query.format(sql.Identifier(table.name)), values)

    def compare(self, held: Held) -> None:
        """Prove that the database holds what Kombo holds."""
        rows = {table.name: self.rows(table) for table in self.tables}
        different = [
            difference
            for table in self.tables
            for difference in differences(table, held[table.name], rows[table.name])
        ]
        self.screen.check(
            holds=not different,
            claim=f"all {sum(map(len, rows.values())):,} rows of all tables equal Kombo's records, "
            "column by column, and none is missing",
            details=different,
        )


def with_sandbox(demo: Demo, sandbox: Sandbox) -> None:
    """Two runs against the sandbox, and changes between them."""
    screen = demo.screen
    screen.chapter("The first run reads everything")
    demo.run()
    demo.show_tables()
    demo.show_candidates()
    before = held_by(sandbox, demo.tables)
    demo.compare(before)

    screen.chapter("Something changes in Kombo")
    # Otherwise what the first run has just read were within the second one's lookback.
    sandbox.advance(seconds=3600)
    happened = change(sandbox, before)
    screen.say(
        "Three offers change, one is deleted, and of one only the application changes, which Kombo "
        "counts as a change of what is nested in the offer: its own changed_at stays as it is."
    )

    screen.chapter("The second run reads what has changed")
    began = demo.run()
    screen.say("The offers that have come since it began:")
    screen.sql(OFFERS_THAT_CAME.replace("%(began)s", f"'{began:%Y-%m-%d %H:%M:%S}'"))
    offers = demo.database.rows(OFFERS_THAT_CAME, {"began": began})
    screen.rows([row | {"why": happened.get(row["id"], "?")} for row in offers])
    after = held_by(sandbox, demo.tables)
    came = {row["id"] for row in offers}
    screen.check(
        holds=came == happened.keys(),
        claim=f"exactly these {len(happened)} came, and none of the "
        f"{len(by_origin(after['ats_offers'])) - len(happened):,} others",
        details=came ^ happened.keys(),
    )
    deleted = {id_ for id_, why in happened.items() if why == DELETED}
    marked = {row["id"] for row in offers if row["_sdc_deleted_at"]}
    screen.check(
        holds=marked == deleted,
        claim="the deleted one is marked by _sdc_deleted_at, and it alone",
        details=marked ^ deleted,
    )
    prove_changes(demo, before, after, began)
    demo.compare(after)


CHANGED, NESTED, DELETED = "changed", "nested only", "deleted"


def change(sandbox: Sandbox, held: Held) -> dict[str, str]:
    """Change some offers; tells their ids and what happened to them."""
    offers = [offer for found in held["ats_offers"].values() for offer in found]
    siblings = Counter(offer["application_id"] for offer in offers)
    single = [
        offer["id"]
        for offer in offers
        if not offer["remote_deleted_at"] and siblings[offer["application_id"]] == 1
    ]
    # From all over the list, and so from all integrations.
    *changed, nested, deleted = single[:: len(single) // 5][:5]
    sandbox.change("ats_offers", ids=changed)
    sandbox.delete("ats_offers", ids=[deleted])
    return {
        **dict.fromkeys(changed, CHANGED),
        **dict.fromkeys(sandbox.change_nested("ats_offers", ids=[nested]), NESTED),
        deleted: DELETED,
    }


def prove_changes(demo: Demo, before: Held, after: Held, began: datetime) -> None:
    """Prove that every record that is different now has come, of all streams."""
    missing: set[tuple[str, str]] = set()
    counts = []
    for table in demo.tables:
        old, new = by_origin(before[table.name]), by_origin(after[table.name])
        different = {origin for origin, record in new.items() if record != old.get(origin)}
        came = {(row["integration_id"], row["id"]) for row in demo.rows(table, since=began)}
        missing |= different - came
        if came or different:
            counts.append(
                {"table": f"kombo.{table.name}", "came": len(came), "different": len(different)}
            )
    demo.screen.say("All that came, and how many records look different in Kombo than before:")
    demo.screen.rows(counts)
    demo.screen.check(
        holds=not missing,
        claim="every record that looks different in Kombo now has come",
        details=missing,
    )


def with_kombo(demo: Demo) -> None:
    """Two runs against the real Kombo, where nothing is changed."""
    screen = demo.screen
    screen.chapter("The first run reads everything")
    demo.run()
    total = demo.show_tables()
    demo.show_candidates()

    screen.chapter("The second run reads what has changed")
    began = demo.run()
    again = sum(len(demo.rows(table, since=began)) for table in demo.tables)
    screen.say(
        f"{again:,} of {total:,} rows came again: what has changed meanwhile, and in the minute "
        "before the first run (lookback_seconds)."
    )


def held_by(sandbox: Sandbox, of: list[Table]) -> Held:
    return {
        table.name: {name: sandbox.records(table.name, name) for name in sandbox.integration_ids}
        for table in of
    }


def by_origin(records: Mapping[str, list[Record]]) -> dict[tuple[str, str], Record]:
    return {
        (integration_id, record["id"]): record
        for integration_id, found in records.items()
        for record in found
    }


def main() -> int:
    stop_on_signals()
    screen = Screen()
    log = LOGS / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}-{os.getpid()}.log"
    LOGS.mkdir(parents=True, exist_ok=True)
    given = {name: text for name, text in os.environ.items() if name.startswith("TAP_KOMBO_")}
    missing = [name for name in REQUIRED if not given.get(name)]
    if missing and len(missing) < len(REQUIRED):
        screen.error(f"{missing[0]} is missing: to read your own Kombo, set both, or neither.")
        return 1
    began = time.monotonic()
    try:
        run(screen, log, settings={} if missing else given)
    except SystemExit:
        screen.error("Stopped, and everything that was started with it.")
        log.unlink(missing_ok=True)
        raise
    except (PipelineError, SandboxError) as error:
        screen.error(str(error))
        return 1
    screen.chapter("And now")
    if missing:
        screen.say(YOUR_KOMBO)
    screen.say(YOUR_DATABASE)
    screen.say(f"\nThis took {time.monotonic() - began:.0f} s.")
    if screen.failures:
        screen.error(f"Not everything was as said: see ✗ above. The whole log: {log}")
        return 1
    log.unlink()
    return 0


def run(screen: Screen, log: Path, settings: Mapping[str, str]) -> None:
    """Start everything, tell the story, stop everything.

    Args:
        screen: Where it is told.
        log: For all of Meltano's output.
        settings: The tap's, for the real Kombo; empty for the sandbox.
    """
    sandbox = None
    screen.chapter("Starting")
    with contextlib.ExitStack() as stack:
        # Meltano's own files: private, because one of them holds the API key.
        folder = stack.enter_context(private_folder("kombo-demo-"))
        if not settings:
            with screen.progress("Kombo's sandbox, a server with three connected tools."):
                sandbox = stack.enter_context(running(start_sandbox, Sandbox.stop))
            settings = settings_for(sandbox)
        with screen.progress("PostgreSQL, a server with an empty database."):
            database = stack.enter_context(postgres())
        target = {"TARGET_POSTGRES_SQLALCHEMY_URL": database.url}
        pipeline = Pipeline(folder, {**settings, **target}, log)
        with screen.progress("Meltano's plugins: the tap and its targets.") as on_line:
            stack.enter_context(
                plugins(
                    lambda: pipeline.install(on_line),
                    waiting=lambda: screen.say("Another run is using or installing them: waiting."),
                )
            )
        demo = Demo(screen, pipeline, database, tables(PROJECT / "catalog.json"))
        if sandbox:
            with_sandbox(demo, sandbox)
        else:
            with_kombo(demo)


def start_sandbox() -> Sandbox:
    sandbox = Sandbox(integrations=3, offers=400, seed=7)
    # So that everything in it is older than the first run's lookback.
    sandbox.advance(seconds=3600)
    return sandbox


def settings_for(sandbox: Sandbox) -> dict[str, str]:
    return {
        "TAP_KOMBO_API_URL": sandbox.url,
        "TAP_KOMBO_API_KEY": sandbox.api_key,
        "TAP_KOMBO_INTEGRATION_IDS": json.dumps(sandbox.integration_ids),
    }


if __name__ == "__main__":
    sys.exit(main())
