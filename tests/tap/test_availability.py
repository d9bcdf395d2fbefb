"""Streams that an integration does not support are skipped without a request."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest

from harness.tap import catalog_with, run_tap, settings_for, tap_process
from kombo_sandbox import Sandbox


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
        body='{"status":"success","data":{"id":"x","read_models":[{"id":"ats_offers"}]}}',
    )

    run = run_tap(settings_for(sandbox), catalog=catalog_with("ats_offers", "ats_jobs"))

    assert run.code == 0
    assert run.bookmark("ats_offers", integration_id) is not None
    assert run.bookmark("ats_jobs", integration_id) is not None


@pytest.mark.parametrize("category", ["ats", "ATS_NEXT", "", "HRIS"])
def test_a_model_is_skipped_only_if_the_category_is_known_to_be_another_one(
    sandbox: Sandbox, category: str
) -> None:
    """Kombo may add categories, or change their spelling."""
    integration_id = sandbox.integration_ids[0]
    data = f'{{"id":"x","category":"{category}","read_models":[]}}'
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
    assert [line.split(": ")[0] for line in lines] == sandbox.integration_ids
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
