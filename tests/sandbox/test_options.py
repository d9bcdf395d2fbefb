"""A sandbox that is started with other options than the usual ones."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kombo_sandbox import Sandbox
from tests.sandbox.client import Client


@pytest.fixture(scope="module")
def tuned() -> Iterator[Client]:
    with Sandbox(
        integrations=1,
        offers=30,
        api_key="ks_other",
        clock="2026-01-31T12:00:00.000Z",
        latency=0.1,
        rate_limit=500,
        rate_window=3600,
        cursor_lifetime=60,
        strict=True,
        gzip=True,
    ) as sandbox:
        yield Client(sandbox)


def test_the_clock_starts_where_it_should(tuned: Client) -> None:
    assert tuned.sandbox.clock().startswith("2026-01-31T12:")
    assert max(record["changed_at"] for record in tuned.held("ats_offers")) < "2026-02-01"


def test_the_key_is_the_one_that_was_named(tuned: Client) -> None:
    assert tuned.sandbox.api_key == "ks_other"
    assert tuned.get("/check-api-key").status_code == 200


def test_each_request_takes_at_least_the_latency(tuned: Client) -> None:
    started = time.monotonic()
    tuned.get("/ats/offers")
    assert time.monotonic() - started >= 0.1


def test_the_rate_limit_is_the_one_that_was_named(tuned: Client) -> None:
    headers = tuned.get("/ats/offers").headers
    assert headers["ratelimit-limit"] == "500"
    assert int(headers["ratelimit-reset"]) > 60


def test_cursors_live_as_long_as_was_said(tuned: Client) -> None:
    cursor = tuned.get("/ats/offers", page_size=5).json()["data"]["next"]
    tuned.sandbox.advance(61)
    assert tuned.get("/ats/offers", cursor=cursor).status_code == 400


def test_updated_after_leaves_its_moment_out_when_strict(tuned: Client) -> None:
    tuned.sandbox.advance(1)
    [id_] = tuned.sandbox.change("ats_offers", integration_id=tuned.integration_id)
    moment = tuned.record("ats_offers", id_)["changed_at"]
    assert tuned.ids("ats_offers", updated_after=moment) == set()


def test_answers_are_compressed_for_clients_that_accept_it(tuned: Client) -> None:
    answer = tuned.get("/ats/offers", include_deleted="true")
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json()["data"]["results"] == tuned.held("ats_offers")
