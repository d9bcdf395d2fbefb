"""The catalog: which streams and fields are to be read, checked before anything is.

What the SDK does not understand it passes over: a stream would be read whole each time, rows would
arrive without their values, or fields would go out that nobody asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from singer_sdk.singerlib import Catalog, CatalogEntry, Metadata

from tap_kombo.errors import InputError
from tap_kombo.settings import guess
from tap_kombo.streams import MODELS, Model

NEW_CATALOG = "Make a new one with `tap-kombo --discover`."

Entry = Mapping[str, Any]
"""A stream of a catalog, as it stands in the file."""


def check_catalog(catalog: Any) -> Catalog | None:
    """Make sure that a catalog is one of this tap's before anything is selected by it.

    Many catalogs leave keys away; what they do not say is as the tap's own catalog has it.

    Args:
        catalog: What was read from the catalog file, or the SDK's `Catalog`; None for none.

    Raises:
        InputError: It is not a Singer catalog, or not one for this tap's streams.
    """
    if catalog is None:
        return None
    content = catalog.to_dict() if isinstance(catalog, Catalog) else catalog
    entries = content.get("streams") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        raise InputError(
            'The catalog is not a Singer catalog: it must be an object like {"streams": '
            f'[{{"tap_stream_id": "ats_offers", "schema": {{...}}}}]}}. {NEW_CATALOG}'
        )
    if not entries:
        raise InputError(f"The catalog has no streams: nothing would be read. {NEW_CATALOG}")
    models = {model.name: model for model in MODELS}
    names = Counter(entry["tap_stream_id"] for entry in entries)
    for name, times in names.items():
        if name not in models:
            raise InputError(
                f"The catalog has a stream {name!r}, which tap-kombo does not have"
                f"{guess(name, models)}. {NEW_CATALOG}"
            )
        if times > 1:
            raise InputError(
                f"The catalog has the stream {name} more than once, and only one of them would "
                "count: leave one."
            )
    for entry in entries:
        model = models[entry["tap_stream_id"]]
        if problem := next(_problems(entry, model), None):
            raise InputError(f"The catalog's {problem}")
    checked = Catalog.from_dict(content)
    for entry in entries:
        _complete(checked[entry["tap_stream_id"]], entry, models[entry["tap_stream_id"]])
    return checked


def _is_entry(entry: object) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("tap_stream_id"), str)
        and isinstance(entry.get("schema"), dict)
        and isinstance(entry["schema"].get("properties"), dict)
    )


def _problems(entry: Entry, model: Model) -> Iterator[str]:
    """Say what would have rows arrive otherwise than the catalog seems to say."""
    fields = entry["schema"]["properties"]
    yield from _schema_problems(fields, model)
    yield from _metadata_problems(entry.get("metadata") or [], fields, model)
    keys = entry.get("key_properties") or []
    if not isinstance(keys, list | tuple) or not set(map(str, keys)) <= fields.keys():
        yield (
            f"`key_properties` of {model.name} must be a list of fields of its schema, like "
            f"{list(model.key)}."
        )
    method = _replication_method(entry)
    if method not in (None, "INCREMENTAL", "FULL_TABLE"):
        yield (
            f"replication method for {model.name} is {method!r}: it must be INCREMENTAL or "
            "FULL_TABLE, or be left away."
        )


NOT_NULL = {"id", "integration_id", "changed_at"}


def _schema_problems(fields: Mapping[str, Any], model: Model) -> Iterator[str]:
    for name, schema in fields.items():
        for problem in _unheld(schema):
            yield f"schema of {model.name} has {problem} for `{name}`. {NEW_CATALOG}"
        if name not in NOT_NULL and "null" not in schema["type"]:
            yield f"schema of {model.name} does not let `{name}` be null. {NEW_CATALOG}"
    for name in filter(None, [*model.key, model.behaviour.replication_key]):
        if name not in fields:
            yield f"schema of {model.name} lacks its key `{name}`. {NEW_CATALOG}"


def _metadata_problems(metadata: object, fields: Mapping[str, Any], model: Model) -> Iterator[str]:
    if not isinstance(metadata, list) or not all(map(_is_metadata, metadata)):
        yield (
            f'metadata of {model.name} must be a list of objects like {{"breadcrumb": '
            '["properties", "status"], "metadata": {"selected": false}}, where `selected` is true '
            "or false."
        )
        return
    if metadata and not any(item["breadcrumb"] == [] for item in metadata):
        yield (
            f"metadata of {model.name} has no entry with the breadcrumb [], which tells whether "
            f"the stream is selected. {NEW_CATALOG}"
        )
    for item in metadata:
        path = item["breadcrumb"]
        if item["metadata"].get("selected") is False and _is_in_list(path, fields):
            yield (
                f"metadata of {model.name} deselects {'.'.join(path[1::2])}, which is in a list "
                "and cannot be left out alone: deselect the whole list."
            )


HELD: Mapping[str, tuple[Any, ...] | None] = {
    "type": None,
    "properties": None,
    "items": None,
    "description": None,
    "title": None,
    "format": ("date", "date-time"),
    "additionalProperties": (True,),
}
"""What a schema may say, as records are held to it: keyword -> its values, None for any."""


def _unheld(schema: object) -> Iterator[str]:
    """Say what is in a schema that a record could contradict."""
    if not isinstance(schema, dict) or not schema.get("type"):
        yield "no `type`"
        return
    for keyword, value in schema.items():
        values = HELD.get(keyword, ())
        if values is not None and value not in values:
            yield f"`{keyword}`, to which tap-kombo does not hold values,"
    parts = list((schema.get("properties") or {}).values())
    if "items" in schema:
        parts.append(schema["items"])
    for part in parts:
        yield from _unheld(part)


def _is_in_list(path: Sequence[str], fields: Mapping[str, Any]) -> bool:
    if any(step != "properties" for step in path[::2]):
        return True
    schema: Mapping[str, Any] = {"properties": fields}
    for name in path[1:-1:2]:
        schema = (schema.get("properties") or {}).get(name, {})
        if "array" in schema.get("type", ()):
            return True
    return False


def _is_metadata(item: object) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("metadata"), dict):
        return False
    path = item.get("breadcrumb")
    return (
        isinstance(path, list)
        and all(isinstance(step, str) for step in path)
        and path[:1] in ([], ["properties"])
        and item["metadata"].get("selected") in (None, True, False)
    )


def _replication_method(entry: Entry) -> object:
    """Find how the stream is to be read: the user's word counts before the tap's own."""
    root: Mapping[str, Any] = next(
        (i["metadata"] for i in entry.get("metadata") or [] if i["breadcrumb"] == []), {}
    )
    return (
        root.get("replication-method")
        or entry.get("replication_method")
        or root.get("forced-replication-method")
    )


def _complete(checked: CatalogEntry, entry: Entry, model: Model) -> None:
    """Fill in what the catalog leaves to the tap."""
    checked.stream = model.name
    checked.key_properties = checked.key_properties or list(model.key)
    checked.replication_key = model.behaviour.replication_key
    # What has no replication key is always read whole: many catalogs have one method for all.
    method = _replication_method(entry) if checked.replication_key else "FULL_TABLE"
    checked.replication_method = None if method is None else str(method)
    if checked.metadata:
        for name in filter(None, [*checked.key_properties, *model.key, checked.replication_key]):
            checked.metadata["properties", name].inclusion = Metadata.InclusionType.AUTOMATIC
