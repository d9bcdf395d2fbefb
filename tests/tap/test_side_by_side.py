"""Many reads are under way at a time, never more than allowed, and never mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from kombo_sandbox import Request, Sandbox
from tests.tap_run import catalog_with, run_tap, settings_for


@pytest.fixture(scope="module")
def eight() -> Iterator[Sandbox]:
    with Sandbox(integrations=8, offers=60, seed=3, latency=0.05) as sandbox:
        yield sandbox


def most_at_once(requests: list[Request]) -> int:
    moments = [(r.started, 1) for r in requests] + [(r.ended, -1) for r in requests]
    now = most = 0
    for _, step in sorted(moments):
        now += step
        most = max(most, now)
    return most


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_requests_overlap_as_far_as_concurrency_allows(eight: Sandbox, concurrency: int) -> None:
    eight.clear_requests()

    run = run_tap(
        settings_for(eight, concurrency=concurrency, page_size=15),
        catalog=catalog_with("ats_offers"),
    )

    assert run.code == 0
    assert most_at_once(eight.requests()) == concurrency
    assert len(run.records["ats_offers"]) == len(eight.records("ats_offers"))


def test_pages_of_different_integrations_interleave_and_keep_their_order(eight: Sandbox) -> None:
    run = run_tap(
        settings_for(eight, concurrency=8, page_size=10), catalog=catalog_with("ats_offers")
    )

    order = [record["integration_id"] for record in run.records["ats_offers"]]
    changes = sum(a != b for a, b in pairwise(order))
    assert changes > 2 * len(eight.integration_ids)
    for integration_id in eight.integration_ids:
        arrived = [
            r["id"] for r in run.records["ats_offers"] if r["integration_id"] == integration_id
        ]
        assert arrived == [r["id"] for r in eight.records("ats_offers", integration_id)]


def test_connections_are_kept_alive(eight: Sandbox) -> None:
    eight.clear_requests()

    run_tap(
        settings_for(eight, concurrency=3, page_size=15),
        catalog=catalog_with("ats_offers", "ats_jobs"),
    )

    assert len(eight.requests()) > 40
    assert len({request.connection for request in eight.requests()}) == 3


def test_many_long_reads_of_one_integration_do_not_hold_up_another() -> None:
    """Four requests at a time, and five long reads begin before the last integration is visited."""
    with Sandbox(integrations=2, offers=[120, 3], latency=0.02) as sandbox:
        long, short = sandbox.integration_ids
        streams = ("ats_offers", "ats_jobs", "ats_candidates", "ats_applications", "ats_users")

        run_tap(settings_for(sandbox, concurrency=4, page_size=2), catalog=catalog_with(*streams))

        asked = [r.integration_id for r in sandbox.requests() if r.path.startswith("/ats/")]
        last = max(i for i, integration_id in enumerate(asked) if integration_id == short)
        assert asked.count(short) < 40
        assert asked.count(long) > 120
        assert last < len(asked) / 2


def test_a_read_that_was_long_the_last_time_is_begun_first() -> None:
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

        asked = [r for r in sandbox.requests() if r.path.startswith("/ats/")]
        assert (asked[0].integration_id, asked[0].path) == (long, "/ats/offers")
