"""The schemas have every field of the official client's models, at any depth.

This test reads the models as Python types, and `scripts/update_schemas.py` as JSON schema, so each
checks the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from kombo import models
from kombo.types.basemodel import Unset
from pydantic import BaseModel
from typing_extensions import TypeAliasType

import tap_kombo
from scripts.update_schemas import MODELS, OVERRIDES, Model

Schema = dict[str, Any]

SCHEMAS = Path(tap_kombo.__file__).parent / "schemas"
TYPES: dict[type, tuple[str, str | None]] = {
    bool: ("boolean", None),
    int: ("integer", None),
    float: ("number", None),
    datetime: ("string", "date-time"),
    date: ("string", "date"),
    str: ("string", None),
}
REMOVED = {f"{o.stream}.{o.path}" for o in OVERRIDES if o.becomes is None}
IN_CLIENT = [model for model in MODELS if model.client]


def alternatives(annotation: Any) -> Iterator[Any]:
    """Yield the types that a value may have, without null and "was not sent"."""
    origin = get_origin(annotation)
    alias = origin if isinstance(origin, TypeAliasType) else annotation
    if isinstance(alias, TypeAliasType):
        arguments = get_args(annotation)
        yield from alternatives(alias.__value__[arguments] if arguments else alias.__value__)
    elif origin is Annotated:
        yield from alternatives(annotation.__origin__)
    elif origin in (Union, UnionType):
        for argument in get_args(annotation):
            yield from alternatives(argument)
    elif origin is Literal:
        yield from {type(value) for value in get_args(annotation)}
    elif annotation not in (NoneType, Unset):
        yield annotation


def is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def differences(annotation: Any, schema: Schema, where: str) -> Iterator[str]:
    """Yield the paths where a value of a type would not be valid, or would have no column."""
    if len(schema["type"]) == 7:  # any JSON
        return
    for one in alternatives(annotation):
        if one is Any:
            continue
        name, format_ = json_type(one)
        if name not in schema["type"] and not (name == "integer" and "number" in schema["type"]):
            yield f"{where} is {name}, and not {schema['type']}"
        elif schema.get("format") not in (None, format_):
            yield f"{where} is {format_}, and not {schema['format']}"
        elif name == "array":
            yield from differences(get_args(one)[0], schema["items"], f"{where}[]")
        elif is_model(one):
            yield from differences_of_model(one, schema, where)


def differences_of_model(model: type[BaseModel], schema: Schema, where: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = field.alias or name
        path = f"{where}.{key}"
        if key in schema["properties"]:
            yield from differences(field.annotation, schema["properties"][key], path)
        elif path not in REMOVED:
            yield f"{path} is missing"


def json_type(annotation: Any) -> tuple[str, str | None]:
    if is_model(annotation) or get_origin(annotation) is dict:
        return "object", None
    if get_origin(annotation) is list:
        return "array", None
    return next(TYPES[base] for base in annotation.__mro__ if base in TYPES)


def records_of(model: Model) -> type[BaseModel]:
    """Return the client's model of one record."""
    found: Any = getattr(models, f"{model.client}PositiveResponse")
    for step in model.records.removesuffix("[]").split("."):
        [found] = alternatives(found.model_fields[step].annotation)
    record: type[BaseModel] = next(iter(get_args(found)), found)
    return record


@pytest.mark.parametrize("model", IN_CLIENT, ids=lambda model: model.stream)
def test_schema_has_every_field_of_the_official_client(model: Model) -> None:
    schema = json.loads((SCHEMAS / f"{model.stream}.json").read_text("utf-8"))
    assert not list(differences_of_model(records_of(model), schema, model.stream))


def test_missing_fields_and_other_types_are_found() -> None:
    offers = next(model for model in MODELS if model.stream == "ats_offers")
    schema = json.loads((SCHEMAS / "ats_offers.json").read_text("utf-8"))
    del schema["properties"]["application"]["properties"]["job"]["properties"]["name"]
    schema["properties"]["status"]["type"] = ["integer", "null"]
    schema["properties"]["changed_at"]["format"] = "date"
    assert sorted(differences_of_model(records_of(offers), schema, "ats_offers")) == [
        "ats_offers.application.job.name is missing",
        "ats_offers.changed_at is date-time, and not date",
        "ats_offers.status is string, and not ['integer', 'null']",
    ]
