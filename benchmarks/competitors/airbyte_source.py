"""Kombo as a declarative source of Airbyte's CDK, as its connector builder would write it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.streams import paths, schemas

MANIFEST = Path(__file__).with_name("airbyte_manifest.json")
"""The manifest, with the definition that all streams have in common"""


def manifest(streams: Sequence[str], concurrency: int) -> dict[str, Any]:
    """Build the manifest.

    Args:
        streams: The streams.
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
            "$parameters": {"path": paths(streams)[name]},
            "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
        }
        for name, schema in schemas(streams).items()
    ]
    return content


def configured_catalog(streams: Sequence[str]) -> dict[str, Any]:
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
            for name, schema in schemas(streams).items()
        ]
    }
