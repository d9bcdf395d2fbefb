"""Partitions are read in parallel, up to `concurrency`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import pairwise
from unittest import mock

import pytest

from harness.tap import catalog_with, run_tap, settings_for
from kombo_sandbox import Request, Sandbox


@pytest.fixture(scope="module")
def eight() -> Iterator[Sandbox]:
    with Sandbox(integrations=8, offers=60, seed=3, latency=0.05) as sandbox:
        yield sandbox


def max_in_flight(requests: list[Request]) -> int:
    moments = [(r.started, 1) for r in requests] + [(r.ended, -1) for r in requests]
    in_flight = maximum = 0
    for _, change in sorted(moments):
        in_flight += change
        maximum = max(maximum, in_flight)
    return maximum


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_concurrency_is_the_number_of_requests_in_flight(eight: Sandbox, concurrency: int) -> None:
    eight.clear_requests()

    run = run_tap(
        settings_for(eight, concurrency=concurrency, page_size=15),
        catalog=catalog_with("ats_offers"),
    )

    assert run.code == 0
    assert max_in_flight(eight.requests()) == concurrency
    assert len(run.records["ats_offers"]) == len(eight.records("ats_offers"))


def test_fewer_threads_than_concurrency_read_everything(eight: Sandbox) -> None:
    """The machine may have a limit: `ulimit -u`, or a container's."""
    eight.clear_requests()
    start = threading.Thread.start
    threads: list[threading.Thread] = []

    def start_two(thread: threading.Thread) -> None:
        if len(threads) == 2:
            raise RuntimeError("can't start new thread")
        threads.append(thread)
        start(thread)

    with mock.patch.object(threading.Thread, "start", start_two):
        run = run_tap(settings_for(eight, concurrency=8), catalog=catalog_with("ats_offers"))

    assert run.code == 0, run.stderr
    assert max_in_flight(eight.requests()) == len(threads) == 2
    assert len(run.records["ats_offers"]) == len(eight.records("ats_offers"))


def test_pages_of_integrations_interleave_and_keep_their_order(eight: Sandbox) -> None:
    run = run_tap(
        settings_for(eight, concurrency=8, page_size=10),
        catalog=catalog_with("ats_offers"),
    )

    order = [record["integration_id"] for record in run.records["ats_offers"]]
    changes = sum(a != b for a, b in pairwise(order))
    assert changes > 2 * len(eight.integration_ids)
    for integration_id in eight.integration_ids:
        records = [
            r["id"] for r in run.records["ats_offers"] if r["integration_id"] == integration_id
        ]
        assert records == [r["id"] for r in eight.records("ats_offers", integration_id)]


def test_connections_are_kept_alive(eight: Sandbox) -> None:
    eight.clear_requests()

    run_tap(
        settings_for(eight, concurrency=3, page_size=15),
        catalog=catalog_with("ats_offers", "ats_jobs"),
    )

    assert len(eight.requests()) > 40
    assert len({request.connection for request in eight.requests()}) == 3


def test_the_longest_read_of_the_last_run_starts_first() -> None:
    with Sandbox(integrations=6, offers=[4, 4, 4, 4, 4, 60]) as sandbox:
        settings = settings_for(sandbox, concurrency=1, page_size=10)
        long = sandbox.integration_ids[-1]
        offers = catalog_with("ats_offers", "ats_jobs")
        first = run_tap(settings, catalog=offers)
        assert first.partition("ats_offers", long)["pages"] == 6
        assert all(
            "pages" not in first.partition("ats_offers", integration_id)
            for integration_id in sandbox.integration_ids[:-1]
        )
        sandbox.clear_requests()

        run_tap(settings, catalog=offers, state=first.state)

        requests = [r for r in sandbox.requests() if r.path.startswith("/ats/")]
        assert (requests[0].integration_id, requests[0].path) == (long, "/ats/offers")
