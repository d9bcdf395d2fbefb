"""Write `tap_kombo/schemas/*.json` and `tap_kombo/filters.json` from what Kombo says of itself.

Kombo describes its records twice, in an OpenAPI document and in the models of its official
client, and neither is complete: both are read, and a field that one of them knows is there.
Only names, types and formats are kept. Whatever would make a later record invalid (enums,
patterns, limits, required fields) is no part of a schema.
"""

from __future__ import annotations

import argparse
import json
import operator
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import requests
from kombo import models as client
from kombo.types.basemodel import Unset
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from pydantic_core import core_schema

from tap_kombo import streams
from tap_kombo.responses import INTEGRATION, INTEGRATION_MODELS, PACKAGES, PAGES

Schema: TypeAlias = dict[str, Any]

OPENAPI = "https://api.kombo.dev/openapi.json"
TAP = Path(__file__).parent.parent / "tap_kombo"


class CannotUpdateError(Exception):
    """What Kombo says does not fit the tables below: one sentence for who keeps them."""


# --- Shapes: what a value can be ------------------------------------------------------------

SCALARS = frozenset({"boolean", "integer", "number", "string"})
JSON_TYPES = SCALARS | {"array", "null", "object"}


@dataclass(frozen=True)
class Shape:
    """What a value can be. Null is not among the types, because every value may be null.

    Children are an object's properties by name, and an array's items under `[]`.
    """

    types: frozenset[str] = frozenset()
    format: str | None = None
    children: Mapping[str, Shape] = field(default_factory=dict)

    @property
    def any_json(self) -> bool:
        """Also where the sources say nothing: then nothing is promised."""
        return not self.types or self == ANYTHING

    @property
    def kind(self) -> str:
        """In a word or two."""
        if self.any_json:
            return "any JSON"
        return "list" if "[]" in self.children else self.format or " or ".join(sorted(self.types))


def scalar(name: str, format_: str | None = None) -> Shape:
    return Shape(frozenset({name}), format_)


def record_of(fields: Mapping[str, Shape]) -> Shape:
    return Shape(frozenset({"object"}), children=fields)


def array_of(items: Shape) -> Shape:
    return Shape(frozenset({"array"}), children={"[]": items})


NOTHING = Shape()
ANYTHING = Shape(JSON_TYPES - {"null"})
STRING = scalar("string")
DATE = scalar("string", "date")
FREE_FORM = record_of({})


def join(first: Shape, second: Shape) -> Shape:
    """The narrowest shape of all values that are of the first *or* the second.

    It serves the alternatives of a union as well as two sources that describe the same field:
    what either of them allows is allowed, and only what both promise is promised.
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


# --- The tables -----------------------------------------------------------------------------


class Model(NamedTuple):
    """A stream, the path of its endpoint, and where its records stand in an answer."""

    stream: str
    path: str
    records: str

    @property
    def client(self) -> str | None:
        """That endpoint's name in the official client; None if the client does not know it."""
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
    INTEGRATION_MODELS: "data.read_models[]",
}

MODELS = tuple(Model(row.name, row.path, RECORDS[row.format]) for row in streams.MODELS)


class Override(NamedTuple):
    """A correction that no rule can derive; `becomes=None` leaves the field out.

    `was` is what Kombo says without it. When that changes, the script stops: the reason is to
    be judged again.
    """

    stream: str
    path: str
    was: str
    becomes: Shape | None
    reason: str


OVERRIDES = (
    Override(
        "hris_absences", "start_date", "any JSON", DATE, "untyped; promised in words as yyyy-MM-dd"
    ),
    Override(
        "hris_absences", "end_date", "any JSON", DATE, "untyped; promised in words as yyyy-MM-dd"
    ),
    # Not `format: time`: that one demands an offset, which these times do not have.
    Override(
        "hris_absences", "start_time", "any JSON", STRING, "untyped; promised in words as HH:mm:ss"
    ),
    Override(
        "hris_absences", "end_time", "any JSON", STRING, "untyped; promised in words as HH:mm:ss"
    ),
    Override("integrations", "read_models", "list", None, "has its own stream, integration_models"),
)

# Wherever a property of this name stands, its values are at least this: the customer decides
# what is in it, and the sources say less than that.
BY_NAME = {
    "custom_fields": FREE_FORM,
    "remote_data": FREE_FORM,
    "integration_fields": array_of(
        record_of({"id": STRING, "key": STRING, "type": STRING, "value": ANYTHING, "label": STRING})
    ),
}

NOT_NULL = {"id", "changed_at"}

