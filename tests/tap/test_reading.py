"""What Kombo holds arrives: all of it the first time, what has changed from then on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tap_kombo.streams import MODELS
from tests.tap_run import TapRun, catalog_with, run_tap, settings_for, state_cut_off

STREAMS = ["ats_applications", "ats_candidates", "ats_jobs", "ats_offers"]
OWN_FIELDS = {"integration_id", "_sdc_deleted_at", "additional_fields"}


def as_kombo_sent(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in OWN_FIELDS}


def by_id(records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({record["id"] for record in records}) == len(records), "a record came twice"
    return {record["id"]: record for record in records}


@pytest.fixture(scope="module")
def unchanged() -> Iterator[Sandbox]:
    """A Kombo that stays as it is."""
    with Sandbox(integrations=3, offers=200, seed=13) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def first_run(unchanged: Sandbox) -> TapRun:
    return run_tap(settings_for(unchanged, page_size=40))


@pytest.mark.parametrize("stream", STREAMS)
def test_a_first_run_brings_every_record_as_kombo_holds_it(sandbox: Sandbox, stream: str) -> None:
    truth = by_id(sandbox.records(stream))

    run = run_tap(settings_for(sandbox, page_size=40), catalog=catalog_with(stream))

    assert run.code == 0
    assert set(run.records) == {stream}
    arrived = by_id(run.records[stream])
    assert {key: as_kombo_sent(record) for key, record in arrived.items()} == truth


def test_each_record_says_where_it_came_from_and_whether_it_is_deleted(
    first_run: TapRun, unchanged: Sandbox
) -> None:
    for integration_id in unchanged.integration_ids:
        truth = {r["id"] for r in unchanged.records("ats_offers", integration_id)}
        arrived = [
            r for r in first_run.records["ats_offers"] if r["integration_id"] == integration_id
        ]
        assert truth == {record["id"] for record in arrived}
    for record in first_run.records["ats_offers"]:
        assert record["_sdc_deleted_at"] == record["remote_deleted_at"]
        assert record["additional_fields"] is None


def test_all_streams_are_announced_before_the_first_record(first_run: TapRun) -> None:
    types = [message["type"] for message in first_run.messages]

    announced = [model.name for model in MODELS]
    assert types[: len(announced)] == ["SCHEMA"] * len(announced)
    assert "SCHEMA" not in types[len(announced) :]
    assert sorted(first_run.schemas) == sorted(announced)
    [offers] = [m for m in first_run.messages[: len(announced)] if m["stream"] == "ats_offers"]
    assert offers["key_properties"] == ["id"]
    assert offers["bookmark_properties"] == ["changed_at"]


def test_records_have_all_columns_that_their_schema_announces(first_run: TapRun) -> None:
    for stream in STREAMS:
        columns = set(first_run.schemas[stream]["properties"])
        assert all(set(record) == columns for record in first_run.records[stream])


def test_messages_end_with_a_state_that_has_a_bookmark_for_each_read(
    first_run: TapRun, unchanged: Sandbox
) -> None:
    assert first_run.messages[-1]["type"] == "STATE"
    for stream in STREAMS:
        for integration_id in unchanged.integration_ids:
            partition = first_run.partition(stream, integration_id)
            assert partition["replication_key"] == "changed_at"
            assert "resume" not in partition


def test_every_parameter_is_sent_again_with_every_cursor(sandbox: Sandbox) -> None:
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


def test_without_include_deleted_only_live_records_come(sandbox: Sandbox) -> None:
    sandbox.delete("ats_offers", count=2)

    run = run_tap(settings_for(sandbox, include_deleted=False), catalog=catalog_with("ats_offers"))

    live = sandbox.records("ats_offers", include_deleted=False)
    assert run.ids("ats_offers") == sorted(record["id"] for record in live)


def test_a_second_run_brings_exactly_what_has_changed(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox)
    first = run_tap(settings, catalog=catalog_with(*STREAMS))
    sandbox.advance(seconds=3600)
    changed = sandbox.change("ats_offers", count=3)
    deleted = sandbox.delete("ats_offers", count=1)
    added = sandbox.add("ats_offers", count=2, integration_id=sandbox.integration_ids[0])
    sandbox.clear_requests()

    second = run_tap(settings, state=first.state, catalog=catalog_with(*STREAMS))

    assert set(changed + deleted + added) <= set(second.ids("ats_offers"))
    truth = by_id(sandbox.records("ats_offers"))
    since = first.bookmark("ats_offers", sandbox.integration_ids[0])
    assert since is not None
    for record in second.records["ats_offers"]:
        assert as_kombo_sent(record) == truth[record["id"]]
    assert set(second.ids("ats_offers")) < set(truth)
    gone = by_id(second.records["ats_offers"])[deleted[0]]
    assert gone["_sdc_deleted_at"] is not None
    sent = {
        (r.path.rsplit("/", 1)[-1], r.integration_id): r.params.get("updated_after")
        for r in sandbox.requests()
        if "/ats/" in r.path
    }
    for integration_id in sandbox.integration_ids:
        assert sent["offers", integration_id] == first.bookmark("ats_offers", integration_id)


def test_a_change_of_nested_data_alone_comes_and_moves_no_bookmark_back(sandbox: Sandbox) -> None:
    settings = settings_for(sandbox)
    first = run_tap(settings, catalog=catalog_with("ats_offers"))
    sandbox.advance(seconds=3600)
    touched = sandbox.change_nested("ats_offers", count=1)

    second = run_tap(settings, state=first.state, catalog=catalog_with("ats_offers"))

    assert second.ids("ats_offers") == sorted(touched)
    record = second.records["ats_offers"][0]
    bookmark = first.bookmark("ats_offers", record["integration_id"])
    assert bookmark is not None
    assert record["changed_at"] < bookmark
    moved_to = second.bookmark("ats_offers", record["integration_id"])
    assert moved_to is not None
    assert moved_to > bookmark


def test_a_run_without_changes_brings_nothing_and_moves_the_bookmarks_on(sandbox: Sandbox) -> None:
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


def test_the_first_read_of_an_integration_starts_at_start_date(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, start_date="2999-01-01T00:00:00+02:00"),
        catalog=catalog_with("ats_offers"),
    )

    assert run.records == {}
    assert sandbox.requests()[-1].params["updated_after"] == "2998-12-31T22:00:00.000Z"
    assert any("`start_date`" in w and "in the future" in w for w in run.warnings)


def test_a_bookmark_counts_more_than_start_date(sandbox: Sandbox) -> None:
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
def test_a_read_of_everything_that_was_cut_off_begins_again(sandbox: Sandbox, stream: str) -> None:
    """What it had read may have changed since, and that is not asked for."""
    catalog = catalog_with(stream)
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    integration_id = sandbox.integration_ids[0]
    settings = settings_for(sandbox, integration_ids=[integration_id], page_size=20)
    sandbox.fault(path="/ats/offers", delay=0.1)
    whole = run_tap(settings, catalog=catalog)
    [cursor, *_] = [r.params["cursor"] for r in sandbox.requests() if "cursor" in r.params]
    assert not any("resume" in json.dumps(state) for state in whole.states)
    state = state_cut_off(stream, integration_id, cursor, sandbox.clock())

    again = run_tap(settings, catalog=catalog, state=state)

    assert again.ids(stream) == whole.ids(stream)
    assert "resume" not in again.partition(stream, integration_id)


def test_a_stream_that_can_only_be_read_whole_stays_so_whatever_the_catalog_says(
    sandbox: Sandbox,
) -> None:
    """A rule for all streams, as in meltano.yml, is for those that can be read otherwise."""
    catalog = catalog_with("integration_fields")
    for entry in catalog["streams"]:
        entry["replication_method"] = "INCREMENTAL"

    run = run_tap(settings_for(sandbox, page_size=2), catalog=catalog)

    assert run.code == 0
    assert run.warnings == []
    assert not any("resume" in json.dumps(state) for state in run.states)
