"""The stream maps of `tap-kombo --masking`, in runs over planted and generated records."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any
from zlib import crc32

import jsonschema
import pytest

from harness.tap import TapRun, catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo import masking
from tap_kombo.responses import INTEGRATION, PACKAGES
from tap_kombo.stream_maps import fields_of
from tap_kombo.streams import INTEGRATION_MODELS, MODELS, Model
from tap_kombo.validation import Schema

SALT = "a long random string"
ODD = "planted-odd"


def masking_settings(*classes: str) -> dict[str, Any]:
    """Return the settings that `--masking` prints, with a salt as Meltano inserts it."""
    run = run_tap({}, f"--masking={','.join(classes)}" if classes else "--masking")
    assert run.code == 0
    settings: dict[str, Any] = json.loads(run.stdout.replace(b"${MASKING_SALT}", SALT.encode()))
    return settings


def hashed(value: str) -> str:
    return hashlib.sha256(f"{SALT}{value}".encode()).hexdigest()


def token(path: str, schema: Schema) -> Any:
    """Return a value whose JSON appears in no other field's value."""
    number = crc32(path.encode())
    if {"string", "object"} & set(schema["type"]):
        if schema.get("format") == "date":
            return date.fromordinal(number % 700_000 + 1).isoformat()
        if schema.get("format") == "date-time":
            return datetime.fromtimestamp(number / 2, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        return f"planted-{path}."
    return True if "boolean" in schema["type"] else number


def leaves(
    path: str, schema: Schema, *, is_masked: bool = False
) -> Iterator[tuple[str, Schema, bool]]:
    """Yield the leaf fields: path, schema, and whether they are in a class."""
    rule = masking.rule_for(path)
    is_masked = is_masked or bool(rule and masking.CLASS_OF[rule])
    inner = {f"{path}.{name}": child for name, child in schema.get("properties", {}).items()}
    if "items" in schema:
        inner[f"{path}[]"] = schema["items"]
    if not inner:
        yield path, schema, is_masked
    for name, child in inner.items():
        yield from leaves(name, child, is_masked=is_masked)


def planted(path: str, schema: Schema) -> Any:
    """Build a value with all fields, and a token in each."""
    if "items" in schema:
        return [planted(f"{path}[]", schema["items"])]
    if schema.get("properties"):
        return {
            name: planted(f"{path}.{name}", child) for name, child in schema["properties"].items()
        }
    if "object" in schema["type"]:
        return {"free": [token(path, schema)]}
    return token(path, schema)


def empty(schema: Schema) -> Any:
    if "items" in schema:
        return [None, empty(schema["items"])]
    return {} if "object" in schema["type"] else "" if "format" not in schema else None


def of_another_type(schema: Schema) -> Any:
    is_compound = "items" in schema or "object" in schema["type"]
    return ODD if is_compound else {"a": [ODD, 7]}


def own_fields(model: Model) -> dict[str, Schema]:
    added = {"integration_id", "_sdc_deleted_at", "additional_fields", "stream"}
    return {name: schema for name, schema in fields_of(model.name).items() if name not in added}


def records(model: Model) -> list[dict[str, Any]]:
    """Build a record of tokens, and records of nulls, empty values and values of other types."""
    fields = own_fields(model)
    first = {name: planted(f"{model.name}.{name}", schema) for name, schema in fields.items()}
    key = {"id": f"{model.name}-id", "changed_at": "2026-01-31T12:00:00.000Z"}
    odd = [
        dict.fromkeys(fields),
        {name: empty(schema) for name, schema in fields.items()},
        {name: of_another_type(schema) for name, schema in fields.items()},
        first | {"invented": ODD},
    ]
    keys = {name: value for name, value in key.items() if name in fields}
    return [{**r, **keys, "id": f"{model.name}-{i}"} for i, r in enumerate([first, *odd])]


def response(model: Model, integration_id: str) -> str:
    data: dict[str, Any]
    if model.format in (INTEGRATION, INTEGRATION_MODELS):
        by_name = {m.name: m for m in MODELS}
        data = records(by_name["integrations"])[0] | {"id": integration_id}
        data["read_models"] = records(by_name["integration_models"])
    elif model.format is PACKAGES:
        data = {"packages": records(model)}
    else:
        data = {"next": None, "results": records(model)}
    return json.dumps({"status": "success", "data": data})


@contextmanager
def planted_kombo() -> Iterator[Sandbox]:
    """Start a sandbox that returns the planted records of all models."""
    with Sandbox(integrations=1) as sandbox:
        for model in MODELS:
            path = model.path.format(integration_id=sandbox.integration_ids[0])
            sandbox.fault(path=path, body=response(model, sandbox.integration_ids[0]))
        yield sandbox


@pytest.fixture(scope="module")
def run() -> TapRun:
    """A run over all streams, with all classes masked."""
    with planted_kombo() as sandbox:
        return run_tap(settings_for(sandbox, **masking_settings()))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
class TestEachStream:
    def test_only_fields_in_a_class_are_masked(self, run: TapRun, model: Model) -> None:
        for name, column in own_fields(model).items():
            for path, schema, is_masked in leaves(f"{model.name}.{name}", column):
                if name not in {"id", "changed_at"} and "boolean" not in schema["type"]:
                    text = json.dumps(token(path, schema)).strip('"')
                    assert (text.encode() in run.stdout) != is_masked, path

    def test_every_record_is_valid_against_its_schema(self, run: TapRun, model: Model) -> None:
        validator = jsonschema.Draft7Validator(run.schemas[model.name])

        for record in run.records[model.name]:
            validator.validate(record)

    def test_every_record_has_its_key(self, run: TapRun, model: Model) -> None:
        records = run.records[model.name]
        [integration_id] = {r["integration_id"] for r in records}
        ids = [f"{model.name}-{i}" for i in range(5)]
        assert [r["id"] for r in records] == (
            [integration_id] if model.format is INTEGRATION else ids
        )


def test_odd_values_are_in_no_message(run: TapRun) -> None:
    assert run.code == 0, run.stderr
    assert ODD.encode() not in run.stdout
    assert "planted" not in run.stderr
    assert "planted" not in json.dumps(run.states)


@pytest.mark.parametrize("half", [0, 1])
def test_deselected_fields_are_in_no_message(half: int) -> None:
    """Each field is deselected in one of two runs, at any depth, also inside lists."""
    found = [
        (model.name, path, schema)
        for model in MODELS
        for name, column in own_fields(model).items()
        for path, schema, _ in leaves(f"{model.name}.{name}", column)
        # `_sdc_deleted_at` has the value of `remote_deleted_at`.
        if name not in {"id", "changed_at", "remote_deleted_at"} and "boolean" not in schema["type"]
    ]
    deselected = {path for _, path, _ in found[half::2]}
    catalog = catalog_with(*(model.name for model in MODELS))
    for entry in catalog["streams"]:
        for stream, path, _ in found[half::2]:
            if stream == entry["tap_stream_id"]:
                names = path.replace("[]", "").split(".")[1:]
                breadcrumb = [step for name in names for step in ("properties", name)]
                entry["metadata"].append(
                    {"breadcrumb": breadcrumb, "metadata": {"selected": False}}
                )

    with planted_kombo() as kombo:
        run = run_tap(settings_for(kombo), catalog=catalog)

    assert run.code == 0, run.stderr
    for _, path, schema in found:
        text = json.dumps(token(path, schema)).strip('"')
        assert (text.encode() in run.stdout) != (path in deselected), path
    assert "planted" not in run.stderr
    assert "planted" not in json.dumps(run.states)


def test_nested_copies_and_lists_are_hashed_and_numbers_are_null(run: TapRun) -> None:
    employee = run.records["hris_employees"][0]
    offer = run.records["ats_offers"][0]
    [email] = offer["application"]["candidate"]["email_addresses"]
    order = run.records["assessment_orders"][0]

    path = "planted-hris_employees"
    assert employee["ssn"] == hashed(f"{path}.ssn.")
    assert employee["manager"]["first_name"] == hashed(f"{path}.manager.first_name.")
    assert employee["bank_accounts"][0]["iban"] == hashed(f"{path}.bank_accounts[].iban.")
    assert employee["date_of_birth"] is None
    assert employee["employments"][0]["pay_rate"] is None
    assert employee["custom_fields"] is None
    assert email["email_address"].isalnum()
    assert email["type"].startswith("planted-ats_offers")
    assert order["job"]["hiring_team"][0]["last_name"].isalnum()


def test_nulls_stay_null_and_empty_values_stay_empty(run: TapRun) -> None:
    _, nulls, empties, *_ = run.records["ats_candidates"]

    assert nulls["first_name"] is nulls["email_addresses"] is None
    assert empties["first_name"] == ""
    assert empties["email_addresses"] == [None, {}]


def test_a_value_has_the_same_hash_in_every_stream(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, **masking_settings("names", "contact")),
        catalog=catalog_with("ats_candidates", "ats_applications"),
    )

    candidates = {(r["integration_id"], r["id"]): r for r in run.records["ats_candidates"]}
    copies = [(r["integration_id"], r["candidate"]) for r in run.records["ats_applications"]]
    truth = {r["id"]: r["last_name"] for r in sandbox.records("ats_candidates")}
    assert len([copy for _, copy in copies if copy]) > 100
    for integration_id, copy in copies:
        if copy:
            candidate = candidates[integration_id, copy["id"]]
            assert copy["last_name"] == candidate["last_name"] == hashed(truth[copy["id"]])
            assert copy["email_addresses"] == candidate["email_addresses"]


