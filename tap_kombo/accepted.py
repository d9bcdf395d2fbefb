"""What JSON a schema of this tap's accepts, as a type that is checked while JSON is decoded."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any

from msgspec import Meta, Raw, defstruct

from tap_kombo.times import read_time, write_time

Schema = Mapping[str, Any]

# A day that is not in the calendar would stop the whole load of a database. Of each choice, what
# comes most stands first: these are the slowest checks of all.
LEAP_YEAR = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
DATE = (
    r"(?!0000)(?:[0-9]{4}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])"
    r"|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    rf"|{LEAP_YEAR}-02-29)"
)
UTC_TIME = rf"{DATE}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?Z"
TIME_WITH_OFFSET = re.compile(
    rf"{DATE}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]+)?)?([+-][0-9]{{2}}:?[0-9]{{2}}|Z)"
)

WHOLE_NUMBERS = 2**63
Int64 = Annotated[int, Meta(ge=-WHOLE_NUMBERS, le=WHOLE_NUMBERS - 1)]
"""A column of whole numbers holds 64 bits in every warehouse; JSON has no limit."""

SCALARS: dict[tuple[str, str | None], Any] = {
    ("string", None): str,
    ("string", "date-time"): Annotated[str, Meta(pattern=rf"\A{UTC_TIME}\Z")],
    ("string", "date"): Annotated[str, Meta(pattern=rf"\A{DATE}\Z")],
    ("integer", None): Int64,
    ("number", None): float,
    ("boolean", None): bool,
    ("null", None): None,
}


def accepted_type(schema: Schema) -> Any:
    """Build the type of all JSON values that are valid against a schema of this tap's.

    Args:
        schema: A property's schema, as `scripts/update_schemas.py` writes them: a type or a list
            of types, `properties`, `items` and `format`, and nothing else that restricts.

    Returns:
        A type for msgspec; `Raw` where any JSON is valid.
    """
    names = schema.get("type", [])
    names = [names] if isinstance(names, str) else list(names)
    if not names or {"array", "object", "string"} <= set(names):
        return Raw
    accepted: Any = None if "null" in names else ...
    for name in names:
        if name == "null":
            continue
        one = _accepted_of(name, schema)
        accepted = one if accepted is ... else accepted | one
    return accepted


def _accepted_of(name: str, schema: Schema) -> Any:
    if name == "array":
        return list[accepted_type(schema.get("items", {}))]  # type: ignore[misc]
    if name == "object":
        return _accepted_object(schema)
    form = schema.get("format") if name == "string" else None
    return SCALARS.get((name, form), SCALARS[name, None])


def _accepted_object(schema: Schema) -> Any:
    properties = schema.get("properties") or {}
    if not properties:
        return dict[str, Raw]
    names = attributes(properties)
    return defstruct(
        "Object",
        [(name, accepted_type(properties[field]), None) for name, field in names.items()],
        rename=names,
        gc=False,
    )


def attributes(fields: Mapping[str, object]) -> dict[str, str]:
    """Name attributes for fields: numbered, because a field may be no Python identifier."""
    return {f"f{i}": field for i, field in enumerate(fields)}


def rewritten(value: Any, schema: Schema) -> Any:
    """Write what a schema means, but writes otherwise, as it writes it.

    Times that are declared as such, and carry an offset, become UTC with `Z`; whole numbers that
    are declared as such, and written with a fraction or an exponent, lose it: `1.0` is `1`.
    """
    if isinstance(value, str):
        if schema.get("format") == "date-time" and TIME_WITH_OFFSET.fullmatch(value):
            # Some times are in the calendar, but not in that of UTC.
            with contextlib.suppress(ValueError):
                return write_time(read_time(value))
        return value
    if isinstance(value, Decimal):
        return int(value) if "integer" in schema.get("type", ()) and _is_whole(value) else value
    if isinstance(value, list):
        return [rewritten(item, schema.get("items", {})) for item in value]
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        return {name: rewritten(item, properties.get(name, {})) for name, item in value.items()}
    return value


def _is_whole(number: Decimal) -> bool:
    return abs(number) < WHOLE_NUMBERS and number == number.to_integral_value()
