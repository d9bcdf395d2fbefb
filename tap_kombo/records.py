"""Kombo's records become RECORD bodies that are valid against the stream's SCHEMA.

- A value that contradicts its declared type becomes null in its column.
- That value, and each field that the schema does not declare, is kept in `additional_fields`.
- A deselected field is in neither. In an object or a list with deselected fields, a value that
  should be an object but is not becomes null, because it may be one of those fields.

Values are checked, not converted: their JSON text is emitted as Kombo sent it, so numbers keep
all their digits. A record that is valid with everything selected is emitted unchanged.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw
from singer_sdk.singerlib import SelectionMask

from tap_kombo import errors
from tap_kombo.catalog import Breadcrumb
from tap_kombo.errors import KomboError
from tap_kombo.responses import Fields
from tap_kombo.times import format_time
from tap_kombo.validation import NOT_UTC, PassThrough, Schema, msgspec_type, normalize

logger = logging.getLogger("tap-kombo")

NULL = Raw(b"null")
FIELDS = msgspec.json.Decoder(Fields)
DECODER = msgspec.json.Decoder(float_hook=Decimal)
ENCODER = msgspec.json.Encoder(decimal_format="number")
"""Together they keep all digits of a number that has to be decoded."""

INVALID = (msgspec.ValidationError, ValueError, ArithmeticError, RecursionError)
"""Raised for values of another type, invalid times, and extreme numbers or nesting."""

FieldTree = dict[str, Any]
"""Name of a field -> the tree below it; empty for the deselected fields themselves"""

OWN_FIELDS = frozenset({"integration_id", "_sdc_deleted_at", "additional_fields"})
"""The fields that the tap adds to Kombo's records."""


class Field:
    """A selected top-level field.

    Args:
        name: Kombo's name of the field.
        schema: The JSON schema of its column.
        deselected: The deselected fields below it, as a tree.
        keeps_invalid: Whether a value that contradicts the schema goes to `additional_fields`.
    """

    def __init__(
        self,
        name: str,
        schema: Schema,
        *,
        deselected: FieldTree | None = None,
        keeps_invalid: bool = False,
    ) -> None:
        self.name = name
        self.keeps_invalid = keeps_invalid and not deselected
        self.is_required = "null" not in schema["type"]
        self._schema = schema
        self._deselected = deselected
        self._check = msgspec.json.Decoder(msgspec_type(schema)).decode

    def column(self, raw: Raw) -> Raw:
        """Return the JSON text of the column.

        Raises:
            INVALID: The value contradicts the schema.
        """
        if self._deselected:
            value = DECODER.decode(raw)
            pruned = _prune(value, self._deselected)
            if pruned is None and value is not None:
                raise ValueError(self.name)
            raw = Raw(ENCODER.encode(pruned))
        if not NOT_UTC.search(raw):
            with contextlib.suppress(*INVALID):
                self._check(raw)
                return raw
        normalized = Raw(ENCODER.encode(normalize(DECODER.decode(raw), self._schema)))
        self._check(normalized)
        return normalized


DELETED_AT_SCHEMA = {"type": ["string", "null"], "format": "date-time"}
DELETED_AT = Field("remote_deleted_at", DELETED_AT_SCHEMA)
"""The source of `_sdc_deleted_at`, also while `remote_deleted_at` itself is deselected."""


