"""What is not asked for does not leave the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tests.tap_run import catalog_with, run_tap, settings_for


@pytest.fixture
def make_odd(sandbox: Sandbox) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Put odd values into an offer for one test; it gives the offer's id."""
    offer = sandbox.records("ats_offers", include_deleted=False)[-1]

    def patch(values: dict[str, Any]) -> str:
        sandbox.patch("ats_offers", offer["id"], values)
        found: str = offer["id"]
        return found

    yield patch
    sandbox.patch("ats_offers", offer["id"], offer)


def test_deselected_streams_are_not_asked_for(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox), catalog=catalog_with("ats_jobs"))

    assert set(run.schemas) == {"ats_jobs"}
    assert {r.path for r in sandbox.requests() if r.path.startswith("/ats/")} == {"/ats/jobs"}


def test_deselected_fields_are_in_no_message(
    sandbox: Sandbox, make_odd: Callable[[dict[str, Any]], str]
) -> None:
    catalog = catalog_with(
        "ats_offers",
        deselected=[
            "ats_offers.status",
            "ats_offers.application.candidate",
            "ats_offers.remote_id",
        ],
    )
    make_odd({"status": {"a": "b"}})

    run = run_tap(settings_for(sandbox), catalog=catalog)

    schema = run.schemas["ats_offers"]["properties"]
    assert "status" not in schema
    assert "candidate" not in schema["application"]["properties"]
    assert len(run.records["ats_offers"]) == len(sandbox.records("ats_offers"))
    for record in run.records["ats_offers"]:
        assert "status" not in record
        assert "remote_id" not in record
        assert set(record["application"] or {}) <= {"job"}
        assert record["additional_fields"] is None


def test_a_wrong_value_with_deselected_parts_is_left_out_whole(
    sandbox: Sandbox, make_odd: Callable[[dict[str, Any]], str]
) -> None:
    odd = make_odd({"application": [{"candidate": {"first_name": "Deselected"}}]})
    catalog = catalog_with("ats_offers", deselected=["ats_offers.application.candidate.first_name"])

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert b"Deselected" not in run.stdout
    [record] = [r for r in run.records["ats_offers"] if r["id"] == odd]
    assert record["application"] is None


@pytest.mark.parametrize("path", [["nickname"], ["nickname", "properties", "first"]])
def test_what_the_schema_does_not_know_can_be_deselected_too(path: list[str]) -> None:
    catalog = catalog_with("ats_offers", deselected=["ats_offers.status"])
    [entry] = [e for e in catalog["streams"] if e["tap_stream_id"] == "ats_offers"]
    del entry["schema"]["properties"]["status"]
    entry["metadata"].append({"breadcrumb": ["properties", *path], "metadata": {"selected": False}})
    with Sandbox(integrations=1, offers=1, seed=4) as sandbox:
        [offer] = sandbox.records("ats_offers")
        sandbox.patch("ats_offers", offer["id"], {"nickname": {"first": "Deselected"}, "more": 1})

        run = run_tap(settings_for(sandbox), catalog=catalog)

    assert b"Deselected" not in run.stdout
    assert run.records["ats_offers"][0]["additional_fields"] == {"more": 1}


def test_an_older_catalog_keeps_new_fields_in_additional_fields(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    [entry] = [e for e in catalog["streams"] if e["tap_stream_id"] == "ats_offers"]
    del entry["schema"]["properties"]["status"]

    run = run_tap(settings_for(sandbox), catalog=catalog)

    truth = {r["id"]: r["status"] for r in sandbox.records("ats_offers")}
    for record in run.records["ats_offers"]:
        assert "status" not in record
        assert record["additional_fields"]["status"] == truth[record["id"]]


def test_the_schema_can_be_written_without_reading_anything(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox), "--test=schema")

    assert run.code == 0
    assert len(run.schemas) == 40
    assert sandbox.requests() == []
