"""Checks of what the control API receives: ValueError with one sentence for anything wrong."""

import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

# SQLite does not read JSON that is nested more deeply than 1,000 levels.
_DEPTH = 500

_NAMES: dict[Any, str] = {
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a finite number",
    NoneType: "null",
}


def parse_object(text: str | bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object that SQLite can read.

    Args:
        text: The JSON.
        name: What it is called in errors.
    """
    try:
        value = json.loads(text, parse_constant=_reject_constant)
        _check_depth(value)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} must be valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be a JSON object")  # noqa: TRY004 - not a bug
    return value


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Check the names and types of the arguments of a function or dataclass."""
    signature = inspect.signature(function)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise ValueError(str(error)) from error
    hints = get_type_hints(function)
    for name, value in arguments.items():
        if name in signature.parameters and not _fits(value, hints[name]):
            raise ValueError(f"{name} must be {_describe(hints[name])}")


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Check that a number lies between two others, both included."""
    if not low <= value <= high:
        raise ValueError(f"{name} must be between {low:,} and {high:,}")


def _fits(value: Any, hint: Any) -> bool:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if kind is Sequence:
        return isinstance(value, list) and all(_fits(one, inner[0]) for one in value)
    if kind in (Mapping, dict):
        return isinstance(value, dict) and all(_fits(one, inner[1]) for one in value.values())
    if kind is Any:
        return True
    if kind is float:
        return _fits(value, int) or (isinstance(value, float) and math.isfinite(value))
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _describe(hint: Any) -> str:
    kind, inner = get_origin(hint) or hint, get_args(hint)
    if kind in (Union, UnionType):
        return " or ".join(_describe(one) for one in inner)
    if kind is Sequence:
        return "a list of strings"
    return _NAMES.get(kind, "a JSON object")


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEPTH):
        level = [inner for one in level for inner in _children(one)]
    if level:
        raise ValueError(f"it is nested more than {_DEPTH} levels deep")


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
