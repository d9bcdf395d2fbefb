"""What the script makes of Kombo's descriptions: small ones by hand, and Kombo's own if there."""

from __future__ import annotations

import json
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
    in_document,
)
from tap_kombo.streams import LEFT_OUT

Schema = dict[str, Any]

STRING = {"type": "string"}
ANY_JSON = {"type": ["array", "boolean", "integer", "null", "number", "object", "string"]}
RECORD = {"id": STRING, "changed_at": {"type": "string", "format": "date-time"}}
COMMITTED = update_schemas.TAP
MODEL = {model.stream: model for model in MODELS}
TAGS = Model("ats_tags", "/ats/tags", "data.results[]")

every_override = pytest.mark.parametrize(
    "override", OVERRIDES, ids=lambda o: f"{o.stream}.{o.path}"
)


def answer(properties: Schema, records: str = "data.results[]") -> Schema:
    """The schema of an answer with records of these properties, `next` included."""
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


def a_document() -> Schema:
    """A document that knows every model of the table, and little of each."""
    paths = {model.path: get(answer(RECORD, model.records)) for model in MODELS}
    integration = RECORD | {"read_models": {"type": "array", "items": {"type": "object"}}}
    paths[MODEL["integrations"].path] = get(answer(integration, "data"))
    return {"paths": paths}


def schema_of(properties: Schema, **components: Schema) -> Schema:
    """The schema of records that a document describes like this."""
    document = {"paths": {TAGS.path: get(answer(properties))}, "components": components}
    return Kombo(in_document(document), {}).schema(TAGS)


def column(schema: Schema, **components: Schema) -> Schema:
    found: Schema = schema_of({"it": schema}, **components)["properties"]["it"]
    return found


def an_endpoint(properties: Schema, **parameters: str) -> Endpoint:
    return Endpoint(answer(properties), {}, parameters)


def union(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def an_object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties}


# One source


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        pytest.param(STRING, {"type": ["string", "null"]}, id="what is required may be null"),
        pytest.param(
            {"type": ["string", "null"], "enum": ["OPEN", None], "pattern": "^O", "maxLength": 4},
            {"type": ["string", "null"]},
            id="enums, patterns and limits go",
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
            id="whole numbers and fractions are numbers",
        ),
        pytest.param(union(array(STRING), an_object(a=STRING)), ANY_JSON, id="array or object"),
        pytest.param(union(array(STRING), STRING), ANY_JSON, id="array or text"),
        pytest.param(union(STRING, {}), ANY_JSON, id="text or anything"),
        pytest.param({"type": "null"}, ANY_JSON, id="null alone says nothing"),
        pytest.param({}, ANY_JSON, id="no type says nothing"),
        pytest.param(
            union(an_object(a=STRING, b={"type": "integer"}), an_object(b=STRING, c=array(STRING))),
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
            id="ISO times stay",
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
            {"$ref": "#/components/Status"}, {"type": ["string", "null"]}, id="references are read"
        ),
    ],
)
def test_a_field_becomes(described: Schema, expected: Schema) -> None:
    assert column(described, Status={**STRING, "enum": ["OPEN"]}) == expected


def test_integration_fields_hold_any_value_and_keep_what_is_new_in_them() -> None:
    described = array(an_object(id=STRING, value={"type": "null"}, origin=STRING))
    items = schema_of({"integration_fields": described})["properties"]["integration_fields"][
        "items"
    ]
    assert items["properties"]["value"] == ANY_JSON
    assert list(items["properties"]) == ["id", "value", "origin", "key", "type", "label"]


def test_a_deleted_record_can_be_marked_as_such() -> None:
    kept = schema_of(RECORD)["properties"]
    deletable = schema_of(RECORD | {"remote_deleted_at": {"type": "string"}})["properties"]
    assert "_sdc_deleted_at" not in kept
    assert deletable["_sdc_deleted_at"]["format"] == "date-time"