# What the tap adds to each record, after Kombo's own fields.
INTEGRATION_ID: Schema = {
    "type": "string",
    "description": "The Kombo integration that the record was read from.",
}
SDC_DELETED_AT: Schema = {
    "type": ["string", "null"],
    "format": "date-time",
    "description": "The same as remote_deleted_at, under the name by which targets mark rows.",
}
ADDITIONAL_FIELDS: Schema = {
    "type": ["object", "null"],
    "description": (
        "Fields that this schema does not declare, and values that are not of their declared"
        " type, by name."
    ),
    "properties": {},
    "additionalProperties": True,
}

# Only what a name does not say, for a record's own fields; `stream.field` before `field`.
DESCRIPTIONS = {
    "changed_at": (
        "When the record's own fields last changed; a change of what is nested in it"
        " does not move this."
    ),
    "custom_fields": "Fields beyond those that Kombo unifies, by the customer's own keys.",
    "data_expired_at": (
        "Since when the data is out of date because the configuration was changed;"
        " null again after the next sync."
    ),
    "remote_data": "What the tool itself answered, by the path that was asked, if it is passed on.",
    "remote_deleted_at": (
        "When the record was deleted in the tool or no longer found there;"
        " its fields are emptied 14 days later."
    ),
    "remote_id": "The tool's own id: sometimes several in one, so not the key.",
    "hris_absences.start_time": "HH:mm:ss, without a time zone.",
    "hris_absences.end_time": "HH:mm:ss, without a time zone.",
    "integration_models.id": "Kombo's name of the model, such as hris_employees.",
}

# Parameters that belong to the tap, not to a user's filters.
TAPS_PARAMETERS = {
    "cursor",
    "page_size",
    "updated_after",
    "include_deleted",
    "ignore_unsupported_filters",
}


# --- Reading JSON Schema, of either source --------------------------------------------------

FORMATS = {"date", "date-time"}
SAYS_WHAT = {"$ref", "anyOf", "oneOf", "type"}
KEPT = SAYS_WHAT | {"format", "items", "properties"}
LET_GO = {
    *("$defs", "default", "deprecated", "description", "example", "examples", "externalDocs"),
    *("title", "additionalProperties", "const", "discriminator", "enum", "required"),
    *("maxItems", "maxLength", "maximum", "minItems", "minLength", "minimum", "pattern"),
}


@dataclass(frozen=True)
class Reader:
    """Reads shapes out of `root`; `trail` is how it came to where it is."""

    root: Schema
    trail: tuple[str, ...]

    def read(self, schema: Schema) -> Shape:
        if unknown := sorted(schema.keys() - KEPT - LET_GO):
            raise CannotUpdateError(f"{self} uses {unknown[0]!r}, which this script cannot read")
        match sorted(schema.keys() & SAYS_WHAT):
            case ["$ref"]:
                return self.at(schema["$ref"]).read(resolved(schema, self.root))
            case ["anyOf" | "oneOf" as union]:
                return reduce(join, map(self.read, schema[union]), NOTHING)
            case ["type"]:
                kinds = [self.typed(name, schema) for name in listed(schema["type"])]
                return reduce(join, kinds, NOTHING)
            case []:
                return ANYTHING
            case several:
                raise CannotUpdateError(f"{self} says {' and '.join(several)} at once")

    def typed(self, name: str, schema: Schema) -> Shape:
        match name:
            case "null":
                return NOTHING
            case "object":
                return record_of(dict(self.properties(schema.get("properties", {}))))
            case "array":
                return array_of(self.at("[]").read(schema.get("items", {})))
            case _ if name in SCALARS:
                return scalar(name, schema["format"] if schema.get("format") in FORMATS else None)
            case _:
                raise CannotUpdateError(f"{self} is of the unknown type {name!r}")

    def properties(self, properties: dict[str, Schema]) -> Iterator[tuple[str, Shape]]:
        for name, schema in properties.items():
            yield name, join(self.at(name).read(schema), BY_NAME.get(name, NOTHING))

    def at(self, step: str) -> Reader:
        if step.startswith("#") and step in self.trail:
            raise CannotUpdateError(f"{self} contains itself")
        return replace(self, trail=(*self.trail, step))

    def __str__(self) -> str:
        names = [step for step in self.trail if not step.startswith("#")]
        return ".".join(names).replace(".[]", "[]")


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def resolved(schema: Schema, root: Schema) -> Schema:
    """What a reference points at in `root`; a schema that is none is itself."""
    if "$ref" not in schema:
        return schema
    found: Schema = reduce(operator.getitem, schema["$ref"].removeprefix("#/").split("/"), root)
    return found


