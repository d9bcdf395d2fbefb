"""The table of states, with the state and the lease of each integration.

The table is in the schema of the rows, so a backup of the database contains the states that belong
to its rows. Each integration has a row:

    state           its last state that the target emitted
    state_saved     when that state was stored
    holder          the run that is reading it, until `held_until` on the database's clock
    read_started    start of the last run that finished
    read_finished   end of that run
    problem         the reason why that run did not read everything; null if it did

Each operation opens its own connection, so a lost connection does not affect the next operation,
and connection poolers work.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import ceil
from threading import Timer
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tap_kombo_airflow.settings import ConfigurationError

State = dict[str, Any]

TABLE = "tap_kombo_state"
COLUMNS: dict[LiteralString, LiteralString] = {
    "state": "jsonb NOT NULL DEFAULT jsonb_build_object()",
    "state_saved": "timestamptz",
    "holder": "text",
    "held_until": "timestamptz",
    "read_started": "timestamptz",
    "read_finished": "timestamptz",
    "problem": "text",
}
"""The columns besides `integration_id`."""

NOT_FINISHED = "The read did not finish. See the log of the shard."


class DatabaseError(Exception):
    """The database failed; the message contains no part of the password."""


class LeaseLostError(Exception):
    """Another run may be reading the integrations now, so this run must not write."""


@dataclass(frozen=True)
class Store:
    """The table of states.

    Attributes:
        database: Parameters of libpq, such as `host`. libpq reads missing ones from environment
            variables, such as PGHOST.
        schema: The table's schema.
        lease_seconds: A lease expires this long after it was last renewed. An operation takes at
            most half of this time, even if the server hangs.

    Every method raises DatabaseError if the database fails, and ConfigurationError if the schema,
    a parameter or the user's permissions are not valid.
    """

    database: Mapping[str, Any]
    schema: str
    lease_seconds: float = 60.0

    def __post_init__(self) -> None:
        if "%" in self.schema:
            raise ConfigurationError(
                f"The schema {self.schema}: its name contains `%`. Write another name."
            )

    def prepare(self) -> str:
        """Create the table or its missing columns, and return the database's time."""
        columns = self.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = %s AND table_name = %s",
            [self.schema, TABLE],
        )
        if not COLUMNS.keys() <= {name for [name] in columns}:
            # `IF NOT EXISTS` needs a permission that the user of an existing schema may lack.
            [[has_schema]] = self.execute(
                "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", [self.schema]
            )
            create: LiteralString = "" if has_schema else "CREATE SCHEMA IF NOT EXISTS {schema};"
            added = ", ".join(f"ADD COLUMN IF NOT EXISTS {n} {kind}" for n, kind in COLUMNS.items())
            self.execute(
                "SELECT pg_advisory_xact_lock(hashtext('tap_kombo_state'));"
                + create
                + "CREATE TABLE IF NOT EXISTS {table} (integration_id text PRIMARY KEY);"
                "ALTER TABLE {table} " + added
            )
        [[now]] = self.execute("SELECT now()::text")
        return str(now)

    def problems_since(self, moment: str, integration_ids: Sequence[str]) -> dict[str, str]:
        """Return the problem of each integration that has not been read completely since."""
        rows = self.execute(
            "SELECT integration_id, problem FROM {table} "
            "WHERE integration_id = ANY(%s) AND read_started >= %s::timestamptz",
            [list(integration_ids), moment],
        )
        found = dict(rows)
        problems = {name: found.get(name, NOT_FINISHED) for name in integration_ids}
        return {name: problem for name, problem in problems.items() if problem}

    def take(self, integration_ids: Iterable[str], holder: str) -> Lease:
        """Lease integrations to a run, except those that another run holds.

        Args:
            integration_ids: The integrations to read.
            holder: The name of the run, which must be unique.
        """
        wanted = sorted(integration_ids)
        rows = self.execute(
            "INSERT INTO {table} AS own (integration_id, holder, held_until) "
            "SELECT unnest(%s::text[]), %s, now() + make_interval(secs => %s) "
            "ON CONFLICT (integration_id) DO UPDATE "
            "SET holder = excluded.holder, held_until = excluded.held_until "
            "WHERE own.holder IS NULL OR own.held_until < now() "
            "RETURNING integration_id, state, now()::text",
            [wanted, holder, self.lease_seconds],
        )
        states = {integration_id: state for integration_id, state, _ in rows}
        others = self.execute(
            "SELECT integration_id, coalesce(holder, 'another run') FROM {table} "
            "WHERE integration_id = ANY(%s)",
            [[name for name in wanted if name not in states]],
        )
        return Lease(self, holder, rows[0][2] if rows else "", states, dict(others))

    def execute(self, query: LiteralString, values: Sequence[Any] | None = None) -> list[Any]:
        """Run a query in its own connection, with `{table}` and `{schema}` replaced by names."""
        seconds = self.lease_seconds / 6
        own = sql.SQL(query).format(
            table=sql.Identifier(self.schema, TABLE), schema=sql.Identifier(self.schema)
        )
        try:
            with (
                closing(
                    psycopg.connect(**{**self.database, "connect_timeout": ceil(seconds)})
                ) as connection,
                _closing_after(connection, 1.5 * seconds),
            ):
                # The server also cancels a statement that waits for a lock.
                connection.execute(f"SET LOCAL statement_timeout = {round(1000 * seconds)}")
                cursor = connection.execute(own, values)
                rows = cursor.fetchall() if cursor.description else []
                connection.commit()
                return rows
        except psycopg.ProgrammingError as error:
            raise ConfigurationError(_sentence(error)) from None
        except psycopg.Error as error:
            raise DatabaseError(_sentence(error)) from None

    def select(self, query: str) -> list[Any]:
        """Run a user's query, in which braces are literal."""
        return self.execute(query.replace("{", "{{").replace("}", "}}"))