def test_only_named_classes_are_masked(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, **masking_settings("contact")),
        catalog=catalog_with("ats_candidates"),
    )

    truth = {r["id"]: r for r in sandbox.records("ats_candidates")}
    for record in run.records["ats_candidates"]:
        assert record["last_name"] == truth[record["id"]]["last_name"]
        assert record["custom_fields"] == truth[record["id"]]["custom_fields"]
        assert record["location"] is None
        assert "@" not in json.dumps(record["email_addresses"])


def test_masking_does_not_add_deselected_fields(sandbox: Sandbox) -> None:
    deselected = ["ats_offers.remote_data", "ats_offers.application.candidate"]
    run = run_tap(
        settings_for(sandbox, **masking_settings()),
        catalog=catalog_with("ats_offers", deselected=deselected),
    )

    assert run.code == 0, run.stderr
    assert "remote_data" not in run.schemas["ats_offers"]["properties"]
    for record in run.records["ats_offers"]:
        assert "remote_data" not in record
        assert "candidate" not in (record["application"] or {})


def test_list_above_the_limit_of_the_sdk_fails_the_read_without_a_record(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    addresses = [{"email_address": f"{ODD}-{i}", "type": None} for i in range(10_001)]
    candidate = sandbox.records("ats_candidates", integration_id)[0]
    results = [{**candidate, "email_addresses": addresses}]
    page = {"status": "success", "data": {"next": None, "results": results}}
    sandbox.fault(path="/ats/candidates", integration_id=integration_id, body=json.dumps(page))

    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id], **masking_settings()),
        catalog=catalog_with("ats_candidates"),
    )

    assert run.code == 1
    assert run.records["ats_candidates"] == []
    assert ODD not in run.stderr
    assert run.partition("ats_candidates", integration_id) == {}


