"""`make demo`: sync Kombo into PostgreSQL with Meltano, and compare every row.

The demo runs Meltano, the tap, the target and a PostgreSQL server. Kombo is replaced by a local
sandbox, unless TAP_KOMBO_API_KEY and TAP_KOMBO_INTEGRATION_IDS are set.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import sql

from demo.screen import Screen
from harness import PROJECT
from harness.comparison import Record, Row, Table, differences, records_of, tables
from harness.dbt import DbtProject
from harness.meltano import Pipeline, PipelineError, installed_plugins, sandbox_settings
from harness.postgres import Postgres, postgres
from harness.processes import private_folder, running, stop_on_signals
from kombo_sandbox import Sandbox, SandboxError

LOGS = PROJECT / ".cache" / "demo"

REQUIRED = ("TAP_KOMBO_API_KEY", "TAP_KOMBO_INTEGRATION_IDS")

MAX_INTEGRATION_COLUMNS = 4
"""With more integrations, only the total number of rows is shown"""

CHANGED, NESTED, DELETED = "changed", "nested only", "deleted"

Records = dict[str, dict[str, list[Record]]]
"""Kombo's records: stream -> integration -> records"""

DESELECTED = "email_address"
SELECT = ["*.*", f"!*.*{DESELECTED}"]
"""All fields except the deselected one, which is inside lists of several streams"""

CANDIDATES = """\
SELECT first_name, last_name, email_addresses
FROM kombo.ats_candidates
WHERE cardinality(email_addresses) > 0
LIMIT 3"""

NEWEST_OFFERS = """\
SELECT o.status, o.employment_start_date::date AS starts, j.name AS job,
       c.first_name || ' ' || c.last_name AS candidate
FROM kombo.ats_offers o
JOIN kombo.ats_applications a ON a.id = o.application_id
JOIN kombo.ats_candidates c ON c.id = a.candidate_id
JOIN kombo.ats_jobs j ON j.id = a.job_id
WHERE o._sdc_deleted_at IS NULL
ORDER BY o.changed_at DESC
LIMIT 5"""

UPDATED_OFFERS = """\
SELECT id, changed_at, _sdc_deleted_at
FROM kombo.ats_offers
WHERE _sdc_batched_at > %(started)s
ORDER BY changed_at"""

OWN_KOMBO = """\
To sync your own Kombo into a temporary database:

    export TAP_KOMBO_API_KEY='ks_...'
    export TAP_KOMBO_INTEGRATION_IDS='["personio:B1hu5NGyhdjSq5X3hxEz4bAN"]'
    export TAP_KOMBO_REGION=eu    # or us, ca
    make demo
"""

OWN_DATABASE = """\
To sync into your own database (the tables are in the schema `kombo`):

    export TARGET_POSTGRES_HOST=... TARGET_POSTGRES_DATABASE=...
    export TARGET_POSTGRES_USER=... TARGET_POSTGRES_PASSWORD=...
    .venv/bin/meltano install
    .venv/bin/meltano run tap-kombo target-postgres

Later runs sync only changes. All settings are in meltano.yml."""

GONE_TAGS = """\
SELECT t.integration_id, t.id, t.name
FROM kombo.ats_tags t
JOIN kombo.sync_status s
  ON s.integration_id = t.integration_id AND s.stream = 'ats_tags'
WHERE t._sdc_deleted_at IS NULL
  AND t._sdc_extracted_at < s.full_sync_started_at"""

FUNNEL = """\
SELECT tool, furthest_step, count(*) AS applications,
       round(avg(days_to_interview)) AS days_to_interview,
       round(avg(days_to_offer)) AS days_to_offer
FROM analytics.kombo__applications
GROUP BY tool, furthest_step
ORDER BY tool, applications DESC"""

REFRESH_DAYS = 7


