"""Streams that an integration does not support are skipped without a request."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from harness.tap import catalog_with, entry_of, run_tap, settings_for, tap_process
from kombo_sandbox import Request, Sandbox
from tap_kombo.responses import Fields, describe

REJECTED_KEY: dict[str, Any] = {"status": 401, "code": "PLATFORM.AUTHENTICATION_INVALID"}


@pytest.fixture
def unsupporting(sandbox: Sandbox) -> Iterator[str]:
    """An integration that does not support jobs."""
    integration_id = sandbox.integration_ids[1]
    sandbox.set_integration(integration_id, unavailable_models=["ats_jobs"])
    yield integration_id
    sandbox.set_integration(integration_id, unavailable_models=[])


def test_an_unsupported_stream_is_not_requested_and_logged_in_one_line(
    sandbox: Sandbox, unsupporting: str
) -> None:
    run = run_tap(settings_for(sandbox))

    assert run.code == 0
    assert run.warnings == []
    requested = {(r.path, r.integration_id) for r in sandbox.requests()}
    assert ("/ats/jobs", unsupporting) not in requested
    assert ("/ats/offers", unsupporting) in requested
    assert ("/ats/jobs", sandbox.integration_ids[0]) in requested
    [line] = [line for line in run.log if unsupporting in line]
    assert line.startswith("INFO")
    assert "Not supported" in line
    assert run.bookmark("ats_jobs", unsupporting) is None


def test_a_stream_that_becomes_supported_is_read_completely(
    sandbox: Sandbox, unsupporting: str
) -> None:
    first = run_tap(settings_for(sandbox))
    sandbox.set_integration(unsupporting, unavailable_models=[])
    sandbox.advance(seconds=3600)

    second = run_tap(settings_for(sandbox), state=first.state)

    expected = sorted(r["id"] for r in sandbox.records("ats_jobs", unsupporting))
    records = sorted(
        r["id"] for r in second.records["ats_jobs"] if r["integration_id"] == unsupporting
    )
    assert records == expected


def test_the_details_of_an_integration_are_requested_once(sandbox: Sandbox) -> None:
    run_tap(settings_for(sandbox))

    paths = [
        r.path
        for r in sandbox.requests()
        if r.path.startswith("/integrations/") and not r.path.endswith("-fields")
    ]
    assert sorted(paths) == sorted(f"/integrations/{name}" for name in sandbox.integration_ids)


def test_all_streams_are_requested_if_the_details_cannot_be_read(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(path=f"/integrations/{integration_id}", status=404)

    run = run_tap(settings_for(sandbox), catalog=catalog_with("ats_offers", "ats_jobs"))

    assert run.code == 0
    assert run.bookmark("ats_offers", integration_id) is not None
    assert run.bookmark("ats_jobs", integration_id) is not None


def test_all_streams_are_requested_if_the_details_lack_fields(sandbox: Sandbox) -> None:
    integration_id = sandbox.integration_ids[0]
    sandbox.fault(
        path=f"/integrations/{integration_id}",
        body='{"status":"success","data":{"read_models":[{"id":"ats_offers"}]}}',
    )

    run = run_tap(settings_for(sandbox), catalog=catalog_with("ats_offers", "ats_jobs"))

    assert run.code == 0
    assert run.bookmark("ats_offers", integration_id) is not None
    assert run.bookmark("ats_jobs", integration_id) is not None


@pytest.mark.parametrize("category", ["ats", "ATS_NEXT", "", "HRIS"])
def test_a_model_is_skipped_only_if_the_category_is_another_known_one(
    sandbox: Sandbox, category: str
) -> None:
    """Kombo may add categories, or change their spelling."""
    integration_id = sandbox.integration_ids[0]
    data = f'{{"id":"{integration_id}","category":"{category}","read_models":[]}}'
    sandbox.fault(
        path=f"/integrations/{integration_id}", body=f'{{"status":"success","data":{data}}}'
    )

    run = run_tap(
        settings_for(sandbox, integration_ids=[integration_id]), catalog=catalog_with("ats_offers")
    )

    assert run.code == 0
    assert (run.bookmark("ats_offers", integration_id) is None) == (category == "HRIS")


def test_an_unknown_integration_is_requested_once(sandbox: Sandbox) -> None:
    unknown = "personio:111111111111111111111111"

    run = run_tap(settings_for(sandbox, integration_ids=[unknown, *sandbox.integration_ids]))

    assert run.code == 1
    [error] = run.errors
    assert unknown in error
    assert "PLATFORM.INTEGRATION_NOT_FOUND" in error
    assert "ats_offers" in error
    assert [r.path for r in sandbox.requests() if r.integration_id == unknown] == [
        f"/integrations/{unknown}"
    ]
    assert all(run.bookmark("ats_offers", known) for known in sandbox.integration_ids)


def test_the_test_option_lists_the_supported_streams_of_each_integration(
    sandbox: Sandbox, unsupporting: str
) -> None:
    run = run_tap(settings_for(sandbox), "--test")

    assert run.code == 0
    lines = run.stdout.decode().splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == sorted(sandbox.integration_ids)
    for line in lines:
        assert "ACTIVE" in line
        assert "ats_offers" in line
        assert ("ats_jobs" in line) == (not line.startswith(unsupporting))
    assert not [r for r in sandbox.requests() if r.path.startswith("/ats/")]


def test_the_test_option_reports_an_unknown_integration(
    sandbox: Sandbox,
) -> None:
    unknown = "personio:111111111111111111111111"

    run = run_tap(
        settings_for(sandbox, integration_ids=[*sandbox.integration_ids, unknown]), "--test"
    )

    assert run.code == 1
    assert len(run.stdout.decode().splitlines()) == len(sandbox.integration_ids)
    [error] = run.errors
    assert unknown in error


def test_the_test_option_stops_at_a_rejected_key(sandbox: Sandbox) -> None:
    sandbox.fault(path=f"/integrations/{sandbox.integration_ids[0]}", **REJECTED_KEY)

    run = run_tap(settings_for(sandbox, concurrency=1), "--test")

    assert run.code == 1
    assert run.stdout == b""
    [error] = run.errors
    assert "PLATFORM.AUTHENTICATION_INVALID" in error
    assert len(sandbox.requests()) == 2


@pytest.mark.usefixtures("quick_retries")
def test_the_test_option_waits_once_for_the_end_of_an_outage(sandbox: Sandbox) -> None:
    """In 20 seconds, a request is sent at most six times; then the key is checked."""
    sandbox.fault(close=True)

    run = run_tap(settings_for(sandbox, concurrency=1, max_wait_seconds=20), "--test")

    assert run.code == 1
    [error] = run.errors
    host = sandbox.url.removeprefix("http://").removesuffix("/v1")
    assert error.startswith(f"No connection to {host}")
    assert len(sandbox.requests()) <= 1 + 6 + 1


def test_the_test_option_logs_the_url_before_it_waits(sandbox: Sandbox) -> None:
    sandbox.fault(path="/check-api-key", hang=True)

    with tap_process(settings_for(sandbox), "--test") as process:
        assert process.stderr
        line = next(line for line in process.stderr if b"Checking" in line)

    assert line.endswith(f"Checking the integrations at {sandbox.url}.\n".encode())


def test_the_test_option_prints_one_line_for_a_tool_with_line_breaks_in_its_name() -> None:
    details = msgspec.json.encode({"tool": {"label": "Evil\n\x1b[2Jforged: \u2028x"}})

    text = describe(msgspec.json.decode(details, type=Fields))

    assert text == "Evil  [2Jforged:  x"


@pytest.mark.parametrize("option", [(), ("--test",)], ids=["sync", "test"])
def test_details_of_another_integration_are_an_error(
    sandbox: Sandbox, option: tuple[str, ...]
) -> None:
    mixed_up, other, _ = sandbox.integration_ids
    details = f'{{"status":"success","data":{{"id":"{other}","category":"HRIS","read_models":[]}}}}'
    sandbox.fault(path=f"/integrations/{mixed_up}", body=details)

    run = run_tap(settings_for(sandbox), *option)

    assert run.code == 1
    [error] = run.errors
    assert mixed_up in error
    assert "another integration's" in error
    requests = [r for r in sandbox.requests() if r.integration_id == mixed_up]
    assert [r.path for r in requests] == [f"/integrations/{mixed_up}"]


@pytest.mark.parametrize("fault", [{"hang": True}, {"status": 429}], ids=["request", "rate limit"])
def test_a_signal_stops_the_test_option(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.fault(f"/integrations/{sandbox.integration_ids[0]}", **fault)

    with tap_process(settings_for(sandbox), "--test") as process:
        while not any(r.path.startswith("/integrations/") for r in sandbox.requests()):
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=10)

    assert process.returncode == 143
    assert b"Traceback" not in stderr


def test_the_test_option_checks_the_key(sandbox: Sandbox) -> None:
    run = run_tap({**settings_for(sandbox), "api_key": "ks_dev_wrong_one"}, "--test")

    assert run.code == 1
    assert run.stdout == b""
    [error] = run.errors
    assert "`api_key`" in error


# Models that are switched off after they were read: Kombo marks their records as deleted


@pytest.fixture(scope="module")
def switching() -> Iterator[Sandbox]:
    with Sandbox(integrations=1, offers=40, categories=["ATS", "HRIS"], seed=13) as sandbox:
        yield sandbox


@pytest.fixture
def kombo(switching: Sandbox) -> Sandbox:
    switching.reset()
    return switching


def switch_off(kombo: Sandbox, model: str) -> str:
    """Switch a model off, an hour after the last run; return the integration."""
    category = model.partition("_")[0].upper()
    integration_id: str
    [integration_id] = [r["id"] for r in kombo.records("integrations") if r["category"] == category]
    kombo.advance(seconds=3600)
    kombo.set_integration(integration_id, disabled_models=[model])
    kombo.advance(seconds=3600)
    kombo.clear_requests()
    return integration_id


def requests_for(kombo: Sandbox, path: str) -> list[Request]:
    return [request for request in kombo.requests() if request.path == path]


@pytest.mark.parametrize("method", ["INCREMENTAL", "FULL_TABLE"])
def test_deletions_of_a_model_that_is_switched_off_are_read(kombo: Sandbox, method: str) -> None:
    catalog = catalog_with("ats_offers")
    entry_of(catalog, "ats_offers")["replication_method"] = method
    live = {record["id"] for record in kombo.records("ats_offers", include_deleted=False)}
    first = run_tap(settings_for(kombo), catalog=catalog)
    integration_id = switch_off(kombo, "ats_offers")

    second = run_tap(settings_for(kombo), catalog=catalog, state=first.state)

    assert second.code == 0
    assert len(second.warnings) == (method == "INCREMENTAL")
    deleted = {r["id"] for r in second.records["ats_offers"] if r["_sdc_deleted_at"]}
    assert deleted >= live
    [request] = requests_for(kombo, "/ats/offers")
    assert request.integration_id == integration_id


def test_a_model_that_is_switched_off_is_requested_by_every_later_run(kombo: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    first = run_tap(settings_for(kombo), catalog=catalog)
    integration_id = switch_off(kombo, "ats_offers")
    second = run_tap(settings_for(kombo), catalog=catalog, state=first.state)
    kombo.advance(seconds=86_400)
    kombo.clear_requests()

    third = run_tap(settings_for(kombo), catalog=catalog, state=second.state)

    assert third.records["ats_offers"] == []
    [request] = requests_for(kombo, "/ats/offers")
    assert request.params["updated_after"] == second.bookmark("ats_offers", integration_id)


def test_a_full_table_model_that_is_switched_off_is_read_once_more(kombo: Sandbox) -> None:
    catalog = catalog_with("hris_skills", "integrations", "custom_fields")
    first = run_tap(settings_for(kombo), catalog=catalog)
    integration_id = switch_off(kombo, "hris_skills")

    second = run_tap(settings_for(kombo), catalog=catalog, state=first.state)

    assert first.partition("hris_skills", integration_id)["full"]
    assert second.code == 0
    assert len(requests_for(kombo, "/hris/skills")) == 1


@pytest.mark.parametrize("code", ["MODEL_DISABLED", "MODEL_NOT_AVAILABLE"])
def test_a_model_whose_deletions_kombo_does_not_return_is_skipped(
    kombo: Sandbox, code: str
) -> None:
    catalog = catalog_with("ats_offers")
    first = run_tap(settings_for(kombo), catalog=catalog)
    integration_id = switch_off(kombo, "ats_offers")
    kombo.fault("/ats/offers", code=f"INTEGRATION.{code}")

    second = run_tap(settings_for(kombo), catalog=catalog, state=first.state)

    assert second.code == 0
    assert len(second.warnings) == 1
    bookmark = first.bookmark("ats_offers", integration_id)
    assert second.bookmark("ats_offers", integration_id) == bookmark
    assert len(requests_for(kombo, "/ats/offers")) == 1


@pytest.mark.parametrize("model", ["ats_offers", "hris_skills"])
def test_a_model_that_was_switched_off_before_the_first_run_is_not_requested(
    kombo: Sandbox, model: str
) -> None:
    switch_off(kombo, model)

    first = run_tap(settings_for(kombo), catalog=catalog_with(model))
    second = run_tap(settings_for(kombo), catalog=catalog_with(model), state=first.state)

    assert second.code == 0
    assert not [r for r in kombo.requests() if r.path.startswith(("/ats/", "/hris/"))]


def test_a_model_that_is_switched_off_is_not_requested_without_deletions(kombo: Sandbox) -> None:
    settings = settings_for(kombo, include_deleted=False)
    first = run_tap(settings, catalog=catalog_with("ats_offers"))
    switch_off(kombo, "ats_offers")

    second = run_tap(settings, catalog=catalog_with("ats_offers"), state=first.state)

    assert second.code == 0
    assert requests_for(kombo, "/ats/offers") == []


# Groups, which Kombo calls `hris_teams` in the details of an integration


@pytest.fixture(scope="module")
def hris() -> Iterator[Sandbox]:
    with Sandbox(integrations=1, employees=20, categories=["HRIS"], seed=12) as sandbox:
        yield sandbox


def test_groups_are_read_under_their_name_in_the_details(hris: Sandbox) -> None:
    hris.clear_requests()

    run = run_tap(settings_for(hris), catalog=catalog_with("hris_groups"))

    assert run.ids("hris_groups") == sorted(r["id"] for r in hris.records("hris_groups"))


@pytest.mark.parametrize("name", ["hris_teams", "hris_groups"])
def test_groups_are_skipped_under_either_name(hris: Sandbox, name: str) -> None:
    [integration_id] = hris.integration_ids
    models = [{"id": name, "is_available": False}]
    data = {"id": integration_id, "category": "HRIS", "read_models": models}
    body = json.dumps({"status": "success", "data": data})
    hris.clear_requests()
    hris.fault(path=f"/integrations/{integration_id}", body=body)

    run = run_tap(settings_for(hris), catalog=catalog_with("hris_groups"))
    hris.clear_faults()

    assert run.code == 0
    assert not [r for r in hris.requests() if r.path == "/hris/groups"]


def test_the_test_option_lists_groups_by_the_name_of_the_stream(hris: Sandbox) -> None:
    [integration_id] = hris.integration_ids
    available = run_tap(settings_for(hris), "--test").stdout.decode()
    hris.set_integration(integration_id, unavailable_models=["hris_groups"])
    unavailable = run_tap(settings_for(hris), "--test").stdout.decode()
    hris.set_integration(integration_id, unavailable_models=[])

    assert "hris_groups" in available
    assert "hris_groups" not in unavailable
    assert "hris_teams" not in available + unavailable


@pytest.mark.parametrize("deselected", [[], ["integration_models.label"]], ids=["all", "some"])
def test_each_model_has_the_stream_that_reads_it(hris: Sandbox, deselected: list[str]) -> None:
    [integration_id] = hris.integration_ids
    models = hris.records("integration_models")
    models.append({**models[0], "id": "hris_spaceships"})
    body = json.dumps({"status": "success", "data": {"category": "HRIS", "read_models": models}})
    hris.fault(path=f"/integrations/{integration_id}", body=body)
    catalog = catalog_with("integration_models", deselected=deselected)

    run = run_tap(settings_for(hris), catalog=catalog)
    hris.clear_faults()

    streams = {record["id"]: record["stream"] for record in run.records["integration_models"]}
    assert len(streams) == len(models)
    assert streams["hris_teams"] == "hris_groups"
    assert streams["hris_employees"] == "hris_employees"
    assert streams["hris_spaceships"] is None
