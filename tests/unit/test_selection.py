"""Each field of each stream can be deselected, at any depth and inside lists."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from singer_sdk.singerlib import SelectionMask

from tap_kombo.catalog import Breadcrumb, fields, selected_schema
from tap_kombo.records import OWN_FIELDS, RecordEncoder
from tap_kombo.streams import MODELS, KomboStream
from tap_kombo.tap import TapKombo

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
STREAMS = TapKombo(config={"api_key": "k", "integration_ids": ["a:b"]}).kombo_streams


def token(breadcrumb: Breadcrumb) -> str:
    return "/".join(["token", *breadcrumb[1::2], "end"])


def value(schema: Any, breadcrumb: Breadcrumb) -> Any:
    """Build a value that is valid against a schema, with a token in each string."""
    if properties := schema.get("properties"):
        return {
            name: value(field, (*breadcrumb, "properties", name))
            for name, field in properties.items()
        }
    kinds = schema.get("type", "string")
    if "items" in schema and "array" in kinds:
        return [value(schema["items"], breadcrumb)]
    if "object" in kinds and "string" not in kinds:
        return {"any": token(breadcrumb)}
    return token(breadcrumb) if "string" in kinds and "format" not in schema else None


def record_of(stream: KomboStream) -> dict[str, Any]:
    properties = stream.schema["properties"]
    record = {
        name: value(field, ("properties", name))
        for name, field in properties.items()
        if name not in OWN_FIELDS
    }
    if "changed_at" in properties:
        record["changed_at"] = "2026-01-30T12:00:00.000Z"
    return record


def tokens(record: Any) -> Iterator[str]:
    if isinstance(record, dict | list):
        for item in record.values() if isinstance(record, dict) else record:
            yield from tokens(item)
    elif isinstance(record, str) and record.startswith("token/"):
        yield record


@pytest.mark.parametrize("name", [model.name for model in MODELS])
def test_deselected_field_is_in_neither_schema_nor_record_and_the_others_are(name: str) -> None:
    stream = STREAMS[name]
    record = record_of(stream)
    raw = msgspec.Raw(msgspec.json.encode({**record, "new": "token/new/end"}))
    keys = {*stream.primary_keys, "changed_at"}

    for breadcrumb, _ in fields(stream.schema):
        if breadcrumb[1] in OWN_FIELDS | keys:
            continue
        mask = SelectionMask({(): True, breadcrumb: False})
        [text] = RecordEncoder(name, stream.schema, mask).encode([raw], "a:b", NOW)

        found = set(tokens(msgspec.json.decode(text)))
        start = token(breadcrumb).removesuffix("end")
        wanted = {t for t in tokens(record) if not t.startswith(start)} | {"token/new/end"}
        assert found == wanted, breadcrumb
        assert breadcrumb not in dict(fields(selected_schema(stream.schema, mask)))