@dataclass
class Demo:
    """The demo, while its servers run."""

    screen: Screen
    pipeline: Pipeline
    database: Postgres
    tables: list[Table]

    def run(self) -> datetime:
        """Run the pipeline, and return when it started."""
        started = datetime.now(UTC).replace(tzinfo=None)
        self.screen.command("meltano run tap-kombo target-postgres")
        with self.screen.progress("Running.") as on_line:
            self.pipeline.run("target-postgres", on_line)
        return started

    def show_tables(self) -> int:
        """Show the number of rows of each table, and return the total."""
        counts = {
            table.name: Counter(row["integration_id"] for row in self.rows(table))
            for table in self.tables
        }
        integrations = sorted({name for count in counts.values() for name in count})
        if len(integrations) > MAX_INTEGRATION_COLUMNS:
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
        if empty := [name for name, count in counts.items() if not count]:
            self.screen.say(f"{len(empty)} tables are empty: {', '.join(empty)}.\n")
        return sum(count.total() for count in counts.values())

    def show_offers(self) -> None:
        self.screen.say("Tables can be joined on Kombo's ids. The newest offers:")
        self.screen.sql(NEWEST_OFFERS)
        self.screen.rows(self.database.rows(NEWEST_OFFERS))

    def show_selection(self) -> None:
        """Show that the deselected field is in no table."""
        self.screen.say(
            f"The setting `select` is {json.dumps(SELECT)}, so email addresses are omitted:"
        )
        self.screen.sql(CANDIDATES)
        self.screen.rows(self.database.rows(CANDIDATES))
        found = {t.name for t in self.tables if f"'{DESELECTED}'" in repr(self.rows(t))}
        self.screen.check(
            holds=not found, claim=f"the field {DESELECTED} is in no table", details=found
        )

    def rows(self, table: Table, *, since: datetime | None = None) -> list[Row]:
        query = sql.SQL("SELECT * FROM kombo.{} WHERE _sdc_batched_at > %(since)s")
        values = {"since": since or "-infinity"}
        return self.database.rows(query.format(sql.Identifier(table.name)), values)

    def check_rows(self, records: Records) -> None:
        """Check that the database equals Kombo."""
        rows = {table.name: self.rows(table) for table in self.tables}
        different = [
            difference
            for table in self.tables
            for difference in differences(table, records[table.name], rows[table.name])
        ]
        self.screen.check(
            holds=not different,
            claim=f"all {sum(map(len, rows.values())):,} rows of all tables equal Kombo's records, "
            "column by column, and no row is missing",
            details=different,
        )


def sync_sandbox(demo: Demo, sandbox: Sandbox) -> None:
    """Run the pipeline twice against the sandbox, with changes between the runs."""
    screen = demo.screen
    screen.chapter("The first run syncs everything")
    demo.run()
    demo.show_tables()
    demo.show_offers()
    demo.show_selection()
    before = all_records(sandbox, demo.tables)
    demo.check_rows(before)

    screen.chapter("Records change in Kombo")
    # Otherwise, the second run would read all records again because of its lookback.
    sandbox.advance(seconds=3600)
    changes = change(sandbox, before)
    screen.say(
        "Three offers change, one is deleted, and for one only the application changes. Kombo "
        "returns this offer as changed, but does not update its changed_at.\n"
        "The sandbox's clock is now two hours ahead of this machine's, as if the second run "
        "started an hour after the first."
    )

    screen.chapter("The second run syncs the changes")
    started = demo.run()
    screen.say("The offers that this run updated:")
    screen.sql(UPDATED_OFFERS.replace("%(started)s", f"'{started:%Y-%m-%d %H:%M:%S}'"))
    offers = demo.database.rows(UPDATED_OFFERS, {"started": started})
    screen.rows([row | {"change": changes.get(row["id"], "?")} for row in offers])
    after = all_records(sandbox, demo.tables)
    updated = {row["id"] for row in offers}
    screen.check(
        holds=updated == changes.keys(),
        claim=f"exactly these {len(changes)} offers were updated, and none of the other "
        f"{len(by_key(after['ats_offers'])) - len(changes):,}",
        details=updated ^ changes.keys(),
    )
    deleted = {id_ for id_, kind in changes.items() if kind == DELETED}
    marked = {row["id"] for row in offers if row["_sdc_deleted_at"]}
    screen.check(
        holds=marked == deleted,
        claim="only the deleted offer has a time in _sdc_deleted_at",
        details=marked ^ deleted,
    )
    check_changes(demo, before, after, started)
    demo.check_rows(after)

    screen.chapter("A week later, each integration is read completely")
    gone = set(sandbox.forget("ats_tags", count=2))
    sandbox.advance(seconds=REFRESH_DAYS * 86_400)
    screen.say(
        "Two tags have disappeared from Kombo without being marked as deleted. Because of "
        "full_refresh_interval_days, the tap reads each integration completely once a week. The "
        "table sync_status has the start of the last complete read. Older rows are not current:"
    )
    interval = {"TAP_KOMBO_FULL_REFRESH_INTERVAL_DAYS": str(REFRESH_DAYS)}
    demo.pipeline = replace(demo.pipeline, settings={**demo.pipeline.settings, **interval})
    demo.run()
    screen.sql(GONE_TAGS)
    rows = demo.database.rows(GONE_TAGS)
    screen.rows(rows)
    found = {row["id"] for row in rows}
    screen.check(
        holds=found == gone,
        claim="exactly the tags that disappeared are not current",
        details=found ^ gone,
    )


