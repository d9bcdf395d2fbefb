"""Schemas from small documents and, if it is available, from Kombo's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from scripts import update_schemas
from scripts.update_schemas import (
    DESCRIPTIONS,
    MODELS,
    OVERRIDES,
    Endpoint,
    Kombo,
    Model,
    Override,
    document_endpoints,
)
from tap_kombo.streams import EXCLUDED

Schema = dict[str, Any]

STRING = {"type": "string"}
ANY_JSON = {"type": ["array", "boolean", "integer", "null", "number", "object", "string"]}
RECORD = {"id": STRING, "changed_at": {"type": "string", "format": "date-time"}}
COMMITTED = update_schemas.TAP
MODEL = {model.stream: model for model in MODELS}
MODEL_COLUMNS = {
    path.stem: json.loads(path.read_text("utf-8"))["properties"].keys()
    for path in COMMITTED.glob("schemas/*.json")
}
TAGS = Model("ats_tags", "/ats/tags", "data.results[]")

every_override = pytest.mark.parametrize(
    "override", OVERRIDES, ids=lambda o: f"{o.stream}.{o.path}"
)


def response(properties: Schema, records: str = "data.results[]") -> Schema:
    """Describe a response with records of these properties, and `next`."""
    schema: Schema = {"type": "object", "properties": properties}
    for step in reversed(records.split(".")):
        inner = {"type": "array", "items": schema} if step.endswith("[]") else schema
        schema = {"type": "object", "properties": {step.removesuffix("[]"): inner}}
    if records == "data.results[]":
        schema["properties"]["data"]["properties"]["next"] = {"type": ["string", "null"]}
    return schema


def get(schema: Schema, *parameters: Schema) -> Schema:
    content = {"application/json": {"schema": schema}}
    return {"get": {"responses": {"200": {"content": content}}, "parameters": list(parameters)}}


def query(name: str, description: str = "", **schema: object) -> Schema:
    return {"name": name, "in": "query", "description": description, "schema": {**STRING, **schema}}


def make_document() -> Schema:
    """Describe every model of the table, with few fields."""
    paths = {model.path: get(response(RECORD, model.records)) for model in MODELS}
    integration = RECORD | {"read_models": {"type": "array", "items": {"type": "object"}}}
    paths[MODEL["integrations"].path] = get(response(integration, "data"))
    return {"paths": paths}


def schema_of(properties: Schema, **components: Schema) -> Schema:
    """Return the schema of records that a document describes like this."""
    document = {"paths": {TAGS.path: get(response(properties))}, "components": components}
    return Kombo(document_endpoints(document), {}).schema(TAGS)


def column(schema: Schema, **components: Schema) -> Schema:
    found: Schema = schema_of({"it": schema}, **components)["properties"]["it"]
    return found


def endpoint(properties: Schema, *parameters: str) -> Endpoint:
    return Endpoint(response(properties), {}, frozenset(parameters))


def union(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def object_with(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


# One source


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        pytest.param(STRING, {"type": ["string", "null"]}, id="a required field is nullable"),
        pytest.param(
            {"type": ["string", "null"], "enum": ["OPEN", None], "pattern": "^O", "maxLength": 4},
            {"type": ["string", "null"]},
            id="enums, patterns and limits are removed",
        ),
        pytest.param(
            union({"enum": ["OPEN"], **STRING}, STRING, {"type": "null"}),
            {"type": ["string", "null"]},
            id="a union of one type is that type",
        ),
        pytest.param(
            union({"type": "number"}, STRING, {"type": "boolean"}),
            {"type": ["boolean", "number", "string", "null"]},
            id="a union of scalars lists them",
        ),
        pytest.param(
            union({"type": "integer"}, {"type": "number"}),
            {"type": ["number", "null"]},
            id="integer or number is number",
        ),
        pytest.param(union(array(STRING), object_with(a=STRING)), ANY_JSON, id="array or object"),
        pytest.param(union(array(STRING), STRING), ANY_JSON, id="array or text"),
        pytest.param(union(STRING, {}), ANY_JSON, id="text or anything"),
        pytest.param({"type": "null"}, ANY_JSON, id="only null is any JSON"),
        pytest.param({}, ANY_JSON, id="no type is any JSON"),
        pytest.param(
            union(
                object_with(a=STRING, b={"type": "integer"}), object_with(b=STRING, c=array(STRING))
            ),
            {
                "type": ["object", "null"],
                "properties": {
                    "a": {"type": ["string", "null"]},
                    "b": {"type": ["integer", "string", "null"]},
                    "c": {"type": ["array", "null"], "items": {"type": ["string", "null"]}},
                },
            },
            id="a union of objects has the properties of all",
        ),
        pytest.param(
            union(array(STRING), array({"type": "boolean"})),
            {"type": ["array", "null"], "items": {"type": ["boolean", "string", "null"]}},
            id="a union of arrays has the items of all",
        ),
        pytest.param(
            {"type": "array"}, {"type": ["array", "null"], "items": ANY_JSON}, id="unknown items"
        ),
        pytest.param(
            array({"type": "object"}),
            {
                "type": ["array", "null"],
                "items": {
                    "type": ["object", "null"],
                    "properties": {},
                    "additionalProperties": True,
                },
            },
            id="items without properties are free-form",
        ),
        pytest.param(
            {"type": "object", "additionalProperties": False, "properties": {"a": STRING}}
            | {"required": ["a"]},
            {"type": ["object", "null"], "properties": {"a": {"type": ["string", "null"]}}},
            id="nothing in an object is required or forbidden",
        ),
        pytest.param(
            {"type": "string", "format": "date-time"},
            {"type": ["string", "null"], "format": "date-time"},
            id="times keep their format",
        ),
        pytest.param(
            union({"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}),
            {"type": ["string", "null"]},
            id="a time or a date is text",
        ),
        pytest.param(
            {"type": "string", "format": "uri"}, {"type": ["string", "null"]}, id="a URI is text"
        ),
        pytest.param(
            {"$ref": "#/components/Status"},
            {"type": ["string", "null"]},
            id="references are resolved",
        ),
    ],
)
def test_described_field_becomes_a_column(described: Schema, expected: Schema) -> None:
    assert column(described, Status={**STRING, "enum": ["OPEN"]}) == expected


def test_integration_fields_may_have_any_value_and_keep_new_fields() -> None:
    described = array(object_with(id=STRING, value={"type": "null"}, origin=STRING))
    items = schema_of({"integration_fields": described})["properties"]["integration_fields"][
        "items"
    ]
    assert items["properties"]["value"] == ANY_JSON
    assert list(items["properties"]) == ["id", "value", "origin", "key", "type", "label"]


def test_models_with_deletions_have_sdc_deleted_at() -> None:
    kept = schema_of(RECORD)["properties"]
    deletable = schema_of(RECORD | {"remote_deleted_at": {"type": "string"}})["properties"]
    assert "_sdc_deleted_at" not in kept
    assert deletable["_sdc_deleted_at"]["format"] == "date-time"


# Two sources


def both(document: Schema, client: Schema) -> Schema:
    """Return the properties of a record that the two sources describe like this."""
    kombo = Kombo({TAGS.path: endpoint(document)}, {"GetAtsTags": endpoint(client)})
    found: Schema = kombo.schema(TAGS)["properties"]
    return found


def test_schema_has_the_fields_of_both_sources_in_order() -> None:
    fields = both({"id": STRING, "remote_data": {}}, {"name": STRING, "id": STRING})
    assert list(fields) == ["id", "remote_data", "name", "integration_id", "additional_fields"]


def test_schema_has_the_nested_fields_of_both_sources() -> None:
    fields = both({"job": object_with(id=STRING)}, {"job": object_with(id=STRING, code=STRING)})
    assert list(fields["job"]["properties"]) == ["id", "code"]


@pytest.mark.parametrize(
    ("document", "client", "expected"),
    [
        ({"type": "null"}, {"type": "string", "format": "date"}, ["string", "null"]),
        ({"type": "integer"}, {"type": "number"}, ["number", "null"]),
        ({"type": "string"}, {"type": "number"}, ["number", "string", "null"]),
        ({"type": "string"}, {"type": "object"}, ANY_JSON["type"]),
    ],
    ids=["one without a type", "integer or number", "two scalars", "string or object"],
)
def test_types_of_both_sources_are_valid(
    document: Schema, client: Schema, expected: list[str]
) -> None:
    assert both({"it": document}, {"it": client})["it"]["type"] == expected


def test_time_in_only_one_source_is_a_string() -> None:
    time = {"type": "string", "format": "date-time"}
    assert "format" in both({"it": time}, {"it": time})["it"]
    assert "format" not in both({"it": time}, {"it": STRING})["it"]


# Filters


def test_filters_are_the_query_parameters_that_the_tap_does_not_set() -> None:
    header = query("X-Integration-Id") | {"in": "header"}
    own = ("cursor", "page_size", "updated_after", "include_deleted", "ignore_unsupported_filters")
    described = get(response(RECORD), header, *map(query, (*own, "name_contains", "emails")))
    kombo = Kombo(document_endpoints({"paths": {TAGS.path: described}}), {})
    assert kombo.filters(TAGS) == ["emails", "name_contains"]


def test_filters_of_both_sources_are_known() -> None:
    kombo = Kombo(
        {TAGS.path: endpoint(RECORD, "emails", "status")},
        {"GetAtsTags": endpoint(RECORD, "emails", "scopes")},
    )
    assert kombo.filters(TAGS) == ["emails", "scopes", "status"]


# The command


@pytest.fixture
def tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the script write into an empty folder."""
    monkeypatch.setattr(update_schemas, "TAP", tmp_path)
    return tmp_path


