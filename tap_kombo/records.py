"""A record's way from Kombo's shape to the one that the SCHEMA promises.

Three rules. What is promised holds: a value that contradicts its declared type is null in its
column. Nothing is lost: that value, and fields that this version does not know, stand whole in
`additional_fields`. Nothing is given away: what is not selected is in neither.

Values are checked, not converted: their JSON text goes out as it came in, so that a number keeps
all its digits and a nested field that nobody declared stays where it is.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.singerlib import SelectionMask

from tap_kombo import errors
from tap_kombo.errors import KomboError
from tap_kombo.times import read_time, write_time

logger = logging.getLogger("tap-kombo")

NULL = Raw(b"null")
DECODER = msgspec.json.Decoder(float_hook=Decimal)
ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Together they keep all digits of a number, when a value has to be decoded at all."""

OWN_FIELDS = frozenset({"integration_id", "_sdc_deleted_at", "additional_fields"})
"""What the tap adds to Kombo's records."""

Schema = Mapping[str, Any]

# A day that is not in the calendar would stop the whole load of a database.
LEAP_YEAR = r"([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
DATE = (
    r"(?!0000)([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    r"|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    rf"|{LEAP_YEAR}-02-29)"
)
UTC_TIME = rf"{DATE}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?Z"
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
    # Numbered attributes, because a field of Kombo's may be no Python identifier.
    return msgspec.defstruct(
        "Object",
        [(f"f{i}", accepted_type(p), None) for i, p in enumerate(properties.values())],
        rename={f"f{i}": name for i, name in enumerate(properties)},
        gc=False,
    )


@dataclass(frozen=True, slots=True)
class Field:
    """A selected top-level field.

    Attributes:
        name: Kombo's name of it.
        check: Raises `msgspec.ValidationError` for JSON text that contradicts the schema.
        schema: What it is checked against.
        prune: Takes deselected nested fields out; None if all of them are selected.
        required: It must not be null.
        tells_misfits: A value that contradicts the schema may be told in `additional_fields`.
    """

    name: str
    check: Callable[[Raw], object]
    schema: Schema
    prune: Callable[[Raw], Raw] | None
    required: bool
    tells_misfits: bool


DELETED_AT_SCHEMA = {"type": ["string", "null"], "format": "date-time"}
DELETED_AT = Field(
    name="remote_deleted_at",
    check=msgspec.json.Decoder(accepted_type(DELETED_AT_SCHEMA)).decode,
    schema=DELETED_AT_SCHEMA,
    prune=None,
    required=False,
    tells_misfits=False,
)
"""`_sdc_deleted_at` repeats it, so that any SDK target marks the row, also if it is deselected."""


