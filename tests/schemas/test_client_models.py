"""Every field of the official client's models, at any depth, has its place in our schemas.

The models are walked as Python types: the script reads their JSON Schema, so that the two ways
of reading them check each other.
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
LEFT_OUT = {f"{o.stream}.{o.path}" for o in OVERRIDES if o.becomes is None}
IN_CLIENT = [model for model in MODELS if model.client]


def alternatives(annotation: Any) -> Iterator[Any]:
    """The types that a value can be of, without null and "was not sent"."""
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


def misfits(annotation: Any, schema: Schema, where: str) -> Iterator[str]:
    """Where values of a type would not be valid, or would have no place."""
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
            yield from misfits(get_args(one)[0], schema["items"], f"{where}[]")
        elif is_model(one):
            yield from missing_or_misfit(one, schema, where)


def missing_or_misfit(model: type[BaseModel], schema: Schema, where: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        key = field.alias or name
        path = f"{where}.{key}"
        if key in schema["properties"]:
            yield from misfits(field.annotation, schema["properties"][key], path)
        elif path not in LEFT_OUT:
            yield f"{path} is missing"


def json_type(annotation: Any) -> tuple[str, str | None]:
    if is_model(annotation) or get_origin(annotation) is dict:
        return "object", None
    if get_origin(annotation) is list:
        return "array", None
    return next(TYPES[base] for base in annotation.__mro__ if base in TYPES)


def records_of(model: Model) -> type[BaseModel]:
    """The client's model of one record."""
    found: Any = getattr(models, f"{model.client}PositiveResponse")
    for step in model.records.removesuffix("[]").split("."):
        [found] = alternatives(found.model_fields[step].annotation)
    record: type[BaseModel] = next(iter(get_args(found)), found)
    return record


@pytest.mark.parametrize("model", IN_CLIENT, ids=lambda model: model.stream)
def test_every_field_of_the_official_client_is_in_our_schema(model: Model) -> None:
    schema = json.loads((SCHEMAS / f"{model.stream}.json").read_text("utf-8"))
    assert not list(missing_or_misfit(records_of(model), schema, model.stream))


def test_a_missing_and_a_misfit_field_would_be_told() -> None:
    offers = next(model for model in MODELS if model.stream == "ats_offers")
    schema = json.loads((SCHEMAS / "ats_offers.json").read_text("utf-8"))
    del schema["properties"]["application"]["properties"]["job"]["properties"]["name"]
    schema["properties"]["status"]["type"] = ["integer", "null"]
    schema["properties"]["changed_at"]["format"] = "date"
    assert sorted(missing_or_misfit(records_of(offers), schema, "ats_offers")) == [
        "ats_offers.application.job.name is missing",
        "ats_offers.changed_at is date-time, and not date",
        "ats_offers.status is string, and not ['integer', 'null']",
    ]
