"""Airbyte's catalogs: the one that `discover` returns, and the configured one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from source_kombo.messages import DELETED_AT
from tap_kombo.catalog import Breadcrumb, nested_properties
from tap_kombo.errors import InputError
from tap_kombo.validation import Schema


class ConfiguredStream(msgspec.Struct):
    """The name and the selected fields of a stream."""

    name: str
    json_schema: dict[str, Any] = {}


class StreamConfiguration(msgspec.Struct):
    """A stream of a configured catalog.

    Attributes:
        stream: The stream.
        sync_mode: Whether to read everything, or only changes where Kombo offers them.
        sync_id: The ID of the sync, which is the same for all of its attempts.
    """

    stream: ConfiguredStream
    sync_mode: Literal["full_refresh", "incremental"]
    sync_id: int | None = None


class ConfiguredCatalog(msgspec.Struct):
    """The streams and fields to read, as the platform passes them."""

    streams: list[StreamConfiguration]

    @property
    def sync_ids(self) -> dict[str, int | None]:
        return {configured.stream.name: configured.sync_id for configured in self.streams}


def airbyte_catalog(catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the catalog of the tap's discovery.

    Full-table streams have no cursor and cannot be resumed.
    """
    return {"streams": [_stream(entry) for entry in catalog["streams"]]}


def _stream(entry: Mapping[str, Any]) -> dict[str, Any]:
    replication_key = entry.get("replication_key")
    stream = {
        "name": entry["tap_stream_id"],
        "json_schema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            **_renamed(entry["schema"], "_sdc_deleted_at", DELETED_AT),
            "additionalProperties": True,
        },
        "supported_sync_modes": ["full_refresh"],
        "source_defined_primary_key": [[field] for field in entry["key_properties"]],
        "is_resumable": bool(replication_key),
    }
    if replication_key:
        stream["supported_sync_modes"].append("incremental")
        stream |= {"source_defined_cursor": True, "default_cursor_field": [replication_key]}
    return stream


def configured_catalog(content: object) -> ConfiguredCatalog:
    """Convert the content of a configured catalog.

    Raises:
        InputError: The catalog is not valid, or configures no stream.
    """
    try:
        catalog = msgspec.convert(content, ConfiguredCatalog)
    except msgspec.ValidationError as error:
        raise InputError(
            f"Catalog: the file is not a configured catalog of Airbyte ({error})."
        ) from None
    if not catalog.streams:
        raise InputError("Catalog: no stream is configured. Select streams in the connection.")
    return catalog


def singer_catalog(configured: ConfiguredCatalog, catalog: Mapping[str, Any]) -> dict[str, Any]:
    """Select the configured streams and fields in the catalog of the tap's discovery.

    Raises:
        InputError: A stream does not exist.
    """
    entries = {entry["tap_stream_id"]: entry for entry in catalog["streams"]}
    selected = []
    for stream in (configuration.stream for configuration in configured.streams):
        if stream.name not in entries:
            raise InputError(
                f"Catalog: there is no stream {stream.name}. Refresh the schema of the connection."
            )
        schema = _renamed(stream.json_schema, DELETED_AT, "_sdc_deleted_at")
        entry = entries[stream.name]
        for item in entry["metadata"]:
            item["metadata"]["selected"] = _is_selected(tuple(item["breadcrumb"]), schema)
        selected.append(entry)
    return {"streams": selected}


def _is_selected(breadcrumb: Breadcrumb, schema: Schema) -> bool:
    """Return whether a schema has a field. A schema without properties has all of them."""
    for name in breadcrumb[1::2]:
        properties = nested_properties(schema)
        if not properties:
            return True
        if name not in properties:
            return False
        schema = properties[name]
    return True


def _renamed(schema: Schema, name: str, new: str) -> dict[str, Any]:
    """Rename a field of a stream's schema."""
    properties = schema.get("properties", {}).items()
    return {**schema, "properties": {new if n == name else n: field for n, field in properties}}
