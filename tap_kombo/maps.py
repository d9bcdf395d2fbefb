"""The SDK's stream maps: applied, and checked, because they are there to keep things back.

The SDK passes over a map for a stream that does not exist, over the removal of a field that does
not, and over all but the last of several maps for a stream: what should be kept back would be
sent, and nobody would be told. So it would where a copy, which is what `__source__` makes, is
taken for the stream itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

import msgspec
from singer_sdk import Stream
from singer_sdk.mapper import (
    MAPPER_ALIAS_OPTION,
    MAPPER_ELSE_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
    NULL_STRING,
    RemoveRecordTransform,
    SameRecordTransform,
    StreamMap,
)

from tap_kombo import errors
from tap_kombo.accepted import Schema
from tap_kombo.errors import KomboError
from tap_kombo.records import ENCODER
from tap_kombo.settings import guess

# At DEBUG the mapper logs what a filter makes of a record, which can be anything that stands in it.
logging.getLogger("singer_sdk.mapper").setLevel(logging.WARNING)

Record = dict[str, Any]

OPTIONS = {
    MAPPER_ALIAS_OPTION,
    MAPPER_FILTER_OPTION,
    MAPPER_KEY_PROPERTIES_OPTION,
    MAPPER_SOURCE_OPTION,
}
"""What stands in a map beside fields."""


def problems(stream_maps: object, streams: Iterable[str]) -> Iterator[str]:
    """Say what the SDK would not say of the setting: a sentence each.

    Args:
        stream_maps: The setting as it is; whether it is an object of objects is checked elsewhere.
        streams: The names of the tap's streams.
    """
    if not isinstance(stream_maps, dict):
        return
    names = list(streams)
    mapped_by: dict[str, str] = {}
    for key, definition in stream_maps.items():
        if key == MAPPER_ELSE_OPTION:
            continue
        source = _source(key, definition)
        matching = [name for name in names if fnmatchcase(name, source)]
        is_copy = isinstance(definition, dict) and MAPPER_SOURCE_OPTION in definition
        if not is_copy:
            if twice := [name for name in matching if name in mapped_by]:
                yield (
                    f"The setting `stream_maps` has two maps for {twice[0]}, "
                    f"{mapped_by[twice[0]]!r} and {key!r}, of which only the last would be "
                    "applied: write one."
                )
            mapped_by.update((name, key) for name in matching)
        elif any(fnmatchcase(name, key) for name in names):
            yield (
                f"The setting `stream_maps` has {key!r} with a `__source__`, which makes a copy "
                "beside the original: give the copy another name, and map the original to null "
                "if it is not wanted."
            )
        if not matching:
            yield (
                f"The setting `stream_maps` is for a stream {source!r}, which does not exist"
                f"{guess(source, names)}: it would keep nothing back."
            )
        elif isinstance(definition, dict):
            yield from _problems_of(definition, matching)


def _problems_of(definition: Mapping[str, object], streams: list[str]) -> Iterator[str]:
    fields = {field for stream in streams for field in _fields(stream)}
    for field, expression in definition.items():
        if field == MAPPER_ELSE_OPTION:
            if not _removes(expression):
                yield (
                    f"The setting `stream_maps` has `{field}` for {streams[0]} with something "
                    "else than null: null drops what is not mapped; to keep it, leave it out."
                )
        elif _removes(expression) and field not in {*fields, *OPTIONS}:
            yield (
                f"The setting `stream_maps` removes `{field}` from {streams[0]}, which has no "
                f"such field{guess(field, fields)}."
            )


def _removes(expression: object) -> bool:
    return expression is None or expression == NULL_STRING


def _fields(stream: str) -> Iterable[str]:
    schema = (resources.files("tap_kombo") / "schemas" / f"{stream}.json").read_bytes()
    properties: dict[str, object] = msgspec.json.decode(schema)["properties"]
    return properties


def _source(key: str, definition: object) -> str:
    """Find the stream, or the pattern of streams, that a map is for."""
    return str(definition.get(MAPPER_SOURCE_OPTION, key) if isinstance(definition, dict) else key)


def mapped_fields(stream_maps: Mapping[str, object], stream: str) -> frozenset[str]:
    """Find the fields of a stream that some map of it changes, removes or adds."""
    mapped = {
        field
        for key, definition in stream_maps.items()
        if isinstance(definition, dict) and fnmatchcase(stream, _source(key, definition))
        for field in definition
    }
    # It drops all that is not in the map.
    is_else = MAPPER_ELSE_OPTION in mapped
    return frozenset(mapped.union(_fields(stream)) if is_else else mapped)


def flattenable(schema: Schema) -> dict[str, Any]:
    """Make the SDK's flattening find a column for each free-form object: its JSON text.

    It looks for columns among an object's `properties`, and finds none where they are empty; an
    object without `properties` is a column.
    """
    flat = {name: value for name, value in schema.items() if name != "properties"}
    if properties := schema.get("properties"):
        flat["properties"] = {name: flattenable(field) for name, field in properties.items()}
    return flat


def custom_maps(stream: Stream) -> list[StreamMap]:
    """Find the stream maps that change something; none if records pass as they are."""
    maps = stream.stream_maps
    if all(isinstance(m, SameRecordTransform) and not m.flattening_enabled for m in maps):
        return []
    return list(maps)


def is_removed(stream: Stream) -> bool:
    """Tell whether stream maps drop all of a stream, so that there is no use in reading it."""
    return all(isinstance(m, RemoveRecordTransform) for m in stream.stream_maps)


def mapped(maps: Iterable[StreamMap], record: Record) -> Iterator[tuple[str, bytes]]:
    """Apply stream maps to a record.

    Yields:
        The name of a stream, and its record, as JSON.

    Raises:
        KomboError: An expression cannot be evaluated, or its result is no JSON. It tells nothing
            of the record.
    """
    for stream_map in maps:
        try:
            result = stream_map.transform(record)
            text = ENCODER.encode(result)
        except Exception as error:  # noqa: BLE001  # an expression can fail in any way
            problem = f"The stream map of {stream_map.stream_alias} ends in {type(error).__name__}"
            raise KomboError(errors.BROKEN_MAP, problem) from None
        if result is not None:
            yield stream_map.stream_alias, text
