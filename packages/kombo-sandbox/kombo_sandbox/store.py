"""The data, in one SQLite file: a table for each model, a row for each record."""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from kombo_sandbox.integrations import Integration
from kombo_sandbox.models import FORGOTTEN, LIVE, MODELS, SERVED, Model
from kombo_sandbox.orders import OLDEST_FIRST, Order, Position
from kombo_sandbox.rendering import record_json
from kombo_sandbox.updates import Dependent, dependents, initial_touched_at, tracked_rows

Record = dict[str, Any]

_BATCH = 1000
# `written_at` is the time of the record's own last change, without those of nested records.
_COLUMNS = ("seq", "integration", "id", "own", "body", "state", "written_at", "touched_at")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass
class Row:
    """A record.

    Attributes:
        seq: Its position in the list of the model.
        integration: The number of its integration.
        own: Its own properties, without nested copies.
        touched_at: The time that is compared with `updated_after`.
        links: Link -> the `seq` of the linked record.
        state: `LIVE`, `DELETED`, `ANONYMIZED` or `FORGOTTEN`.
        body: JSON to return unchanged, instead of the own properties and nested copies.
    """

    model: Model
    seq: int
    integration: int
    own: Record
    touched_at: str
    links: dict[str, int | None] = field(default_factory=dict)
    state: int = LIVE
    body: str | None = None

    @property
    def id(self) -> str:
        return str(self.own["id"])


