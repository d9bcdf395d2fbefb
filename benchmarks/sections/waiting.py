"""Waiting: each request takes a tenth of a second: what does each tool do meanwhile?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.options import Options
from benchmarks.results import Figures, run
from benchmarks.stand_in import Shape, StandIn
from benchmarks.streams import OFFERS, PATHS
from benchmarks.tools import (
    AIRBYTE_CDK,
    DLT_EXTRACT,
    NAIVE_TAP,
    OFFICIAL_CLIENT,
    OFFICIAL_CLIENT_THREADS,
    TAP_KOMBO,
    Tool,
)

CONCURRENCY = 8
LATENCY = 0.1
PAGE_RECORDS = 25
"""Few, as in a nightly run: it is the waiting that is looked at, not the computing."""

SIDE_BY_SIDE = (TAP_KOMBO, AIRBYTE_CDK, DLT_EXTRACT, OFFICIAL_CLIENT_THREADS)
ONE_AFTER_THE_OTHER = (NAIVE_TAP, OFFICIAL_CLIENT)
"""They wait for each request before the next, for minutes, and each time the same: run once."""


@dataclass(frozen=True)
class Case:
    """Attributes:
    key: What its ratios are called by.
    pages: How many each stream of each integration has.
    """

    key: str
    name: str
    streams: tuple[str, ...]
    integrations: int
    pages: int

    @property
    def requests(self) -> int:
        return len(self.streams) * self.integrations * self.pages

    @property
    def floor(self) -> float:
        """Seconds that the requests for pages take, with never a place unused."""
        return self.requests * LATENCY / CONCURRENCY

    @property
    def shape(self) -> Shape:
        return Shape(
            integrations=self.integrations,
            records=self.pages * PAGE_RECORDS,
            page_records=PAGE_RECORDS,
            latency=LATENCY,
            categories=("ATS", "HRIS", "LMS"),
        )


CASES = (
    Case("streams", "30 streams of 10 integrations, 2 pages each", tuple(PATHS), 10, 2),
    Case("chains", "8 integrations, 60 pages of offers each", OFFERS, 8, 60),
)


def measure_waiting(options: Options) -> Figures:
    """Read all cases with each tool, and the same streams of one empty integration at once."""
    return {
        "rounds": options.rounds,
        "concurrency": CONCURRENCY,
        "latency": LATENCY,
        "page_records": PAGE_RECORDS,
        "cases": {case.name: _measure_case(case, options.rounds) for case in CASES},
    }


def _measure_case(case: Case, rounds: int) -> Figures:
    empty = replace(case.shape, integrations=1, records=0, latency=0.0)
    tools: dict[str, dict[str, list[dict[str, float]]]] = {
        tool.name: {"full": [], "empty": []} for tool in (*SIDE_BY_SIDE, *ONE_AFTER_THE_OTHER)
    }
    with StandIn(case.shape) as kombo, StandIn(empty) as nothing:

        def measure_one(tool: Tool) -> None:
            print(f"waiting, {case.name}: {tool.name}", flush=True)
            figures = tools[tool.name]
            for name, stand_in in (("empty", nothing), ("full", kombo)):
                used = tool.run(stand_in, case.streams, concurrency=CONCURRENCY)
                figures[name].append(run(*used))

        for tool in ONE_AFTER_THE_OTHER:
            measure_one(tool)
        for _ in range(rounds):
            for tool in SIDE_BY_SIDE:
                measure_one(tool)
    return {"key": case.key, "requests": case.requests, "floor": case.floor, "tools": tools}
