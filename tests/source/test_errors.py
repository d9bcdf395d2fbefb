"""Failures are TRACE messages, whose type determines whether the platform retries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from harness.source import SourceRun, configured, messages, run_source, source_process
from harness.tap import settings_for
from kombo_sandbox import Sandbox
from tap_kombo.streams import MODELS
from tests.source.platform import Platform, check_messages

OFFERS = "ats_offers"
DENIED: dict[str, Any] = {"status": 422, "code": "INTEGRATION.PERMISSION_MISSING"}


@pytest.fixture
def kombo() -> Iterator[Sandbox]:
    """Start a sandbox whose integrations a test may make fail."""
    with Sandbox(integrations=3, offers=8, seed=4) as sandbox:
        yield sandbox


def read(kombo: Sandbox, *streams: str, **settings: Any) -> SourceRun:
    """Run the source, and replay its messages."""
    catalog = configured(*streams)
    run = run_source("read", settings_for(kombo, max_wait_seconds=0, **settings), catalog=catalog)
    Platform(catalog).replay(run)
    return run


def test_failed_integration_does_not_affect_the_others(kombo: Sandbox) -> None:
    failing, *others = kombo.integration_ids
    kombo.fault(path="/ats/offers", integration_id=failing, **DENIED)

    run = read(kombo, OFFERS, "ats_jobs", "sync_status")

    assert run.code == 1
    assert run.statuses == {
        OFFERS: "INCOMPLETE",
        "ats_jobs": "COMPLETE",
        "sync_status": "COMPLETE",
    }
    expected = {r["id"] for i in others for r in kombo.records(OFFERS, i)}
    assert set(run.ids(OFFERS)) == expected
    assert all(run.bookmark(OFFERS, i) for i in others)
    [error] = run.trace_errors
    assert error["failure_type"] == "config_error"
    assert error["stream_descriptor"] == {"name": OFFERS}
    assert error["message"].startswith(f"{OFFERS} ({failing}): INTEGRATION.PERMISSION_MISSING")


def test_skipped_reads_are_not_failures(kombo: Sandbox) -> None:
    kombo.fault(
        integration_id=kombo.integration_ids[0],
        status=409,
        code="INTEGRATION.SETUP_SYNC_PENDING",
    )

    run = read(kombo, OFFERS)

    assert run.code == 0
    assert run.trace_errors == []


def test_transient_errors_come_first(kombo: Sandbox) -> None:
    first, second, third = kombo.integration_ids
    kombo.fault(path="/ats/offers", integration_id=first, **DENIED)
    kombo.fault(path="/ats/offers", integration_id=second, status=400, code="PLATFORM.NEW")
    kombo.fault(path="/ats/offers", integration_id=third, status=503)

    run = read(kombo, OFFERS)

    types = [error["failure_type"] for error in run.trace_errors]
    assert types == ["transient_error", "system_error", "config_error"]


def test_integrations_that_fail_for_the_same_reason_are_one_error(kombo: Sandbox) -> None:
    kombo.fault(path="/ats/offers", **DENIED)

    run = read(kombo, OFFERS)

    [error] = run.trace_errors
    assert all(integration_id in error["message"] for integration_id in kombo.integration_ids)


def test_failure_of_an_integration_has_no_stream(kombo: Sandbox) -> None:
    failing = kombo.integration_ids[0]
    kombo.fault(integration_id=failing, status=401, code="INTEGRATION.AUTHENTICATION_INVALID")

    run = read(kombo, OFFERS, "ats_jobs")

    [error] = run.trace_errors
    assert "stream_descriptor" not in error
    assert error["message"].startswith(f"All streams ({failing}): ")


def test_at_most_twenty_errors_are_emitted() -> None:
    with Sandbox(integrations=2, categories=["ATS", "HRIS"], offers=2) as kombo:
        for model in MODELS:
            kombo.fault(path=model.path, **DENIED)

        run = read(kombo)

    assert list(run.statuses.values()).count("INCOMPLETE") > 20
    assert len(run.trace_errors) == 20


def test_rejected_api_key_is_a_config_error(kombo: Sandbox) -> None:
    run = read(kombo, OFFERS, api_key="ks_prod_wrong")

    assert run.code == 1
    assert run.statuses == {OFFERS: "INCOMPLETE"}
    [error] = run.trace_errors
    assert error["failure_type"] == "config_error"
    assert "ks_prod_wrong" not in run.stdout.decode()


# Input


STREAM_STATE: dict[str, Any] = {"partitions": []}


@pytest.mark.parametrize(
    "state",
    [
        {"bookmarks": {OFFERS: STREAM_STATE}},
        {OFFERS: {"changed_at": "2026-01-01T00:00:00Z"}},
        [{"type": "GLOBAL", "global": {"stream_states": []}}],
        [{"type": "LEGACY", "data": {OFFERS: {}}}],
        messages({OFFERS: {"changed_at": "2026-01-01T00:00:00Z"}}),
        messages({OFFERS: {"partitions": [{"context": {}}]}}),
        messages({"orders": STREAM_STATE}),
    ],
    ids=["Singer's", "an object", "GLOBAL", "LEGACY", "a cursor", "no context", "other streams"],
)
def test_state_of_another_source_is_a_config_error(kombo: Sandbox, state: Any) -> None:
    run = run_with_state(kombo, json.dumps(state))

    assert run.code == 1
    [error] = run.trace_errors
    assert error["failure_type"] == "config_error"
    assert error["message"].startswith("State: ")
    assert all(r.path == "/check-api-key" for r in kombo.requests())


@pytest.mark.parametrize("state", ["", "null", "[]", "{}", "\n"], ids=repr)
def test_empty_state_starts_a_first_sync(kombo: Sandbox, state: str) -> None:
    run = run_with_state(kombo, state)

    assert run.code == 0
    assert run.records[OFFERS]


def test_reset_stream_starts_a_first_sync(kombo: Sandbox) -> None:
    run = run_with_state(kombo, json.dumps(messages({OFFERS: None})))

    assert run.code == 0
    assert run.records[OFFERS]


def run_with_state(kombo: Sandbox, state: str) -> SourceRun:
    """Run the source with the text of a state file."""
    run = run_source("read", settings_for(kombo), catalog=configured(OFFERS), state_text=state)
    check_messages(run)
    return run


@pytest.mark.parametrize(
    ("catalog", "message"),
    [
        ({"streams": []}, "Catalog: no stream is configured."),
        ({"stream": []}, "Catalog: the file is not a configured catalog of Airbyte"),
        (
            {"streams": [{"stream": {"name": "ats_offer"}, "sync_mode": "incremental"}]},
            "Catalog: there is no stream ats_offer.",
        ),
    ],
    ids=["empty", "another file", "unknown stream"],
)
def test_catalog_that_is_not_valid_is_a_config_error(
    kombo: Sandbox, catalog: Any, message: str
) -> None:
    run = run_source("read", settings_for(kombo), catalog=catalog)
    check_messages(run)

    assert run.code == 1
    [error] = run.trace_errors
    assert (error["failure_type"], error["message"][: len(message)]) == ("config_error", message)
    assert kombo.requests() == []


@pytest.mark.parametrize(
    "arguments", [[], ["write"], ["read"], ["check", "--config", "missing.json"]], ids=repr
)
def test_wrong_arguments_are_a_message(arguments: list[str]) -> None:
    with source_process(*arguments) as process:
        stdout, stderr = process.communicate(timeout=30)

    run = SourceRun(process.returncode, stdout, stderr.decode(), {})
    check_messages(run)
    if arguments[:1] == ["check"]:
        [status] = run.of_type("CONNECTION_STATUS")
        assert (run.code, status["status"]) == (0, "FAILED")
    else:
        [error] = run.trace_errors
        assert (run.code, error["failure_type"]) == (1, "config_error")
