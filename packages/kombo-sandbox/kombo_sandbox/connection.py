"""The fields that customers can have in a tool, and those that they made of them in Kombo."""

from collections.abc import Iterator, Mapping

from kombo_sandbox.models import SERVED
from kombo_sandbox.store import Record, Row
from kombo_sandbox.tenant import Maker, Tenant

_UNUSED = ("cost_code", "badge_number", "referred_by", "shirt_size", "works_council", "notes_2019")


def family(tenant: Tenant, category: str) -> Iterator[Row]:
    """The fields of an integration: those that its records show, and some that they do not."""
    for model in SERVED:
        if model.category != category or not model.customised:
            continue
        for known in tenant.customisable(model.id):
            field = tenant.make("integration_fields")
            field.own |= {name: known[name] for name in ("id", "key", "type", "label")}
            field.own |= {"model": model.id, "is_passthrough_enabled": True}
            yield field
            custom = tenant.make("custom_fields", integration_field=field)
            custom.own |= {"key": known["key"], "model": model.id}
            yield custom
        for key in _UNUSED:
            field = tenant.make("integration_fields")
            field.own |= {"key": key, "model": model.id, "is_passthrough_enabled": False}
            yield field
        custom = tenant.make("custom_fields", integration_field=None)
        custom.own["model"] = model.id
        yield custom


def _integration_fields(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    key = f"field_{tenant.number(1, 10_000)}"
    return {
        **tenant.identity(seq),
        "key": key,
        "model": "hris_employees",
        "type": tenant.pick(("DEFAULT", "CUSTOM")),
        "label": key.replace("_", " ").capitalize() if tenant.chance(0.8) else None,
        "is_passthrough_enabled": tenant.chance(0.5),
        "is_writable": False,
        **tenant.steady_history(),
    }


def _custom_fields(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    key = f"wanted_{tenant.number(1, 10_000)}"
    return {
        **tenant.identity(seq),
        "key": key,
        "model": linked.get("integration_field", {}).get("model") or "hris_employees",
        "label": f"{key.replace('_', ' ').capitalize()}",
        "description": tenant.pick(tenant.people.sentences) if tenant.chance(0.5) else None,
        **tenant.steady_history(),
    }


MAKERS: dict[str, Maker] = {
    "integration_fields": _integration_fields,
    "custom_fields": _custom_fields,
}
