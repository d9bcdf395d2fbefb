"""Deselected streams and fields are not emitted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.tap import catalog_with, entry_of, run_tap, settings_for
from kombo_sandbox import Sandbox


@pytest.fixture
def own_sandbox() -> Iterator[Sandbox]:
    """Start a sandbox whose records a test may change."""
    with Sandbox(integrations=1, offers=3, seed=4) as sandbox:
        yield sandbox


def test_deselected_stream_is_not_requested(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox), catalog=catalog_with("ats_jobs"))

    assert set(run.schemas) == {"ats_jobs"}
    assert {r.path for r in sandbox.requests() if r.path.startswith("/ats/")} == {"/ats/jobs"}


def test_deselected_field_is_in_no_message(own_sandbox: Sandbox) -> None:
    deselected = ["ats_offers.status", "ats_offers.remote_id", "ats_offers.application.candidate"]
    offer, *_ = own_sandbox.records("ats_offers")
    own_sandbox.patch("ats_offers", offer["id"], {"status": {"not a": "string"}})

    run = run_tap(
        settings_for(own_sandbox), catalog=catalog_with("ats_offers", deselected=deselected)
    )

    schema = run.schemas["ats_offers"]["properties"]
    assert schema.keys().isdisjoint({"status", "remote_id"})
    assert "candidate" not in schema["application"]["properties"]
    assert len(run.records["ats_offers"]) == len(own_sandbox.records("ats_offers"))
    for record in run.records["ats_offers"]:
        assert record.keys().isdisjoint({"status", "remote_id"})
        assert set(record["application"] or {}) <= {"job"}
        assert record["additional_fields"] is None


@pytest.mark.parametrize("items", [(), ("items",)], ids=["Meltano's path", "path with items"])
def test_field_in_a_list_can_be_deselected(sandbox: Sandbox, items: tuple[str, ...]) -> None:
    catalog = catalog_with("ats_candidates")
    breadcrumb = ["properties", "email_addresses", *items, "properties", "email_address"]
    entry_of(catalog, "ats_candidates")["metadata"].append(
        {"breadcrumb": breadcrumb, "metadata": {"selected": False}}
    )

    run = run_tap(settings_for(sandbox), catalog=catalog)

    schema = run.schemas["ats_candidates"]["properties"]["email_addresses"]
    assert set(schema["items"]["properties"]) == {"type"}
    truth = {r["id"]: r["email_addresses"] for r in sandbox.records("ats_candidates")}
    assert any(truth.values())
    for record in run.records["ats_candidates"]:
        assert record["email_addresses"] == [{"type": e["type"]} for e in truth[record["id"]]]


def test_selection_without_metadata_is_honored(sandbox: Sandbox) -> None:
    catalog = catalog_with()
    for entry in catalog["streams"]:
        del entry["metadata"]
        entry["selected"] = entry["tap_stream_id"] == "ats_candidates"
    schema = entry_of(catalog, "ats_candidates")["schema"]["properties"]
    schema["first_name"]["selected"] = False
    schema["email_addresses"]["items"]["properties"]["email_address"]["selected"] = False

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert set(run.schemas) == {"ats_candidates"}
    assert run.records["ats_candidates"]
    for record in run.records["ats_candidates"]:
        assert "first_name" not in record
        assert all(set(email) == {"type"} for email in record["email_addresses"])


def test_metadata_has_precedence_over_selection_in_the_entry(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_jobs", deselected=["ats_jobs.name"])
    for entry in catalog["streams"]:
        entry["selected"] = entry["tap_stream_id"] != "ats_jobs"
    entry_of(catalog, "ats_jobs")["schema"]["properties"]["name"]["selected"] = True

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert set(run.schemas) == {"ats_jobs"}
    assert "name" not in run.schemas["ats_jobs"]["properties"]


def test_catalog_that_selects_nothing_is_a_warning(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox), catalog=catalog_with())

    assert run.code == 0
    assert "Catalog: no stream is selected; nothing is read." in run.warnings


def test_selected_list_without_selected_fields_is_a_warning(sandbox: Sandbox) -> None:
    fields = ("email_address", "type")
    deselected = [f"ats_candidates.email_addresses.{field}" for field in fields]

    run = run_tap(
        settings_for(sandbox), catalog=catalog_with("ats_candidates", deselected=deselected)
    )

    [warning] = run.warnings
    assert warning.startswith("Catalog: ats_candidates.email_addresses is selected, but none of")
    assert all(email == {} for r in run.records["ats_candidates"] for email in r["email_addresses"])


def test_field_that_the_catalog_lacks_can_be_deselected(own_sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers", deselected=["ats_offers.status"])
    del entry_of(catalog, "ats_offers")["schema"]["properties"]["status"]
    for offer in own_sandbox.records("ats_offers"):
        own_sandbox.patch("ats_offers", offer["id"], {"status": "Deselected", "more": 1})

    run = run_tap(settings_for(own_sandbox), catalog=catalog)

    assert b"Deselected" not in run.stdout
    assert run.records["ats_offers"]
    assert all(r["additional_fields"] == {"more": 1} for r in run.records["ats_offers"])


def test_field_that_the_catalog_lacks_is_in_additional_fields(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    del entry_of(catalog, "ats_offers")["schema"]["properties"]["status"]

    run = run_tap(settings_for(sandbox), catalog=catalog)

    truth = {r["id"]: r["status"] for r in sandbox.records("ats_offers")}
    for record in run.records["ats_offers"]:
        assert "status" not in record
        assert record["additional_fields"]["status"] == truth[record["id"]]


def test_schemas_are_printed_without_a_request(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox), "--test=schema")

    assert run.code == 0
    assert len(run.schemas) == 41
    assert sandbox.requests() == []


def test_field_that_is_selected_again_is_read_completely_once(own_sandbox: Sandbox) -> None:
    settings = settings_for(own_sandbox)
    narrow = catalog_with("ats_candidates", deselected=["ats_candidates.email_addresses.type"])
    first = run_tap(settings, catalog=narrow)
    own_sandbox.advance(seconds=3600)

    second = run_tap(settings, state=first.state, catalog=catalog_with("ats_candidates"))
    third = run_tap(settings, state=second.state, catalog=catalog_with("ats_candidates"))

    [warning] = second.warnings
    assert warning.startswith("ats_candidates: earlier runs left out records or fields")
    assert second.ids("ats_candidates") == first.ids("ats_candidates")
    assert third.warnings == []
    assert third.records == {}


@pytest.mark.parametrize("later", [None, {"ats_offers": {"__filter__": "status != 'SENT'"}}])
def test_stream_map_that_leaves_out_fewer_records_causes_a_complete_read(
    own_sandbox: Sandbox, later: dict[str, Any] | None
) -> None:
    catalog = catalog_with("ats_offers")
    maps = {"ats_offers": {"__filter__": "status == 'SENT'"}}
    first = run_tap(settings_for(own_sandbox, stream_maps=maps), catalog=catalog)
    own_sandbox.advance(seconds=3600)

    run = run_tap(settings_for(own_sandbox, stream_maps=later), state=first.state, catalog=catalog)

    offers = own_sandbox.records("ats_offers")
    assert len(run.warnings) == 1
    assert run.ids("ats_offers") == sorted(
        r["id"] for r in offers if later is None or r["status"] != "SENT"
    )