class Store:
    """The data file; a new one is created with empty tables."""

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < (3, 38):
            raise ValueError(f"SQLite 3.38 or later is required, not {sqlite3.sqlite_version}")
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._prepare()
        except sqlite3.Error as error:
            raise ValueError(f"{path} cannot be used for data: {error}") from error
        states = self._db.execute("SELECT state FROM integrations ORDER BY seq")
        read = (msgspec.json.decode(state, type=Integration) for (state,) in states)
        self.integrations = {one.id: one for one in read}

    def _prepare(self) -> None:
        # SQLite's lower() only supports ASCII.
        self._db.create_function("casefold", 1, lambda text: text and str(text).casefold())
        # Speed matters more than durability: the data can be generated again.
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value)")
        self._db.execute("CREATE TABLE IF NOT EXISTS integrations (seq INTEGER PRIMARY KEY, state)")
        for model in MODELS.values():
            links = "".join(f", {link} INTEGER" for link in model.links)
            self._db.execute(
                f"CREATE TABLE IF NOT EXISTS {model.id} (seq INTEGER PRIMARY KEY,"
                " integration INTEGER, id TEXT, own TEXT, body TEXT, state INTEGER,"
                f" written_at TEXT, touched_at TEXT{links})"
            )

    def close(self) -> None:
        self._db.close()

    def setting(self, key: str) -> Any:
        row = self._db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return row and row[0]

    def save_setting(self, key: str, value: float | str) -> None:
        self._db.execute("REPLACE INTO settings VALUES (?, ?)", (key, value))

    def integration(self, integration_id: str) -> Integration:
        if integration_id not in self.integrations:
            raise ValueError(f"the integration {integration_id!r} does not exist")
        return self.integrations[integration_id]

    def save_integration(self, integration: Integration) -> None:
        self.integrations[integration.id] = integration
        state = msgspec.json.encode(integration)
        self._db.execute("REPLACE INTO integrations VALUES (?, ?)", (integration.seq, state))

    def remove_integration(self, integration: Integration) -> None:
        del self.integrations[integration.id]
        self._db.execute("DELETE FROM integrations WHERE seq = ?", (integration.seq,))
        for model in MODELS:
            self._db.execute(f"DELETE FROM {model} WHERE integration = ?", (integration.seq,))

    def page(
        self,
        model: Model,
        integration: int,
        *,
        order: Order = OLDEST_FIRST,
        after: Position | None = None,
        limit: int,
        conditions: Sequence[str] = (),
        values: Mapping[str, Any] | None = None,
        sparse: bool = False,
    ) -> list[tuple[Position, bytes | None]]:
        """Return up to `limit` records after a position, each with its own position.

        With `sparse`, records that do not match the conditions also count toward `limit`, and
        their JSON is None.
        """
        where, position = ("1", {}) if after is None else order.after(after)
        matches = " AND ".join(conditions) or "1"
        shown = record_json(model)
        if sparse:
            shown = f"CASE WHEN {matches} THEN {shown} END"
        found = self._db.execute(
            f"SELECT {shown}, {', '.join(order.keys)} FROM {model.id} r"
            f" WHERE integration = :integration AND r.state < {FORGOTTEN} AND {where}"
            f" AND {'1' if sparse else matches}"
            f" ORDER BY {order.sql} LIMIT :limit",
            {"integration": integration, "limit": limit, **position, **(values or {})},
        )
        return [(position, body) for body, *position in found]

    def records(
        self, model: Model, integration: int, *, include_deleted: bool = True
    ) -> Iterator[bytes]:
        """Yield all records as Kombo returns them."""
        with_deleted = include_deleted and model.listing.tracks_changes
        after, conditions = None, () if with_deleted else (f"r.state = {LIVE}",)
        while page := self.page(model, integration, after=after, limit=1000, conditions=conditions):
            yield from (body for _, body in page if body is not None)
            after = page[-1][0]

    def rows(self, model: Model, where: str, **values: object) -> list[Row]:
        """Return the rows that match an SQL condition."""
        columns = ", ".join((*_COLUMNS, *model.links))
        found = self._db.execute(f"SELECT {columns} FROM {model.id} r WHERE {where}", values)
        return [
            Row(
                model=model,
                seq=seq,
                integration=integration,
                own=json.loads(own),
                touched_at=touched_at,
                links=dict(zip(model.links, links, strict=True)),
                state=state,
                body=body,
            )
            for seq, integration, _, own, body, state, _, touched_at, *links in found
        ]

    def tracked_rows(self, row: Row) -> list[Row]:
        """Return the nested rows that make `updated_after` match this row when they change."""
        return [
            nested
            for target, source in tracked_rows(row.model)
            for nested in self.rows(
                target,
                f"r.seq IN (SELECT t.seq FROM {row.model.id} r, {source} AND r.seq = :seq)",
                seq=row.seq,
            )
        ]

    def record(self, row: Row) -> Record:
        """Return a record as Kombo returns it."""
        query = f"SELECT {record_json(row.model)} FROM {row.model.id} r WHERE seq = ?"
        record: Record = json.loads(self._db.execute(query, (row.seq,)).fetchone()[0])
        return record

    def unknown_ids(self, model: Model, integration: int, ids: str) -> list[str]:
        """Return the ids of a JSON list that do not exist in the integration."""
        query = (
            "SELECT value FROM json_each(:ids) WHERE value NOT IN"
            f" (SELECT id FROM {model.id} WHERE integration = :integration AND state < {FORGOTTEN}"
            " AND id IN (SELECT value FROM json_each(:ids)))"
        )
        found = self._db.execute(query, {"ids": ids, "integration": integration})
        return [one for (one,) in found]

    def last_seq(self, model: Model) -> int:
        query = f"SELECT ifnull(max(seq), 0) FROM {model.id}"
        last: int = self._db.execute(query).fetchone()[0]
        return last

    def fields(self) -> dict[Model, list[str]]:
        """Return the properties of each served model, as found in one of its records."""
        names = {}
        for model in SERVED:
            first = self._db.execute(f"SELECT own FROM {model.id} LIMIT 1").fetchone()
            own = model.shown(json.loads(first[0])) if first else {}
            names[model] = [*own, *(node.name for node in model.nested)]
        return names

    def load(self, rows: Iterable[Row]) -> None:
        """Store new rows, which can be read after `finish_loading`."""
        self._db.execute("BEGIN")
        batches: dict[str, list[tuple[Any, ...]]] = {model: [] for model in MODELS}
        for row in rows:
            batch = batches[row.model.id]
            batch.append(_values(row, _encode(row.own)))
            if len(batch) == _BATCH:
                self._write(row.model, batch)
                batch.clear()
        for name, batch in batches.items():
            self._write(MODELS[name], batch)
        self._db.execute("COMMIT")

    def finish_loading(self, first: int) -> None:
        """Set `touched_at` of loaded rows, and index them.

        Args:
            first: The number of the first loaded integration.
        """
        self._db.execute("BEGIN")
        for model in MODELS.values():
            for link in model.links:
                self._index(model, link, link)
        for statement in filter(None, map(initial_touched_at, MODELS.values())):
            self._db.execute(statement, {"first": first})
        for model in MODELS.values():
            self._index(model, "page", "integration, seq, state, touched_at")
            self._index(model, "id", "id", unique=not model.local_ids)
        self._db.execute("COMMIT")

    def save(self, row: Row) -> None:
        """Store a row, new or changed."""
        own = json.dumps(row.own)
        if not self._db.execute("SELECT json_valid(?)", (own,)).fetchone()[0]:
            raise ValueError("SQLite cannot read the record: it has NaN or is nested too deeply")
        self._write(row.model, [_values(row, own)])

    def touch(self, row: Row, *, added_or_removed: bool) -> None:
        """Make `updated_after` match the rows in which this row is nested.

        Args:
            row: The row that changed.
            added_or_removed: Whether the row was added or removed, so that lists changed.
        """
        for one in _dependents(row.model, added_or_removed=added_or_removed):
            self._db.execute(
                f"UPDATE {one.model} SET touched_at = max(touched_at, :moment) WHERE {one.where}",
                {"seq": row.seq, "moment": row.touched_at},
            )

    def touched_by(self, row: Row, model: Model) -> list[str]:
        """Return the ids of a model's records that `updated_after` matches if a row changes."""
        return [
            id_
            for one in _dependents(row.model, added_or_removed=False)
            if one.model == model.id
            for (id_,) in self._db.execute(
                f"SELECT id FROM {one.model} WHERE {one.where} AND state < {FORGOTTEN}",
                {"seq": row.seq},
            )
        ]

    def _index(self, model: Model, name: str, columns: str, *, unique: bool = False) -> None:
        kind = "UNIQUE INDEX" if unique else "INDEX"
        self._db.execute(
            f"CREATE {kind} IF NOT EXISTS {model.id}_by_{name} ON {model.id} ({columns})"
        )

    def _write(self, model: Model, values: list[tuple[Any, ...]]) -> None:
        marks = ", ".join("?" * (len(_COLUMNS) + len(model.links)))
        columns = ", ".join((*_COLUMNS, *model.links))
        self._db.executemany(f"REPLACE INTO {model.id} ({columns}) VALUES ({marks})", values)


def _values(row: Row, own: str) -> tuple[Any, ...]:
    return (
        row.seq,
        row.integration,
        row.own["id"],
        own,
        row.body,
        row.state,
        row.touched_at,
        row.touched_at,
        *(row.links.get(link) for link in row.model.links),
    )


def _dependents(model: Model, *, added_or_removed: bool) -> Iterator[Dependent]:
    for one in dependents(model):
        if one.tracks_changes or (added_or_removed and one.tracks_members):
            yield one
