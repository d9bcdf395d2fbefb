from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import kombo
import pytest
import requests
from jsonschema import Draft7Validator

from benchmarks.stand_in import API_KEY, StandIn, stand_in
from benchmarks.stand_in_server import Shape
from benchmarks.streams import STREAMS, catalog
from harness.tap import TapRun, run_tap

SHAPE = Shape(integrations=2, records=30, page_records=10)


@pytest.fixture(scope="module")
def server() -> Iterator[StandIn]:
    with stand_in(SHAPE) as server:
        yield server


@pytest.fixture(scope="module")
def run(server: StandIn) -> TapRun:
    settings = {
        "api_key": API_KEY,
        "api_url": server.url,
        "integration_ids": server.integration_ids,
    }
    return run_tap(settings, catalog=catalog(STREAMS))


def test_tap_reads_all_streams_without_warnings(run: TapRun) -> None:
    assert run.code == 0
    assert run.warnings == []
    assert set(run.records) == set(STREAMS)


@pytest.mark.parametrize("stream", STREAMS)
def test_records_are_valid_and_have_unique_ids(run: TapRun, stream: str) -> None:
    validator = Draft7Validator(run.schemas[stream])

    assert len(set(run.ids(stream))) == SHAPE.integrations * SHAPE.records
    for record in run.records[stream]:
        validator.validate(record)
        assert record["additional_fields"] is None


def test_official_client_reads_all_records(server: StandIn) -> None:
    server.counts()

    assert len(official_ids(server)) == SHAPE.records
    counts = server.counts()
    assert (counts["records"], counts["most_at_once"]) == (SHAPE.records, 1)
    assert server.counts()["records"] == 0


def test_records_are_padded() -> None:
    with stand_in(Shape(records=3, record_bytes=100_000)) as server:
        sizes = [len(json.dumps(record)) for record in read(server)]

    assert sizes == pytest.approx([100_000] * 3, rel=0.01)


def test_changed_records_have_a_new_revision_and_are_read_incrementally() -> None:
    with stand_in(Shape(records=30, page_records=10)) as server:
        newest = max(record["changed_at"] for record in read(server, cursor="20"))
        assert read(server, updated_after=newest) == []

        server.change(10)

        changed = read(server, updated_after=newest)
        assert [record["id"] for record in changed] == [r["id"] for r in read(server)]
        assert {record["remote_id"] for record in changed} == {"revision-2"}
        assert {record["remote_id"] for record in read(server, cursor="10")} == {"revision-1"}


def read(server: StandIn, **params: str) -> list[dict[str, Any]]:
    headers = {"X-Integration-Id": server.integration_ids[0]}
    response = requests.get(f"{server.url}/ats/offers", params, headers=headers, timeout=60)
    records: list[dict[str, Any]] = response.json()["data"]["results"]
    return records


def official_ids(server: StandIn) -> set[str]:
    """Return the ids of the offers that Kombo's own client reads."""
    [integration_id, *_] = server.integration_ids
    ids = set()
    with kombo.Kombo(
        api_key=API_KEY, integration_id=integration_id, server_url=server.url
    ) as client:
        page = client.ats.get_offers(page_size=250)
        while page is not None:
            ids |= {record.id for record in page.result.data.results}
            page = page.next()
    return ids
