"""The records, states and statuses that `source-kombo read` emits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from harness.source import SourceRun, configured, run_source
from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo.times import parse_time
from tests.source.platform import Platform, data

OFFERS = "ats_offers"


@pytest.fixture
def kombo() -> Iterator[Sandbox]:
    """Start a sandbox whose records a test may change."""
    with Sandbox(integrations=2, offers=30, seed=4) as sandbox:
        yield sandbox


def read(
    settings: Mapping[str, Any], catalog: dict[str, Any], state: Mapping[str, Any] | None = None
) -> SourceRun:
    """Run the source, and replay its messages."""
    run = run_source("read", settings, catalog=catalog, state=state)
    Platform(catalog).replay(run)
    return run


def without(stream: str, *fields: str) -> dict[str, Any]:
    """Build a configured catalog that lacks fields of a stream, `nested.field` for a nested one."""
    catalog = configured(stream)
    for path in fields:
        schema = catalog["streams"][0]["stream"]["json_schema"]
        *parents, name = path.split(".")
        for parent in parents:
            schema = schema["properties"][parent]
            schema = schema.get("items", schema)
        del schema["properties"][name]
    return catalog


def test_records_equal_those_of_the_tap(kombo: Sandbox) -> None:
    settings = settings_for(kombo)
    tap = run_tap(settings)

    run = read(settings, configured())

    assert run.code == tap.code == 0
    assert run.records.keys() == tap.records.keys()
    for stream in run.records.keys() - {"sync_status"}:
        assert _sorted(run.records[stream]) == _sorted(tap.records[stream])


def _sorted(records: list[dict[str, Any]]) -> list[str]:
    return sorted(str(sorted(record.items())) for record in records)


def test_second_read_emits_changes_only(kombo: Sandbox) -> None:
    first = read(settings_for(kombo), configured(OFFERS))
    kombo.advance(seconds=3600)
    changed = kombo.change(OFFERS, count=3)

    second = read(settings_for(kombo), configured(OFFERS), first.stream_states)

    assert len(first.records[OFFERS]) == len(kombo.records(OFFERS))
    assert second.ids(OFFERS) == sorted(changed)


def test_stream_state_is_a_bookmark_of_the_tap(kombo: Sandbox) -> None:
    first = read(settings_for(kombo), configured(OFFERS))
    kombo.advance(seconds=3600)

    second = run_tap(settings_for(kombo), state=first.state, catalog=catalog_with(OFFERS))

    assert second.code == 0
    assert second.records == {}


def test_change_of_nested_data_is_emitted_later_with_the_same_cursor(kombo: Sandbox) -> None:
    first = read(settings_for(kombo), configured(OFFERS))
    kombo.advance(seconds=3600)
    kombo.change_nested(OFFERS, count=1)

    second = read(settings_for(kombo), configured(OFFERS), first.stream_states)

    [record] = [r for r in second.of_type("RECORD") if r["stream"] == OFFERS]
    [before] = [r for r in first.of_type("RECORD") if r["data"]["id"] == record["data"]["id"]]
    assert record["data"]["changed_at"] == before["data"]["changed_at"]
    assert record["emitted_at"] > before["emitted_at"]


def test_deleted_record_has_the_column_that_destinations_delete_by(kombo: Sandbox) -> None:
    [deleted] = kombo.delete(OFFERS, count=1)

    run = read(settings_for(kombo), configured(OFFERS))

    records = data(run, OFFERS)
    assert deleted in {r["id"] for r in records if r["_ab_cdc_deleted_at"]}
    assert all(r["_ab_cdc_deleted_at"] == r["remote_deleted_at"] for r in records)
    assert all("_sdc_deleted_at" not in r for r in records)


@pytest.mark.parametrize(
    "field", ["status", "additional_fields", "_ab_cdc_deleted_at", "application.candidate.id"]
)
def test_field_that_the_schema_lacks_is_not_emitted(kombo: Sandbox, field: str) -> None:
    run = read(settings_for(kombo), without(OFFERS, field))

    assert run.code == 0
    for record in data(run, OFFERS):
        value: Any = record
        *parents, name = field.split(".")
        for parent in parents:
            value = value[parent]
        assert name not in value
        assert field == "additional_fields" or name not in (record["additional_fields"] or {})


def test_keys_are_emitted_although_the_schema_lacks_them(kombo: Sandbox) -> None:
    catalog = without(OFFERS, "id", "changed_at")

    run = run_source("read", settings_for(kombo), catalog=catalog)

    assert all({"id", "changed_at"} <= record.keys() for record in data(run, OFFERS))


@pytest.mark.parametrize("schema", [{}, {"type": "object", "properties": {}}], ids=repr)
def test_empty_schema_selects_all_fields(kombo: Sandbox, schema: dict[str, Any]) -> None:
    catalog = configured(OFFERS)
    full = catalog["streams"][0]["stream"]["json_schema"]
    catalog["streams"][0]["stream"] = {"name": OFFERS, "json_schema": schema}

    run = read(settings_for(kombo), catalog)

    assert data(run, OFFERS)[0].keys() == full["properties"].keys()


def test_full_refresh_ignores_the_state(kombo: Sandbox) -> None:
    first = read(settings_for(kombo), configured(OFFERS, sync_id=1))
    kombo.advance(seconds=3600)

    second = read(
        settings_for(kombo),
        configured(OFFERS, sync_mode="full_refresh", sync_id=2),
        first.stream_states,
    )

    assert second.ids(OFFERS) == first.ids(OFFERS)


def test_full_refresh_resumes_in_the_next_attempt_of_a_sync(kombo: Sandbox) -> None:
    catalog = configured(OFFERS, sync_mode="full_refresh", sync_id=2)
    settings = settings_for(kombo, page_size=10, concurrency=1)
    kombo.fault(path="/ats/offers", status=403, skip=2)
    first = read(settings, catalog)
    kombo.clear_faults()
    kombo.advance(seconds=3600)

    second = read(settings, catalog, first.stream_states)

    assert (first.code, second.code) == (1, 0)
    assert first.records[OFFERS]
    assert not set(first.ids(OFFERS)) & set(second.ids(OFFERS))
    expected = {record["id"] for record in kombo.records(OFFERS)}
    assert {*first.ids(OFFERS), *second.ids(OFFERS)} == expected


def test_full_refresh_without_a_sync_id_does_not_resume(kombo: Sandbox) -> None:
    catalog = configured(OFFERS, sync_mode="full_refresh")
    first = read(settings_for(kombo), catalog)

    second = read(settings_for(kombo), catalog, first.stream_states)

    assert second.ids(OFFERS) == first.ids(OFFERS)


def test_incremental_read_of_a_full_table_stream_is_complete(kombo: Sandbox) -> None:
    catalog = configured("custom_fields")
    first = read(settings_for(kombo), catalog)

    second = read(settings_for(kombo), catalog, first.stream_states)

    assert second.ids("custom_fields") == first.ids("custom_fields") != []


def test_streams_without_changes_have_a_state(kombo: Sandbox) -> None:
    settings = settings_for(kombo, changed_models="{}")

    run = read(settings, configured(OFFERS, "sync_status"))

    assert run.code == 0
    assert run.records == {}
    assert run.stream_states.keys() == {OFFERS, "sync_status"}


def test_settings_that_are_json_text_are_used(kombo: Sandbox) -> None:
    integration_id = kombo.integration_ids[0]
    settings = settings_for(
        kombo,
        filters='{"ats_offers": {"remote_ids": "none"}}',
        changed_models=f'{{"{integration_id}": ["ats_offers"]}}',
    )

    run = read(settings, configured(OFFERS, "sync_status"))

    [status] = run.records["sync_status"]
    assert (status["integration_id"], status["records"]) == (integration_id, 0)


def test_states_differ_although_a_larger_lookback_keeps_all_bookmarks(kombo: Sandbox) -> None:
    """The platform rejects the same state after other records."""
    first = read(settings_for(kombo), configured(OFFERS))
    kombo.advance(seconds=60)
    kombo.change(OFFERS, count=20)

    run = read(
        settings_for(kombo, lookback_seconds=7200, page_size=1),
        configured(OFFERS),
        first.stream_states,
    )

    assert len(run.records[OFFERS]) == 20
    for integration_id in kombo.integration_ids:
        assert run.bookmark(OFFERS, integration_id) == first.bookmark(OFFERS, integration_id)


def test_read_is_complete_after_the_refresh_interval(kombo: Sandbox) -> None:
    settings = settings_for(kombo, full_refresh_interval_days=1)
    catalog = configured(OFFERS, "sync_status")
    first = read(settings, catalog)
    kombo.advance(seconds=2 * 86_400)

    second = read(settings, catalog, first.stream_states)

    assert {status["sync_type"] for status in second.records["sync_status"]} == {"full"}
    assert second.ids(OFFERS) == first.ids(OFFERS)


def test_rows_are_emitted_after_the_start_of_the_complete_read(kombo: Sandbox) -> None:
    run = read(settings_for(kombo), configured(OFFERS, "sync_status"))

    started = {
        r["data"]["integration_id"]: r["data"]["full_sync_started_at"]
        for r in run.of_type("RECORD")
        if r["stream"] == "sync_status"
    }
    for record in run.of_type("RECORD"):
        if record["stream"] == OFFERS:
            full = parse_time(started[record["data"]["integration_id"]])
            assert record["emitted_at"] >= int(full.timestamp() * 1000)
