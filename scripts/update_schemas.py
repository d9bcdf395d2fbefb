"""Write `tap_kombo/schemas/*.json` and `tap_kombo/filters.json`.

Kombo describes its records in an OpenAPI document and in the models of its official client. Neither
is complete, so a schema has the fields of both. It keeps names, types and formats, and omits
everything that could make a later record invalid: enums, patterns, limits and required fields.
Descriptions of columns are in `descriptions.toml`.
"""

from __future__ import annotations

import argparse
import json
import operator
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, reduce
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import requests
from kombo import models as client
from kombo.types.basemodel import Unset
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import core_schema

from tap_kombo import masking, streams
from tap_kombo.responses import INTEGRATION, PACKAGES, PAGES
from tap_kombo.settings import OWN_PARAMS

Schema: TypeAlias = dict[str, Any]

OPENAPI = "https://api.kombo.dev/openapi.json"
TAP = Path(__file__).parent.parent / "tap_kombo"
DESCRIPTIONS: dict[str, dict[str, str]] = tomllib.loads(
    (Path(__file__).parent / "descriptions.toml").read_text("utf-8")
)["columns"]
"""Stream, or `*` for all of them -> column -> description"""


class SourceError(Exception):
    """Kombo's descriptions do not fit the tables of this script."""


# Types


SCALARS = frozenset({"boolean", "integer", "number", "string"})
JSON_TYPES = SCALARS | {"array", "null", "object"}


@dataclass(frozen=True)
class Shape:
    """The values that a field may have. Every field may also be null.

    Attributes:
        types: JSON types, without null.
        format: `date` or `date-time`, or None.
        children: The properties of an object by name, and the items of an array as `[]`.
    """

    types: frozenset[str] = frozenset()
    format: str | None = None
    children: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def is_any_json(self) -> bool:
        return not self.types or self == ANYTHING

    def __str__(self) -> str:
        if self.is_any_json:
            return "any JSON"
        return "list" if "[]" in self.children else self.format or " or ".join(sorted(self.types))


def scalar(name: str, format_: str | None = None) -> Shape:
    return Shape(frozenset({name}), format_)


def object_of(fields: Mapping[str, Shape]) -> Shape:
    return Shape(frozenset({"object"}), children=fields)


def array_of(items: Shape) -> Shape:
    return Shape(frozenset({"array"}), children={"[]": items})


NOTHING = Shape()
ANYTHING = Shape(JSON_TYPES - {"null"})
STRING = scalar("string")
DATE = scalar("string", "date")
FREE_FORM = object_of({})


def join(first: Shape, second: Shape) -> Shape:
    """Return the narrowest shape that allows all values of both.

    It joins the alternatives of a union, and the two descriptions of a field.
    """
    if not first.types or not second.types:
        return second if not first.types else first
    types = first.types | second.types
    if len(types) > 1 and not types <= SCALARS:
        return ANYTHING
    return Shape(
        types - {"integer"} if "number" in types else types,
        first.format if first.format == second.format else None,
        {
            name: join(first.children.get(name, NOTHING), second.children.get(name, NOTHING))
            for name in {**first.children, **second.children}
        },
    )


# Tables


class Model(NamedTuple):
    """A stream, the path of its endpoint, and the path of the records in its responses."""

    stream: str
    path: str
    records: str

    @property
    def client(self) -> str | None:
        """The official client's name of the endpoint; None if the client lacks it."""
        return CLIENT_NAMES.get(f"get{re.sub('[^a-z]', '', self.path.lower())}")


SUFFIX = "PositiveResponse"
CLIENT_NAMES = {
    name.removesuffix(SUFFIX).lower(): name.removesuffix(SUFFIX)
    for name in client.__all__
    if name.startswith("Get") and name.endswith(SUFFIX)
}

RECORDS = {
    PAGES: "data.results[]",
    PACKAGES: "data.packages[]",
    INTEGRATION: "data",
    streams.INTEGRATION_MODELS: "data.read_models[]",
}

MODELS = tuple(Model(row.name, row.path, RECORDS[row.format]) for row in streams.MODELS)


class Override(NamedTuple):
    """A correction of a field that Kombo describes incorrectly.

    Attributes:
        stream: The stream.
        path: The path of the field.
        was: The field's type according to Kombo. The script stops when it changes.
        becomes: The correct type; None omits the field.
        reason: Why it is corrected.
    """

    stream: str
    path: str
    was: str
    becomes: Shape | None
    reason: str


UNTYPED = "Kombo only describes the format in prose"