# --- The two sources ------------------------------------------------------------------------


@dataclass(frozen=True)
class Endpoint:
    """A GET endpoint as one source describes it; `parameters` are kinds by name."""

    answer: Schema
    root: Schema
    parameters: dict[str, str]

    @property
    def is_list(self) -> bool:
        """Every list of Kombo answers a `next`, also those that take no `cursor`."""
        answer = resolved(self.answer, self.root)
        data = resolved(answer.get("properties", {}).get("data", {}), self.root)
        return "next" in data.get("properties", {}) or "cursor" in self.parameters


def in_document(document: Schema) -> dict[str, Endpoint]:
    """The GET endpoints of an OpenAPI document, by path."""
    endpoints = {}
    for path, operations in document["paths"].items():
        operation = operations.get("get", {})
        content = operation.get("responses", {}).get("200", {}).get("content", {})
        if "application/json" in content:
            parameters = [resolved(one, document) for one in operation.get("parameters", ())]
            endpoints[path] = Endpoint(
                content["application/json"]["schema"],
                document,
                {p["name"]: documented_kind(p, document) for p in parameters if p["in"] == "query"},
            )
    return endpoints


def documented_kind(parameter: Schema, document: Schema) -> str:
    """The document types lists as strings, and says in words that commas stand between."""
    schema = resolved(parameter["schema"], document)
    words = f"{parameter.get('description')} {schema.get('description')}"
    return (
        "list"
        if "comma-separated" in words
        else Reader(document, (parameter["name"],)).read(schema).kind
    )


class ClientJsonSchema(GenerateJsonSchema):
    """Pydantic's own, but `Unset`, the client's word for "was not sent", is no value."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return {"type": "null"} if schema["cls"] is Unset else super().model_schema(schema)

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """All of them are about defaults and discriminators, which are not read here."""


def in_client() -> dict[str, Endpoint]:
    """The GET endpoints of the official client, by its names for them."""
    return {
        name: Endpoint(answer, answer, parameters_in_client(f"{name}Request"))
        for name in CLIENT_NAMES.values()
        for answer in [json_schema(f"{name}{SUFFIX}")]
    }


def parameters_in_client(name: str) -> dict[str, str]:
    if name not in client.__all__:
        return {}
    request = json_schema(name)
    reader = Reader(request, (name,))
    return {key: reader.read(schema).kind for key, schema in request["properties"].items()}


def json_schema(name: str) -> Schema:
    model: type[BaseModel] = getattr(client, name)
    return model.model_json_schema(schema_generator=ClientJsonSchema)


# --- From a model to its files --------------------------------------------------------------


@dataclass(frozen=True)
class Kombo:
    """What the two sources say together."""

    document: Mapping[str, Endpoint]
    client: Mapping[str, Endpoint]

    def endpoints(self, model: Model) -> list[Endpoint]:
        """The descriptions of a model's endpoint, the document's first: its order is kept."""
        found = self.document.get(model.path), self.client.get(model.client or "")
        if not any(found):
            raise CannotUpdateError(f"Neither Kombo's document nor its client has {model.path}")
        return [endpoint for endpoint in found if endpoint]

    def schema(self, model: Model, overrides: Iterable[Override] = OVERRIDES) -> Schema:
        shapes = [record(endpoint, model) for endpoint in self.endpoints(model)]
        mine = [override for override in overrides if override.stream == model.stream]
        return stream_schema(model.stream, reduce(corrected, mine, reduce(join, shapes)))

    def filters(self, model: Model) -> dict[str, str]:
        """The kinds of the query parameters that a user may set."""
        known = reduce(operator.or_, [endpoint.parameters for endpoint in self.endpoints(model)])
        return {
            name: kind
            for name, kind in known.items()
            if name not in TAPS_PARAMETERS and f"{{{name}}}" not in model.path
        }

    def new_lists(self) -> list[str]:
        rows = {name for model in MODELS for name in (model.path, model.client)}
        both = [*self.document.items(), *self.client.items()]
        return [
            name
            for name, endpoint in both
            if endpoint.is_list and name not in rows | streams.EXCLUDED.keys()
        ]


def record(endpoint: Endpoint, model: Model) -> Shape:
    """The shape of one record in an endpoint's answer."""
    answer = Reader(endpoint.root, (model.stream,)).read(endpoint.answer)
    return at(answer, f"{model.stream}.{model.records}", steps(model.records))


