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
        sentence: The fault in the documentation.
        change: Returns the value that the loader stores, for the correct value, the name of the
            column and its schema.
    """

    sentence: str
    change: Callable[[Any, str, Schema], Any]


MISSING = "no such column"
"""What `harness.comparison` finds in a column that does not exist"""


def _rounded(value: Any, name: str, schema: Schema) -> Any:  # noqa: ARG001  # the same signature
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return Decimal(repr(float(value))) if is_number and "number" in schema["type"] else value


def _rounded_everywhere(value: Any, name: str, schema: Schema) -> Any:
    if isinstance(value, dict):
        return {key: _rounded_everywhere(one, name, schema) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded_everywhere(one, name, schema) for one in value]
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    return Decimal(repr(float(value))) if is_number else value


def _escaped(value: Any, name: str, schema: Schema) -> Any:  # noqa: ARG001
    if not isinstance(value, str):
        return value
    return value.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")


def _null(value: Any, name: str, schema: Schema) -> Any:  # noqa: ARG001
    return None if value == "" else value


def _no_deletions(value: Any, name: str, schema: Schema) -> Any:  # noqa: ARG001
    return MISSING if name == "_sdc_deleted_at" else value


def _seconds(value: Any, name: str, schema: Schema) -> Any:  # noqa: ARG001
    return value.replace(microsecond=0) if isinstance(value, datetime) else value


FAULTS: Mapping[str, Fault] = {
    "rounded numbers": Fault("Numbers in columns are rounded to floats.", _rounded),
    "rounded nested numbers": Fault(
        "Numbers, also inside nested values, are rounded to floats.", _rounded_everywhere
    ),
    "escaped newlines": Fault(
        "Line breaks and tabs in text become `\\n`, `\\r` and `\\t`.", _escaped
    ),
    "empty text as null": Fault("Empty text and null are the same.", _null),
    "times in seconds": Fault("Times in columns lose their milliseconds.", _seconds),
    "no deletions": Fault("The column `_sdc_deleted_at` is missing.", _no_deletions),
}