def run(tap: Path, document: object, *options: str) -> None:
    source = tap / "openapi.json"
    source.write_text(json.dumps(document))
    with pytest.raises(SystemExit) as ended:
        update_schemas.main(["--openapi", str(source), *options])
    if ended.value.code:
        raise RuntimeError(ended.value.code)


def contents(tap: Path) -> dict[str, bytes]:
    files = [*tap.glob("schemas/*"), *tap.glob("filters.json")]
    return {path.relative_to(tap).as_posix(): path.read_bytes() for path in files}


def test_every_model_has_a_file(tap: Path) -> None:
    run(tap, make_document())
    assert contents(tap).keys() == {
        "filters.json",
        *(f"schemas/{model.stream}.json" for model in MODELS),
    }


def test_same_document_gives_the_same_files(tap: Path) -> None:
    run(tap, make_document())
    first = contents(tap)
    for path in tap.glob("schemas/*"):
        path.unlink()
    run(tap, make_document())
    assert contents(tap) == first
    assert all(content.endswith(b"}\n") for content in first.values())


def test_files_without_a_model_are_removed(tap: Path) -> None:
    run(tap, make_document())
    (tap / "schemas" / "hris_teams.json").write_text("{}")
    run(tap, make_document())
    assert "schemas/hris_teams.json" not in contents(tap)


