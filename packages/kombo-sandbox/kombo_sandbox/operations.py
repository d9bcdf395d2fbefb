"""The operations of the control API; `kombo_sandbox.handle.Handle` documents them."""

import json
import random
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kombo_sandbox.clock import iso, parse_time
from kombo_sandbox.faults import Fault
from kombo_sandbox.integrations import (
    DISABLED,
    OPTED_OUT,
    TOOLS,
    UNSUPPORTED,
    Integration,
    SetupStatus,
    Status,
)
from kombo_sandbox.models import (
    ANONYMIZED,
    DELETED,
    FORGOTTEN,
    LIVE,
    MODELS,
    SERVED,
    Model,
)
from kombo_sandbox.orders import ORDERS
from kombo_sandbox.seeding.factory import RecordFactory
from kombo_sandbox.state import RateLimit, State
from kombo_sandbox.store import Record, Row
from kombo_sandbox.updates import has_tracked_rows

_IS_LIVE = f"r.state = {LIVE}"
_IS_DELETED = f"r.state = {DELETED}"
_IS_NOT_FORGOTTEN = f"r.state < {FORGOTTEN}"
# The caller has set the `body` of a record: random values must not replace it.
_IS_CHANGEABLE = f"{_IS_LIVE} AND r.body IS NULL"

_KEPT_BY_ANONYMIZE = {"id", "changed_at", "remote_deleted_at"}

_Count = Annotated[int, Meta(ge=0, le=1_000_000)]


class Operation(msgspec.Struct, forbid_unknown_fields=True):
    """An operation; its fields are the arguments."""

    def run(self, state: State) -> Any:
        raise NotImplementedError


class _Selection(Operation):
    """An operation on records: those with the given `ids`, or `count` random ones."""

    model: str
    count: _Count = 1
    integration_id: str | None = None
    ids: list[str] | None = None

    def select(self, state: State, condition: str, rng: random.Random) -> list[Row]:
        """Return the records, which must match an SQL condition."""
        model = _model(self.model)
        count = self.count
        if self.integration_id is not None:
            seq = state.store.integration(self.integration_id).seq
            condition += f" AND r.integration = {seq}"
        elif self.ids is None:
            seqs = ", ".join(str(one.seq) for one in _integrations_with(state, model))
            condition += f" AND r.integration IN ({seqs})"
        if self.ids is not None:
            condition += " AND r.id IN (SELECT value FROM json_each(:ids))"
            count = len(self.ids)
        # Multiplying by a random number gives a random order.
        order = f"r.seq * {rng.randrange(1, 2**31, 2)} % {2**31 - 1}"
        rows = state.store.rows(
            model,
            f"{condition} ORDER BY {order} LIMIT :count",
            ids=json.dumps(self.ids),
            count=count,
        )
        if len(rows) < count:
            raise ValueError(f"{self.model}: only {len(rows)} records match, not {count}")
        return rows


class Change(_Selection):
    def run(self, state: State) -> list[str]:
        rng = state.seeder.rng()
        rows = self.select(state, _IS_CHANGEABLE, rng)
        factories = _factories(state, rng)
        for row in rows:
            _change(state, row, factories)
        return [row.id for row in rows]


class ChangeNested(_Selection):
    def run(self, state: State) -> list[str]:
        rng = state.seeder.rng()
        factories = _factories(state, rng)
        touched: dict[str, None] = {}
        condition = f"{_IS_LIVE} AND {has_tracked_rows(_model(self.model))}"
        for row in self.select(state, condition, rng):
            nested = state.store.tracked_rows(row)
            matches = [(other, state.store.touched_by(other, row.model)) for other in nested]
            other, ids = min(matches, key=lambda match: len(match[1]))
            _change(state, other, factories)
            touched |= dict.fromkeys(ids)
        return list(touched)


class Delete(_Selection):
    def run(self, state: State) -> list[str]:
        rows = self.select(state, _IS_LIVE, state.seeder.rng())
        for row in rows:
            _delete(state, row)
        return [row.id for row in rows]