def run_dbt(demo: Demo) -> None:
    """Build a mart of the dbt package, and show its rows."""
    screen = demo.screen
    screen.chapter("dbt builds tables for analysts")
    with screen.progress("A dbt project that has installed the package dbt/."):
        project = DbtProject(
            demo.pipeline.folder / "dbt", demo.database.dbt_profile(schema="analytics")
        )
    screen.command("dbt build --select +kombo__applications")
    with screen.progress("Building."):
        build = project.run("build", "--select", "+kombo__applications")
    screen.check(
        holds=build.code == 0,
        claim="dbt built the applications table and everything it depends on, and the tests pass",
        details=build.output.splitlines(),
    )
    screen.sql(FUNNEL)
    screen.rows(demo.database.rows(FUNNEL))


def change(sandbox: Sandbox, records: Records) -> dict[str, str]:
    """Change some offers, and return the kind of change by id."""
    offers = [offer for found in records["ats_offers"].values() for offer in found]
    siblings = Counter(offer["application_id"] for offer in offers)
    single = [
        offer["id"]
        for offer in offers
        if not offer["remote_deleted_at"] and siblings[offer["application_id"]] == 1
    ]
    # Evenly spaced, so that all integrations have changes.
    *changed, nested, deleted = single[:: len(single) // 5][:5]
    sandbox.change("ats_offers", ids=changed)
    sandbox.delete("ats_offers", ids=[deleted])
    return {
        **dict.fromkeys(changed, CHANGED),
        **dict.fromkeys(sandbox.change_nested("ats_offers", ids=[nested]), NESTED),
        deleted: DELETED,
    }


def check_changes(demo: Demo, before: Records, after: Records, started: datetime) -> None:
    """Check that every record that changed in Kombo was updated, in all streams."""
    missing: set[tuple[str, str]] = set()
    counts = []
    for table in demo.tables:
        old, new = by_key(before[table.name]), by_key(after[table.name])
        different = {key for key, record in new.items() if record != old.get(key)}
        updated = {(row["integration_id"], row["id"]) for row in demo.rows(table, since=started)}
        missing |= different - updated
        if updated or different:
            row = {"table": f"kombo.{table.name}", "updated": len(updated)}
            counts.append(row | {"changed in Kombo": len(different)})
    demo.screen.say("All rows that this run updated, and all records that changed in Kombo:")
    demo.screen.rows(counts)
    demo.screen.check(
        holds=not missing,
        claim="every record that changed in Kombo was updated",
        details=missing,
    )


def sync_kombo(demo: Demo) -> None:
    """Run the pipeline twice against the user's Kombo."""
    screen = demo.screen
    screen.chapter("The first run syncs everything")
    demo.run()
    total = demo.show_tables()
    demo.show_offers()

    screen.chapter("The second run syncs the changes")
    started = demo.run()
    updated = sum(len(demo.rows(table, since=started)) for table in demo.tables)
    screen.say(
        f"{updated:,} of {total:,} rows were updated: those that changed since the first run or in "
        "the minute before it (lookback_seconds)."
    )


def all_records(sandbox: Sandbox, tables: list[Table]) -> Records:
    """Return the selected fields of the sandbox's records."""
    records: Records = without(
        {table.name: records_of(sandbox, table) for table in tables}, DESELECTED
    )
    return records


def without(value: Any, field: str) -> Any:
    """Remove a field from all objects."""
    if isinstance(value, list):
        return [without(item, field) for item in value]
    if isinstance(value, dict):
        return {name: without(item, field) for name, item in value.items() if name != field}
    return value


def by_key(records: Mapping[str, list[Record]]) -> dict[tuple[str, str], Record]:
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
    settings = {name: text for name, text in os.environ.items() if name.startswith("TAP_KOMBO_")}
    missing = [name for name in REQUIRED if not settings.get(name)]
    if missing and len(missing) < len(REQUIRED):
        screen.error(f"{missing[0]} is missing. Set {' and '.join(REQUIRED)}, or neither of them.")
        return 1
    started = time.monotonic()
    try:
        run(screen, log, settings={} if missing else settings)
    except SystemExit:
        screen.error("Stopped all servers and processes.")
        log.unlink(missing_ok=True)
        raise
    except (PipelineError, SandboxError) as error:
        screen.error(str(error))
        return 1
    screen.chapter("Next")
    if missing:
        screen.say(OWN_KOMBO)
    screen.say(OWN_DATABASE)
    screen.say(f"\nThis took {time.monotonic() - started:.0f} s.")
    if screen.failures:
        screen.error(f"Some checks failed: see ✗ above. The complete log: {log}")
        return 1
    log.unlink()
    return 0


def run(screen: Screen, log: Path, settings: Mapping[str, str]) -> None:
    """Start the servers, run the demo, and stop them.

    Args:
        screen: Shows the demo.
        log: The file for Meltano's output.
        settings: Environment variables of the tap; if empty, it reads a sandbox.
    """
    sandbox = None
    screen.chapter("Starting")
    with contextlib.ExitStack() as stack:
        # Private, because one of Meltano's files contains the API key.
        folder = stack.enter_context(private_folder("kombo-demo-"))
        if not settings:
            with screen.progress("Kombo's sandbox: a local server with three connected tools."):
                sandbox = stack.enter_context(running(start_sandbox, Sandbox.stop))
            settings = {
                **sandbox_settings(sandbox),
                "TAP_KOMBO__SELECT": json.dumps(SELECT),
            }
        with screen.progress("PostgreSQL: a server with an empty database."):
            database = stack.enter_context(postgres())
        target = {"TARGET_POSTGRES_SQLALCHEMY_URL": database.url}
        pipeline = Pipeline(folder, {**settings, **target}, log)
        with screen.progress("Meltano's plugins: the tap and its targets.") as on_line:
            stack.enter_context(
                installed_plugins(
                    lambda: pipeline.install(on_line),
                    on_wait=lambda: screen.say("Waiting for another run to finish with them."),
                )
            )
        demo = Demo(screen, pipeline, database, tables(PROJECT / "catalog.json"))
        if sandbox:
            sync_sandbox(demo, sandbox)
        else:
            sync_kombo(demo)
        if os.environ.get("DBT"):
            run_dbt(demo)


def start_sandbox() -> Sandbox:
    sandbox = Sandbox(integrations=3, offers=400, seed=7)
    # Now all records are older than the first run's lookback.
    sandbox.advance(seconds=3600)
    return sandbox


if __name__ == "__main__":
    sys.exit(main())