def steps(path: str) -> list[str]:
    return path.replace("[]", ".[]").split(".")


def at(shape: Shape, where: str, path: Iterable[str]) -> Shape:
    for step in path:
        if step not in shape.children:
            raise CannotUpdateError(f"Kombo no longer knows {where}")
        shape = shape.children[step]
    return shape


def corrected(shape: Shape, override: Override) -> Shape:
    where = f"{override.stream}.{override.path}"
    path = steps(override.path)
    was = at(shape, where, path).kind
    if was != override.was:
        raise CannotUpdateError(
            f"{where} is {was} by now and no longer {override.was}, so its override"
            f" ({override.reason}) is to be judged again"
        )
    return put(shape, path, override.becomes)


def put(shape: Shape, path: list[str], becomes: Shape | None) -> Shape:
    first, *rest = path
    child = put(shape.children[first], rest, becomes) if rest else becomes
    children = {**shape.children, first: child}
    return replace(shape, children={name: c for name, c in children.items() if c is not None})


def stream_schema(stream: str, record: Shape) -> Schema:
    """The schema of a stream: Kombo's fields, then the tap's own."""
    own = {
        "integration_id": INTEGRATION_ID,
        **({"_sdc_deleted_at": SDC_DELETED_AT} if "remote_deleted_at" in record.children else {}),
        "additional_fields": ADDITIONAL_FIELDS,
    }
    fields = {name: column(stream, name, shape) for name, shape in record.children.items()}
    return {"type": "object", "properties": fields | own}


def column(stream: str, name: str, shape: Shape) -> Schema:
    description = DESCRIPTIONS.get(f"{stream}.{name}", DESCRIPTIONS.get(name))
    return (
        rendered(shape)
        | ({"type": "string"} if name in NOT_NULL else {})
        | ({"description": description} if description else {})
    )


def rendered(shape: Shape) -> Schema:
    if shape.any_json:
        return {"type": sorted(JSON_TYPES)}
    schema: Schema = {"type": [*sorted(shape.types), "null"]}
    if shape.format:
        schema["format"] = shape.format
    if "array" in shape.types:
        schema["items"] = rendered(shape.children["[]"])
    if "object" in shape.types:
        schema["properties"] = {name: rendered(child) for name, child in shape.children.items()}
    if shape == FREE_FORM:
        schema["additionalProperties"] = True
    return schema


def files(kombo: Kombo) -> dict[str, str]:
    """What is to stand in every file that this script owns, by its place in the tap."""
    if new := kombo.new_lists():
        raise CannotUpdateError(
            f"Kombo has lists that are neither streams nor left out: {', '.join(new)}"
        )
    filters = {model.stream: sorted(kombo.filters(model)) for model in MODELS}
    contents = {f"schemas/{model.stream}.json": kombo.schema(model) for model in MODELS}
    contents["filters.json"] = dict(sorted(filters.items()))
    return {path: f"{json.dumps(content, indent=2)}\n" for path, content in contents.items()}


def document_at(source: str) -> Schema:
    """The OpenAPI document of a URL or a file."""
    try:
        document: Schema = json.loads(text_at(source))
    except (OSError, ValueError) as error:
        raise CannotUpdateError(f"{source} cannot be read: {error}") from error
    if "paths" not in document:
        raise CannotUpdateError(f"{source} is no OpenAPI document")
    return document


def text_at(source: str) -> str:
    if not source.startswith(("https://", "http://")):
        return Path(source).read_text("utf-8")
    response = requests.get(source, timeout=60)
    response.raise_for_status()
    return response.text


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--openapi", default=OPENAPI, metavar="FILE_OR_URL")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if files differ")
    options = parser.parse_args(arguments)
    try:
        wanted = files(Kombo(in_document(document_at(options.openapi)), in_client()))
    except CannotUpdateError as error:
        sys.exit(f"{error}.")
    differing = sorted(path for path, text in there().items() ^ wanted.items())
    for path in dict.fromkeys(differing):
        print(f"{'differs' if options.check else 'updated'}: {path}")
        if not options.check:
            write(TAP / path, wanted.get(path))
    sys.exit(options.check and bool(differing))


def there() -> dict[str, str]:
    """What stands in this script's files by now."""
    found = [*TAP.glob("schemas/*.json"), *TAP.glob("filters.json")]
    return {path.relative_to(TAP).as_posix(): path.read_text("utf-8") for path in found}


def write(path: Path, text: str | None) -> None:
    if text is None:
        path.unlink()
    else:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