def test_schema_of_the_taps_own_stream_is_kept(tap: Path) -> None:
    run(tap, make_document())
    (tap / "schemas" / "sync_status.json").write_text("{}")
    run(tap, make_document())
    run(tap, make_document(), "--check")
    assert contents(tap)["schemas/sync_status.json"] == b"{}"


def test_check_lists_differences_and_writes_nothing(
    tap: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tap, make_document())
    run(tap, make_document(), "--check")
    (tap / "schemas" / "ats_tags.json").write_text("{}")
    before = contents(tap)
    capsys.readouterr()
    with pytest.raises(RuntimeError):
        run(tap, make_document(), "--check")
    assert contents(tap) == before
    assert capsys.readouterr().out == "Stale: schemas/ats_tags.json\n"


def document_with(path: str, operation: Schema) -> Schema:
    document = make_document()
    document["paths"][path] = operation
    return document


def offers_with(**properties: Schema) -> Schema:
    return document_with("/ats/offers", get(response(properties)))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param([], "{source} is not an OpenAPI document.", id="another file"),
        pytest.param(
            document_with("/lms/courses", {}),
            "Neither Kombo's document nor its client has /lms/courses.",
            id="missing endpoint",
        ),
        pytest.param(
            document_with("/ats/offers", get(response(RECORD, "data.packages[]"))),
            "Kombo no longer has ats_offers.data.results[].",
            id="records at another path",
        ),
        pytest.param(
            offers_with(job=object_with(name={"allOf": [STRING]})),
            "ats_offers.data.results[].job.name uses 'allOf', which this script does not support.",
            id="unknown keyword",
        ),
        pytest.param(
            offers_with(status={"type": "text"}),
            "ats_offers.data.results[].status has the unknown type 'text'.",
            id="unknown type",
        ),
        pytest.param(
            offers_with(status={"type": "string", "anyOf": [STRING]}),
            "ats_offers.data.results[].status has both anyOf and type.",
            id="type and anyOf",
        ),
        pytest.param(
            offers_with(parent={"$ref": "#/components/Offer"})
            | {"components": {"Offer": object_with(parent={"$ref": "#/components/Offer"})}},
            "ats_offers.data.results[].parent.parent contains itself.",
            id="recursion",
        ),
        pytest.param(
            document_with("/ats/assignments", get(response(RECORD))),
            "Kombo has new lists: /ats/assignments. Add them to streams.py.",
            id="new list",
        ),
        pytest.param(
            document_with("/ats/assignments", get({"type": "object"}, query("cursor"))),
            "Kombo has new lists: /ats/assignments. Add them to streams.py.",
            id="new list of another format",
        ),
    ],
)
def test_script_stops_with_one_sentence(tap: Path, document: object, message: str) -> None:
    with pytest.raises(RuntimeError) as stopped:
        run(tap, document)
    assert str(stopped.value).startswith(message.format(source=tap / "openapi.json"))
    assert not contents(tap)


def test_new_list_of_the_client_is_found(client: Mapping[str, Endpoint]) -> None:
    new = {"GetAtsAssignments": endpoint(RECORD)}
    assert Kombo({}, client).new_lists() == []
    assert Kombo({}, {**client, **new}).new_lists() == ["GetAtsAssignments"]


def test_script_stops_without_a_document(tap: Path) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.json cannot be read: .*No such file"):
        update_schemas.main(["--openapi", str(tap / "nowhere.json")])


