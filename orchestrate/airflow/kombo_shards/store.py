"""Where each integration's state is kept, and who is reading it: a table in PostgreSQL.

It stands in the schema that the rows go to, so that a database that is copied, restored or dropped
takes along the state that belongs to its rows. A row for each integration:

    state           what the target has last told of it
    holder          who is reading it, until `held_until` by the database's clock
    read_began      of the last read that came to its end,
    read_ended      ...
    problem         and why that one is not complete; null if it is

Each operation is a connection and a transaction of its own: nothing is lost with a connection, and
poolers do not matter.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from kombo_shards.configuration import ConfigurationError
from kombo_shards.states import State

TABLE = "tap_kombo_state"

LEASE_SECONDS = 60.0
"""So long after its last sign of life a run is taken for dead."""

CONNECT_SECONDS = 10


class LeaseLostError(Exception):
    """Someone else may be reading the integrations now: nothing more may be written."""


def _driver() -> Any:
    """Find psycopg, or psycopg2: Airflow brings the one, target-postgres the other."""
    for name in ("psycopg", "psycopg2"):
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    raise ConfigurationError("The state is kept in PostgreSQL: install psycopg.")


@dataclass(frozen=True)
class Store:
    """The table.

    Attributes:
        url: Of the database: `postgresql://user:password@host:5432/database`.
        schema: Of the table.
        lease_seconds: So long after its last sign of life a run is taken for dead.
    """

    url: str
    schema: str
    lease_seconds: float = LEASE_SECONDS

    def prepare(self) -> str:
        """Make the table, if there is none; tells the database's time."""
        # `IF NOT EXISTS` alone needs rights that a user of an existing schema may lack.
        [[is_there]] = self._execute("SELECT to_regclass(%s) IS NOT NULL", (self._table,))
        if not is_there:
            schema = _quoted(self.schema)
            [[has_schema]] = self._execute("SELECT to_regnamespace(%s) IS NOT NULL", (schema,))
            self._execute(
                "SELECT pg_advisory_xact_lock(hashtext('tap_kombo_state'));"
                f"{'' if has_schema else f'CREATE SCHEMA IF NOT EXISTS {schema};'}"
                f"CREATE TABLE IF NOT EXISTS {self._table} ("
                "integration_id text PRIMARY KEY, "
                "state jsonb NOT NULL DEFAULT '{}', state_saved timestamptz, "
                "holder text, held_until timestamptz, "
                "read_began timestamptz, read_ended timestamptz, problem text)"
            )
        [[now]] = self._execute("SELECT now()::text")
        return str(now)

    def complete_since(self, moment: str, integration_ids: Sequence[str]) -> set[str]:
        """Find the integrations that were read to their end since then."""
        rows = self._execute(
            f"SELECT integration_id FROM {self._table} WHERE integration_id = ANY(%s::text[]) "
            "AND problem IS NULL AND read_began >= %s::timestamptz",
            (list(integration_ids), moment),
        )
        return {row[0] for row in rows}

    def problems_since(self, moment: str, integration_ids: Sequence[str]) -> dict[str, str]:
        """Find which integrations were not read to their end since then, and why."""
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
        """Take integrations for a run, all but those that another run has.

        Args:
            integration_ids: What is to be read.
            holder: Who reads it, for people; no two runs may have the same.
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
        """Keep what the target has told of integrations.

        Raises:
            LeaseLostError: Another run has taken one of them over.
        """
        rows = self._execute(
            f"UPDATE {self._table} AS own SET state = new.state, state_saved = now() "
            "FROM unnest(%s::text[], %s::jsonb[]) AS new (integration_id, state) "
            "WHERE own.integration_id = new.integration_id AND holder = %s RETURNING 1",
            (list(states), [json.dumps(state) for state in states.values()], holder),
        )
        _expect(len(states), rows)

    def renew(self, holder: str, number: int) -> None:
        """Give a sign of life.

        Raises:
            LeaseLostError: Of the `number` integrations one is no longer this run's.
        """
        rows = self._execute(
            f"UPDATE {self._table} SET held_until = now() + make_interval(secs => %s::float8) "
            "WHERE holder = %s RETURNING 1",
            (self.lease_seconds, holder),
        )
        _expect(number, rows)

    def release(self, holder: str) -> None:
        """Let others read what this run had taken."""
        self._execute(
            f"UPDATE {self._table} SET holder = NULL, held_until = NULL WHERE holder = %s",
            (holder,),
        )

    def end(self, holder: str, began: str, problems: Mapping[str, str | None]) -> None:
        """Note what came of the reads, and let others read.

        Args:
            holder: Whose reads.
            began: When they began, by the database's clock.
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
        with (
            closing(_driver().connect(self.url, connect_timeout=CONNECT_SECONDS)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute(query, values)
            rows: list[Any] = cursor.fetchall() if cursor.description else []
            connection.commit()
            return rows


@dataclass(frozen=True)
class Lease:
    """Integrations that a run has taken.

    Attributes:
        store: Where.
        holder: For whom.
        began: When, by the database's clock.
        states: Integration -> the state to go on from, empty at first.
        others: Integration -> who else has it; those are not this run's.
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


NEVER_ENDED = "It was not read to its end: the log of its shard says why."


def _expect(number: int, rows: Sequence[Any]) -> None:
    if len(rows) < number:
        raise LeaseLostError(
            "Another run has taken integrations of this one over, because this one gave no sign "
            "of life: it ends, and nothing more of it is stored."
        )


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
