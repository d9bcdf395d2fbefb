"""What happens to records while Kombo is being read: changed, deleted, anonymized, added."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from kombo_sandbox.arguments import check_range, parse_object
from kombo_sandbox.clock import Clock, iso
from kombo_sandbox.integrations import TOOLS, Integration
from kombo_sandbox.models import MODELS, SERVED, Model
from kombo_sandbox.seed import Seeder
from kombo_sandbox.store import ANONYMIZED, DELETED, LIVE, Record, Row, Store
from kombo_sandbox.tenant import Tenant
from kombo_sandbox.touching import shows_counting

# Records that can be given new values: what was put in word for word stays as it is.
_CHANGEABLE = "r.state = 0 AND r.body IS NULL"
_MOST = 1_000_000
# What an anonymized record still tells.
_KEPT = {"id", "changed_at", "remote_deleted_at"}


@dataclass(frozen=True)
class Choice:
    """Records of a model: those with ``ids``, or ``count`` by chance (of one integration)."""

    model: str
    count: int = 1
    integration_id: str | None = None
    ids: Sequence[str] | None = None

    def __post_init__(self) -> None:
        check_range("count", self.count, 0, _MOST)


class Changes:
    """Drives the records of a store, at the time of its clock."""

    def __init__(self, store: Store, clock: Clock, seeder: Seeder) -> None:
        self._store = store
        self._clock = clock
        self._seeder = seeder

    def change(self, choice: Choice) -> list[str]:
        """Give live records new own values; ``changed_at`` moves."""
        rng = self._seeder.rng()
        rows = self._pick(choice, _CHANGEABLE, rng)
        tenants = self._tenants(rng)
        for row in rows:
            self._change(row, tenants)
        return [row.id for row in rows]

    def change_nested(self, choice: Choice) -> list[str]:
        """Change linked records that count; the ids are those of all that are found by it."""
        rng = self._seeder.rng()
        tenants = self._tenants(rng)
        touched: dict[str, None] = {}
        shown = shows_counting(_model(choice.model))
        for row in self._pick(choice, f"r.state = 0 AND {shown}", rng):
            linked = self._store.counting(row)
            found = [(other, self._store.touched_by(other, row.model)) for other in linked]
            other, ids = min(found, key=lambda one: len(one[1]))
            self._change(other, tenants)
            touched |= dict.fromkeys(ids)
        return list(touched)

    def delete(self, choice: Choice) -> list[str]:
        """The tool has the records no more; they get ``remote_deleted_at``."""
        rows = self._pick(choice, "r.state = 0", self._seeder.rng())
        for row in rows:
            row.state = DELETED
            self._write(row, {"remote_deleted_at": iso(self._clock.now())}, moved=True)
        return [row.id for row in rows]

    def anonymize(self, choice: Choice) -> list[str]:
        """What Kombo does 14 days after a deletion; a live record is deleted by it."""
        rows = self._pick(choice, "r.state < 2", self._seeder.rng())
        for row in rows:
            row.state = ANONYMIZED
            own = dict.fromkeys(row.own.keys() - _KEPT)
            deleted = row.own.get("remote_deleted_at") or iso(self._clock.now())
            nested = dict.fromkeys(node.name for node in row.model.nested)
            row.body = json.dumps({**row.model.shown(row.own), **nested})
            self._write(row, {**own, "remote_deleted_at": deleted}, moved=True)
        return [row.id for row in rows]

    def restore(self, choice: Choice) -> list[str]:
        """Deleted records that are not anonymized come back."""
        rows = self._pick(choice, "r.state = 1", self._seeder.rng())
        for row in rows:
            row.state = LIVE
            self._write(row, {"remote_deleted_at": None}, moved=True)
        return [row.id for row in rows]

    def add(self, model: str, count: int = 1, integration_id: str | None = None) -> list[str]:
        """New records, linked to live ones of the same integration."""
        check_range("count", count, 0, _MOST)
        rng = self._seeder.rng()
        tenants = self._tenants(rng)
        added = []
        having = self._having(_model(model))
        if not having:
            raise ValueError(f"there is no integration to add {model} to")
        for _ in range(count):
            named = integration_id or rng.choice(having).id
            integration = self._store.integration(named)
            if TOOLS[integration.tool].category != _model(model).category is not None:
                raise ValueError(f"{integration.id} has no {model}")
            links = {
                link: self._pick(Choice(target, 1, integration.id), _CHANGEABLE, rng)[0]
                for link, target in _model(model).links.items()
            }
            row = tenants(integration.seq).make(model, **links)
            row.state = LIVE
            self._write(row, {"remote_deleted_at": None}, moved=True)
            added.append(row.id)
        return added

    def patch(self, model: str, id: str, values: Record) -> None:  # noqa: A002 - Kombo's name
        """Put any values into a record, whatever Kombo would say of them."""
        if values.get("id", id) != id:
            raise ValueError("the id of a record cannot be patched")
        row = self._pick(Choice(model, ids=[id]), "1", self._seeder.rng())[0]
        nested = {node.name for node in row.model.nested}
        own = {name: value for name, value in values.items() if name not in nested}
        if len(own) < len(values):
            row.body = json.dumps({**self._store.rendered(row), **values})
        row.state = DELETED if {**row.own, **own}.get("remote_deleted_at") else LIVE
        self._write(row, own, moved=False)

    def put_raw(self, model: str, integration_id: str, json_text: str) -> None:
        """Answer this text, word for word, as a record; one with the same id is replaced."""
        record = parse_object(json_text, "json_text")
        if not isinstance(record.get("id"), str):
            raise ValueError("json_text must have an id, which is a string")  # noqa: TRY004 - not a bug
        its_model = _model(model)
        nested = {node.name for node in its_model.nested}
        known = self._store.rows(its_model, "r.id = :id", id=record["id"])
        row = Row(
            model=its_model,
            seq=known[0].seq if known else self._store.last_seq(its_model) + 1,
            integration=self._store.integration(integration_id).seq,
            own={name: value for name, value in record.items() if name not in nested},
            touched_at=iso(self._clock.now()),
            links=known[0].links if known else {},
            state=DELETED if record.get("remote_deleted_at") else LIVE,
            body=json_text,
        )
        self._store.save(row)
        self._store.touch(row, moved=not known)

    def _pick(self, choice: Choice, condition: str, rng: random.Random) -> list[Row]:
        """The chosen records, of those for which the SQL ``condition`` is true."""
        where, count = condition, choice.count
        if choice.integration_id is None and choice.ids is None:
            # What is not available is not seen to change.
            seqs = ", ".join(str(one.seq) for one in self._having(_model(choice.model)))
            where += f" AND r.integration IN ({seqs})"
        elif choice.integration_id is not None:
            where += f" AND r.integration = {self._store.integration(choice.integration_id).seq}"
        if choice.ids is not None:
            where += " AND r.id IN (SELECT value FROM json_each(:ids))"
            count = len(choice.ids)
        # Multiplied by chance the places give an order by chance, and nothing has to be kept.
        order = f"r.seq * {rng.randrange(1, 2**31, 2)} % {2**31 - 1}"
        rows = self._store.rows(
            _model(choice.model),
            f"{where} ORDER BY {order} LIMIT :count",
            ids=json.dumps(choice.ids),
            count=count,
        )
        if len(rows) < count:
            raise ValueError(f"{choice.model} has only {len(rows)} such records, not {count}")
        return rows

    def _having(self, model: Model) -> list[Integration]:
        """The integrations that can give records of the model."""
        return [one for one in self._store.integrations.values() if one.has(model)]

    def _tenants(self, rng: random.Random) -> Callable[[int], Tenant]:
        """Gives the tenant for the number of an integration."""
        by_seq = {one.seq: one for one in self._store.integrations.values()}
        now = self._clock.now()
        return cache(lambda seq: self._seeder.tenant(by_seq[seq], now, rng))

    def _change(self, row: Row, tenants: Callable[[int], Tenant]) -> None:
        """New values, as a new record with the same links would have them."""
        if not row.model.changes:
            raise ValueError(f"{row.model.id} have no values of their own that could change")
        linked = {
            link: self._store.rows(MODELS[target], "r.seq = :seq", seq=row.links[link])[0].own
            for link, target in row.model.links.items()
            if row.links[link] is not None
        }
        before = {name: row.own.get(name) for name in row.model.changes}
        values = before
        while values == before:
            fresh = tenants(row.integration).values(row.model, row.seq, linked)
            values = {name: fresh[name] for name in row.model.changes}
        self._write(row, {**values, "remote_updated_at": iso(self._clock.now())}, moved=False)

    def _write(self, row: Row, values: Record, *, moved: bool) -> None:
        """Store own values; the record and those that show it count as changed now."""
        row.touched_at = iso(self._clock.now())
        values = {"changed_at": row.touched_at, **values}
        row.own |= values
        if row.body is not None:
            row.body = json.dumps({**json.loads(row.body), **row.model.shown(values)})
        self._store.save(row)
        self._store.touch(row, moved=moved)


def _model(name: str) -> Model:
    if name not in MODELS:
        known = ", ".join(model.id for model in SERVED)
        raise ValueError(f"there is no model {name}, but {known}")
    return MODELS[name]
