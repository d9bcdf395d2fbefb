"""Recognises the records that are as their SCHEMA promises, whose text can go out as it came.

Nearly all are. One decoding of a record tells: its fields are the schema's, all of them and no
others, and their values are of the declared types. What is not recognised has to be brought into
shape field by field, which takes several times as long.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
from msgspec import Raw, Struct

from tap_kombo.accepted import UTC_TIME, Schema, accepted_type, attributes

TIME = re.compile(UTC_TIME)
TIMES = re.compile(rf"(?:{UTC_TIME}\0)*+")
"""Any number of times, behind each a character that is in no text of Kombo's (see client.py)."""


class Recogniser:
    """Recognises the records of a stream.

    Times are checked for a page at once: a pattern costs less than calling for it.

    Args:
        properties: The schemas of Kombo's fields.
    """

    def __init__(self, properties: Mapping[str, Schema]) -> None:
        names = attributes(properties)
        times = [name for name, field in names.items() if _is_time(properties[field])]
        record = msgspec.defstruct(
            "Record",
            [
                (name, accepted_type(_without_format(schema) if name in times else schema))
                for name, schema in zip(names, properties.values(), strict=True)
            ],
            rename=names,
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(record).decode
        self._times = _getter(times)
        self._deleted_at = _getter(
            [name for name, field in names.items() if field == "remote_deleted_at"]
        )

    def recognise(self, records: Sequence[Raw]) -> list[bytes | None]:
        """Tell which records are as promised.

        Returns:
            For each the JSON text of its `remote_deleted_at`; None for a record that has to be
            brought into shape.
        """
        found: list[Struct | None] = []
        times: list[str | None] = []
        for raw in records:
            try:
                record = self._decode(raw)
            except msgspec.ValidationError:
                found.append(None)
            else:
                found.append(record)
                times += self._times(record)
        texts = [time for time in times if time is not None]
        if not TIMES.fullmatch("\0".join([*texts, ""])):
            found = [record if record and self._is_on_time(record) else None for record in found]
        return [self._deletion(record) if record else None for record in found]

    def _is_on_time(self, record: Struct) -> bool:
        return all(time is None or TIME.fullmatch(time) for time in self._times(record))

    def _deletion(self, record: Struct) -> bytes:
        (deleted_at,) = self._deleted_at(record) or (None,)
        return b"null" if deleted_at is None else b'"%b"' % deleted_at.encode()


def _getter(names: Sequence[str]) -> Callable[[Struct], tuple[str | None, ...]]:
    """Get some attributes at once, however many there are."""
    if not names:
        return lambda _: ()
    get: Callable[[Struct], Any] = attrgetter(*names)
    return get if len(names) > 1 else lambda record: (get(record),)


def _is_time(schema: Schema) -> bool:
    """Tell whether only times are accepted, as text: a catalog may declare something else."""
    return schema.get("format") == "date-time" and (
        accepted_type(_without_format(schema)) in (str, str | None)
    )


def _without_format(schema: Schema) -> Schema:
    return {name: value for name, value in schema.items() if name != "format"}
