"""The work per page and record, counted in calls, because time depends on the machine."""

from __future__ import annotations

import io
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from harness.tap import catalog_with, settings_for
from kombo_sandbox import Sandbox
from tap_kombo import writer
from tap_kombo.tap import TapKombo

PAGE_SIZE = 100
FEW, MANY = 200, 600


@dataclass
class Cost:
    """The work of a run.

    Attributes:
        calls: Calls of functions written in C, by name.
        own: Calls of the tap's functions, by module.
        writes: Writes to stdout.
        requests: Requests, by path.
    """

    calls: Counter[str] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    requests: Counter[str] = field(default_factory=Counter)

    def note(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call":
            self.calls[called.__qualname__] += 1
        elif event == "call":
            path = Path(frame.f_code.co_filename)
            if path.parent.name == "tap_kombo":
                self.own[path.stem] += 1


class Stdout(io.RawIOBase):
    def __init__(self, cost: Cost) -> None:
        self._cost = cost

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        self._cost.writes += 1
        return len(data)


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with Sandbox(integrations=2, offers=[FEW, MANY], seed=21) as sandbox:
        yield sandbox


def cost_of(kombo: Sandbox, monkeypatch: pytest.MonkeyPatch, number: int) -> Cost:
    """Count the work of reading the offers of an integration."""
    cost = Cost()
    kombo.clear_requests()
    settings = settings_for(kombo, integration_ids=[kombo.integration_ids[number]])
    tap = TapKombo(config={**settings, "page_size": PAGE_SIZE}, catalog=catalog_with("ats_offers"))
    # A slow machine would write more states.
    monkeypatch.setattr(writer, "STATE_INTERVAL", 3600.0)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Stdout(cost), write_through=True))  # type: ignore[type-var]
    threading.setprofile(cost.note)
    sys.setprofile(cost.note)
    try:
        tap.sync_all()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        monkeypatch.undo()
    cost.requests = Counter(request.path for request in kombo.requests())
    return cost


def difference(few: Counter[str], many: Counter[str], *names: str) -> int:
    return sum(many[name] - few[name] for name in names or few.keys() | many.keys())


RECORDS = MANY - FEW
PAGES = RECORDS // PAGE_SIZE


@pytest.fixture(scope="module")
def costs(kombo: Sandbox) -> tuple[Cost, Cost]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        cost_of(kombo, monkeypatch, 0)  # fills the caches
        few = cost_of(kombo, monkeypatch, 0)
        many = cost_of(kombo, monkeypatch, 1)
    return few, many


def test_api_key_and_integration_and_each_page_are_requested_once(
    costs: tuple[Cost, Cost], kombo: Sandbox
) -> None:
    _, many = costs
    integration = f"/integrations/{kombo.integration_ids[1]}"
    pages = MANY // PAGE_SIZE
    assert many.requests == {"/check-api-key": 1, integration: 1, "/ats/offers": pages}


def test_page_is_one_write(costs: tuple[Cost, Cost]) -> None:
    few, many = costs
    assert many.writes - few.writes == PAGES


def test_page_and_record_are_decoded_once(costs: tuple[Cost, Cost], kombo: Sandbox) -> None:
    """A deleted record is decoded once more, for the time of its deletion."""
    few, many = costs
    fewer_deleted, more_deleted = (
        sum(record["remote_deleted_at"] is not None for record in kombo.records("ats_offers", i))
        for i in kombo.integration_ids
    )
    deleted = more_deleted - fewer_deleted
    assert difference(few.calls, many.calls, "Decoder.decode") == PAGES + RECORDS + deleted


def test_record_is_emitted_unchanged(costs: tuple[Cost, Cost]) -> None:
    few, many = costs
    assert difference(few.calls, many.calls, "Encoder.encode", "Encoder.encode_lines") < RECORDS / 4


def test_state_is_used_for_each_page_and_not_for_each_record(costs: tuple[Cost, Cost]) -> None:
    few, many = costs
    assert 0 < difference(few.own, many.own, "state") <= 3 * PAGES


def test_calls_for_each_page_and_record_are_few(costs: tuple[Cost, Cost]) -> None:
    few, many = costs
    calls = difference(few.calls, many.calls) + difference(few.own, many.own)
    assert calls < 1_700 * PAGES + 8 * RECORDS
