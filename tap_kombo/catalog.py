"""Checks of a given catalog, before anything is read with it.

The SDK ignores unknown parts of a catalog: deselected fields would be emitted, and columns would
arrive with other types.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from singer_sdk.singerlib import Catalog, CatalogEntry, Metadata

from tap_kombo.errors import InputError
from tap_kombo.settings import did_you_mean
from tap_kombo.validation import Schema

DISCOVER = "Create a catalog with `tap-kombo --discover`."


Keys = tuple[Sequence[str], str | None]
"""The primary key of a stream, and its replication key."""


def load_catalog(content: Any, keys: Mapping[str, Keys]) -> Catalog | None:
    """Convert a catalog. Names and keys of its streams become Kombo's, whatever it has for them.

    Args:
        content: The content of the catalog file, or a `Catalog`; None without one.
        keys: The keys of each of the tap's streams.

    Raises:
        InputError: It is not a Singer catalog, is empty, or names an unknown stream.
    """
    if content is None:
        return None
    try:
        catalog = content if isinstance(content, Catalog) else _convert(content)
    except (AttributeError, KeyError, TypeError):
        raise InputError(f"Catalog: the file is not a Singer catalog. {DISCOVER}") from None
    if not catalog:
        raise InputError(f"Catalog: there are no streams in it. {DISCOVER}")
    for name, entry in catalog.items():
        if name not in keys:
            similar = did_you_mean(str(name), keys)
            raise InputError(f"Catalog: there is no stream {name}{similar}. {DISCOVER}")
        entry.stream = name
        entry.key_properties, entry.replication_key = keys[name]
        if not entry.metadata:
            continue
        for field in filter(None, (*entry.key_properties, entry.replication_key)):
            entry.metadata["properties", field].inclusion = Metadata.InclusionType.AUTOMATIC
        forced = entry.metadata.root.forced_replication_method
        entry.replication_method = entry.replication_method or forced
    return catalog


def _convert(content: Any) -> Catalog:
    for entry in content["streams"]:
        for item in entry.get("metadata", []):
            # Set by a user, for example in meltano.yml; the SDK only knows the forced method.
            if not item["breadcrumb"] and (method := item["metadata"].get("replication-method")):
                entry["replication_method"] = method
    return Catalog.from_dict(content)


def check_entry(entry: CatalogEntry, own: Schema) -> None:
    """Check a stream of a catalog.

    Args:
        entry: The catalog's entry.
        own: The stream's own schema. A catalog may lack fields of it, but not the keys.

    Raises:
        InputError: A field is unknown, has another type, or is selected in a way that cannot be
            honored.
    """
    if problem := next(_problems(entry, own), None):
        raise InputError(f"Catalog: {entry.tap_stream_id}{problem}")


def _problems(entry: CatalogEntry, own: Schema) -> Iterator[str]:
    schema = entry.schema.to_dict()
    fields = schema.get("properties", {})
    for name in filter(None, (*(entry.key_properties or ()), entry.replication_key)):
        if name not in fields:
            yield f".{name}: the schema lacks this key field. {DISCOVER}"
    for name, field in fields.items():
        if name not in own["properties"]:
            similar = did_you_mean(name, own["properties"])
            yield f".{name}: there is no such field{similar}. {DISCOVER}"
        elif not _is_part_of(field, own["properties"][name]):
            yield f".{name}: the schema differs from tap-kombo's. {DISCOVER}"
    for breadcrumb, item in entry.metadata.items():
        if item.selected not in (None, True, False):
            yield f": `selected` in the metadata of {_path(breadcrumb)} is not true or false."
        if item.selected is False:
            yield from _selection_problems(breadcrumb, own)
    if entry.replication_method not in (None, "INCREMENTAL", "FULL_TABLE"):
        yield ": the replication method is not supported. Use INCREMENTAL or FULL_TABLE."


def _selection_problems(breadcrumb: tuple[str, ...], own: Schema) -> Iterator[str]:
    path, schema, steps = _path(breadcrumb), own, iter(breadcrumb)
    for step in steps:
        if step == "items" or "array" in schema["type"]:
            yield f".{path}: a field inside a list cannot be deselected. Deselect the list."
            return
        name = next(steps, None)
        if step != "properties" or name is None:
            yield (
                f": the metadata breadcrumb {list(breadcrumb)} is not valid. Use a path like "
                '["properties", "status"].'
            )
            return
        properties = schema.get("properties") or {}
        if name not in properties:
            # A free-form object may have any field.
            if schema is own or properties:
                similar = did_you_mean(name, properties)
                yield f".{path}: there is no such field{similar}. {DISCOVER}"
            return
        schema = properties[name]


def _path(breadcrumb: tuple[str, ...]) -> str:
    return ".".join(step for step in breadcrumb if step not in {"properties", "items"})


ANNOTATIONS = frozenset({"description", "title"})


def _is_part_of(schema: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Return whether a schema is a stream's own, except that it may lack nested fields."""
    nested = {"properties", "items", *ANNOTATIONS}
    if {k: v for k, v in schema.items() if k not in nested} != {
        k: v for k, v in own.items() if k not in nested
    }:
        return False
    properties, own_properties = schema.get("properties") or {}, own.get("properties") or {}
    if "items" in own and not _is_part_of(schema.get("items", {}), own["items"]):
        return False
    return all(
        name in own_properties and _is_part_of(field, own_properties[name])
        for name, field in properties.items()
    )