class Anonymize(_Selection):
    def run(self, state: State) -> list[str]:
        rows = self.select(state, f"r.state < {ANONYMIZED}", state.seeder.rng())
        for row in rows:
            row.state = ANONYMIZED
            own = dict.fromkeys(row.own.keys() - _KEPT_BY_ANONYMIZE)
            deleted = row.own.get("remote_deleted_at") or iso(state.clock.now())
            nested = dict.fromkeys(node.name for node in row.model.nested)
            row.body = json.dumps({**row.model.shown(row.own), **nested})
            _write(state, row, {**own, "remote_deleted_at": deleted}, added_or_removed=True)
        return [row.id for row in rows]


class Forget(_Selection):
    def run(self, state: State) -> list[str]:
        rows = self.select(state, _IS_NOT_FORGOTTEN, state.seeder.rng())
        for row in rows:
            row.state = FORGOTTEN
            state.store.save(row)
        return [row.id for row in rows]


class Restore(_Selection):
    def run(self, state: State) -> list[str]:
        rows = self.select(state, _IS_DELETED, state.seeder.rng())
        for row in rows:
            _restore(state, row)
        return [row.id for row in rows]


class Add(Operation):
    model: str
    count: _Count = 1
    integration_id: str | None = None

    def run(self, state: State) -> list[str]:
        model = _model(self.model)
        rng = state.seeder.rng()
        factories = _factories(state, rng)
        candidates = _integrations_with(state, model)
        if not candidates:
            raise ValueError(f"no integration has {self.model}")
        added = []
        for _ in range(self.count):
            integration = state.store.integration(self.integration_id or rng.choice(candidates).id)
            if model.category not in (None, TOOLS[integration.tool].category):
                raise ValueError(f"{integration.id} does not have {self.model}")
            links = {
                link: _Selection(target, 1, integration.id).select(state, _IS_CHANGEABLE, rng)[0]
                for link, target in model.links.items()
            }
            row = factories(integration.seq).make(self.model, **links)
            row.state = LIVE
            _write(state, row, {"remote_deleted_at": None}, added_or_removed=True)
            added.append(row.id)
        return added


class Patch(Operation):
    model: str
    id: str
    values: Record

    def run(self, state: State) -> None:
        if self.values.get("id", self.id) != self.id:
            raise ValueError("the id of a record cannot be patched")
        selection = _Selection(self.model, ids=[self.id])
        row = selection.select(state, _IS_NOT_FORGOTTEN, state.seeder.rng())[0]
        own = _own_values(row.model, self.values)
        if len(own) < len(self.values):
            row.body = json.dumps({**state.store.record(row), **self.values})
        row.state = DELETED if {**row.own, **own}.get("remote_deleted_at") else LIVE
        _write(state, row, own)


class PutRaw(Operation):
    model: str
    integration_id: str
    json_text: str

    def run(self, state: State) -> None:
        model = _model(self.model)
        integration = state.store.integration(self.integration_id)
        record = json.loads(self.json_text)
        if not (isinstance(record, dict) and isinstance(record.get("id"), str)):
            raise ValueError("json_text must be a JSON object with a string as id")  # noqa: TRY004 - an argument, not a bug
        here = {"id": record["id"], "integration": integration.seq}
        known = state.store.rows(model, "r.id = :id AND r.integration = :integration", **here)
        row = Row(
            model=model,
            seq=known[0].seq if known else state.store.last_seq(model) + 1,
            integration=integration.seq,
            own=_own_values(model, record),
            touched_at=iso(state.clock.now()),
            links=known[0].links if known else {},
            state=DELETED if record.get("remote_deleted_at") else LIVE,
            body=self.json_text,
        )
        state.store.save(row)
        state.store.touch(row, added_or_removed=not known)
        state.webhooks.data_changed(row.integration, model)


class GetState(Operation):
    def run(self, state: State) -> dict[str, Any]:
        return {"api_key": state.api_key, "integration_ids": list(state.store.integrations)}


class GetClock(Operation):
    def run(self, state: State) -> str:
        return iso(state.clock.now())


class Advance(Operation):
    seconds: float

    def run(self, state: State) -> str:
        state.clock.move(self.seconds)
        state.store.save_setting("clock_offset", state.clock.offset)
        return iso(state.clock.now())


class AddFault(Fault, Operation):
    def run(self, state: State) -> int:
        return state.faults.add(self)


class ClearFaults(Operation):
    def run(self, state: State) -> None:
        state.faults.clear()


