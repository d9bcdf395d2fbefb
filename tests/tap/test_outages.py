"""All reads wait out an outage together, for at most `max_wait_seconds`."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox

OFFERS = catalog_with("ats_offers")
LONG_STREAMS = catalog_with("ats_applications", "ats_candidates", "ats_offers")
ALL_OUTAGES = pytest.mark.parametrize(
    "outage",
    [
        pytest.param({"close": True}, id="closed connections"),
        pytest.param({"status": 502, "body": "<html></html>"}, id="HTTP 502"),
    ],
)


def wait_for_failures(sandbox: Sandbox, count: int) -> None:
    while len([r for r in sandbox.requests() if r.status != 200]) < count:
        time.sleep(0.1)


@pytest.mark.usefixtures("quick_retries")
@ALL_OUTAGES
def test_a_short_outage_loses_no_record(sandbox: Sandbox, outage: dict[str, Any]) -> None:
    sandbox.fault(skip=20, **outage)

    def end_outage() -> None:
        wait_for_failures(sandbox, 4)
        time.sleep(0.1)
        sandbox.clear_faults()

    thread = threading.Thread(target=end_outage)
    thread.start()
    settings = settings_for(sandbox, page_size=15, max_wait_seconds=3000)
    run = run_tap(settings, catalog=OFFERS)
    thread.join()

    assert run.code == 0, run.stderr
    assert run.errors == run.warnings == []
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))
    assert all(run.bookmark("ats_offers", name) for name in sandbox.integration_ids)


@pytest.mark.usefixtures("quick_retries")
@ALL_OUTAGES
def test_a_lasting_outage_ends_the_run_with_one_error(
    sandbox: Sandbox, outage: dict[str, Any]
) -> None:
    """In 20 seconds, each of the four threads sends a request at most six times.

    Then it checks the API key. The reads that have not started send nothing.
    """
    sandbox.fault(skip=20, **outage)
    settings = settings_for(sandbox, page_size=10, concurrency=4, max_wait_seconds=20)

    first = run_tap(settings, catalog=LONG_STREAMS)

    assert first.code == 1
    [error] = first.errors
    assert error.startswith("The run ended early: ")
    assert 4 <= len([r for r in sandbox.requests() if r.status != 200]) <= 4 * (6 + 1)
    assert first.messages[-1]["type"] == "STATE"
    assert first.records
    sandbox.clear_faults()
    second = run_tap(settings, catalog=LONG_STREAMS, state=first.state)
    assert second.code == 0
    for stream in ("ats_applications", "ats_candidates", "ats_offers"):
        expected = sorted(record["id"] for record in sandbox.records(stream))
        assert sorted(first.ids(stream) + second.ids(stream)) == expected


@pytest.mark.usefixtures("quick_retries")
def test_the_error_of_an_outage_is_the_failed_check_of_the_key(sandbox: Sandbox) -> None:
    sandbox.fault("/ats/offers", status=503)
    sandbox.fault("/check-api-key", skip=1, status=502)

    run = run_tap(settings_for(sandbox), catalog=OFFERS)

    assert run.code == 1
    [error] = run.errors
    assert error.startswith("The run ended early: HTTP 502")


@pytest.mark.usefixtures("quick_retries")
def test_a_failing_check_of_the_key_is_not_an_outage_while_requests_succeed(
    sandbox: Sandbox,
) -> None:
    failing, *others = sandbox.integration_ids
    sandbox.fault(path="/check-api-key", status=503)
    sandbox.fault(path="/ats/offers", integration_id=failing, status=503)
    sandbox.fault(path="/ats/offers", delay=0.1)
    settings = settings_for(sandbox, page_size=100, concurrency=2)

    run = run_tap(settings, catalog=OFFERS)

    assert run.code == 1
    [error] = run.errors
    assert error.startswith(f"Could not read {failing} (ats_offers): HTTP 503")
    assert all(run.bookmark("ats_offers", other) for other in others)