OVERRIDES = (
    Override("hris_absences", "start_date", "any JSON", DATE, UNTYPED),
    Override("hris_absences", "end_date", "any JSON", DATE, UNTYPED),
    # `format: time` would require an offset, which these times do not have.
    Override("hris_absences", "start_time", "any JSON", STRING, UNTYPED),
    Override("hris_absences", "end_time", "any JSON", STRING, UNTYPED),
    Override("integrations", "read_models", "list", None, "the stream integration_models has them"),
)

BY_NAME = {
    "custom_fields": FREE_FORM,
    "remote_data": FREE_FORM,
    "integration_fields": array_of(
        object_of({"id": STRING, "key": STRING, "type": STRING, "value": ANYTHING, "label": STRING})
    ),
}
"""Fields with content that customers define -> the values they allow at least, at any depth"""

NOT_NULL = {"id", "changed_at"}

OWN_COLUMNS: Mapping[str, Mapping[str, Schema]] = {
    "integration_models": {"stream": {"type": ["string", "null"]}}
}
"""Stream -> columns that the tap adds to this stream only"""
INTEGRATION_ID: Schema = {"type": "string"}
SDC_DELETED_AT: Schema = {"type": ["string", "null"], "format": "date-time"}
ADDITIONAL_FIELDS: Schema = {
    "type": ["object", "null"],
    "properties": {},
    "additionalProperties": True,
}


# JSON Schema of both sources


FORMATS = {"date", "date-time"}
TYPE_KEYWORDS = {"$ref", "anyOf", "oneOf", "type"}
KEYWORDS = TYPE_KEYWORDS | {"format", "items", "properties"}
IGNORED_KEYWORDS = {
    *("$defs", "default", "deprecated", "description", "example", "examples", "externalDocs"),
    *("title", "additionalProperties", "const", "discriminator", "enum", "required"),
    *("maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern"),
}


@dataclass(frozen=True)
class ShapeReader:
    """Converts JSON schemas to shapes.

    Attributes:
        root: The document that references point into.
        trail: The path of the schema, with the references on it.
    """

    root: Schema
    trail: tuple[str, ...]

    def read(self, schema: Schema) -> Shape:
        if unknown := sorted(schema.keys() - KEYWORDS - IGNORED_KEYWORDS):
            raise SourceError(f"{self} uses {unknown[0]!r}, which this script does not support")
        match sorted(schema.keys() & TYPE_KEYWORDS):
            case ["$ref"]:
                return self.at(schema["$ref"]).read(resolve(schema, self.root))
            case ["anyOf" | "oneOf" as union]:
                return reduce(join, map(self.read, schema[union]), NOTHING)
            case ["type"]:
                types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
                return reduce(join, [self.typed(name, schema) for name in types], NOTHING)
            case []:
                return ANYTHING
            case several:
                raise SourceError(f"{self} has both {' and '.join(several)}")

    def typed(self, name: str, schema: Schema) -> Shape:
        match name:
            case "null":
                return NOTHING
            case "object":
                properties: dict[str, Schema] = schema.get("properties", {})
                return object_of(
                    {
                        key: join(self.at(key).read(value), BY_NAME.get(key, NOTHING))
                        for key, value in properties.items()
                    }
                )
            case "array":
                return array_of(self.at("[]").read(schema.get("items", {})))
            case _ if name in SCALARS:
                return scalar(name, schema["format"] if schema.get("format") in FORMATS else None)
            case _:
                raise SourceError(f"{self} has the unknown type {name!r}")

    def at(self, step: str) -> ShapeReader:
        if step.startswith("#") and step in self.trail:
            raise SourceError(f"{self} contains itself")
        return replace(self, trail=(*self.trail, step))

    def __str__(self) -> str:
        names = [step for step in self.trail if not step.startswith("#")]
        return ".".join(names).replace(".[]", "[]")


def resolve(schema: Schema, root: Schema) -> Schema:
    """Return the schema that a reference points to; any other schema is returned unchanged."""
    if "$ref" not in schema:
        return schema
    found: Schema = reduce(operator.getitem, schema["$ref"].removeprefix("#/").split("/"), root)
    return found


# Sources


@dataclass(frozen=True)
class Endpoint:
    """A GET endpoint, as one of the sources describes it.

    Attributes:
        response: The JSON schema of its responses.
        root: The document that references point into.
        parameters: The names of its query parameters.
    """

    response: Schema
    root: Schema
    parameters: frozenset[str]

    @property
    def is_list(self) -> bool:
        """Whether it returns pages: all of them have `next`, but some accept no `cursor`."""
        response = resolve(self.response, self.root)
        data = resolve(response.get("properties", {}).get("data", {}), self.root)
        return "next" in data.get("properties", {}) or "cursor" in self.parameters