class SetRateLimit(Operation):
    limit: int
    window_seconds: float

    def run(self, state: State) -> None:
        state.rate_limit = RateLimit(self.limit, self.window_seconds)


class GetRequests(Operation):
    def run(self, state: State) -> list[dict[str, Any]]:
        return list(state.log)


class ClearRequests(Operation):
    def run(self, state: State) -> None:
        state.log.clear()


class SetListing(Operation):
    strict: bool | None = None
    order: str | None = None
    sparse: bool | None = None

    def run(self, state: State) -> None:
        if self.order is not None:
            if self.order not in ORDERS:
                raise ValueError(f"order: {self.order!r} is not one of {', '.join(ORDERS)}")
            state.listing.order = ORDERS[self.order]
        if self.strict is not None:
            state.listing.strict = self.strict
        if self.sparse is not None:
            state.listing.sparse = self.sparse


class Schedule(Operation):
    operation: str
    before_request: Annotated[int, Meta(ge=1)]
    arguments: dict[str, Any]

    def run(self, state: State) -> None:
        scheduled = parse(self.operation, self.arguments)
        state.schedule.add(
            self.operation, lambda: scheduled.run(state), before_request=self.before_request
        )


class GetScheduledResults(Operation):
    def run(self, state: State) -> list[dict[str, Any]]:
        return state.schedule.results


class ClearSchedule(Operation):
    def run(self, state: State) -> None:
        state.schedule.clear()


class Reset(Operation):
    def run(self, state: State) -> None:
        state.reset()


class SetIntegration(Operation):
    integration_id: str
    status: Status | None = None
    setup_status: SetupStatus | None = None
    data_expired_at: str | UnsetType | None = UNSET
    unavailable_models: list[str] | None = None
    disabled_models: list[str] | None = None
    opted_out_models: list[str] | None = None
    unsupported_filters: list[str] | None = None

    def run(self, state: State) -> None:
        integration = state.store.integration(self.integration_id)
        if isinstance(self.data_expired_at, str):
            parse_time(self.data_expired_at)
        unavailable = {
            UNSUPPORTED: self.unavailable_models,
            DISABLED: self.disabled_models,
            OPTED_OUT: self.opted_out_models,
        }
        for names in unavailable.values():
            for name in names or ():
                _model(name)
        _set_unavailable(state, integration, unavailable)
        for name in ("status", "setup_status", "unsupported_filters"):
            if (value := getattr(self, name)) is not None:
                setattr(integration, name, value)
        if self.data_expired_at is not UNSET:
            integration.data_expired_at = self.data_expired_at
        state.store.save_integration(integration)
        if self.status is not None or self.setup_status is not None:
            state.webhooks.state_changed(integration)


class AddIntegration(Operation):
    tool: str | None = None
    offers: int = 100

    def run(self, state: State) -> str:
        category = TOOLS[self.tool].category if self.tool in TOOLS else "ATS"
        integration = state.seeder.add_integrations([(category, self.offers)], self.tool)[0]
        state.webhooks.integration_created(integration)
        return integration.id


class RemoveIntegration(Operation):
    integration_id: str

    def run(self, state: State) -> None:
        integration = state.store.integration(self.integration_id)
        state.store.remove_integration(integration)
        state.webhooks.integration_deleted(integration)


class SetWebhook(Operation):
    url: str | None
    secret: str = ""

    def run(self, state: State) -> None:
        state.webhooks.set_receiver(self.url, self.secret)


OPERATIONS: dict[str, type[Operation]] = {
    "change": Change,
    "change_nested": ChangeNested,
    "delete": Delete,
    "anonymize": Anonymize,
    "forget": Forget,
    "restore": Restore,
    "add": Add,
    "patch": Patch,
    "put_raw": PutRaw,
    "state": GetState,
    "clock": GetClock,
    "advance": Advance,
    "fault": AddFault,
    "clear_faults": ClearFaults,
    "rate_limit": SetRateLimit,
    "requests": GetRequests,
    "clear_requests": ClearRequests,
    "set_listing": SetListing,
    "schedule": Schedule,
    "scheduled_results": GetScheduledResults,
    "clear_schedule": ClearSchedule,
    "reset": Reset,
    "set_integration": SetIntegration,
    "add_integration": AddIntegration,
    "remove_integration": RemoveIntegration,
    "set_webhook": SetWebhook,
}


