"""`sync_status` shows how each read ended, and which rows of the target are current."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.tap import TapRun, catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox

OFFERS = catalog_with("ats_offers", "sync_status")


@pytest.fixture
def kombo() -> Iterator[Sandbox]:
    """Start a sandbox whose records a test may change."""
    with Sandbox(integrations=2, offers=30, seed=4) as sandbox:
        yield sandbox


def statuses(run: TapRun) -> dict[tuple[str, str], Any]:
    """Return the records of `sync_status` by integration and stream."""
    return {(r["integration_id"], r["stream"]): r for r in run.records["sync_status"]}


def extracted(run: TapRun, stream: str) -> dict[str, str]:
    """Return the time of extraction of each record."""
    return {
        m["record"]["id"]: m["time_extracted"]
        for m in run.messages
        if m["type"] == "RECORD" and m["stream"] == stream
    }


def test_each_read_has_a_record(kombo: Sandbox) -> None:
    ats, _ = kombo.integration_ids

    run = run_tap(settings_for(kombo), catalog=OFFERS)

    status = statuses(run)[ats, "ats_offers"]
    assert (status["sync_type"], status["status"]) == ("full", "complete")
    assert status["records"] == len(kombo.records("ats_offers", ats))
    assert status["started_at"] == status["full_sync_started_at"] <= status["completed_at"]
    assert min(extracted(run, "ats_offers").values()) >= status["full_sync_started_at"]
    assert len(run.records["sync_status"]) == len(kombo.integration_ids)


def test_record_is_emitted_before_the_state_with_its_bookmark(kombo: Sandbox) -> None:
    run = run_tap(settings_for(kombo), catalog=OFFERS)

    emitted: set[str] = set()
    for message in run.messages:
        if message["type"] == "RECORD" and message["stream"] == "sync_status":
            emitted.add(message["record"]["integration_id"])
        elif message["type"] == "STATE":
            offers = message["value"]["bookmarks"].get("ats_offers", {"partitions": []})
            complete = {
                partition["context"]["integration_id"]
                for partition in offers["partitions"]
                if "replication_key_value" in partition
            }
            assert complete <= emitted


def test_incremental_read_keeps_the_start_of_the_full_one(kombo: Sandbox) -> None:
    first = run_tap(settings_for(kombo), catalog=OFFERS)
    kombo.advance(seconds=3600)

    second = run_tap(settings_for(kombo), state=first.state, catalog=OFFERS)

    for read, status in statuses(second).items():
        full = statuses(first)[read]["full_sync_started_at"]
        assert status["sync_type"] == "incremental"
        assert status["full_sync_started_at"] == full < status["started_at"]


def test_failed_read_keeps_the_start_of_the_full_one(kombo: Sandbox) -> None:
    failing, _ = kombo.integration_ids
    first = run_tap(settings_for(kombo), catalog=OFFERS)
    kombo.fault(
        path="/ats/offers",
        integration_id=failing,
        status=403,
        code="INTEGRATION.PERMISSION_MISSING",
    )

    second = run_tap(settings_for(kombo), state=first.state, catalog=OFFERS)

    status = statuses(second)[failing, "ats_offers"]
    before = statuses(first)[failing, "ats_offers"]
    assert (status["status"], status["completed_at"]) == ("failed", None)
    assert status["full_sync_started_at"] == before["full_sync_started_at"]
    assert status["error_code"] == "INTEGRATION.PERMISSION_MISSING"
    assert status["http_status"] == 403
    assert "The customer has to grant it." in status["message"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"unavailable_models": ["ats_offers"]}, "skipped"),
        ({"error_code": "INTEGRATION.SETUP_SYNC_PENDING"}, "not_ready"),
    ],
)
def test_skipped_read_has_a_record_without_times(
    kombo: Sandbox, change: dict[str, Any], status: str
) -> None:
    integration_id, _ = kombo.integration_ids
    if code := change.get("error_code"):
        kombo.fault(integration_id=integration_id, status=409, code=code)
    else:
        kombo.set_integration(integration_id, **change)

    run = run_tap(settings_for(kombo), catalog=OFFERS)

    found = statuses(run)[integration_id, "ats_offers"]
    assert run.code == 0
    assert found["status"] == status
    assert (found["started_at"], found["completed_at"], found["records"]) == (None, None, 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"start_date": "2020-01-01T00:00:00Z"},
        {"filters": {"ats_offers": {"remote_ids": "1"}}},
        {"stream_maps": {"ats_offers": {"__filter__": "status != 'SENT'"}}},
    ],
    ids=["start_date", "filters", "stream map"],
)
def test_read_that_leaves_out_records_is_not_a_full_one(
    kombo: Sandbox, settings: dict[str, Any]
) -> None:
    run = run_tap(settings_for(kombo, **settings), catalog=OFFERS)

    assert {s["full_sync_started_at"] for s in statuses(run).values()} == {None}
    assert {s["sync_type"] for s in statuses(run).values()} == {"full"}


def test_start_date_does_not_restrict_full_table_streams(kombo: Sandbox) -> None:
    run = run_tap(
        settings_for(kombo, start_date="2020-01-01T00:00:00Z"),
        catalog=catalog_with("custom_fields", "sync_status"),
    )

    assert all(status["full_sync_started_at"] for status in statuses(run).values())


def test_start_of_the_full_read_is_kept_while_sync_status_is_deselected(kombo: Sandbox) -> None:
    first = run_tap(settings_for(kombo), catalog=catalog_with("ats_offers"))
    kombo.advance(seconds=3600)

    second = run_tap(settings_for(kombo), state=first.state, catalog=OFFERS)

    earliest = min(extracted(first, "ats_offers").values())
    assert "sync_status" not in first.schemas
    for status in statuses(second).values():
        assert status["full_sync_started_at"] <= earliest


def test_resumed_full_read_keeps_its_start(kombo: Sandbox) -> None:
    settings = settings_for(
        kombo, integration_ids=kombo.integration_ids[:1], page_size=10, concurrency=1
    )
    kombo.fault(path="/ats/offers", status=403, skip=2)
    cut = run_tap(settings, catalog=OFFERS)
    kombo.clear_faults()
    kombo.advance(seconds=3600)

    run = run_tap(settings, state=cut.state, catalog=OFFERS)

    [status] = run.records["sync_status"]
    written = [*extracted(cut, "ats_offers").values(), *extracted(run, "ats_offers").values()]
    assert cut.records["ats_offers"]
    assert (status["sync_type"], status["status"]) == ("full", "complete")
    assert status["started_at"] == status["full_sync_started_at"] <= min(written)


def test_sync_status_can_be_selected_mapped_and_flattened(kombo: Sandbox) -> None:
    run = run_tap(
        settings_for(
            kombo,
            stream_maps={"sync_status": {"__alias__": "kombo_reads", "message": None}},
            flattening_enabled=True,
            flattening_max_depth=1,
        ),
        catalog=catalog_with("ats_offers", "sync_status", deselected=["sync_status.log_url"]),
    )

    assert run.code == 0, run.stderr
    assert run.records["kombo_reads"]
    assert run.schemas["kombo_reads"]["properties"].keys().isdisjoint({"message", "log_url"})


def test_sync_status_alone_reads_nothing(kombo: Sandbox) -> None:
    run = run_tap(settings_for(kombo), catalog=catalog_with("sync_status"))

    assert run.code == 0
    assert run.records == {}
    assert [r.path for r in kombo.requests()] == []


# Complete reads


def read_completely(run: TapRun) -> set[str]:
    """Return the integrations whose offers were read completely."""
    return {i for (i, _), s in statuses(run).items() if s["sync_type"] == "full"}


def test_each_integration_is_read_completely_once_in_the_interval() -> None:
    with Sandbox(integrations=70, offers=2, seed=3) as kombo:
        settings = settings_for(kombo, full_refresh_interval_days=7, lookback_seconds=0)
        run = run_tap(settings, catalog=OFFERS)
        refreshed: list[set[str]] = []
        for _ in range(7):
            kombo.advance(seconds=86_400)
            run = run_tap(settings, state=run.state, catalog=OFFERS)
            refreshed.append(read_completely(run))
        again = run_tap(settings, state=run.state, catalog=OFFERS)
        integration_ids = kombo.integration_ids

    assert sorted(name for day in refreshed for name in day) == sorted(integration_ids)
    assert all(3 <= len(day) <= 20 for day in refreshed)
    assert read_completely(again) == set()


def test_complete_reads_of_missed_days_run_once(kombo: Sandbox) -> None:
    settings = settings_for(kombo, full_refresh_interval_days=1)
    first = run_tap(settings, catalog=OFFERS)
    kombo.advance(seconds=5 * 86_400)

    second = run_tap(settings, state=first.state, catalog=OFFERS)
    third = run_tap(settings, state=second.state, catalog=OFFERS)

    assert read_completely(second) == set(kombo.integration_ids)
    assert read_completely(third) == set()


def test_sync_of_changed_models_reads_nothing_completely(kombo: Sandbox) -> None:
    integration_id, _ = kombo.integration_ids
    settings = settings_for(kombo, full_refresh_interval_days=1)
    first = run_tap(settings, catalog=OFFERS)
    kombo.advance(seconds=2 * 86_400)

    run = run_tap(
        {**settings, "changed_models": {integration_id: ["ats_offers"]}},
        state=first.state,
        catalog=OFFERS,
    )

    [status] = run.records["sync_status"]
    assert (status["integration_id"], status["sync_type"]) == (integration_id, "incremental")


def test_complete_reads_run_last(kombo: Sandbox) -> None:
    settings = settings_for(kombo, full_refresh_interval_days=1, concurrency=1)
    catalog = catalog_with("ats_offers", "custom_fields", "integrations")
    first = run_tap(settings, catalog=catalog)
    kombo.advance(seconds=2 * 86_400)
    kombo.clear_requests()

    run_tap(settings, state=first.state, catalog=catalog)

    paths = [r.path for r in kombo.requests()]
    assert set(paths[paths.index("/ats/offers") :]) == {"/ats/offers"}


def test_rows_that_vanished_are_older_than_the_full_read(kombo: Sandbox) -> None:
    settings = settings_for(kombo, full_refresh_interval_days=1)
    first = run_tap(settings, catalog=OFFERS)
    forgotten = kombo.forget("ats_offers", count=2)
    kombo.advance(seconds=2 * 86_400)

    second = run_tap(settings, state=first.state, catalog=OFFERS)

    times = extracted(first, "ats_offers") | extracted(second, "ats_offers")
    owners = {r["id"]: r["integration_id"] for r in first.records["ats_offers"]}
    full = {i: s["full_sync_started_at"] for (i, _), s in statuses(second).items()}
    gone = {id_ for id_, time in times.items() if time < full[owners[id_]]}
    assert gone == set(forgotten)


def test_runs_of_other_integrations_leave_rows_current(kombo: Sandbox) -> None:
    shard, other = ([integration_id] for integration_id in kombo.integration_ids)
    settings = settings_for(kombo, full_refresh_interval_days=1)
    first = run_tap(settings, catalog=OFFERS)
    kombo.advance(seconds=2 * 86_400)

    second = run_tap({**settings, "integration_ids": shard}, state=first.state, catalog=OFFERS)

    assert [r["integration_id"] for r in second.records["sync_status"]] == shard
    [before, after] = (run.partition("ats_offers", other[0]) for run in (first, second))
    assert after == before


def test_interrupted_complete_read_resumes_and_reads_the_changes_since(kombo: Sandbox) -> None:
    [integration_id, _] = kombo.integration_ids
    settings = settings_for(
        kombo,
        integration_ids=[integration_id],
        full_refresh_interval_days=1,
        page_size=10,
        lookback_seconds=0,
    )
    first = run_tap(settings, catalog=OFFERS)
    kombo.advance(seconds=2 * 86_400)
    kombo.fault(path="/ats/offers", status=403, skip=1)
    cut = run_tap(settings, state=first.state, catalog=OFFERS)
    kombo.clear_faults()
    kombo.clear_requests()
    kombo.advance(seconds=60)
    [changed] = kombo.change("ats_offers", ids=[cut.records["ats_offers"][0]["id"]])

    run = run_tap(settings, state=cut.state, catalog=OFFERS)

    requests = [r.params for r in kombo.requests() if r.path == "/ats/offers"]
    assert "cursor" in requests[0]
    assert "updated_after" in requests[-1]
    assert changed in {r["id"] for r in run.records["ats_offers"]}
    [status] = run.records["sync_status"]
    assert status["started_at"] == status["full_sync_started_at"]
    assert "resume" in cut.partition("ats_offers", integration_id)
    assert "resume" not in run.partition("ats_offers", integration_id)


# Data that is not valid


def test_expired_data_is_read_completely_once_it_is_valid_again(kombo: Sandbox) -> None:
    expiring, _ = kombo.integration_ids
    first = run_tap(settings_for(kombo), catalog=OFFERS)
    kombo.advance(seconds=3600)
    kombo.set_integration(expiring, data_expired_at="2026-01-01T00:00:00.000Z")
    second = run_tap(settings_for(kombo), state=first.state, catalog=OFFERS)
    third = run_tap(settings_for(kombo), state=second.state, catalog=OFFERS)
    kombo.set_integration(expiring, data_expired_at=None)

    fourth = run_tap(settings_for(kombo), state=third.state, catalog=OFFERS)
    fifth = run_tap(settings_for(kombo), state=fourth.state, catalog=OFFERS)

    assert [w for w in second.warnings if expiring in w and "not valid at present" in w]
    assert third.warnings == []
    assert (
        read_completely(second),
        read_completely(third),
        read_completely(fourth),
        read_completely(fifth),
    ) == (
        set(),
        set(),
        {expiring},
        set(),
    )


def test_model_that_is_available_again_is_read_completely(kombo: Sandbox) -> None:
    integration_id, _ = kombo.integration_ids
    first = run_tap(settings_for(kombo), catalog=OFFERS)
    kombo.set_integration(integration_id, unavailable_models=["ats_offers"])
    second = run_tap(settings_for(kombo), state=first.state, catalog=OFFERS)
    kombo.set_integration(integration_id, unavailable_models=[])

    third = run_tap(settings_for(kombo), state=second.state, catalog=OFFERS)

    assert read_completely(second) == set()
    assert read_completely(third) == {integration_id}