def document_endpoints(document: Schema) -> dict[str, Endpoint]:
    """Return the GET endpoints of an OpenAPI document, by path."""
    endpoints = {}
    for path, operations in document["paths"].items():
        operation = operations.get("get", {})
        content = operation.get("responses", {}).get("200", {}).get("content", {})
        if "application/json" in content:
            parameters = [resolve(p, document) for p in operation.get("parameters", ())]
            endpoints[path] = Endpoint(
                content["application/json"]["schema"],
                document,
                frozenset(p["name"] for p in parameters if p["in"] == "query"),
            )
    return endpoints


class ClientJsonSchema(GenerateJsonSchema):
    """Pydantic's generator, for which the client's `Unset` ("was not sent") is null."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {"type": "null"} if schema["cls"] is Unset else super().model_schema(schema)

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Ignore warnings: all of them are about defaults and discriminators."""


@cache
def client_endpoints() -> Mapping[str, Endpoint]:
    """Return the GET endpoints of the official client, by its names."""
    endpoints = {}
    for name in CLIENT_NAMES.values():
        response = client_schema(f"{name}{SUFFIX}")
        request = f"{name}Request"
        parameters = client_schema(request)["properties"] if request in client.__all__ else ()
        endpoints[name] = Endpoint(response, response, frozenset(parameters))
    return endpoints


def client_schema(name: str) -> Schema:
    model: type[BaseModel] = getattr(client, name)
    return model.model_json_schema(schema_generator=ClientJsonSchema)


@dataclass(frozen=True)
class Kombo:
    """Both sources.

    Attributes:
        document: The endpoints of Kombo's document, by path.
        client: The endpoints of the official client, by its names.
    """

    document: Mapping[str, Endpoint]
    client: Mapping[str, Endpoint]

    def endpoints(self, model: Model) -> list[Endpoint]:
        """Return the descriptions of a model's endpoint. The document's determines the order."""
        found = self.document.get(model.path), self.client.get(model.client or "")
        if not any(found):
            raise SourceError(f"Neither Kombo's document nor its client has {model.path}")
        return [endpoint for endpoint in found if endpoint]

    def schema(self, model: Model, overrides: Iterable[Override] = OVERRIDES) -> Schema:
        """Return the JSON schema of a stream: Kombo's fields, then the tap's own."""
        shapes = [record_shape(endpoint, model) for endpoint in self.endpoints(model)]
        own_overrides = [override for override in overrides if override.stream == model.stream]
        shape = reduce(apply_override, own_overrides, reduce(join, shapes))
        columns = {
            name: json_schema(child) | ({"type": "string"} if name in NOT_NULL else {})
            for name, child in shape.children.items()
        }
        columns |= OWN_COLUMNS.get(model.stream, {})
        columns["integration_id"] = INTEGRATION_ID
        if "remote_deleted_at" in columns:
            columns["_sdc_deleted_at"] = SDC_DELETED_AT
        columns["additional_fields"] = ADDITIONAL_FIELDS
        descriptions = DESCRIPTIONS["*"] | DESCRIPTIONS.get(model.stream, {})
        return {
            "type": "object",
            "properties": {
                name: described(column, descriptions.get(name)) for name, column in columns.items()
            },
        }

    def filters(self, model: Model) -> list[str]:
        """Return the query parameters that users may set."""
        names = frozenset[str]().union(*(e.parameters for e in self.endpoints(model)))
        return sorted(n for n in names - OWN_PARAMS if f"{{{n}}}" not in model.path)

    def new_lists(self) -> list[str]:
        """Return the lists that are neither streams nor excluded."""
        known = {name for model in MODELS for name in (model.path, model.client)}
        known |= streams.EXCLUDED.keys()
        endpoints = [*self.document.items(), *self.client.items()]
        return [name for name, endpoint in endpoints if endpoint.is_list and name not in known]


# Schemas


def record_shape(endpoint: Endpoint, model: Model) -> Shape:
    """Return the shape of the records in an endpoint's responses."""
    response = ShapeReader(endpoint.root, (model.stream,)).read(endpoint.response)
    return child_at(response, f"{model.stream}.{model.records}", split(model.records))


def split(path: str) -> list[str]:
    return path.replace("[]", ".[]").split(".")


def child_at(shape: Shape, name: str, path: Iterable[str]) -> Shape:
    for step in path:
        if step not in shape.children:
            raise SourceError(f"Kombo no longer has {name}")
        shape = shape.children[step]
    return shape


def apply_override(shape: Shape, override: Override) -> Shape:
    name = f"{override.stream}.{override.path}"
    path = split(override.path)
    found = str(child_at(shape, name, path))
    if found != override.was:
        raise SourceError(
            f"{name} is now {found} instead of {override.was}. Review its override"
            f" ({override.reason})"
        )
    return replace_child(shape, path, override.becomes)


