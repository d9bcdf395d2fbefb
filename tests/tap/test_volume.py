"""Memory, and the total size of states, do not grow with the number of records."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator

import psutil
import pytest

from harness.tap import catalog_with, run_tap, settings_for, tap_process
from kombo_sandbox import Sandbox

OFFERS = catalog_with("ats_offers")
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def heavy() -> Iterator[Sandbox]:
    """A sandbox with three integrations, each with ten offers of 1 MB."""
    with Sandbox(integrations=3, offers=10, seed=5) as sandbox:
        for record in sandbox.records("ats_offers"):
            sandbox.patch("ats_offers", record["id"], {"custom_fields": {"cv": "x" * MEGABYTE}})
        yield sandbox


def test_a_page_that_is_too_large_is_requested_in_smaller_pages(heavy: Sandbox) -> None:
    heavy.clear_requests()

    run = run_tap(settings_for(heavy, page_size=10), catalog=OFFERS)

    assert run.code == 0, run.stderr
    assert run.ids("ats_offers") == sorted(r["id"] for r in heavy.records("ats_offers"))
    sizes = [int(r.params["page_size"]) for r in heavy.requests() if r.path == "/ats/offers"]
    assert max(sizes) == 10
    assert min(sizes) == 1


def test_the_page_size_is_not_raised_again_within_a_read(heavy: Sandbox) -> None:
    heavy.clear_requests()

    run_tap(settings_for(heavy, page_size=10), catalog=OFFERS)

    for integration_id in heavy.integration_ids:
        sizes = [
            int(r.params["page_size"])
            for r in heavy.requests()
            if r.path == "/ats/offers" and r.integration_id == integration_id
        ]
        assert sizes == sorted(sizes, reverse=True)


def test_memory_is_bounded_with_large_records_and_a_slow_target(heavy: Sandbox) -> None:
    """The target takes a tenth of a second per line."""
    with tap_process(settings_for(heavy, concurrency=8, page_size=10), catalog=OFFERS) as tap:
        assert tap.stdout
        process = psutil.Process(tap.pid)
        bytes_in_memory = []
        with open(tap.stdout.fileno(), "rb", closefd=False) as lines:  # not a path
            for _ in lines:
                time.sleep(0.1)
                bytes_in_memory.append(process.memory_info().rss)

    assert len(bytes_in_memory) > 30
    assert max(bytes_in_memory) < 120 * MEGABYTE


def test_the_tap_does_not_read_ahead_of_a_slow_target(sandbox: Sandbox) -> None:
    with tap_process(settings_for(sandbox, page_size=5, concurrency=2), catalog=OFFERS) as tap:
        assert tap.stdout
        time.sleep(4)
        requests = sum(r.path == "/ats/offers" for r in sandbox.requests())
        in_pipe = os.read(tap.stdout.fileno(), 1 << 16)
        rest = tap.stdout.read()

    assert requests < in_pipe.count(b'"RECORD"') / 5 + 20
    records = (in_pipe + rest).count(b'"type":"RECORD"')
    assert records == len(sandbox.records("ats_offers"))


def test_large_states_are_written_less_often(sandbox: Sandbox) -> None:
    """A state of 500 kB is written every five seconds at most, and at the end."""
    partition = {
        "replication_key": "changed_at",
        "replication_key_value": "2026-01-31T00:00:00.000Z",
    }
    state = {
        "bookmarks": {
            "ats_jobs": {
                "partitions": [
                    {"context": {"integration_id": f"personio:{number}"}, **partition}
                    for number in range(4000)
                ]
            }
        }
    }
    sandbox.fault(path="/ats/offers", delay=0.2)

    started = time.monotonic()
    run = run_tap(settings_for(sandbox, page_size=30, concurrency=2), catalog=OFFERS, state=state)

    assert len(json.dumps(run.state)) > 500_000
    assert len([r for r in sandbox.requests() if r.path == "/ats/offers"]) > 30
    assert len(run.states) <= 2 + (time.monotonic() - started) / 5
