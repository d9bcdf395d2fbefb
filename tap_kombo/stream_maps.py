"""The SDK's stream maps: checked before the run, applied to decoded records.

Maps often hide data, but the SDK ignores a map for a stream or a field that does not exist. Here
such a typo is an error, so that it cannot leak a column.
"""

from __future__ import annotations

import ast
import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from typing import Any

import msgspec
from simpleeval import EvalWithCompoundTypes, InvalidExpression, NameNotDefined
from singer_sdk import Stream
from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    CustomStreamMap,
    RemoveRecordTransform,
    SameRecordTransform,
    StreamMap,
)

from tap_kombo import errors
from tap_kombo.errors import InputError, KomboError
from tap_kombo.records import ENCODER
from tap_kombo.settings import did_you_mean
from tap_kombo.validation import Schema

OPTIONS = {
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
}
"""Keys of a map that are not fields."""

USE_OF_SALT = re.compile(r"\bconfig\W+(get\W+)?salt\b")
"""`config['salt']` and its other spellings in an expression."""

VARIABLES = {"_", "record", "config", "self", "fake", "__stream_name__", "__original_stream_name__"}
"""Names in expressions that are not fields or functions."""

ADDITIONAL_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def check(stream_maps: Mapping[str, object] | None, streams: Iterable[str]) -> Iterator[str]:
    """Check the setting `stream_maps`; the SDK checks its types.

    Args:
        stream_maps: Stream name or pattern -> map; None without any.
        streams: The names of the tap's streams.

    Yields:
        A sentence for each mistake.
    """
    names = list(streams)
    mapped: set[str] = set()
    for key, definition in (stream_maps or {}).items():
        if key == MAPPER_ELSE_OPTION:
            continue
        source = _source(key, definition)
        matching = [name for name in names if fnmatchcase(name, source)]
        if not matching:
            yield (
                f"`stream_maps.{key}`: there is no stream {source}{did_you_mean(source, names)}. "
                "Use the name of a stream, or remove the map."
            )
            continue
        # The SDK applies only the last of several maps.
        if not (isinstance(definition, dict) and MAPPER_SOURCE_OPTION in definition):
            if repeated := [name for name in matching if name in mapped]:
                yield (
                    f"`stream_maps.{key}`: another map is for {repeated[0]}, too. Write one map "
                    "for each stream."
                )
            mapped.update(matching)
        if isinstance(definition, dict):
            yield from _check_fields(key, definition, matching)


def check_salt(stream_maps: object, salt: object) -> Iterator[str]:
    """Check the secret of maps that hash; without one, hashed values can be found by trial.

    Args:
        stream_maps: The setting `stream_maps`.
        salt: `salt` in the setting `stream_map_config`.

    Yields:
        A sentence if maps use the secret and there is none.
    """
    is_secret = isinstance(salt, str) and salt.strip() and not salt.startswith("${")
    if USE_OF_SALT.search(str(stream_maps)) and not is_secret:
        yield (
            "`stream_map_config.salt`: the stream maps hash with this secret, which is missing or "
            "a placeholder. Use a long random string."
        )


def _check_fields(key: str, definition: Mapping[str, object], streams: list[str]) -> Iterator[str]:
    fields = {field for stream in streams for field in fields_of(stream)}
    for field, expression in definition.items():
        if expression is None or expression == NULL_STRING:
            if field not in fields | OPTIONS:
                yield (
                    f"`stream_maps.{key}`: there is no field {field}{did_you_mean(field, fields)}. "
                    "Remove an existing field."
                )
        elif field not in OPTIONS - {MAPPER_FILTER_OPTION} and (
            problem := _problem(str(expression), fields)
        ):
            yield f"`stream_maps.{key}.{field}`: {problem}."


def _problem(expression: str, fields: AbstractSet[str]) -> str | None:
    """Return why an expression fails for every record; None if it does not."""
    try:
        nodes = [*ast.walk(ast.parse(expression.strip(), mode="eval"))]
    except (SyntaxError, ValueError):
        return "the expression is not valid Python"
    evaluator = _evaluator()
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    loops = {node.id for node in nodes if isinstance(node, ast.Name) and _is_set(node)}
    known = fields | VARIABLES | loops | {*evaluator.functions}
    for name in sorted(names - known):
        return f"there is no field or function {name}{did_you_mean(name, known)}"
    for node in nodes:
        if isinstance(node, ast.expr) and type(node) not in evaluator.nodes:
            return f"expressions cannot have a {type(node).__name__}"
        if isinstance(node, ast.Call) and not _is_allowed(node.func, evaluator):
            return f"there is no function {ast.unparse(node.func)}"
    return None


