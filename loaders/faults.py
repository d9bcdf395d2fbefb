"""Known faults of loaders: how a row differs from the record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

Schema = Mapping[str, Any]


class Fault(NamedTuple):
    """A known fault of loaders.

    Attributes:
        sentence: The description in the documentation.
        change: Returns the value that the loader stores, given the correct value and the schema
            of the column.
    """

    sentence: str
    change: Callable[[Any, Schema], Any]


def _rounded(value: Any, schema: Schema) -> Any:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return Decimal(repr(float(value))) if is_number and "number" in schema["type"] else value


def _escaped(value: Any, schema: Schema) -> Any:  # noqa: ARG001  # one signature
    if not isinstance(value, str):
        return value
    return value.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")


def _null(value: Any, schema: Schema) -> Any:  # noqa: ARG001  # one signature
    return None if value == "" else value


def _seconds(value: Any, schema: Schema) -> Any:  # noqa: ARG001  # one signature
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


FAULTS: Mapping[str, Fault] = {
    "rounded numbers": Fault("Numbers in columns are rounded to floats.", _rounded),
    "escaped newlines": Fault(
        "Line breaks and tabs in text become `\\n`, `\\r` and `\\t`.", _escaped
    ),
    "empty text as null": Fault("Empty text and null are the same.", _null),
    "times in seconds": Fault("Times in columns lose their milliseconds.", _seconds),
}