# Two sources


def both(document: Schema, client: Schema) -> Schema:
    """The properties of a record that the two sources describe like this."""
    kombo = Kombo({TAGS.path: an_endpoint(document)}, {"GetAtsTags": an_endpoint(client)})
    found: Schema = kombo.schema(TAGS)["properties"]
    return found


def test_the_fields_of_both_sources_are_there_the_documents_first() -> None:
    fields = both({"id": STRING, "remote_data": {}}, {"name": STRING, "id": STRING})
    assert list(fields) == ["id", "remote_data", "name", "integration_id", "additional_fields"]


def test_nested_fields_of_both_sources_are_there() -> None:
    fields = both({"job": an_object(id=STRING)}, {"job": an_object(id=STRING, code=STRING)})
    assert list(fields["job"]["properties"]) == ["id", "code"]


@pytest.mark.parametrize(
    ("document", "client", "expected"),
    [
        ({"type": "null"}, {"type": "string", "format": "date"}, ["string", "null"]),
        ({"type": "integer"}, {"type": "number"}, ["number", "null"]),
        ({"type": "string"}, {"type": "number"}, ["number", "string", "null"]),
        ({"type": "string"}, {"type": "object"}, ANY_JSON["type"]),
    ],
    ids=["one says nothing", "a fraction for one", "two scalars", "they contradict each other"],
)
def test_where_the_sources_differ_both_are_right(
    document: Schema, client: Schema, expected: list[str]
) -> None:
    assert both({"it": document}, {"it": client})["it"]["type"] == expected


def test_a_time_for_one_source_and_text_for_the_other_is_text() -> None:
    time = {"type": "string", "format": "date-time"}
    assert "format" in both({"it": time}, {"it": time})["it"]
    assert "format" not in both({"it": time}, {"it": STRING})["it"]


# Filters


def test_filters_are_the_query_parameters_that_are_not_the_taps() -> None:
    header = query("X-Integration-Id") | {"in": "header"}
    described = get(
        answer(RECORD),
        header,
        *map(query, ("cursor", "page_size", "updated_after", "include_deleted")),
        query("ignore_unsupported_filters"),
        query("emails", "A comma-separated list of emails."),
        query("created_after", format="date-time"),
        query("name_contains"),
    )
    kombo = Kombo(in_document({"paths": {TAGS.path: described}}), {})
    assert kombo.filters(TAGS) == {
        "emails": "list",
        "created_after": "date-time",
        "name_contains": "string",
    }


def test_the_client_knows_better_what_a_list_is() -> None:
    kombo = Kombo(
        {TAGS.path: an_endpoint(RECORD, emails="string", status="string")},
        {"GetAtsTags": an_endpoint(RECORD, emails="list", scopes="list")},
    )
    assert kombo.filters(TAGS) == {"emails": "list", "status": "string", "scopes": "list"}


# The command


