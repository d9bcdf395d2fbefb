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
