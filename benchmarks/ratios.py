"""What is claimed of tap-kombo, as named ratios: each can be looked up in the tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import median
from typing import Any

from benchmarks.results import Figures, spread

TAP = "tap-kombo"
LIMIT = "limit: decode and encode"

Ratio = tuple[str, str, float]
"""Name, what is divided by what, value."""


def middle(runs: Any, what: str) -> float:
    return spread(runs, what).middle


def beyond_start_up(tool: Figures, records: int) -> float:
    """Seconds of CPU that a record costs beyond the tool's start-up."""
    return (middle(tool["full"], "cpu") - middle(tool["empty"], "cpu")) / records


def ratios(figures: Figures) -> Iterator[Ratio]:
    """Divide what there are figures of."""
    parts: Mapping[str, Callable[[Figures], Iterable[Ratio]]] = {
        "computing": _computing,
        "waiting": _waiting,
        "growth": _growth,
        "pipeline": _pipeline,
    }
    for section, part in parts.items():
        if section in figures:
            yield from part(figures[section])


def _computing(figures: Figures) -> Iterator[Ratio]:
    tools, records = figures["tools"], figures["records"]
    own = middle(tools[TAP]["full"], "cpu")
    for name, tool in tools.items():
        if name != TAP and not name.startswith("limit"):
            what = f"CPU of {name} ÷ CPU of tap-kombo, {records:,} offers, whole processes"
            yield f"cpu: {name}", what, middle(tool["full"], "cpu") / own
    limit = beyond_start_up(tools[LIMIT], records)
    what = "CPU of a record beyond start-up, tap-kombo ÷ urllib3 + msgspec decode and encode"
    yield "cpu: limit", what, beyond_start_up(tools[TAP], records) / limit


def _waiting(figures: Figures) -> Iterator[Ratio]:
    for case, result in figures["cases"].items():
        tools = result["tools"]
        own = middle(tools[TAP]["full"], "wall")
        for name, tool in tools.items():
            if name != TAP:
                what = f"time of {name} ÷ time of tap-kombo, {case}"
                yield f"wait, {result['key']}: {name}", what, middle(tool["full"], "wall") / own
        start_up = middle(tools[TAP]["empty"], "wall")
        what = f"time of tap-kombo beyond start-up ÷ the least possible, {case}"
        yield f"wait, {result['key']}: floor", what, (own - start_up) / result["floor"]


def _growth(figures: Figures) -> Iterator[Ratio]:
    costs = record_costs(figures, "integrations")
    each, one = figures["records_each"], figures["records_of_one"]
    what = f"CPU of a record of 5,000 integrations with {each:,} each ÷ of one with {one:,}"
    yield "growth: integrations", what, costs["5000"] / costs["1"]
    what = f"CPU of a record of 5,000 integrations with {each:,} each ÷ of 50 with as many"
    yield "growth: integrations alike", what, costs["5000"] / costs["50"]
    costs = record_costs(figures, "records")
    least, *_, most = costs
    what = f"CPU of a record of {int(most):,} ÷ of {int(least):,}"
    yield "growth: records", what, costs[most] / costs[least]
    for key, name in (("last", "the last STATE"), ("bytes", "all STATE")):
        each = {int(count): state[key] / int(count) for count, state in figures["states"].items()}
        what = f"bytes of {name} for each integration, with 5,000 ÷ with 50"
        yield f"growth: {name}", what, each[5000] / each[50]


def record_costs(figures: Figures, what: str) -> dict[str, float]:
    """Seconds of CPU that a record costs beyond start-up: by how many there are."""
    start_up = middle(figures["start_up"], "cpu")
    return {
        count: median((each["cpu"] - start_up) / each["kombo_records"] for each in runs)
        for count, runs in figures[what].items()
    }


def _pipeline(figures: Figures) -> Iterator[Ratio]:
    walls = {name: middle(runs, "wall") for name, runs in figures["loads"].items()}
    plain, *_, shipped = walls.values()
    what = "time of `meltano run` with the target's own settings ÷ with those of meltano.yml"
    yield "pipeline: loader settings", what, plain / shipped
    what = "time of tap-kombo alone ÷ time of `meltano run` with the settings of meltano.yml"
    yield "pipeline: the tap's part", what, middle(figures["tap_alone"], "wall") / shipped
