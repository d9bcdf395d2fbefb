"""All of Kombo's models: every record is emitted, and is valid against its SCHEMA."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import jsonschema
import pytest

from harness.tap import TapRun, catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo.responses import CATEGORIES
from tap_kombo.streams import MODELS, Model

FORMATS = jsonschema.FormatChecker(["date"])


@FORMATS.checks("date-time", raises=ValueError)
def is_time_in_utc(value: object) -> bool:
    if not isinstance(value, str):
        return True
    return datetime.fromisoformat(value).tzinfo is not None and value.endswith("Z")


@pytest.fixture(scope="module")
def everything() -> Iterator[Sandbox]:
    """An integration of each category."""
    categories = ("ATS", "HRIS", "LMS", "ASSESSMENT")
    with Sandbox(integrations=1, offers=80, seed=21, categories=categories) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def run(everything: Sandbox) -> TapRun:
    everything.advance(seconds=3600)
    return run_tap(settings_for(everything, page_size=50))


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
class TestEachModel:
    def test_every_record_is_emitted_as_kombo_returns_it(
        self, everything: Sandbox, run: TapRun, model: Model
    ) -> None:
        name = model.name
        expected = {
            (integration_id, record["id"]): record
            for integration_id in everything.integration_ids
            for record in everything.records(name, integration_id)
        }
        emitted = {(r["integration_id"], r["id"]): r for r in run.records[name]}

        assert expected
        assert len(run.records[name]) == len(expected)
        columns = run.schemas[name]["properties"]
        for key, record in expected.items():
            for field, value in record.items():
                if field in columns:
                    assert emitted[key][field] == value

    def test_every_record_is_valid_against_its_schema(self, run: TapRun, model: Model) -> None:
        name = model.name
        validator = jsonschema.Draft7Validator(run.schemas[name], format_checker=FORMATS)

        for record in run.records[name]:
            validator.validate(record)
            assert record["additional_fields"] is None

    def test_only_incremental_streams_have_a_bookmark(
        self, everything: Sandbox, run: TapRun, model: Model
    ) -> None:
        name = model.name
        is_incremental = model.stream_class.replication_key is not None

        bookmarks = [run.bookmark(name, integration) for integration in everything.integration_ids]

        assert any(bookmarks) == is_incremental


def test_only_models_of_the_category_of_an_integration_are_requested(
    everything: Sandbox, run: TapRun
) -> None:
    category = {
        integration["id"]: integration["category"].lower()
        for integration in everything.records("integrations")
    }

    assert run.code == 0
    for request in everything.requests():
        family = request.path.split("/")[1]
        if family in CATEGORIES and request.integration_id:
            assert category[request.integration_id] == family
    rejected = [r for r in everything.requests() if r.status != 200]
    assert rejected == []


def test_a_second_run_requests_the_changes_of_incremental_streams(
    everything: Sandbox, run: TapRun
) -> None:
    everything.advance(seconds=3600)
    everything.clear_requests()

    second = run_tap(settings_for(everything), state=run.state)

    paths = {model.path: model.stream_class.replication_key for model in MODELS}
    for request in everything.requests():
        if request.path in paths:
            assert ("updated_after" in request.params) == (paths[request.path] is not None)
    changed = {name for name, records in second.records.items() if records}
    assert changed - {"sync_status"} == {
        m.name for m in MODELS if m.stream_class.replication_key is None
    }


def test_a_custom_field_has_another_key_in_each_integration(sandbox: Sandbox) -> None:
    """A custom field belongs to the environment, so all integrations list it under the same id."""
    run = run_tap(settings_for(sandbox), catalog=catalog_with("custom_fields"))

    [schema] = [message for message in run.messages if message["type"] == "SCHEMA"]
    records = run.records["custom_fields"]
    keys = {tuple(record[name] for name in schema["key_properties"]) for record in records}
    assert len(keys) == len(records)
    integrations = len(sandbox.integration_ids)
    assert len({record["id"] for record in records}) == len(records) // integrations


def test_integration_fields_are_keyed_by_their_integration(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox), catalog=catalog_with("integration_fields"))

    assert run.messages[0]["key_properties"] == ["integration_id", "id"]
