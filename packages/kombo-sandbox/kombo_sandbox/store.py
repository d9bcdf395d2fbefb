"""What Kombo holds, in one SQLite file: a table for each model, a row for each record."""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kombo_sandbox.integrations import Integration
from kombo_sandbox.models import MODELS, SERVED, Model
from kombo_sandbox.orders import OLDEST_FIRST, Order, Place
from kombo_sandbox.rendering import served
from kombo_sandbox.touching import Dependent, counting, dependents, settling

Record = dict[str, Any]

LIVE, DELETED, ANONYMIZED = range(3)

_BATCH = 1000
_COLUMNS = ("seq", "integration", "id", "own", "body", "state", "written_at", "touched_at")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass
class Row:
    """One record.

    Attributes:
        seq: its place in the order in which Kombo lists the model.
        own: its own properties, without nested copies.
        links: the ``seq`` of the record behind each link.
        touched_at: when it changed in the sense of ``updated_after``, as Kombo writes times.
        body: JSON text to answer word for word, instead of what is stored here.
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
    """Opens the file, and makes its tables when it is new."""

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < (3, 38):
            raise ValueError(f"SQLite 3.38 or later is needed, this is {sqlite3.sqlite_version}")
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            self._prepare()
        except sqlite3.Error as error:
            raise ValueError(f"{path} cannot be used for data: {error}") from error
        states = self._db.execute("SELECT state FROM integrations ORDER BY seq")
        self.integrations = {
            one.id: one for one in (Integration(**json.loads(state)) for (state,) in states)
        }

    def _prepare(self) -> None:
        # What SQLite calls lower() knows no letters but English ones.
        self._db.create_function("casefold", 1, lambda text: text and str(text).casefold())
        # The data is made up and can be made again: speed matters, a power cut does not.
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

    # Settings of the sandbox that outlive a restart.

    def setting(self, key: str) -> Any:
        row = self._db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()
        return row and row[0]

    def keep(self, key: str, value: float | str) -> None:
        self._db.execute("REPLACE INTO settings VALUES (?, ?)", (key, value))

    # Integrations.

    def integration(self, integration_id: str) -> Integration:
        if integration_id not in self.integrations:
            raise ValueError(f"there is no integration {integration_id}")
        return self.integrations[integration_id]

    def save_integration(self, integration: Integration) -> None:
        self.integrations[integration.id] = integration
        state = json.dumps(asdict(integration))
        self._db.execute("REPLACE INTO integrations VALUES (?, ?)", (integration.seq, state))

    def remove_integration(self, integration: Integration) -> None:
        del self.integrations[integration.id]
        self._db.execute("DELETE FROM integrations WHERE seq = ?", (integration.seq,))
        for model in MODELS:
            self._db.execute(f"DELETE FROM {model} WHERE integration = ?", (integration.seq,))

    # Reading.

    def page(
        self,
        model: Model,
        integration: int,
        *,
        order: Order = OLDEST_FIRST,
        after: Place | None = None,
        limit: int,
        conditions: Sequence[str] = (),
        values: Mapping[str, Any] | None = None,
        sparse: bool = False,
    ) -> list[tuple[Place, bytes | None]]:
        """Up to ``limit`` records behind the place ``after``, each with its own place.

        With ``sparse`` those that do not fit the conditions count too, as None.
        """
        where, place = ("1", {}) if after is None else order.behind(after)
        fits = " AND ".join(conditions) or "1"
        shown = f"CASE WHEN {fits} THEN {served(model)} END" if sparse else served(model)
        found = self._db.execute(
            f"SELECT {shown}, {', '.join(order.keys)} FROM {model.id} r"
            f" WHERE integration = :integration AND {where} AND {'1' if sparse else fits}"
            f" ORDER BY {order.sql} LIMIT :limit",
            {"integration": integration, "limit": limit, **place, **(values or {})},
        )
        return [(its_place, body) for body, *its_place in found]

    def records(
        self, model: Model, integration: int, *, include_deleted: bool = True
    ) -> Iterator[bytes]:
        """All records, as Kombo would answer them, read a page at a time."""
        with_deleted = include_deleted and model.listing.tracks_changes
        after, conditions = None, () if with_deleted else ("r.state = 0",)
        while page := self.page(model, integration, after=after, limit=1000, conditions=conditions):
            yield from (body for _, body in page if body is not None)
            after = page[-1][0]

    def rows(self, model: Model, where: str, **values: object) -> list[Row]:
        """The rows for which the SQL ``where`` is true."""
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

    def counting(self, row: Row) -> list[Row]:
        """The linked records whose changes bring this one back."""
        return [
            linked
            for target, found in counting(row.model)
            for linked in self.rows(
                target,
                f"r.seq IN (SELECT t.seq FROM {row.model.id} r, {found} AND r.seq = :seq)",
                seq=row.seq,
            )
        ]

    def rendered(self, row: Row) -> Record:
        """The whole record, as Kombo would answer it."""
        query = f"SELECT {served(row.model)} FROM {row.model.id} r WHERE seq = ?"
        record: Record = json.loads(self._db.execute(query, (row.seq,)).fetchone()[0])
        return record

    def unknown_ids(self, model: Model, integration: int, ids: str) -> list[str]:
        """Those of the ids (a JSON list) that the integration does not have."""
        query = (
            "SELECT value FROM json_each(:ids) WHERE value NOT IN"
            f" (SELECT id FROM {model.id} WHERE integration = :integration"
            " AND id IN (SELECT value FROM json_each(:ids)))"
        )
        found = self._db.execute(query, {"ids": ids, "integration": integration})
        return [one for (one,) in found]

    def last_seq(self, model: Model) -> int:
        query = f"SELECT ifnull(max(seq), 0) FROM {model.id}"
        last: int = self._db.execute(query).fetchone()[0]
        return last

    def fields(self) -> dict[Model, list[str]]:
        """The names of all properties of the served models, by a record of each."""
        names = {}
        for model in SERVED:
            first = self._db.execute(f"SELECT own FROM {model.id} LIMIT 1").fetchone()
            own = model.shown(json.loads(first[0])) if first else {}
            names[model] = [*own, *(node.name for node in model.nested)]
        return names

    # Writing.

    def load(self, rows: Iterable[Row]) -> None:
        """Store new rows in one go; ``settle`` makes them ready to be read."""
        self._db.execute("BEGIN")
        waiting: dict[str, list[tuple[Any, ...]]] = {model: [] for model in MODELS}
        for row in rows:
            batch = waiting[row.model.id]
            batch.append(_values(row, _encode(row.own)))
            if len(batch) == _BATCH:
                self._write(row.model, batch)
                batch.clear()
        for name, batch in waiting.items():
            self._write(MODELS[name], batch)
        self._db.execute("COMMIT")

    def settle(self, first: int) -> None:
        """Work out what counts as changed in the rows just loaded, and index them.

        They are all rows of the integration with the number ``first`` and of later ones.
        """
        self._db.execute("BEGIN")
        for model in MODELS.values():
            for link in model.links:
                self._index(model, link, link)
        for statement in filter(None, map(settling, MODELS.values())):
            self._db.execute(statement, {"first": first})
        for model in MODELS.values():
            self._index(model, "page", "integration, seq, state, touched_at")
            self._index(model, "id", "id", unique=not model.local_ids)
        self._db.execute("COMMIT")

    def save(self, row: Row) -> None:
        """Store a row, new or changed."""
        self._write(row.model, [_values(row, json.dumps(row.own))])

    def touch(self, row: Row, *, moved: bool) -> None:
        """Let the records that show this one count as changed when it did.

        With ``moved`` it was added or removed, rather than changed.
        """
        for one in _concerned(row.model, moved=moved):
            self._db.execute(
                f"UPDATE {one.model} SET touched_at = max(touched_at, :moment) WHERE {one.where}",
                {"seq": row.seq, "moment": row.touched_at},
            )

    def touched_by(self, row: Row, model: Model) -> list[str]:
        """The ids of the model's records that count as changed when this row changes."""
        return [
            id_
            for one in _concerned(row.model, moved=False)
            if one.model == model.id
            for (id_,) in self._db.execute(
                f"SELECT id FROM {one.model} WHERE {one.where}", {"seq": row.seq}
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


def _concerned(model: Model, *, moved: bool) -> Iterator[Dependent]:
    for one in dependents(model):
        if one.linked or (moved and one.added):
            yield one
