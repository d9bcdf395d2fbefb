"""Kombo as a declarative source of Airbyte's CDK: what its connector builder would make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def manifest(
    paths: Mapping[str, str], schemas: Mapping[str, Any], concurrency: int
) -> dict[str, Any]:
    """Build the manifest.

    Args:
        paths: Stream -> path.
        schemas: Stream -> JSON schema.
        concurrency: How many partitions are read at a time.
    """
    return {
        "version": "7.39.1",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": list(paths)[:1]},
        "concurrency_level": {
            "type": "ConcurrencyLevel",
            "default_concurrency": concurrency,
            "max_concurrency": concurrency,
        },
        "streams": [_stream(name, path, schemas[name]) for name, path in paths.items()],
        "spec": {
            "type": "Spec",
            "connection_specification": {
                "type": "object",
                "required": ["api_key", "api_url", "integration_ids"],
                "properties": {
                    "api_key": {"type": "string", "airbyte_secret": True},
                    "api_url": {"type": "string"},
                    "integration_ids": {"type": "array", "items": {"type": "string"}},
                },
            },
        },
    }


def configured_catalog(schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Build the catalog that reads all streams incrementally."""
    return {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": schema,
                    "supported_sync_modes": ["full_refresh", "incremental"],
                    "source_defined_cursor": True,
                    "default_cursor_field": ["changed_at"],
                    "source_defined_primary_key": [["id"]],
                },
                "sync_mode": "incremental",
                "destination_sync_mode": "append_dedup",
                "cursor_field": ["changed_at"],
                "primary_key": [["id"]],
            }
            for name, schema in schemas.items()
        ]
    }


def _stream(name: str, path: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "DeclarativeStream",
        "name": name,
        "primary_key": ["id"],
        "retriever": {
            "type": "SimpleRetriever",
            "requester": {
                "type": "HttpRequester",
                "url_base": "{{ config['api_url'] }}",
                "path": path,
                "http_method": "GET",
                "authenticator": {
                    "type": "BearerAuthenticator",
                    "api_token": "{{ config['api_key'] }}",
                },
                "request_headers": {"X-Integration-Id": "{{ stream_partition['integration_id'] }}"},
                "request_parameters": {"include_deleted": "true"},
            },
            "record_selector": {
                "type": "RecordSelector",
                "extractor": {"type": "DpathExtractor", "field_path": ["data", "results"]},
            },
            "paginator": _paginator(),
            "partition_router": {
                "type": "ListPartitionRouter",
                "cursor_field": "integration_id",
                "values": "{{ config['integration_ids'] }}",
            },
        },
        "incremental_sync": _cursor(),
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
    }


def _paginator() -> dict[str, Any]:
    return {
        "type": "DefaultPaginator",
        "page_size_option": {
            "type": "RequestOption",
            "inject_into": "request_parameter",
            "field_name": "page_size",
        },
        "page_token_option": {
            "type": "RequestOption",
            "inject_into": "request_parameter",
            "field_name": "cursor",
        },
        "pagination_strategy": {
            "type": "CursorPagination",
            "page_size": 250,
            "cursor_value": "{{ response['data']['next'] }}",
            "stop_condition": "{{ not response['data']['next'] }}",
        },
    }


def _cursor() -> dict[str, Any]:
    return {
        "type": "DatetimeBasedCursor",
        "cursor_field": "changed_at",
        "cursor_datetime_formats": ["%Y-%m-%dT%H:%M:%S.%fZ"],
        "datetime_format": "%Y-%m-%dT%H:%M:%S.%fZ",
        "start_datetime": {"type": "MinMaxDatetime", "datetime": "2000-01-01T00:00:00.000000Z"},
        "start_time_option": {
            "type": "RequestOption",
            "inject_into": "request_parameter",
            "field_name": "updated_after",
        },
    }