class RecordEncoder:
    """Encodes the records of one stream.

    Args:
        stream: The stream's name, for warnings.
        schema: The stream's schema, possibly from a catalog of an older version.
        mask: The SDK's selection: breadcrumb -> whether it is selected.
        mapped: Fields that stream maps change or remove. Their invalid values are omitted, because
            `additional_fields` would reveal them.
        deleted_at: The name that `_sdc_deleted_at` is emitted as.
    """

    def __init__(
        self,
        stream: str,
        schema: Schema,
        mask: SelectionMask,
        mapped: AbstractSet[str] = frozenset(),
        deleted_at: str = "_sdc_deleted_at",
    ) -> None:
        properties = schema["properties"]
        self._stream = stream
        self._deleted_at = deleted_at
        known = frozenset(properties) - OWN_FIELDS
        self._own = {name for name in OWN_FIELDS & set(properties) if mask["properties", name]}
        keeps = "additional_fields" in self._own
        self._fields = [
            Field(
                name,
                properties[name],
                deselected=_deselected_below(("properties", name), mask),
                keeps_invalid=keeps and name not in mapped,
            )
            for name in properties
            if name in known and mask["properties", name]
        ]
        # A field can be deselected that the schema does not declare.
        deselected = {crumb[1] for crumb, selected in mask.items() if crumb and not selected}
        self._not_additional = known | mapped | deselected
        self._warned: set[str] = set()
        # Records that pass through also lend the text of `remote_deleted_at` to `_sdc_deleted_at`.
        deleted_at_schema = properties.get("remote_deleted_at", DELETED_AT_SCHEMA)
        can_pass_through = (
            all(mask.values())
            and {"integration_id", "additional_fields"} <= self._own
            and msgspec_type(deleted_at_schema) == msgspec_type(DELETED_AT_SCHEMA)
        )
        self._pass_through = (
            PassThrough({name: properties[name] for name in properties if name in known})
            if can_pass_through
            else None
        )

    def encode(
        self, records: Sequence[Raw], integration_id: str, received_at: datetime
    ) -> list[bytes]:
        """Encode the records of a page.

        Args:
            records: JSON objects, as Kombo sent them.
            integration_id: The integration that they belong to.
            received_at: When Kombo sent them, by its clock.

        Returns:
            JSON objects with all selected fields. Fields that Kombo omits are null, because
            targets overwrite the complete row.

        Raises:
            KomboError: A record has no key.
        """
        if self._pass_through is None:
            return [self._encode(raw, integration_id, received_at) for raw in records]
        start = self._start(integration_id, NULL)
        encoded = []
        for raw, valid in zip(records, self._pass_through.find(records), strict=True):
            if valid is None:
                encoded.append(self._encode(raw, integration_id, received_at))
            elif self._pass_through.is_deleted(valid):
                deleted_at = FIELDS.decode(raw)["remote_deleted_at"]
                encoded.append(self._start(integration_id, deleted_at) + memoryview(raw)[1:])
            else:
                encoded.append(start + memoryview(raw)[1:])
        return encoded

    def _start(self, integration_id: str, deleted_at: Raw) -> bytes:
        """Encode the tap's own fields, as the start of an object that Kombo's fields follow."""
        own: dict[str, object] = {"integration_id": integration_id, "additional_fields": None}
        if "_sdc_deleted_at" in self._own:
            own[self._deleted_at] = deleted_at
        return ENCODER.encode(own)[:-1] + b","

    def _encode(self, raw: Raw, integration_id: str, received_at: datetime) -> bytes:
        """Encode one record field by field."""
        record = FIELDS.decode(raw)
        additional: dict[str, Raw] = {}
        body: dict[str, Any] = {
            field.name: self._column(field, record, additional, received_at)
            for field in self._fields
        }
        if "integration_id" in self._own:
            body["integration_id"] = integration_id
        if "_sdc_deleted_at" in self._own:
            body[self._deleted_at] = self._column(DELETED_AT, record, {}, received_at)
        if "additional_fields" in self._own:
            additional |= {n: v for n, v in record.items() if n not in self._not_additional}
            body["additional_fields"] = additional or None
        return ENCODER.encode(body)

    def _column(
        self,
        field: Field,
        record: Mapping[str, Raw],
        additional: dict[str, Raw],
        received_at: datetime,
    ) -> object:
        raw = record.get(field.name, NULL)
        try:
            return field.column(raw)
        except INVALID:
            if field.is_required and field.name != "changed_at":
                raise KomboError(
                    errors.INVALID_RECORD,
                    f"A record of {self._stream} has no valid `{field.name}`",
                ) from None
        self._warn(field)
        if field.keeps_invalid:
            additional[field.name] = raw
        # Kombo empties records 14 days after it no longer finds them in the tool, `changed_at`
        # included. The row is needed: with it, the target forgets the person.
        return format_time(received_at) if field.is_required else None

    def _warn(self, field: Field) -> None:
        if field.name in self._warned:
            return
        self._warned.add(field.name)
        logger.warning(
            "%s: a value of `%s` does not have its declared type; the column is set to %s, and %s.",
            self._stream,
            field.name,
            "the time of Kombo's response" if field.is_required else "null",
            "the value is kept in `additional_fields`"
            if field.keeps_invalid
            else "the value is omitted, because the field is mapped or partly deselected, or "
            "`additional_fields` is not selected",
        )


def _deselected_below(field: Breadcrumb, mask: SelectionMask) -> FieldTree:
    """Return the deselected fields below a selected one; empty if there are none."""
    tree: FieldTree = {}
    for breadcrumb, is_selected in mask.items():
        parent = breadcrumb[:-2]
        if parent[: len(field)] == field and not is_selected and mask[parent]:
            node = tree
            for name in breadcrumb[len(field) + 1 :: 2]:
                node = node.setdefault(name, {})
    return tree


def _prune(value: Any, deselected: FieldTree) -> Any:
    """Remove deselected fields from an object, or from the objects in a list."""
    if isinstance(value, list):
        return [_prune_object(item, deselected) for item in value]
    return _prune_object(value, deselected)


def _prune_object(value: Any, deselected: FieldTree) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    return {
        name: _prune(field, deselected[name]) if name in deselected else field
        for name, field in value.items()
        if deselected.get(name) != {}
    }
