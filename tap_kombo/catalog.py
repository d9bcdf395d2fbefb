"""The catalog: fields inside lists, and checks of a given one before anything is read with it.

The SDK ignores unknown parts of a catalog: deselected fields would be emitted, and columns would
arrive with other types. It also does not select inside lists. Here a list has the breadcrumb of its
items, because that is how Meltano and the SDK address nested fields:
`["properties", "email_addresses", "properties", "type"]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from singer_sdk.singerlib import (
    Catalog,
    CatalogEntry,
    Metadata,
    MetadataMapping,
    SelectionMask,
    StreamMetadata,
)

from tap_kombo.errors import InputError
from tap_kombo.settings import did_you_mean
from tap_kombo.validation import Schema

DISCOVER = "Create a catalog with `tap-kombo --discover`."

Breadcrumb = tuple[str, ...]

Keys = tuple[Sequence[str], str | None]
"""The primary key of a stream, and its replication key."""


def load_catalog(content: Any, keys: Mapping[str, Keys]) -> Catalog | None:
    """Convert a catalog. Its streams get the tap's names and keys, whatever the catalog says.

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
        entry.metadata = _without_items(entry.metadata)
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
    catalog = Catalog.from_dict(content)
    for entry in content["streams"]:
        _apply_older_selection(entry, catalog[entry["tap_stream_id"]].metadata)
    return catalog


def _apply_older_selection(entry: Mapping[str, Any], metadata: MetadataMapping) -> None:
    """Apply `selected` of an entry or in its schema, as in Singer before it had metadata.

    Meltano writes `selected` beside the metadata, which has precedence.
    """
    selection = {
        (): entry.get("selected", entry["schema"].get("selected")),
        **{breadcrumb: field.get("selected") for breadcrumb, field in fields(entry["schema"])},
    }
    given = {breadcrumb: value for breadcrumb, value in selection.items() if value is not None}
    if given and not metadata:
        given.setdefault((), True)
    for breadcrumb, value in given.items():
        item = metadata[breadcrumb]
        item.selected = value if item.selected is None else item.selected


def _without_items(metadata: MetadataMapping) -> MetadataMapping:
    """Convert breadcrumbs like `["properties", "tags", "items", "properties", "name"]`."""
    converted = MetadataMapping()
    for breadcrumb, item in metadata.items():
        steps: list[str] = []
        for step in breadcrumb:
            # After `properties` it is the name of a field.
            if step != "items" or len(steps) % 2:
                steps.append(step)
        if tuple(steps) not in converted or item.selected is False:
            converted[tuple(steps)] = item
    return converted


def fields(schema: Schema, parent: Breadcrumb = ()) -> Iterator[tuple[Breadcrumb, Schema]]:
    """Yield the breadcrumb and the schema of each field, also inside lists."""
    for name, field in nested_properties(schema).items():
        breadcrumb = (*parent, "properties", name)
        yield breadcrumb, field
        yield from fields(field, breadcrumb)


def nested_properties(schema: Schema) -> Mapping[str, Schema]:
    """Return the properties of an object, or of the objects in a list."""
    return schema.get("properties") or schema.get("items", {}).get("properties") or {}


def add_fields_in_lists(catalog: Mapping[str, Any]) -> None:
    """Add the metadata of fields inside lists, which Meltano needs to deselect them."""
    for entry in catalog["streams"]:
        known = {tuple(item["breadcrumb"]) for item in entry["metadata"]}
        entry["metadata"] += [
            {"breadcrumb": list(breadcrumb), "metadata": {"inclusion": "available"}}
            for breadcrumb, _ in fields(entry["schema"])
            if breadcrumb not in known
        ]


def selected_schema(schema: Schema, mask: SelectionMask, parent: Breadcrumb = ()) -> dict[str, Any]:
    """Remove deselected fields from a schema, also inside lists."""
    selected = dict(schema)
    if "properties" in schema:
        crumbs = {name: (*parent, "properties", name) for name in schema["properties"]}
        selected["properties"] = {
            name: selected_schema(schema["properties"][name], mask, crumb)
            for name, crumb in crumbs.items()
            if mask[crumb]
        }
    if "items" in schema:
        selected["items"] = selected_schema(schema["items"], mask, parent)
    return selected


def emptied_fields(schema: Schema, mask: SelectionMask) -> Iterator[str]:
    """Yield the selected objects and lists of which all fields are deselected."""
    for breadcrumb, field in fields(schema):
        nested = [(*breadcrumb, "properties", name) for name in nested_properties(field)]
        if nested and mask[breadcrumb] and not any(mask[crumb] for crumb in nested):
            yield _path(breadcrumb)


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
    yield from _key_problems(entry)
    for name, field in entry.schema.to_dict().get("properties", {}).items():
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


def _key_problems(entry: CatalogEntry) -> Iterator[str]:
    keys = list(entry.key_properties or ())
    for name in filter(None, (*keys, entry.replication_key)):
        if name not in (entry.schema.properties or {}):
            yield f".{name}: the schema lacks this key field. {DISCOVER}"
    root = entry.metadata.get(())
    if isinstance(root, StreamMetadata):
        if root.replication_key not in (None, entry.replication_key):
            yield ": `replication-key` in the metadata is another field. Remove it."
        if list(root.table_key_properties or keys) != keys:
            yield ": `table-key-properties` in the metadata are other fields. Remove them."


def _selection_problems(breadcrumb: Breadcrumb, own: Schema) -> Iterator[str]:
    schema, steps = own, iter(breadcrumb)
    for step in steps:
        name = next(steps, None)
        if step != "properties" or name is None:
            yield (
                f": the metadata breadcrumb {list(breadcrumb)} is not valid. Use a path like "
                '["properties", "status"].'
            )
            return
        properties = nested_properties(schema)
        if name not in properties:
            # A free-form object may have any field.
            if schema is own or properties:
                similar = did_you_mean(name, properties)
                yield f".{_path(breadcrumb)}: there is no such field{similar}. {DISCOVER}"
            return
        schema = properties[name]


def _path(breadcrumb: Breadcrumb) -> str:
    return ".".join(breadcrumb[1::2])


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
