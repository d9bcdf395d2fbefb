"""The first run reads all records, and later runs read changed records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness.tap import TapRun, catalog_with, interrupted_state, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo.streams import ALL_MODELS

STREAMS = ["ats_applications", "ats_candidates", "ats_jobs", "ats_offers"]
OWN_FIELDS = {"integration_id", "_sdc_deleted_at", "additional_fields"}


def fields_of_kombo(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in OWN_FIELDS}


def by_id(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({record["id"] for record in records}) == len(records), "duplicate records"
    return {record["id"]: record for record in records}


@pytest.fixture(scope="module")
def unchanged() -> Iterator[Sandbox]:
    """A sandbox whose data no test changes."""
    with Sandbox(integrations=3, offers=200, seed=13) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def first_run(unchanged: Sandbox) -> TapRun:
    return run_tap(settings_for(unchanged, page_size=40))


@pytest.mark.parametrize("stream", STREAMS)
def test_the_first_run_emits_every_record_as_kombo_returns_it(
    sandbox: Sandbox, stream: str
) -> None:
    expected = by_id(sandbox.records(stream))

    run = run_tap(settings_for(sandbox, page_size=40), catalog=catalog_with(stream))

    assert run.code == 0
    assert set(run.records) == {stream}
    records = by_id(run.records[stream])
    assert {key: fields_of_kombo(record) for key, record in records.items()} == expected


def test_each_record_has_its_integration_and_deletion_time(
    first_run: TapRun, unchanged: Sandbox
) -> None:
    for integration_id in unchanged.integration_ids:
        expected = {r["id"] for r in unchanged.records("ats_offers", integration_id)}
        records = [
            r for r in first_run.records["ats_offers"] if r["integration_id"] == integration_id
        ]
        assert expected == {record["id"] for record in records}
    for record in first_run.records["ats_offers"]:
        assert record["_sdc_deleted_at"] == record["remote_deleted_at"]
        assert record["additional_fields"] is None


def test_the_schemas_of_all_streams_precede_the_first_record(first_run: TapRun) -> None:
    types = [message["type"] for message in first_run.messages]

    streams = [model.name for model in ALL_MODELS]
    assert types[: len(streams)] == ["SCHEMA"] * len(streams)
    assert "SCHEMA" not in types[len(streams) :]
    assert sorted(first_run.schemas) == sorted(streams)
    [offers] = [m for m in first_run.messages[: len(streams)] if m["stream"] == "ats_offers"]
    assert offers["key_properties"] == ["id"]
    assert offers["bookmark_properties"] == ["changed_at"]


def test_records_have_all_fields_of_their_schema(first_run: TapRun) -> None:
    for stream in STREAMS:
        fields = set(first_run.schemas[stream]["properties"])
        assert all(set(record) == fields for record in first_run.records[stream])


def test_the_last_message_is_a_state_with_a_bookmark_for_each_read(
    first_run: TapRun, unchanged: Sandbox
) -> None:
    assert first_run.messages[-1]["type"] == "STATE"
    for stream in STREAMS:
        for integration_id in unchanged.integration_ids:
            partition = first_run.partition(stream, integration_id)
            assert partition["replication_key"] == "changed_at"
            assert "resume" not in partition


def test_all_parameters_are_sent_with_every_cursor(sandbox: Sandbox) -> None:
    run_tap(
        settings_for(sandbox, page_size=20, start_date="2001-02-03"),
        catalog=catalog_with("ats_offers"),
    )

    pages = [r for r in sandbox.requests() if r.path.endswith("/ats/offers")]
    assert len([r for r in pages if "cursor" in r.params]) > 3
    for page in pages:
        assert page.params["page_size"] == "20"
        assert page.params["include_deleted"] == "true"
        assert page.params["updated_after"] == "2001-02-03T00:00:00.000Z"


def test_without_include_deleted_no_deleted_record_is_read(sandbox: Sandbox) -> None:
    sandbox.delete("ats_offers", count=2)

    run = run_tap(settings_for(sandbox, include_deleted=False), catalog=catalog_with("ats_offers"))

    live = sandbox.records("ats_offers", include_deleted=False)
    assert run.ids("ats_offers") == sorted(record["id"] for record in live)


def test_a_second_run_emits_the_changed_records_only(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox)
    first = run_tap(settings, catalog=catalog_with(*STREAMS))
    sandbox.advance(seconds=3600)
    changed = sandbox.change("ats_offers", count=3)
    deleted = sandbox.delete("ats_offers", count=1)
    added = sandbox.add("ats_offers", count=2, integration_id=sandbox.integration_ids[0])
    sandbox.clear_requests()

    second = run_tap(settings, state=first.state, catalog=catalog_with(*STREAMS))

    assert set(changed + deleted + added) <= set(second.ids("ats_offers"))
    expected = by_id(sandbox.records("ats_offers"))
    for record in second.records["ats_offers"]:
        assert fields_of_kombo(record) == expected[record["id"]]
    assert set(second.ids("ats_offers")) < set(expected)
    assert by_id(second.records["ats_offers"])[deleted[0]]["_sdc_deleted_at"] is not None
    sent = {
        (r.path.rsplit("/", 1)[-1], r.integration_id): r.params.get("updated_after")
        for r in sandbox.requests()
        if "/ats/" in r.path
    }
    for integration_id in sandbox.integration_ids:
        assert sent["offers", integration_id] == first.bookmark("ats_offers", integration_id)


def test_a_nested_change_is_read_and_does_not_move_the_bookmark_back(
    sandbox: Sandbox,
) -> None:
    settings = settings_for(sandbox)
    first = run_tap(settings, catalog=catalog_with("ats_offers"))
    sandbox.advance(seconds=3600)
    changed = sandbox.change_nested("ats_offers", count=1)

    second = run_tap(settings, state=first.state, catalog=catalog_with("ats_offers"))

    assert second.ids("ats_offers") == sorted(changed)
    record = second.records["ats_offers"][0]
    bookmark = first.bookmark("ats_offers", record["integration_id"])
    assert bookmark is not None
    assert record["changed_at"] < bookmark
    assert (second.bookmark("ats_offers", record["integration_id"]) or "") > bookmark


def test_a_run_without_changes_moves_the_bookmarks(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox)
    first = run_tap(settings, catalog=catalog_with(*STREAMS))
    sandbox.advance(seconds=3600)

    second = run_tap(settings, state=first.state, catalog=catalog_with(*STREAMS))

    assert second.records == {}
    for stream in STREAMS:
        for integration_id in sandbox.integration_ids:
            before = first.bookmark(stream, integration_id)
            after = second.bookmark(stream, integration_id)
            assert before is not None
            assert after is not None
            assert after > before


def test_the_first_run_reads_changes_since_start_date(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, start_date="2999-01-01T00:00:00+02:00"),
        catalog=catalog_with("ats_offers"),
    )

    assert run.records == {}
    assert sandbox.requests()[-1].params["updated_after"] == "2998-12-31T22:00:00.000Z"
    assert any("`start_date`" in w and "in the future" in w for w in run.warnings)


def test_a_bookmark_has_precedence_over_start_date(sandbox: Sandbox) -> None:
    first = run_tap(settings_for(sandbox), catalog=catalog_with("ats_offers"))
    sandbox.clear_requests()

    run_tap(
        settings_for(sandbox, start_date="2999-01-01T00:00:00Z"),
        state=first.state,
        catalog=catalog_with("ats_offers"),
    )

    for request in sandbox.requests():
        if request.path.endswith("/ats/offers"):
            assert request.integration_id is not None
            bookmark = first.bookmark("ats_offers", request.integration_id)
            assert request.params["updated_after"] == bookmark


@pytest.mark.parametrize("stream", ["integration_fields", "ats_offers"])
def test_an_interrupted_full_table_read_starts_again(sandbox: Sandbox, stream: str) -> None:
    """Records of the pages before the interruption may have changed since."""
    catalog = catalog_with(stream)
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=20)
    sandbox.fault(path="/ats/offers", delay=0.1)
    complete = run_tap(settings, catalog=catalog)
    [cursor, *_] = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    assert not any("resume" in json.dumps(state) for state in complete.states)
    state = interrupted_state(stream, integration_id, cursor, sandbox.clock())

    again = run_tap(settings, catalog=catalog, state=state)

    assert again.ids(stream) == complete.ids(stream)
    assert "resume" not in again.partition(stream, integration_id)


def test_a_full_table_stream_stays_full_table_whatever_the_catalog_says(sandbox: Sandbox) -> None:
    """A rule for all streams in meltano.yml applies to those that can be read incrementally."""
    catalog = catalog_with("integration_fields")
    for entry in catalog["streams"]:
        entry["replication_method"] = "INCREMENTAL"

    run = run_tap(settings_for(sandbox, page_size=2), catalog=catalog)

    assert run.code == 0
    assert run.warnings == []
    assert not any("resume" in json.dumps(state) for state in run.states)
