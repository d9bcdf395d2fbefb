"""What the benchmarks read is what Kombo could answer."""

from __future__ import annotations

from collections.abc import Iterator

import kombo
import pytest
from jsonschema import Draft7Validator

from benchmarks.stand_in import API_KEY, Shape, StandIn
from benchmarks.streams import PATHS, catalog
from harness.tap import TapRun, run_tap
from tap_kombo.streams import MODELS

SHAPE = Shape(integrations=2, records=30, page_records=20, categories=("ATS", "HRIS", "LMS"))


@pytest.fixture(scope="module")
def stand_in() -> Iterator[StandIn]:
    with StandIn(SHAPE) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def run(stand_in: StandIn) -> TapRun:
    stand_in.counts()
    settings = {
        "api_key": API_KEY,
        "api_url": stand_in.url,
        "integration_ids": SHAPE.integration_ids,
    }
    return run_tap(settings, catalog=catalog(list(PATHS)))


def test_the_streams_have_the_paths_of_the_tap() -> None:
    paths = {model.name: model.path for model in MODELS}

    assert {name: paths[name] for name in PATHS} == PATHS


def test_the_tap_reads_all_streams_without_a_complaint(run: TapRun) -> None:
    assert run.code == 0
    assert run.warnings == []
    assert set(run.records) == set(PATHS)


@pytest.mark.parametrize("stream", PATHS)
def test_each_record_is_one_of_its_own_and_valid(run: TapRun, stream: str) -> None:
    validator = Draft7Validator(run.schemas[stream])

    assert len(set(run.ids(stream))) == SHAPE.integrations * SHAPE.records
    for record in run.records[stream]:
        validator.validate(record)
        assert record["additional_fields"] is None


def test_it_counts_what_it_is_asked(stand_in: StandIn) -> None:
    stand_in.counts()
    with official(stand_in) as client:
        page = client.ats.get_offers(page_size=250)
        read = 0
        while page is not None:
            read += len(page.result.data.results)
            page = page.next()

    counts = stand_in.counts()

    assert read == counts.records == SHAPE.records
    assert (counts.requests, counts.pages, counts.most_at_once, counts.connections) == (2, 2, 1, 1)
    assert stand_in.counts().requests == 0


def test_records_are_filled_up_to_a_size() -> None:
    with StandIn(Shape(records=3, record_bytes=100_000)) as large, official(large) as client:
        page = client.ats.get_offers(page_size=250)
        assert page is not None
        assert len(page.result.data.results) == 3
        assert large.counts().bytes == pytest.approx(300_000, rel=0.01)


def official(stand_in: StandIn) -> kombo.Kombo:
    [integration_id, *_] = stand_in.shape.integration_ids
    return kombo.Kombo(api_key=API_KEY, integration_id=integration_id, server_url=stand_in.url)
