"""A preset of stream maps that mask personal data, by the classes in `privacy.toml`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import resources
from typing import Any

import msgspec

from tap_kombo.stream_maps import fields_of
from tap_kombo.streams import MODELS
from tap_kombo.validation import Schema

SALT = "${MASKING_SALT}"
"""Meltano replaces it by an environment variable."""

HASH = "sha256(config['salt'] + {0}) if {0} else {0}"
NULL = "None"


class FieldClass(msgspec.Struct, frozen=True):
    """A class of personal data.

    Attributes:
        description: The data, for the documentation.
        hashed: The names of fields that are replaced by a hash.
        nulled: The names of fields that are replaced by null.
    """

    description: str
    hashed: list[str] = []
    nulled: list[str] = []


class Table(msgspec.Struct, frozen=True):
    """The content of `privacy.toml`.

    Attributes:
        not_personal: The names of fields that look personal, but are not.
        classes: The classes by name.
    """

    not_personal: list[str]
    classes: dict[str, FieldClass]


TABLE = msgspec.toml.decode(
    (resources.files("tap_kombo") / "privacy.toml").read_bytes(), type=Table
)
CLASSES = TABLE.classes
CLASS_OF: Mapping[str, str | None] = {
    **dict.fromkeys(TABLE.not_personal),
    **{field: name for name, c in CLASSES.items() for field in (*c.hashed, *c.nulled)},
}
"""Name of a field -> its class; None if it is not personal"""


def rule_for(path: str) -> str | None:
    """Return the name in the table that fits a field.

    Args:
        path: The field, as in `ats_candidates.email_addresses[].email_address`.

    Returns:
        The longest name, such as `email_address`; None if there is none.
    """
    steps = path.split(".")
    names = (".".join(steps[start:]) for start in range(len(steps)))
    return next((name for name in names if name in CLASS_OF), None)


def preset(classes: Collection[str]) -> dict[str, Any]:
    """Build settings that mask the fields of some classes in all streams."""
    maps = {
        model.name: {
            field: expression
            for field, schema in fields_of(model.name).items()
            if (expression := _masked(field, schema, f"{model.name}.{field}", classes))
        }
        for model in MODELS
    }
    return {
        "stream_maps": {stream: fields for stream, fields in maps.items() if fields},
        "stream_map_config": {"salt": SALT},
    }


def _masked(value: str, schema: Schema, path: str, classes: Collection[str]) -> str | None:
    """Build the expression that masks a value; None if nothing in it is masked.

    The tap sets mapped fields to null whose value contradicts the schema, so expressions need not
    check types.
    """
    rule = rule_for(path)
    field_class = CLASS_OF[rule] if rule else None
    if field_class and field_class in classes:
        return HASH.format(value) if rule in CLASSES[field_class].hashed else NULL
    if "items" in schema:
        item = _masked("item", schema["items"], f"{path}[]", classes)
        return item and f"[{item} for item in {value}] if {value} else {value}"
    return _masked_object(value, schema, path, classes)


def _masked_object(value: str, schema: Schema, path: str, classes: Collection[str]) -> str | None:
    """Build `{k: <hash> if k in [...] else v if k in [...] else None for k, v in ...}`.

    Fields that the schema does not declare become null, too.
    """
    names: dict[str, list[str]] = {}
    for name, child in schema.get("properties", {}).items():
        names.setdefault(_masked("v", child, f"{path}.{name}", classes) or "v", []).append(name)
    if not names.keys() - {"v"}:
        return None
    names.pop(NULL, None)
    kept = names.pop("v", [])
    choices = "".join(f"({masked}) if k in {fields} else " for masked, fields in names.items())
    choices += f"v if k in {kept} else " if kept else ""
    return f"{{k: {choices}None for k, v in {value}.items()}} if {value} else {value}"
