"""Kombo as a declarative source of Airbyte's CDK, as its connector builder would write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = Path(__file__).with_name("airbyte_manifest.json")
"""The manifest, with the definition that all streams have in common"""


def manifest(
    paths: Mapping[str, str], schemas: Mapping[str, Any], concurrency: int
) -> dict[str, Any]:
    """Build the manifest.

    Args:
        paths: Stream -> path.
        schemas: Stream -> JSON schema.
        concurrency: Partitions that are read at a time, at least 2.
    """
    content: dict[str, Any] = json.loads(MANIFEST.read_text())
    [stream] = content["streams"]
    content["concurrency_level"] |= {
        "default_concurrency": concurrency,
        "max_concurrency": concurrency,
    }
    content["streams"] = [
        stream
        | {
            "name": name,
            "$parameters": {"path": path},
            "schema_loader": {"type": "InlineSchemaLoader", "schema": schemas[name]},
        }
        for name, path in paths.items()
    ]
    return content


def configured_catalog(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Build the catalog with which all streams are read incrementally."""
    return {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": schema,
                    "supported_sync_modes": ["full_refresh", "incremental"],
                },
                "sync_mode": "incremental",
                "destination_sync_mode": "append_dedup",
                "cursor_field": ["changed_at"],
                "primary_key": [["id"]],
            }
            for name, schema in schemas.items()
        ]
    }
