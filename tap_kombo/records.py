"""A record's way from Kombo's shape to the one that the SCHEMA promises.

Three rules. What is promised holds: a value that contradicts its declared type is null in its
column. Nothing is lost: that value, and fields that this version does not know, stand whole in
`additional_fields`. Nothing is given away: what is not selected is in neither.

Values are checked, not converted: their JSON text goes out as it came in, so that a number keeps
all its digits and a nested field that nobody declared stays where it is. A record that is already
as promised, with everything selected, goes out whole.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.singerlib import SelectionMask

from tap_kombo import errors
from tap_kombo.accepted import Schema, accepted_type, rewritten
from tap_kombo.answers import Fields
from tap_kombo.errors import KomboError
from tap_kombo.times import write_time
from tap_kombo.verbatim import Recogniser

logger = logging.getLogger("tap-kombo")

NULL = Raw(b"null")
FIELDS = msgspec.json.Decoder(Fields)
DECODER = msgspec.json.Decoder(float_hook=Decimal)
ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Together they keep all digits of a number, when a value has to be decoded at all."""

UNUSABLE = (msgspec.ValidationError, ArithmeticError, RecursionError)
"""What a value gives that is not of its type or, where it has to be decoded, that no computer can
hold: numbers without end, objects in objects in objects."""

OWN_FIELDS = frozenset({"integration_id", "_sdc_deleted_at", "additional_fields"})
"""What the tap adds to Kombo's records."""


@dataclass(frozen=True, slots=True)
class Field:
    """A selected top-level field.

    Attributes:
        name: Kombo's name of it.
        check: Raises `msgspec.ValidationError` for JSON text that contradicts the schema.
        schema: What it is checked against.
        prune: Takes deselected nested fields out; None if all of them are selected.
        required: It must not be null.
        tells_misfits: A value that contradicts the schema is told in `additional_fields`.
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
        tells = "additional_fields" in properties and mask["properties", "additional_fields"]
        self._is_told_mapped = "additional_fields" in mapped
        self._fields = [
            _field(name, properties[name], mask, is_told=tells and name not in mapped)
            for name in properties
            if name in known and mask["properties", name]
        ]
        # Also what the schema does not know yet.
        deselected = {crumb[1] for crumb, selected in mask.items() if crumb and not selected}
        self._not_additional = known | mapped | deselected
        self._own = {name for name in OWN_FIELDS & set(properties) if mask["properties", name]}
        self._warned: set[str] = set()
        # What is recognised gives its text to `_sdc_deleted_at` as it is.
        deleted_at = properties.get("remote_deleted_at", DELETED_AT_SCHEMA)
        is_whole = (
            all(mask.values())
            and {"integration_id", "additional_fields"} <= self._own
            and accepted_type(deleted_at) == accepted_type(DELETED_AT_SCHEMA)
        )
        self._recogniser = (
            Recogniser({name: properties[name] for name in properties if name in known})
            if is_whole
            else None
        )

    def texts(self, records: Sequence[Raw], integration_id: str, read_at: datetime) -> list[bytes]:
        """Bring the records of a page into shape.

        Args:
            records: JSON objects, as Kombo sent them.
            integration_id: Where they came from.
            read_at: When Kombo answered with them.

        Returns:
            JSON objects with all selected fields, absent ones as null: targets overwrite whole
            rows.

        Raises:
            KomboError: A record has no key.
        """
        if self._recogniser is None:
            return [self._shaped(raw, integration_id, read_at) for raw in records]
        living = self._own_fields(integration_id, b"null")
        texts = []
        for raw, deleted_at in zip(records, self._recogniser.recognise(records), strict=True):
            if deleted_at == b"null":
                texts.append(living + memoryview(raw)[1:])
            elif deleted_at:
                texts.append(self._own_fields(integration_id, deleted_at) + memoryview(raw)[1:])
            else:
                texts.append(self._shaped(raw, integration_id, read_at))
        return texts

    def _own_fields(self, integration_id: str, deleted_at: bytes) -> bytes:
        """Write the beginning of a record that is recognised: Kombo's own fields follow."""
        deletion = b'"_sdc_deleted_at":%b,' % deleted_at if "_sdc_deleted_at" in self._own else b""
        name = ENCODER.encode(integration_id)
        return b'{"integration_id":%b,"additional_fields":null,%b' % (name, deletion)

    def _shaped(self, raw: Raw, integration_id: str, read_at: datetime) -> bytes:
        record = FIELDS.decode(raw)
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
        return ENCODER.encode(shaped)

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
            return field.prune(raw) if field.prune else raw
        except UNUSABLE:
            return self._mend(field, raw, additional, read_at)

    def _mend(
        self, field: Field, raw: Raw, additional: dict[str, Raw], read_at: datetime
    ) -> object:
        """Find a column's value for a value that is not as its type wants it."""
        with contextlib.suppress(*UNUSABLE):
            mended = Raw(ENCODER.encode(rewritten(DECODER.decode(raw), field.schema)))
            field.check(mended)
            return field.prune(mended) if field.prune else mended
        if field.required and field.name != "changed_at":
            raise KomboError(
                errors.BROKEN_RECORD, f"A record of {self._stream} has no valid `{field.name}`"
            )
        self._warn(field)
        if field.tells_misfits:
            additional[field.name] = raw
        # Kombo empties records two weeks after their deletion. They changed at the latest just
        # now, and the row must come: it tells the target to forget the person.
        return write_time(read_at) if field.required else None

    def _warn(self, field: Field) -> None:
        if field.name in self._warned:
            return
        self._warned.add(field.name)
        if not field.tells_misfits:
            value = (
                "is left out, because the field is mapped or has deselected parts, or there is no "
                "`additional_fields`"
            )
        elif self._is_told_mapped:
            value = "stands in `additional_fields`, before that is mapped"
        else:
            value = "stands in `additional_fields`"
        logger.warning(
            "%s: a value of `%s` is not of its declared type. Its column %s; the value %s.",
            self._stream,
            field.name,
            "holds the time of Kombo's answer" if field.required else "is null",
            value,
        )


def _field(name: str, schema: Schema, mask: SelectionMask, *, is_told: bool) -> Field:
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
        tells_misfits=is_told and not is_pruned,
    )
