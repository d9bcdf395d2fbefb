"""Airbyte's form for the settings, and its conversion to the tap's settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tap_kombo import cli, settings
from tap_kombo.errors import InputError

COPIED = (
    *("title", "description", "type", "format", "pattern", "enum", "default"),
    *("minimum", "maximum", "minItems", "uniqueItems", "examples"),
)
"""JSON schema keywords that the form supports"""


def specification() -> dict[str, Any]:
    """Build the content of the SPEC message."""
    properties = {
        name: _field(schema) | {"order": order}
        for order, (name, schema) in enumerate(settings.SCHEMA["properties"].items())
    }
    return {
        "connectionSpecification": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Kombo",
            "type": "object",
            "required": settings.SCHEMA["required"],
            "additionalProperties": True,
            "properties": properties,
        },
        "supportsIncremental": True,
    }


def _field(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the schema of a setting; an object becomes JSON text, because forms have no maps."""
    field = {keyword: schema[keyword] for keyword in COPIED if keyword in schema}
    if schema.get("secret"):
        field["airbyte_secret"] = True
    if "items" in schema:
        field["items"] = {"type": schema["items"]["type"]}
    if schema["type"] == "object":
        field |= {
            "type": "string",
            "multiline": True,
            "title": f"{schema['title']} (JSON)",
            "examples": [json.dumps(example) for example in schema["examples"]],
        }
    return field


def settings_of(form: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a filled-in form to the tap's settings.

    Raises:
        InputError: A value is not valid JSON, or the settings have stream maps.
    """
    if "stream_maps" in form:
        raise InputError(
            "`stream_maps`: source-kombo does not support stream maps. Remove the setting, and "
            "deselect fields in the connection."
        )
    converted = dict(form)
    for name, schema in settings.SCHEMA["properties"].items():
        text = form.get(name)
        if schema["type"] == "object" and isinstance(text, str) and text.strip():
            converted[name] = cli.parse_json(text.encode(), f"`{name}`", "value")
    return converted