def replace_child(shape: Shape, path: list[str], new: Shape | None) -> Shape:
    first, *rest = path
    child = replace_child(shape.children[first], rest, new) if rest else new
    children = {**shape.children, first: child}
    return replace(shape, children={name: c for name, c in children.items() if c is not None})


def json_schema(shape: Shape) -> Schema:
    if shape.is_any_json:
        return {"type": sorted(JSON_TYPES)}
    schema: Schema = {"type": [*sorted(shape.types), "null"]}
    if shape.format:
        schema["format"] = shape.format
    if "array" in shape.types:
        schema["items"] = json_schema(shape.children["[]"])
    if "object" in shape.types:
        schema["properties"] = {name: json_schema(child) for name, child in shape.children.items()}
    if shape == FREE_FORM:
        schema["additionalProperties"] = True
    return schema


def described(column: Schema, description: str | None) -> Schema:
    return column | {"description": description} if description else column


# Personal data


PERSONAL = re.compile(
    r"(candidate|employee|manager|user|author|reviewe[er]|contact|member|person)s?(\[\])?\.name$"
    r"|(_name|name_|nickname|username|address|street|avatar|photo|picture|email|phone|birth"
    r"|[._]age$|national|citizen|passport|visa|ssn|tax|insurance|iban|bic$|bank|account|pay"
    r"|salary|wage|compensation|bonus|gender|[._]sex$|pronoun|ethnic|[._]race|religion|marital"
    r"|disab|veteran|health|medical|sick|note|comment|feedback|answer|content)[^.]*$"
)
"""Paths of fields that look personal."""


def unclassified(path: str, schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that look personal, or allow any JSON, and have no class.

    Args:
        path: The stream, or a field in it.
        schema: Its schema.
    """
    if "." in path and masking.rule_for(path):
        return
    inner = {f"{path}.{name}": child for name, child in schema.get("properties", {}).items()}
    if "items" in schema:
        inner[f"{path}[]"] = schema["items"]
    is_free_form = "object" in schema["type"]
    if not inner and (is_free_form or PERSONAL.search(path)):
        yield path
    for name, child in inner.items():
        yield from unclassified(name, child)


# Files


def files(kombo: Kombo) -> dict[str, str]:
    """Return the content of each file that this script writes, by its path in the tap."""
    if new := kombo.new_lists():
        raise SourceError(f"Kombo has new lists: {', '.join(new)}. Add them to streams.py")
    schemas = {model.stream: kombo.schema(model) for model in MODELS}
    if personal := [path for stream in schemas for path in unclassified(stream, schemas[stream])]:
        raise SourceError(
            f"These fields look personal: {', '.join(personal)}. Add them to privacy.toml"
        )
    contents: dict[str, object] = {f"schemas/{name}.json": s for name, s in schemas.items()}
    contents["filters.json"] = {m.stream: kombo.filters(m) for m in sorted(MODELS)}
    return {path: f"{json.dumps(content, indent=2)}\n" for path, content in contents.items()}


def committed_files() -> dict[str, str]:
    """Return the content of each committed file that this script wrote, by its path in the tap."""
    found = [*TAP.glob("schemas/*.json"), *TAP.glob("filters.json")]
    return {
        path.relative_to(TAP).as_posix(): path.read_text("utf-8")
        for path in found
        if path.stem != streams.SYNC_STATUS.name
    }


def load_document(source: str) -> Schema:
    """Read the OpenAPI document from a URL or a file."""
    try:
        if source.startswith(("https://", "http://")):
            response = requests.get(source, timeout=60)
            response.raise_for_status()
            text = response.text
        else:
            text = Path(source).read_text("utf-8")
        document: Schema = json.loads(text)
    except (OSError, ValueError) as error:
        raise SourceError(f"{source} cannot be read: {error}") from error
    if "paths" not in document:
        raise SourceError(f"{source} is not an OpenAPI document")
    return document


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--openapi", default=OPENAPI, metavar="FILE_OR_URL")
    parser.add_argument("--check", action="store_true", help="only list stale files")
    options = parser.parse_args(arguments)
    try:
        document = load_document(options.openapi)
        current = files(Kombo(document_endpoints(document), client_endpoints()))
    except SourceError as error:
        sys.exit(f"{error}.")
    stale = dict.fromkeys(path for path, _ in sorted(committed_files().items() ^ current.items()))
    for path in stale:
        print(f"{'Stale' if options.check else 'Updated'}: {path}")
        if not options.check:
            write(TAP / path, current.get(path))
    sys.exit(options.check and bool(stale))


def write(path: Path, text: str | None) -> None:
    """Write a file; None removes it."""
    if text is None:
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