@contextmanager
def _closing_after(connection: psycopg.Connection, seconds: float) -> Iterator[None]:
    """Close a connection that is still in use after this many seconds."""
    with socket.socket(fileno=os.dup(connection.fileno())) as duplicate:
        timer = Timer(seconds, duplicate.shutdown, [socket.SHUT_RDWR])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@dataclass(frozen=True)
class Lease:
    """The integrations that a run holds.

    Attributes:
        store: The table.
        holder: The name of the run.
        started: The time at which the run took the lease, on the database's clock.
        states: Integration -> its last state, which is empty before its first read.
        others: Integration -> the other run that holds it.
    """

    store: Store
    holder: str
    started: str
    states: Mapping[str, State]
    others: Mapping[str, str]

    def save(self, states: Mapping[str, State]) -> None:
        """Store the states of integrations.

        Raises:
            LeaseLostError: Another run has taken over one of them.
        """
        rows = self.store.execute(
            "UPDATE {table} AS own SET state = new.state, state_saved = now() "
            "FROM unnest(%s::text[], %s::jsonb[]) AS new (integration_id, state) "
            "WHERE own.integration_id = new.integration_id AND holder = %s RETURNING 1",
            [list(states), [json.dumps(state) for state in states.values()], self.holder],
        )
        _check_lease(rows, len(states))

    def renew(self) -> None:
        """Renew the lease.

        Raises:
            LeaseLostError: Another run has taken over an integration.
        """
        rows = self.store.execute(
            "UPDATE {table} SET held_until = now() + make_interval(secs => %s) "
            "WHERE holder = %s RETURNING 1",
            [self.store.lease_seconds, self.holder],
        )
        _check_lease(rows, len(self.states))

    def release(self) -> None:
        """Release the integrations, without a result."""
        self.store.execute(
            "UPDATE {table} SET holder = NULL, held_until = NULL WHERE holder = %s", [self.holder]
        )

    def finish(self, problems: Mapping[str, str]) -> None:
        """Store the result of the run, and release its integrations.

        Args:
            problems: Integration -> the reason why it is not complete.
        """
        self.store.execute(
            "UPDATE {table} AS own SET read_started = %s::timestamptz, read_finished = now(), "
            "problem = new.problem, holder = NULL, held_until = NULL "
            "FROM unnest(%s::text[], %s::text[]) AS new (integration_id, problem) "
            "WHERE own.integration_id = new.integration_id AND holder = %s",
            [
                self.started,
                list(self.states),
                [problems.get(name) for name in self.states],
                self.holder,
            ],
        )


def merge_states(states: Iterable[Mapping[str, Any]]) -> State:
    """Merge the states of integrations into the state of a run that reads all of them.

    The tap's state has a partition for each stream and integration:

        {"bookmarks": {"ats_offers": {"partitions": [{"context": {"integration_id": "..."}, ...}]}}}
    """
    bookmarks: State = {}
    for state in states:
        for stream, bookmark in state.get("bookmarks", {}).items():
            partitions = bookmarks.setdefault(stream, {"partitions": []})["partitions"]
            partitions.extend(bookmark["partitions"])
    return {"bookmarks": bookmarks}


def split_state(state: Mapping[str, Any]) -> dict[str, State]:
    """Split a run's state into the states of its integrations."""
    states: dict[str, State] = {}
    for stream, bookmark in state.get("bookmarks", {}).items():
        for partition in bookmark.get("partitions", []):
            own = states.setdefault(partition["context"]["integration_id"], {"bookmarks": {}})
            own["bookmarks"].setdefault(stream, {"partitions": []})["partitions"].append(partition)
    return states


def _sentence(error: psycopg.Error) -> str:
    problem = error.diag.message_primary or str(error).partition("\n")[0]
    return f"The database of the states failed: {problem.rstrip('.')}."


def _check_lease(rows: Sequence[Any], expected: int) -> None:
    if len(rows) < expected:
        raise LeaseLostError(
            "Another run has taken over integrations, because this run did not renew its lease. "
            "This run stops without storing anything else."
        )
