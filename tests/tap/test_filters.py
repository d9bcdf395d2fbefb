"""The `filters` setting: sent with every page; a change of it causes a complete read."""

from __future__ import annotations

from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox


def test_unknown_filter_is_one_error_before_any_request(sandbox: Sandbox) -> None:
    run = run_tap(settings_for(sandbox, filters={"ats_offers": {"email": "ada@example.com"}}))

    assert run.code == 1
    [error] = run.errors
    assert "`filters.ats_offers.email`: Kombo has no such filter." in error
    assert "ada@example.com" not in run.stderr
    assert sandbox.requests() == []


def test_filters_are_sent_with_every_page(sandbox: Sandbox) -> None:
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


def test_filter_that_kombo_rejects_fails_only_its_read(sandbox: Sandbox) -> None:
    run = run_tap(
        settings_for(sandbox, filters={"ats_offers": {"ids": "111111111111111111111111"}}),
        catalog=catalog_with("ats_offers", "ats_jobs"),
    )

    assert run.code == 1
    assert all("ats_offers" in error and "PLATFORM." in error for error in run.errors)
    assert len(run.records["ats_jobs"]) == len(sandbox.records("ats_jobs"))


def test_filter_that_matches_no_records_is_logged(sandbox: Sandbox) -> None:
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
    assert any("no record matches the filters" in line for line in nothing.log)
    truth = sandbox.records("ats_applications", integration_id)
    assert len(everything.records["ats_applications"]) == len(truth)
    assert not any("no record matches the filters" in line for line in everything.log)


def test_changed_filter_causes_a_complete_read_with_one_warning(sandbox: Sandbox) -> None:
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


def test_removed_filter_causes_a_complete_read(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_applications")
    first = run_tap(
        settings_for(sandbox, filters={"ats_applications": {"outcomes": ["HIRED"]}}),
        catalog=catalog,
    )

    run = run_tap(settings_for(sandbox), state=first.state, catalog=catalog)

    assert len(run.records["ats_applications"]) == len(sandbox.records("ats_applications"))
    assert "filters" not in run.partition("ats_applications", sandbox.integration_ids[0])


def test_deleted_records_are_read_once_include_deleted_is_set_again(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    sandbox.delete("ats_offers", count=1)
    first = run_tap(settings_for(sandbox, include_deleted=False), catalog=catalog)
    sandbox.advance(seconds=3600)

    run = run_tap(settings_for(sandbox), state=first.state, catalog=catalog)

    gone = {r["id"] for r in sandbox.records("ats_offers") if r["remote_deleted_at"]}
    assert gone <= {r["id"] for r in run.records["ats_offers"] if r["_sdc_deleted_at"]}


def test_filter_values_are_neither_in_the_state_nor_in_the_log(sandbox: Sandbox) -> None:
    person = sandbox.records("ats_candidates")[0]["email_addresses"][0]["email_address"]

    run = run_tap(
        settings_for(sandbox, filters={"ats_candidates": {"email": person}}),
        catalog=catalog_with("ats_candidates"),
    )

    assert run.code == 0
    assert person not in str(run.states)
    assert person not in run.stderr