@pytest.fixture
def tap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tap without schemas, and the script at work on it."""
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


def test_every_model_gets_a_file(tap: Path) -> None:
    run(tap, a_document())
    assert contents(tap).keys() == {
        "filters.json",
        *(f"schemas/{model.stream}.json" for model in MODELS),
    }


def test_the_same_input_gives_the_same_bytes(tap: Path) -> None:
    run(tap, a_document())
    first = contents(tap)
    for path in tap.glob("schemas/*"):
        path.unlink()
    run(tap, a_document())
    assert contents(tap) == first
    assert all(content.endswith(b"}\n") for content in first.values())


def test_files_without_a_model_are_removed(tap: Path) -> None:
    run(tap, a_document())
    (tap / "schemas" / "hris_teams.json").write_text("{}")
    run(tap, a_document())
    assert "schemas/hris_teams.json" not in contents(tap)


def test_a_check_tells_what_differs_and_writes_nothing(
    tap: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tap, a_document())
    run(tap, a_document(), "--check")
    (tap / "schemas" / "ats_tags.json").write_text("{}")
    before = contents(tap)
    capsys.readouterr()
    with pytest.raises(RuntimeError):
        run(tap, a_document(), "--check")
    assert contents(tap) == before
    assert capsys.readouterr().out == "differs: schemas/ats_tags.json\n"


def with_offers(properties: Schema) -> Schema:
    document = a_document()
    document["paths"]["/ats/offers"] = get(answer(properties))
    return document


def without_path(path: str) -> Schema:
    document = a_document()
    del document["paths"][path]
    return document


def with_path(path: str, operation: Schema) -> Schema:
    document = a_document()
    document["paths"][path] = operation
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param([], "{source} is no OpenAPI document.", id="another file"),
        pytest.param(
            without_path("/lms/courses"),
            "Neither Kombo's document nor its client has /lms/courses.",
            id="an endpoint that is gone",
        ),
        pytest.param(
            with_path("/ats/offers", get(answer(RECORD, "data.packages[]"))),
            "Kombo no longer knows ats_offers.data.results[].",
            id="records in another place",
        ),
        pytest.param(
            with_offers({"job": an_object(name={"allOf": [STRING]})}),
            "ats_offers.data.results[].job.name uses 'allOf', which this script cannot read.",
            id="an unknown construct",
        ),
        pytest.param(
            with_offers({"status": {"type": "text"}}),
            "ats_offers.data.results[].status is of the unknown type 'text'.",
            id="an unknown type",
        ),
        pytest.param(
            with_offers({"status": {"type": "string", "anyOf": [STRING]}}),
            "ats_offers.data.results[].status says anyOf and type at once.",
            id="two things at once",
        ),
        pytest.param(
            with_offers({"parent": {"$ref": "#/components/Offer"}})
            | {"components": {"Offer": an_object(parent={"$ref": "#/components/Offer"})}},
            "ats_offers.data.results[].parent.parent contains itself.",
            id="a record within itself",
        ),
        pytest.param(
            with_path("/ats/assignments", get(answer(RECORD))),
            "Kombo has lists that are neither streams nor left out: /ats/assignments.",
            id="a new list",
        ),
        pytest.param(
            with_path("/ats/assignments", get({"type": "object"}, query("cursor"))),
            "Kombo has lists that are neither streams nor left out: /ats/assignments.",
            id="a new list of another shape",
        ),
    ],
)
def test_it_stops_with_one_sentence_at(tap: Path, document: object, message: str) -> None:
    with pytest.raises(RuntimeError) as stopped:
        run(tap, document)
    assert str(stopped.value).startswith(message.format(source=tap / "openapi.json"))
    assert not contents(tap)


def test_it_stops_when_the_client_has_a_new_list(client: Mapping[str, Endpoint]) -> None:
    new = {"GetAtsAssignments": an_endpoint(RECORD)}
    assert Kombo({}, client).new_lists() == []
    assert Kombo({}, {**client, **new}).new_lists() == ["GetAtsAssignments"]


def test_it_stops_when_there_is_no_document(tap: Path) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.json cannot be read: .*No such file"):
        update_schemas.main(["--openapi", str(tap / "nowhere.json")])


# Overrides


@every_override
def test_an_override_still_corrects_what_the_official_client_says(
    override: Override, client: Mapping[str, Endpoint]
) -> None:
    kombo = Kombo({}, client)
    model = MODEL[override.stream]
    others = [other for other in OVERRIDES if other != override]
    assert kombo.schema(model) != kombo.schema(model, others)


@every_override
def test_an_override_still_corrects_what_kombo_says(override: Override, kombo: Kombo) -> None:
    model = MODEL[override.stream]
    others = [other for other in OVERRIDES if other != override]
    assert kombo.schema(model) != kombo.schema(model, others)


def test_an_override_stops_the_script_when_kombo_says_something_else() -> None:
    override = Override("ats_tags", "name", "any JSON", update_schemas.STRING, "untyped")
    said = {"name": {"type": "string", "format": "date"}}
    with pytest.raises(update_schemas.CannotUpdateError) as stopped:
        Kombo({TAGS.path: an_endpoint(said)}, {}).schema(TAGS, [override])
    assert str(stopped.value) == (
        "ats_tags.name is date by now and no longer any JSON,"
        " so its override (untyped) is to be judged again"
    )


def test_an_override_stops_the_script_when_its_field_is_gone() -> None:
    override = Override("ats_tags", "name", "any JSON", update_schemas.STRING, "untyped")
    with pytest.raises(update_schemas.CannotUpdateError, match=r"no longer knows ats_tags\.name"):
        Kombo({TAGS.path: an_endpoint(RECORD)}, {}).schema(TAGS, [override])


@every_override
def test_an_override_has_a_reason_of_its_own(override: Override) -> None:
    assert override.reason


def test_an_override_reaches_nested_fields() -> None:
    described = {"jobs": array(an_object(code={"type": "null"}, name=STRING))}
    kombo = Kombo({TAGS.path: an_endpoint(described)}, {})
    code = Override("ats_tags", "jobs[].code", "any JSON", update_schemas.DATE, "as documented")
    name = Override("ats_tags", "jobs[].name", "string", None, "not ours to keep")
    items = kombo.schema(TAGS, [code, name])["properties"]["jobs"]["items"]
    assert items["properties"] == {"code": {"type": ["string", "null"], "format": "date"}}


# Kombo's own document


def test_the_files_are_what_the_script_writes(kombo: Kombo) -> None:
    written = {path: text.encode() for path, text in update_schemas.files(kombo).items()}
    assert {
        path for path, text in contents(COMMITTED).items() if written.get(path) != text
    } == set()
    assert contents(COMMITTED).keys() == written.keys()


@pytest.mark.parametrize("path", sorted(LEFT_OUT))
def test_what_is_left_out_is_still_there_to_be_left_out(path: str, kombo: Kombo) -> None:
    assert kombo.document[path].is_list


def test_the_document_and_the_client_agree_on_what_a_list_is(kombo: Kombo) -> None:
    for model in MODELS:
        if model.client and model.path in kombo.document:
            documented = kombo.document[model.path].parameters
            typed = kombo.client[model.client].parameters
            for name in (documented.keys() & typed.keys()) - update_schemas.TAPS_PARAMETERS:
                assert (documented[name] == "list") == (typed[name] == "list"), (model.stream, name)


def examples(document: Schema) -> Iterator[tuple[str, Schema]]:
    """The records that Kombo shows as examples, with their streams."""
    for model in MODELS:
        operation = document["paths"].get(model.path, {}).get("get", {})
        content = operation.get("responses", {}).get("200", {}).get("content", {})
        for example in content.get("application/json", {}).get("examples", {}).values():
            steps = model.records.removesuffix("[]").split(".")
            found = reduce(lambda value, step: value[step], steps, example["value"])
            for record in found if isinstance(found, list) else [found]:
                yield model.stream, record


def test_the_records_that_kombo_shows_are_valid(document: Schema) -> None:
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


def test_every_description_is_ours_and_used() -> None:
    own = (update_schemas.INTEGRATION_ID, update_schemas.SDC_DELETED_AT)
    ours = {
        *DESCRIPTIONS.values(),
        *(schema["description"] for schema in (*own, update_schemas.ADDITIONAL_FIELDS)),
    }
    used = {
        schema["description"]
        for path in COMMITTED.glob("schemas/*.json")
        for schema in json.loads(path.read_text("utf-8"))["properties"].values()
        if "description" in schema
    }
    assert used == ours


def test_no_description_is_kombos(document: Schema) -> None:
    text = json.dumps(document)
    assert not [description for description in DESCRIPTIONS.values() if description in text]