# Overrides


@every_override
def test_override_is_still_needed_for_the_official_client(
    override: Override, client: Mapping[str, Endpoint]
) -> None:
    kombo = Kombo({}, client)
    model = MODEL[override.stream]
    others = [other for other in OVERRIDES if other != override]
    assert kombo.schema(model) != kombo.schema(model, others)


@every_override
def test_override_is_still_needed_for_both_sources(override: Override, kombo: Kombo) -> None:
    model = MODEL[override.stream]
    others = [other for other in OVERRIDES if other != override]
    assert kombo.schema(model) != kombo.schema(model, others)


def test_override_of_a_field_that_has_changed_stops_the_script() -> None:
    override = Override("ats_tags", "name", "any JSON", update_schemas.STRING, "untyped")
    described = {"name": {"type": "string", "format": "date"}}
    with pytest.raises(update_schemas.SourceError) as stopped:
        Kombo({TAGS.path: endpoint(described)}, {}).schema(TAGS, [override])
    assert str(stopped.value) == (
        "ats_tags.name is now date instead of any JSON. Review its override (untyped)"
    )


def test_override_of_a_missing_field_stops_the_script() -> None:
    override = Override("ats_tags", "name", "any JSON", update_schemas.STRING, "untyped")
    with pytest.raises(update_schemas.SourceError, match=r"no longer has ats_tags\.name"):
        Kombo({TAGS.path: endpoint(RECORD)}, {}).schema(TAGS, [override])


@every_override
def test_override_has_a_reason(override: Override) -> None:
    assert override.reason


def test_override_applies_to_nested_fields() -> None:
    described = {"jobs": array(object_with(code={"type": "null"}, name=STRING))}
    kombo = Kombo({TAGS.path: endpoint(described)}, {})
    code = Override("ats_tags", "jobs[].code", "any JSON", update_schemas.DATE, "as documented")
    name = Override("ats_tags", "jobs[].name", "string", None, "not ours to keep")
    items = kombo.schema(TAGS, [code, name])["properties"]["jobs"]["items"]
    assert items["properties"] == {"code": {"type": ["string", "null"], "format": "date"}}


# Kombo's own document


def test_committed_files_are_up_to_date(kombo: Kombo) -> None:
    written = {path: text.encode() for path, text in update_schemas.files(kombo).items()}
    committed = contents(COMMITTED)
    del committed["schemas/sync_status.json"]  # the tap's own stream
    assert {path for path, text in committed.items() if written.get(path) != text} == set()
    assert committed.keys() == written.keys()


@pytest.mark.parametrize("path", sorted(EXCLUDED))
def test_excluded_endpoint_still_exists(path: str, kombo: Kombo) -> None:
    assert kombo.document[path].is_list


def examples(document: Schema) -> Iterator[tuple[str, Schema]]:
    """Yield the records that Kombo shows as examples, with their streams."""
    for model in MODELS:
        operation = document["paths"].get(model.path, {}).get("get", {})
        content = operation.get("responses", {}).get("200", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            steps = model.records.removesuffix("[]").split(".")
            found = reduce(lambda value, step: value[step], steps, example["value"])
            for record in found if isinstance(found, list) else [found]:
                yield model.stream, record


def test_examples_of_kombo_are_valid(document: Schema) -> None:
    formats = FormatChecker(["date"])
    formats.checks("date-time", raises=ValueError)(
        lambda value: not isinstance(value, str) or bool(datetime.fromisoformat(value))
    )
    shown = list(examples(document))
    for stream, record in shown:
        schema = json.loads((COMMITTED / f"schemas/{stream}.json").read_text("utf-8"))
        Draft7Validator(schema, format_checker=formats).validate(record)
    assert {stream for stream, _ in shown} >= {
        # The document shows no assessment order.
        model.stream
        for model in MODELS
        if model.path in document["paths"] and model.stream != "assessment_orders"
    }


# Descriptions


def test_described_columns_exist() -> None:
    columns = {model.stream: MODEL_COLUMNS[model.stream] for model in MODELS}
    everywhere = set().union(*columns.values())
    unknown = [
        (stream, name)
        for stream, descriptions in DESCRIPTIONS.items()
        for name in descriptions
        if name not in (everywhere if stream == "*" else columns[stream])
    ]
    assert unknown == []


def test_descriptions_do_not_repeat_each_other() -> None:
    texts = [text for descriptions in DESCRIPTIONS.values() for text in descriptions.values()]
    assert {text for text, count in Counter(texts).items() if count > 1} == set()


def test_descriptions_are_not_copied_from_kombo(document: Schema) -> None:
    text = json.dumps(document)
    texts = (each for every in DESCRIPTIONS.values() for each in every.values())
    assert [description for description in texts if description in text] == []
