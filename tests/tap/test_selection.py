"""Deselected streams and fields are not emitted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harness.tap import catalog_with, run_tap, settings_for
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


def test_field_that_the_catalog_lacks_can_be_deselected(own_sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers", deselected=["ats_offers.status"])
    [entry] = [e for e in catalog["streams"] if e["tap_stream_id"] == "ats_offers"]
    del entry["schema"]["properties"]["status"]
    for offer in own_sandbox.records("ats_offers"):
        own_sandbox.patch("ats_offers", offer["id"], {"status": "Deselected", "more": 1})

    run = run_tap(settings_for(own_sandbox), catalog=catalog)

    assert b"Deselected" not in run.stdout
    assert run.records["ats_offers"]
    assert all(r["additional_fields"] == {"more": 1} for r in run.records["ats_offers"])


def test_field_that_the_catalog_lacks_is_in_additional_fields(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    [entry] = [e for e in catalog["streams"] if e["tap_stream_id"] == "ats_offers"]
    del entry["schema"]["properties"]["status"]

    run = run_tap(settings_for(sandbox), catalog=catalog)

    truth = {r["id"]: r["status"] for r in sandbox.records("ats_offers")}
    for record in run.records["ats_offers"]:
        assert "status" not in record
        assert record["additional_fields"]["status"] == truth[record["id"]]


def test_schemas_are_printed_without_a_request(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox), "--test=schema")

    assert run.code == 0
    assert len(run.schemas) == 40
    assert sandbox.requests() == []