class RecordShape:
    """Brings the records of one stream into the shape that its SCHEMA promises.

    Args:
        stream: The stream's name, for warnings.
        schema: The SCHEMA's, which may be older than this version's own.
        mask: The SDK's selection: breadcrumb -> is it selected?
        mapped: Fields that stream maps change or drop: `additional_fields` must not tell what
            they hold back.
    """

    def __init__(
        self,
        stream: str,
        schema: Schema,
        mask: SelectionMask,
        mapped: AbstractSet[str] = frozenset(),
    ) -> None:
        properties = schema["properties"]
        self._stream = stream
        known = frozenset(properties) - OWN_FIELDS
        self._fields = [
            _field(name, properties[name], mask, is_mapped=name in mapped)
            for name in properties
            if name in known and mask["properties", name]
        ]
        self._not_additional = known | mapped
        self._own = {name for name in OWN_FIELDS & set(properties) if mask["properties", name]}
        self._warned: set[str] = set()

    def shape(
        self, record: Mapping[str, Raw], integration_id: str, read_at: datetime
    ) -> dict[str, Any]:
        """Shape a record.

        Args:
            record: Field name to JSON text, as Kombo sent it.
            integration_id: Where it came from.
            read_at: When Kombo answered with it.

        Returns:
            All selected fields, absent ones as null: targets overwrite whole rows.

        Raises:
            KomboError: It has no key.
        """
        additional: dict[str, Raw] = {}
        shaped: dict[str, Any] = {
            field.name: self._column(field, record, additional, read_at) for field in self._fields
        }
        if "integration_id" in self._own:
            shaped["integration_id"] = integration_id
        if "_sdc_deleted_at" in self._own:
            shaped["_sdc_deleted_at"] = self._column(DELETED_AT, record, {}, read_at)
        if "additional_fields" in self._own:
            if not self._not_additional.issuperset(record):
                additional.update(
                    {name: raw for name, raw in record.items() if name not in self._not_additional}
                )
            shaped["additional_fields"] = additional or None
        return shaped

    def _column(
        self,
        field: Field,
        record: Mapping[str, Raw],
        additional: dict[str, Raw],
        read_at: datetime,
    ) -> object:
        raw = record.get(field.name, NULL)
        try:
            field.check(raw)
        except msgspec.ValidationError:
            return self._mend(field, raw, additional, read_at)
        return field.prune(raw) if field.prune else raw

    def _mend(
        self, field: Field, raw: Raw, additional: dict[str, Raw], read_at: datetime
    ) -> object:
        """Find a column's value for a value that is not as its type wants it."""
        # Numbers that no computer can hold cannot be decoded, so they are not rewritten either.
        with contextlib.suppress(msgspec.ValidationError, ArithmeticError):
            mended = Raw(ENCODER.encode(rewritten(DECODER.decode(raw), field.schema)))
            field.check(mended)
            return field.prune(mended) if field.prune else mended
        self._warn(field)
        if field.tells_misfits:
            additional[field.name] = raw
        if not field.required:
            return None
        if field.name == "changed_at":
            # Kombo empties records two weeks after their deletion. They changed at the latest
            # just now, and the row must come: it tells the target to forget the person.
            return write_time(read_at)
        raise KomboError(
            errors.BROKEN_RECORD, f"A record of {self._stream} has no valid `{field.name}`"
        )

    def _warn(self, field: Field) -> None:
        if field.name in self._warned:
            return
        self._warned.add(field.name)
        logger.warning(
            "%s: a value of `%s` is not of its declared type. Its column is null; %s.",
            self._stream,
            field.name,
            "the value stands in `additional_fields`"
            if field.tells_misfits
            else "it is mapped or has deselected parts, so the value is left out",
        )


def _field(name: str, schema: Schema, mask: SelectionMask, *, is_mapped: bool) -> Field:
    breadcrumb = ("properties", name)
    is_pruned = any(
        not selected and crumb[:2] == breadcrumb and len(crumb) > len(breadcrumb)
        for crumb, selected in mask.items()
    )

    def prune(raw: Raw) -> Raw:
        record = {name: DECODER.decode(raw)}
        pop_deselected_record_properties(record, {}, mask)
        return Raw(ENCODER.encode(record[name]))

    return Field(
        name=name,
        check=msgspec.json.Decoder(accepted_type(schema)).decode,
        schema=schema,
        prune=prune if is_pruned else None,
        required="null" not in schema["type"],
        tells_misfits=not (is_pruned or is_mapped),
    )


def _is_whole(number: Decimal) -> bool:
    return abs(number) < WHOLE_NUMBERS and number == number.to_integral_value()


def rewritten(value: Any, schema: Schema) -> Any:
    """Write what a schema means, but writes otherwise, as it writes it.

    Times that are declared as such, and carry an offset, become UTC with `Z`; whole numbers that
    are declared as such, and written with a fraction or an exponent, lose it: `1.0` is `1`.
    """
    if isinstance(value, str):
        if schema.get("format") == "date-time" and TIME_WITH_OFFSET.fullmatch(value):
            # Some times are in the calendar, but not in that of UTC.
            with contextlib.suppress(ValueError, OverflowError):
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