def parse(name: str, arguments: object) -> Operation:
    """Return an operation with its arguments; raises ValueError if they are not valid."""
    if name not in OPERATIONS:
        raise ValueError(f"there is no operation {name}")
    try:
        return msgspec.convert(arguments, OPERATIONS[name])
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def _model(name: str) -> Model:
    if name not in MODELS:
        served = ", ".join(model.id for model in SERVED)
        raise ValueError(f"model: {name!r} is not one of {served}")
    return MODELS[name]


def _own_values(model: Model, record: Record) -> Record:
    """Return the values of a record without the nested ones."""
    nested = {node.name for node in model.nested}
    return {name: value for name, value in record.items() if name not in nested}


def _integrations_with(state: State, model: Model) -> list[Integration]:
    return [one for one in state.store.integrations.values() if one.has(model)]


def _factories(state: State, rng: random.Random) -> Callable[[int], RecordFactory]:
    """Return a cached function from the number of an integration to its factory."""
    by_seq = {one.seq: one for one in state.store.integrations.values()}
    now = state.clock.now()
    return cache(lambda seq: state.seeder.factory(by_seq[seq], now, rng))


def _change(state: State, row: Row, factories: Callable[[int], RecordFactory]) -> None:
    """Replace the values of a row by those of a new record with the same links."""
    if not row.model.changes:
        raise ValueError(f"{row.model.id}: the records have no values that could change")
    linked = {
        link: state.store.rows(MODELS[target], "r.seq = :seq", seq=row.links[link])[0].own
        for link, target in row.model.links.items()
        if row.links[link] is not None
    }
    before = {name: row.own.get(name) for name in row.model.changes}
    values = before
    while values == before:
        generated = factories(row.integration).values(row.model, row.seq, linked)
        values = {name: generated[name] for name in row.model.changes}
    _write(state, row, {**values, "remote_updated_at": iso(state.clock.now())})


def _delete(state: State, row: Row) -> None:
    row.state = DELETED
    _write(state, row, {"remote_deleted_at": iso(state.clock.now())}, added_or_removed=True)


def _restore(state: State, row: Row) -> None:
    row.state = LIVE
    _write(state, row, {"remote_deleted_at": None}, added_or_removed=True)


def _set_unavailable(
    state: State, integration: Integration, unavailable: Mapping[str, list[str] | None]
) -> None:
    """Set the models without data: the reason -> the models, or None to leave them unchanged."""
    available = [model for model in SERVED if integration.has(model)]
    for reason, names in unavailable.items():
        if names is not None:
            integration.set_unavailable_models(names, reason)
    for model in SERVED:
        if integration.has(model):
            _switch_on(state, integration, model)
        elif model in available and integration.unavailable[model.id] != UNSUPPORTED:
            _switch_off(state, integration, model)


def _switch_off(state: State, integration: Integration, model: Model) -> None:
    """Mark all records of a model as deleted; they are listed for 14 more days."""
    integration.switched_off[model.id] = state.clock.now()
    for row in state.store.rows(model, f"r.integration = :seq AND {_IS_LIVE}", seq=integration.seq):
        _delete(state, row)


def _switch_on(state: State, integration: Integration, model: Model) -> None:
    """Restore the records that were marked as deleted when the model was switched off."""
    switched_off = integration.switched_off.pop(model.id, None)
    if switched_off is None:
        return
    where = f"r.integration = :seq AND {_IS_DELETED} AND r.own->>'remote_deleted_at' >= :since"
    for row in state.store.rows(model, where, seq=integration.seq, since=iso(switched_off)):
        _restore(state, row)


def _write(state: State, row: Row, values: Record, *, added_or_removed: bool = False) -> None:
    """Store own values, and set `touched_at` of the row and its dependents to now."""
    row.touched_at = iso(state.clock.now())
    values = {"changed_at": row.touched_at, **values}
    row.own |= values
    if row.body is not None:
        row.body = json.dumps({**json.loads(row.body), **row.model.shown(values)})
    state.store.save(row)
    state.store.touch(row, added_or_removed=added_or_removed)
    state.webhooks.data_changed(row.integration, row.model)
