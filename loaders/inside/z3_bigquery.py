"""Print the field types of target-bigquery, and encode all records as its default method does.

Standard input has Singer messages.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from google.cloud.bigquery import SchemaField
from google.protobuf.json_format import ParseDict, ParseError
from target_bigquery.core import SchemaTranslator
from target_bigquery.proto_gen import proto_schema_factory_v2


def field_types(fields: Iterable[SchemaField], path: str = "") -> Iterator[tuple[str, str]]:
    for field in fields:
        mode = "" if field.mode == "NULLABLE" else f" {field.mode}"
        yield f"{path}{field.name}", field.field_type.upper() + mode
        yield from field_types(field.fields, f"{path}{field.name}.")


types: dict[str, dict[str, str]] = {}
rows: dict[str, Any] = {}
errors: dict[str, str] = {}
for message in map(json.loads, sys.stdin):
    stream = message.get("stream")
    if message["type"] == "SCHEMA":
        fields = SchemaTranslator(message["schema"], {}).translated_schema
        types[stream] = dict(field_types(fields))
        rows[stream] = proto_schema_factory_v2(fields)
    elif message["type"] == "RECORD":
        try:
            ParseDict(message["record"], rows[stream]())
        except ParseError as error:
            errors[stream] = str(error)
print(json.dumps({"types": types, "errors": errors}))
