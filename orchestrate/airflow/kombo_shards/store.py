"""A table in PostgreSQL with the state of each integration, and the run that is reading it.

The table is in the schema of the rows, so that a copy or a backup of the database contains the
states that belong to its rows. Each integration has a row:

    state           its last state that the target emitted
    holder          the run that is reading it, until `held_until` by the database's clock
    read_began      start of the last run that read it to the end
    read_ended      end of that run
    problem         why that run did not read everything; null if it did

Each operation opens its own connection and transaction, so that a lost connection has no effect on
the next operation, and connection poolers work.
"""

from __future__ import annotations

import importlib
import json
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Timer
from typing import Any

from kombo_shards.configuration import ConfigurationError
from kombo_shards.states import State

TABLE = "tap_kombo_state"
COLUMNS = {
    "state": "jsonb NOT NULL DEFAULT '{}'",
    "state_saved": "timestamptz",
    "holder": "text",
    "held_until": "timestamptz",
    "read_began": "timestamptz",
    "read_ended": "timestamptz",
    "problem": "text",
}
"""The columns besides `integration_id`."""

LEASE_SECONDS = 60.0
"""A lease expires so long after it was last renewed."""

CONNECT_SECONDS = 10
LOCK_SECONDS = 5
STATEMENT_SECONDS = 10
"""The server cancels a statement that waits for a lock, or runs, for longer."""

RESPONSE_SECONDS = 15
"""A connection to a server that does not respond is closed after this time."""


class DatabaseError(Exception):
    """The database failed; the message contains no part of the password."""


class LeaseLostError(Exception):
    """Another run may be reading the integrations now, so this one must not write."""


