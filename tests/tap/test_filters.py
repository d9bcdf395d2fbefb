"""Filters are Kombo's own parameters: checked beforehand, sent on every page, kept in mind."""

from __future__ import annotations

from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tap_kombo import filters
from tests.tap_run import catalog_with, run_tap, settings_for

STREAMS = ["ats_applications", "ats_offers", "ats_jobs"]


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        pytest.param(["x"], ["must be an object"], id="a list"),
        pytest.param({"ats_offers": "ids"}, ["must be an object"], id="a text for a stream"),
        pytest.param({"ats_ofers": {}}, ["'ats_ofers'", "ats_offers meant"], id="unknown stream"),
        pytest.param(
            {"ats_offers": {"outcomes": ["HIRED"]}},
            ["`outcomes` of ats_offers", "ids, remote_ids"],
            id="a filter of another stream",
        ),
        pytest.param(
            {"ats_offers": {"updated_after": "2026-01-01"}},
            ["`updated_after`", "the tap sends itself"],
            id="updated_after",
        ),
        pytest.param({"ats_offers": {"cursor": "x"}}, ["the tap sends itself"], id="cursor"),
        pytest.param({"ats_offers": {"page_size": 5}}, ["the tap sends itself"], id="page_size"),
        pytest.param(
            {"ats_offers": {"include_deleted": True}},
            ["the tap sends itself"],
            id="include_deleted",
        ),
        pytest.param({"ats_offers": {"ids": []}}, ["cannot be sent"], id="an empty list"),
        pytest.param({"ats_offers": {"ids": None}}, ["cannot be sent"], id="null"),
        pytest.param({"ats_offers": {"ids": {"a": 1}}}, ["cannot be sent"], id="an object"),
        pytest.param({"ats_offers": {"ids": ["a,b"]}}, ["without commas"], id="a comma in a list"),
        pytest.param(
            {"ats_jobs": {"name_contains": ["a", "b"]}}, ["takes one value"], id="a list for one"
        ),
    ],
)
def test_a_filter_that_cannot_be_is_refused_beforehand(setting: Any, words: list[str]) -> None:
    [sentence] = filters.problems(setting, STREAMS)

    for word in words:
        assert word in sentence


def test_a_refused_filter_is_one_sentence_of_the_command(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox, filters={"ats_offers": {"nonsense": "secret@example.com"}}))

    assert run.code == 1
    [error] = run.errors
    assert "`nonsense` of ats_offers" in error
    assert "secret@example.com" not in run.stderr
    assert sandbox.requests() == []


def test_lists_are_joined_and_sent_with_every_page(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(
            sandbox, page_size=5, filters={"ats_applications": {"outcomes": ["HIRED", "DECLINED"]}}
        ),
        catalog=catalog_with("ats_applications", "ats_jobs"),
    )

    assert run.code == 0
    truth = {
        r["id"]
        for r in sandbox.records("ats_applications")
        if r["outcome"] in {"HIRED", "DECLINED"}
    }
    assert set(run.ids("ats_applications")) == truth
    pages = [r for r in sandbox.requests() if r.path == "/ats/applications"]
    assert any("cursor" in r.params for r in pages)
    assert all(r.params["outcomes"] == "HIRED,DECLINED" for r in pages)
    assert all("outcomes" not in r.params for r in sandbox.requests() if r.path == "/ats/jobs")


def test_an_id_that_kombo_does_not_know_fails_that_read_and_no_other(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, filters={"ats_offers": {"ids": "111111111111111111111111"}}),
        catalog=catalog_with("ats_offers", "ats_jobs"),
    )

    assert run.code == 1
    assert all("ats_offers" in error and "PLATFORM." in error for error in run.errors)
    assert len(run.records["ats_jobs"]) == len(sandbox.records("ats_jobs"))


def test_an_empty_answer_under_a_filter_says_so(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.set_integration(integration_id, unsupported_filters=["outcomes"])
    settings = settings_for(
        sandbox,
        integration_ids=[integration_id],
        filters={"ats_applications": {"outcomes": ["HIRED"]}},
    )
    catalog = catalog_with("ats_applications")
    try:
        nothing = run_tap(settings, catalog=catalog)
        everything = run_tap({**settings, "ignore_unsupported_filters": True}, catalog=catalog)
    finally:
        sandbox.set_integration(integration_id, unsupported_filters=[])

    assert nothing.code == 0
    assert nothing.records == {}
    assert any("nothing under its filters" in line for line in nothing.log)
    truth = sandbox.records("ats_applications", integration_id)
    assert len(everything.records["ats_applications"]) == len(truth)
    assert not any("nothing under its filters" in line for line in everything.log)


def test_a_changed_filter_voids_the_bookmark_with_one_warning(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_applications", "ats_jobs")
    hired = settings_for(sandbox, filters={"ats_applications": {"outcomes": ["HIRED"]}})
    first = run_tap(hired, catalog=catalog)
    same = run_tap(hired, state=first.state, catalog=catalog)
    sandbox.clear_requests()

    run = run_tap(
        settings_for(sandbox, filters={"ats_applications": {"outcomes": ["DECLINED"]}}),
        state=first.state,
        catalog=catalog,
    )

    assert same.warnings == []
    [warning] = run.warnings
    assert "ats_applications" in warning
    truth = {r["id"] for r in sandbox.records("ats_applications") if r["outcome"] == "DECLINED"}
    assert set(run.ids("ats_applications")) == truth
    for request in sandbox.requests():
        if request.path in {"/ats/applications", "/ats/jobs"}:
            assert ("updated_after" in request.params) == (request.path == "/ats/jobs")


def test_a_filter_taken_away_means_reading_everything_once(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_applications")
    first = run_tap(
        settings_for(sandbox, filters={"ats_applications": {"outcomes": ["HIRED"]}}),
        catalog=catalog,
    )

    run = run_tap(settings_for(sandbox), state=first.state, catalog=catalog)

    assert len(run.records["ats_applications"]) == len(sandbox.records("ats_applications"))
    assert "filters" not in run.partition("ats_applications", sandbox.integration_ids[0])


def test_deletions_that_were_left_out_come_when_they_are_asked_for(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    sandbox.delete("ats_offers", count=1)
    first = run_tap(settings_for(sandbox, include_deleted=False), catalog=catalog)
    sandbox.advance(seconds=3600)

    run = run_tap(settings_for(sandbox), state=first.state, catalog=catalog)

    gone = {r["id"] for r in sandbox.records("ats_offers") if r["remote_deleted_at"]}
    assert gone <= {r["id"] for r in run.records["ats_offers"] if r["_sdc_deleted_at"]}


def test_a_state_does_not_tell_what_was_filtered_for(sandbox: Sandbox) -> None:
    person = sandbox.records("ats_candidates")[0]["email_addresses"][0]["email_address"]

    run = run_tap(
        settings_for(sandbox, filters={"ats_candidates": {"email": person}}),
        catalog=catalog_with("ats_candidates"),
    )

    assert run.code == 0
    assert person not in str(run.states)
    assert person not in run.stderr
