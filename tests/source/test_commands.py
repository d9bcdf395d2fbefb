"""`source-kombo spec`, `check` and `discover`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator

from harness import PROJECT
from harness.source import SourceRun, discovered, run_source
from harness.tap import settings_for
from kombo_sandbox import Sandbox
from tap_kombo.settings import SCHEMA
from tests.source.platform import check_messages


@pytest.fixture(scope="module")
def form() -> dict[str, Any]:
    """The JSON schema of the settings."""
    run = run_source("spec")
    check_messages(run)
    [spec] = run.of_type("SPEC")
    assert "protocol_version" not in spec
    schema: dict[str, Any] = spec["connectionSpecification"]
    return schema


def check(settings: dict[str, Any]) -> tuple[str, str]:
    """Return the status and the message of a check."""
    run = run_source("check", settings)
    check_messages(run)
    assert run.code == 0
    [status] = run.of_type("CONNECTION_STATUS")
    return status["status"], status["message"]


# spec


def test_form_has_all_settings_in_their_order(form: dict[str, Any]) -> None:
    Draft7Validator.check_schema(form)
    fields = sorted(form["properties"].items(), key=lambda item: item[1]["order"])
    assert [name for name, _ in fields] == list(SCHEMA["properties"])
    assert form["required"] == ["api_key", "integration_ids"]
    assert form["additionalProperties"] is True


def test_form_has_single_types_and_titles(form: dict[str, Any]) -> None:
    for name, field in form["properties"].items():
        assert isinstance(field["type"], str), name
        assert field["type"] != "object", name
        assert field["title"], name
        assert field["description"], name
    assert not {"anyOf", "allOf", "oneOf", "not", "$ref"} & set(_keywords(form))


def _keywords(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [keyword for item in schema for keyword in _keywords(item)]
    if isinstance(schema, dict):
        return [*schema, *_keywords(list(schema.values()))]
    return []


def test_api_key_is_the_only_secret(form: dict[str, Any]) -> None:
    secrets = [n for n, field in form["properties"].items() if field.get("airbyte_secret")]
    assert secrets == ["api_key"]


def test_examples_and_defaults_are_valid(form: dict[str, Any]) -> None:
    for name, field in form["properties"].items():
        for value in (*field.get("examples", ()), *filter(None, [field.get("default")])):
            Draft7Validator(field).validate(value)
            assert name not in {"filters", "changed_models"} or json.loads(value)


def test_settings_of_the_form_are_valid(form: dict[str, Any], sandbox: Sandbox) -> None:
    Draft7Validator(form).validate(settings_for(sandbox, filters='{"ats_offers": {"ids": "1"}}'))


# check


def test_check_succeeds(sandbox: Sandbox) -> None:
    assert check(settings_for(sandbox)) == ("SUCCEEDED", "")


def test_check_succeeds_if_some_integrations_can_be_read(sandbox: Sandbox) -> None:
    failing = sandbox.integration_ids[0]
    sandbox.fault(integration_id=failing, status=401, code="INTEGRATION.AUTHENTICATION_INVALID")

    status, message = check(settings_for(sandbox))

    assert status == "SUCCEEDED"
    assert message.startswith(f"{failing}: INTEGRATION.AUTHENTICATION_INVALID")


def test_check_fails_if_no_integration_can_be_read(sandbox: Sandbox) -> None:
    sandbox.fault(path="/integrations/", status=404, code="PLATFORM.INTEGRATION_NOT_FOUND")
    settings = settings_for(sandbox, integration_ids=["personio:unknown"])

    status, message = check(settings)

    assert status == "FAILED"
    assert "PLATFORM.INTEGRATION_NOT_FOUND" in message


def test_check_succeeds_if_an_integration_is_not_ready(sandbox: Sandbox) -> None:
    [integration_id, *_] = sandbox.integration_ids
    sandbox.fault(integration_id=integration_id, status=409, code="INTEGRATION.SETUP_SYNC_PENDING")

    assert check(settings_for(sandbox, integration_ids=[integration_id]))[0] == "SUCCEEDED"


def test_check_fails_if_the_api_key_is_rejected(sandbox: Sandbox) -> None:
    status, message = check(settings_for(sandbox, api_key="ks_prod_wrong"))

    assert status == "FAILED"
    assert message.startswith("PLATFORM.AUTHENTICATION_INVALID")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"region": "mars"}, "`region`: "),
        ({"filters": "{"}, "`filters`: the value is not valid JSON."),
        ({"filters": '{"ats_offer": {}}'}, "`filters.ats_offer`: there is no such stream"),
        ({"filters": "[]"}, "`filters`: "),
        ({"filters": '{"ks_prod_1": {}}'}, "`filters.***`: there is no such stream"),
        ({"stream_maps": {}}, "`stream_maps`: source-kombo does not support stream maps."),
    ],
)
def test_check_fails_if_a_setting_is_not_valid(
    sandbox: Sandbox, settings: dict[str, Any], message: str
) -> None:
    status, found = check(settings_for(sandbox, **settings))

    assert status == "FAILED"
    assert found.startswith(message)
    assert sandbox.requests() == []


def test_check_requests_at_most_100_integrations(sandbox: Sandbox) -> None:
    integration_ids = [*sandbox.integration_ids, *(f"personio:{n}" for n in range(200))]

    status, message = check(settings_for(sandbox, integration_ids=integration_ids))

    details = [r for r in sandbox.requests() if r.path.startswith("/integrations/")]
    assert len(details) == 100
    assert status == "SUCCEEDED"
    assert message.endswith("And 92 more integrations.")


# discover


@pytest.fixture(scope="module")
def catalog() -> SourceRun:
    run = run_source("discover", {})
    check_messages(run)
    return run


def test_streams_equal_those_of_the_tap(catalog: SourceRun) -> None:
    own = json.loads((PROJECT / "catalog.json").read_text())["streams"]

    [found] = catalog.of_type("CATALOG")

    assert [s["name"] for s in found["streams"]] == [s["tap_stream_id"] for s in own]
    for stream, entry in zip(found["streams"], own, strict=True):
        assert stream["source_defined_primary_key"] == [[n] for n in entry["key_properties"]]


@pytest.mark.parametrize("name", discovered())
def test_stream_has_a_cursor_if_kombo_returns_changes(name: str) -> None:
    stream = discovered()[name]
    schema = stream["json_schema"]
    Draft7Validator.check_schema(schema)
    assert "_sdc_deleted_at" not in schema["properties"]
    if "incremental" in stream["supported_sync_modes"]:
        assert stream["source_defined_cursor"] is True
        assert stream["is_resumable"] is True
        assert stream["default_cursor_field"] == ["changed_at"]
        assert schema["properties"]["changed_at"]["type"] == "string"
        assert "_ab_cdc_deleted_at" in schema["properties"]
    else:
        assert stream["supported_sync_modes"] == ["full_refresh"]
        assert stream["is_resumable"] is False
        assert not stream.keys() & {"source_defined_cursor", "default_cursor_field"}