def _driver() -> Any:
    """Import psycopg or psycopg2: Airflow installs one, target-postgres the other."""
    for name in ("psycopg", "psycopg2"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ConfigurationError(
        "The states are in PostgreSQL, but psycopg is not installed. Install it."
    )


@dataclass(frozen=True)
class Store:
    """The table of states.

    Attributes:
        url: The database: `postgresql://user:password@host:5432/database`.
        schema: The table's schema.
        lease_seconds: A lease expires so long after it was last renewed.

    Every method raises DatabaseError if the database fails, and ConfigurationError if the URL, the
    schema or the user's permissions are not valid.
    """

    url: str
    schema: str
    lease_seconds: float = LEASE_SECONDS

    def __post_init__(self) -> None:
        if "%" in self.schema:
            raise ConfigurationError(
                "The name of the schema must not contain `%`. Choose another name."
            )

    def prepare(self) -> str:
        """Create the table or its missing columns, and return the database's time."""
        [[columns]] = self._execute(
            "SELECT array_agg(attname::text) FROM pg_attribute "
            "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
            (self._table,),
        )
        # `IF NOT EXISTS` alone needs permissions that a user of an existing schema may lack.
        if not COLUMNS.keys() <= set(columns or ()):
            schema = _quoted(self.schema)
            [[has_schema]] = self._execute("SELECT to_regnamespace(%s) IS NOT NULL", (schema,))
            added = (f"ADD COLUMN IF NOT EXISTS {name} {kind}" for name, kind in COLUMNS.items())
            self._execute(
                "SELECT pg_advisory_xact_lock(hashtext('tap_kombo_state'));"
                f"{'' if has_schema else f'CREATE SCHEMA IF NOT EXISTS {schema};'}"
                f"CREATE TABLE IF NOT EXISTS {self._table} (integration_id text PRIMARY KEY);"
                f"ALTER TABLE {self._table} {', '.join(added)}"
            )
        [[now]] = self._execute("SELECT now()::text")
        return str(now)

    def complete_since(self, moment: str, integration_ids: Sequence[str]) -> set[str]:
        """Return the integrations that are complete since then."""
        rows = self._execute(
            f"SELECT integration_id FROM {self._table} WHERE integration_id = ANY(%s::text[]) "
            "AND problem IS NULL AND read_began >= %s::timestamptz",
            (list(integration_ids), moment),
        )
        return {row[0] for row in rows}

    def problems_since(self, moment: str, integration_ids: Sequence[str]) -> dict[str, str]:
        """Return why integrations are not complete since then."""
        rows = self._execute(
            f"SELECT integration_id, problem FROM {self._table} WHERE "
            "integration_id = ANY(%s::text[]) AND read_began >= %s::timestamptz",
            (list(integration_ids), moment),
        )
        found = dict(rows)
        return {
            integration_id: found.get(integration_id, NEVER_ENDED)
            for integration_id in integration_ids
            if found.get(integration_id, NEVER_ENDED) is not None
        }

    def take(self, integration_ids: Iterable[str], holder: str) -> Lease:
        """Lease integrations to a run, except those that another run holds.

        Args:
            integration_ids: The integrations to read.
            holder: The name of the run, which must be unique.
        """
        wanted = sorted(integration_ids)
        rows = self._execute(
            f"INSERT INTO {self._table} AS own (integration_id, holder, held_until) "
            "SELECT unnest(%s::text[]), %s, now() + make_interval(secs => %s::float8) "
            "ON CONFLICT (integration_id) DO UPDATE "
            "SET holder = excluded.holder, held_until = excluded.held_until "
            "WHERE own.holder IS NULL OR own.held_until < now() "
            "RETURNING integration_id, state::text, now()::text",
            (wanted, holder, self.lease_seconds),
        )
        states = {row[0]: json.loads(row[1]) for row in rows}
        others = dict(
            self._execute(
                "SELECT integration_id, coalesce(holder, 'another run') "
                f"FROM {self._table} WHERE integration_id = ANY(%s::text[])",
                ([name for name in wanted if name not in states],),
            )
        )
        return Lease(self, holder, rows[0][2] if rows else "", states, others)

    def save(self, holder: str, states: Mapping[str, State]) -> None:
        """Store the states of integrations.

        Raises:
            LeaseLostError: Another run has taken over one of them.
        """
        rows = self._execute(
            f"UPDATE {self._table} AS own SET state = new.state, state_saved = now() "
            "FROM unnest(%s::text[], %s::jsonb[]) AS new (integration_id, state) "
            "WHERE own.integration_id = new.integration_id AND holder = %s RETURNING 1",
            (list(states), [json.dumps(state) for state in states.values()], holder),
        )
        _expect(len(states), rows)

    def renew(self, holder: str, number: int) -> None:
        """Renew the lease.

        Raises:
            LeaseLostError: The run no longer holds all `number` integrations.
        """
        rows = self._execute(
            f"UPDATE {self._table} SET held_until = now() + make_interval(secs => %s::float8) "
            "WHERE holder = %s RETURNING 1",
            (self.lease_seconds, holder),
        )
        _expect(number, rows)

    def release(self, holder: str) -> None:
        """Release the integrations of this run."""
        self._execute(
            f"UPDATE {self._table} SET holder = NULL, held_until = NULL WHERE holder = %s",
            (holder,),
        )

    def end(self, holder: str, began: str, problems: Mapping[str, str | None]) -> None:
        """Store the result of a run, and release its integrations.

        Args:
            holder: The name of the run.
            began: When it began, by the database's clock.
            problems: Integration -> why it is not complete, or None.
        """
        self._execute(
            f"UPDATE {self._table} AS own SET read_began = %s::timestamptz, read_ended = now(), "
            "problem = new.problem, holder = NULL, held_until = NULL "
            "FROM unnest(%s::text[], %s::text[]) AS new (integration_id, problem) "
            "WHERE own.integration_id = new.integration_id AND holder = %s",
            (began, list(problems), list(problems.values()), holder),
        )

    @property
    def _table(self) -> str:
        return f"{_quoted(self.schema)}.{TABLE}"

    def _execute(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        driver = _driver()
        try:
            with (
                closing(driver.connect(self.url, connect_timeout=CONNECT_SECONDS)) as connection,
                socket.socket(fileno=os.dup(connection.fileno())) as line,
                _closing_after(line, RESPONSE_SECONDS),
                closing(connection.cursor()) as cursor,
            ):
                cursor.execute(
                    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'; "
                    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'"
                )
                cursor.execute(query, values)
                rows: list[Any] = cursor.fetchall() if cursor.description else []
                connection.commit()
                return rows
        except driver.ProgrammingError as error:
            # Without a response of the server, the message may quote the URL.
            problem = error.diag.message_primary or "the URL or one of its options is not valid"
            raise ConfigurationError(f"The database of the states: {problem}.") from None
        except (driver.Error, OSError, ValueError) as error:
            diag = getattr(error, "diag", None)
            problem = (diag and diag.message_primary) or str(error).partition("\n")[0]
            sentence = f"The database of the states failed: {problem.rstrip('.')}."
            raise DatabaseError(sentence) from None


@contextmanager
def _closing_after(line: socket.socket, seconds: float) -> Iterator[None]:
    """Close a connection that is still in use after some seconds."""
    timer = Timer(seconds, line.shutdown, [socket.SHUT_RDWR])
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
        began: When the run took the lease, by the database's clock.
        states: Integration -> its last state, empty at first.
        others: Integration -> the other run that holds it.
    """

    store: Store
    holder: str
    began: str
    states: Mapping[str, State]
    others: Mapping[str, str]

    def save(self, states: Mapping[str, State]) -> None:
        self.store.save(self.holder, states)

    def renew(self) -> None:
        self.store.renew(self.holder, len(self.states))

    def release(self) -> None:
        self.store.release(self.holder)

    def end(self, problems: Mapping[str, str]) -> None:
        outcomes = {integration_id: problems.get(integration_id) for integration_id in self.states}
        self.store.end(self.holder, self.began, outcomes)


NEVER_ENDED = "It was not read to the end. See the log of its shard."


def _expect(number: int, rows: Sequence[Any]) -> None:
    if len(rows) < number:
        raise LeaseLostError(
            "Another run has taken over integrations, because this run did not renew its lease. "
            "This run ends, and stores nothing more."
        )


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