def _is_set(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _is_allowed(function: ast.expr, evaluator: EvalWithCompoundTypes) -> bool:
    if isinstance(function, ast.Name):
        return function.id in evaluator.functions
    try:
        evaluator.eval(ast.unparse(function))
    except InvalidExpression as error:
        return isinstance(error, NameNotDefined)  # a method of a field's value
    except Exception:  # noqa: BLE001  # an expression can raise anything
        return True
    return True


@cache
def _evaluator() -> EvalWithCompoundTypes:
    """Return the SDK's evaluator of expressions: its functions, and none of a record's names."""
    return CustomStreamMap("", {}, {}, {"properties": {}}, None, {}, None).expr_evaluator


def check_names(maps: Mapping[str, Iterable[StreamMap]]) -> None:
    """Check that no two streams are emitted under one name, as a copy or by an alias.

    Args:
        maps: The SDK's maps of each selected stream.

    Raises:
        InputError: There are two.
    """
    source_of: dict[str, str] = {}
    for stream, of_stream in maps.items():
        for stream_map in of_stream:
            name = stream_map.stream_alias
            if isinstance(stream_map, RemoveRecordTransform):
                continue
            if name in source_of:
                raise InputError(
                    f"`stream_maps`: {source_of[name]} and {stream} would both be emitted as "
                    f"{name}. Give each another name."
                )
            source_of[name] = stream


@cache
def fields_of(stream: str) -> dict[str, Schema]:
    """Return the schemas of a stream's fields."""
    schema = (resources.files("tap_kombo") / "schemas" / f"{stream}.json").read_bytes()
    properties: dict[str, Schema] = msgspec.json.decode(schema)["properties"]
    return properties


def _source(key: str, definition: object) -> str:
    """Return the stream, or the pattern of streams, that a map is for."""
    return str(definition.get(MAPPER_SOURCE_OPTION, key) if isinstance(definition, dict) else key)


def _maps_of(
    stream_maps: Mapping[str, object], stream: str
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the maps of a stream that have fields or options, by their keys."""
    for key, definition in stream_maps.items():
        if isinstance(definition, dict) and fnmatchcase(stream, _source(key, definition)):
            yield key, definition


def without_deselected(
    stream_maps: Mapping[str, Any], stream: str, schema: Schema
) -> dict[str, Any]:
    """Omit the fields of a stream that its selected schema lacks: a map would add them again."""
    own = {
        key: {
            field: value
            for field, value in definition.items()
            if field in schema["properties"] or field not in fields_of(stream)
        }
        for key, definition in _maps_of(stream_maps, stream)
    }
    return {**stream_maps, **own}


def mapped_fields(stream_maps: Mapping[str, object], stream: str) -> frozenset[str]:
    """Return the fields of a stream that a map of it changes, removes or adds."""
    mapped = {field for _, definition in _maps_of(stream_maps, stream) for field in definition}
    # `__else__` removes all fields that the map does not name.
    removes_others = MAPPER_ELSE_OPTION in mapped
    return frozenset(mapped.union(fields_of(stream)) if removes_others else mapped)


def record_filters(stream_maps: Mapping[str, object], stream: str) -> dict[str, str]:
    """Return the expressions that leave out records of a stream, by map."""
    return {
        f"{key}.{MAPPER_FILTER_OPTION}": str(definition[MAPPER_FILTER_OPTION])
        for key, definition in _maps_of(stream_maps, stream)
        if definition.get(MAPPER_FILTER_OPTION)
    }


def flattenable(schema: Schema) -> dict[str, Any]:
    """Adapt a schema to the SDK's flattening, for columns that every target accepts.

    The SDK makes a column for each property of an object, none if there are none, and one for an
    object without `properties`. So empty `properties` are removed, and free-form objects become
    JSON text. A value of several types becomes text, too.
    """
    flat = {name: value for name, value in schema.items() if name != "properties"}
    names = schema.get("type", ())
    if not isinstance(names, str) and len({*names} - {"null"}) > 1:
        flat["type"] = ["string", "null"]
    if properties := schema.get("properties"):
        flat["properties"] = {name: flattenable(field) for name, field in properties.items()}
    return flat


def custom_maps(stream: Stream) -> list[StreamMap]:
    """Return the maps of a stream; none if its records stay as they are."""
    maps = stream.stream_maps
    if all(isinstance(m, SameRecordTransform) and not m.flattening_enabled for m in maps):
        return []
    return list(maps)


def is_removed(stream: Stream) -> bool:
    """Return whether stream maps remove the complete stream, so that it need not be read."""
    return all(isinstance(m, RemoveRecordTransform) for m in stream.stream_maps)


def columns(flat: Mapping[str, Any], properties: Mapping[str, Schema]) -> dict[str, Any]:
    """Return the columns of a record that the SDK has flattened.

    The SDK omits the columns of an object that is null, and adds keys for nested fields that the
    schema does not declare. Their values are kept in `additional_fields`.

    Args:
        flat: The flattened record.
        properties: The columns of the flattened schema.
    """
    record = {name: _as_text(flat.get(name), schema) for name, schema in properties.items()}
    undeclared = {n: v for n, v in flat.items() if n not in properties and v is not None}
    if undeclared and "additional_fields" in properties:
        # A stream map may have hidden the additional fields, for example with a hash.
        with contextlib.suppress(msgspec.DecodeError):
            others = ADDITIONAL_FIELDS.decode(record["additional_fields"] or "{}")
            record["additional_fields"] = ENCODER.encode(others | undeclared).decode()
    return record


def _as_text(value: Any, schema: Schema) -> Any:
    is_other = isinstance(value, int | float | Decimal) and "string" in schema.get("type", ())
    return ENCODER.encode(value).decode() if is_other else value


def _number(text: str) -> float | Decimal:
    """Convert a number: to a float, which all functions accept, if that has all its digits."""
    number = float(text)
    return number if str(number) == text else Decimal(text)


DECODER = msgspec.json.Decoder(dict[str, Any], float_hook=_number)


def apply(maps: Iterable[StreamMap], record: bytes) -> Iterator[tuple[str, bytes]]:
    """Apply stream maps to a record, which is JSON.

    Yields:
        The name of a stream, and the record as JSON.

    Raises:
        KomboError: An expression failed, or its result is not JSON. The error holds nothing of
            the record.
    """
    decoded = DECODER.decode(record)
    for stream_map in maps:
        try:
            result = stream_map.transform(decoded)
            if result is not None and stream_map.flattening_enabled:
                result = columns(result, stream_map.transformed_schema["properties"])
            text = ENCODER.encode(result)
        except Exception as error:  # noqa: BLE001  # an expression can raise anything
            problem = f"The stream map of {stream_map.stream_alias} raised {type(error).__name__}"
            raise KomboError(errors.FAILED_MAP, problem) from None
        if result is not None:
            yield stream_map.stream_alias, text