@pytest.mark.parametrize("salt", [None, "", " ", 7, "${MASKING_SALT}"])
def test_masking_without_a_salt_is_one_error_before_any_request(
    sandbox: Sandbox, salt: object
) -> None:
    settings = masking_settings() | {"stream_map_config": {"salt": salt}}

    run = run_tap(settings_for(sandbox, **settings))

    assert run.code == 1
    assert run.stdout == b""
    assert sandbox.requests() == []
    [error] = run.errors
    assert error.startswith("`stream_map_config.salt`: ")


def test_salt_can_be_in_the_environment(sandbox: Sandbox) -> None:
    printed = json.loads(run_tap({}, "--masking").stdout)

    run = run_tap(
        settings_for(sandbox, **printed),
        "--config=ENV",
        catalog=catalog_with("ats_users"),
        env={"TAP_KOMBO_STREAM_MAP_CONFIG": json.dumps({"salt": SALT})},
    )

    assert run.code == 0, run.stderr
    names = {hashed(user["last_name"]) for user in sandbox.records("ats_users")}
    assert {user["last_name"] for user in run.records["ats_users"]} == names


def test_unknown_class_is_one_error() -> None:
    run = run_tap({}, "--masking=names,bnk")

    assert run.code == 1
    assert run.stdout == b""
    [error] = run.errors
    assert error.startswith("`--masking`: there is no class bnk (did you mean bank?)")
