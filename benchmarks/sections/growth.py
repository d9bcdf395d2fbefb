"""Growth: does a record of tap-kombo's cost the same, however many there are, and the memory?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.measuring import Lines
from benchmarks.options import Options
from benchmarks.results import Figures, run
from benchmarks.stand_in import Shape, StandIn
from benchmarks.streams import OFFERS
from benchmarks.tools import TAP_KOMBO

MOST_ROUNDS = 3
ONE_ROUND_FROM = 1_000_000
"""Records: so many are their own repetition."""

INTEGRATIONS = (1, 50, 500, 5_000)
RECORDS_EACH = 1_000
RECORDS_OF_ONE = 100_000
"""A thousand records of a single integration would be lost in the noise of the start-up."""

RECORDS = (10_000, 100_000, 1_000_000)
HUGE = 10_000_000

STATE_RECORDS_EACH = 10
"""Few: a nightly run, in which the STATE weighs most."""

MANY = 8
"""Integrations and requests in flight, where memory is looked at."""

SLOW_PAUSE = 0.01
"""Seconds that the slow target sleeps after each 64 KiB: about 6 MB a second."""

LARGE_RECORD = 1_000_000
LARGE_RECORDS_EACH = 38

MEMORY = {
    "a fast target, 40,000 offers": (Shape(MANY, 5_000), {}, 0.0),
    "a slow target, 40,000 offers": (Shape(MANY, 5_000), {}, SLOW_PAUSE),
    **{
        f"{speed} target, 304 records of 1 MB, {size} a page": (
            Shape(MANY, LARGE_RECORDS_EACH, record_bytes=LARGE_RECORD),
            {"page_size": size},
            pause,
        )
        for size in (1, 250)
        for speed, pause in (("a fast", 0.0), ("a slow", SLOW_PAUSE / 10))
    },
}
"""What is looked at -> what Kombo holds, the tap's settings, seconds of pause after 64 KiB."""


def measure_growth(options: Options) -> Figures:
    """Measure the tap alone, from small to large."""
    sizes = [*RECORDS, HUGE] if options.huge else RECORDS
    with StandIn(Shape()) as empty:
        rounds = range(max(options.rounds, MOST_ROUNDS))
        start_up = [run(*TAP_KOMBO.run(empty, OFFERS)) for _ in rounds]
    return {
        "records_each": RECORDS_EACH,
        "records_of_one": RECORDS_OF_ONE,
        "start_up": start_up,
        "integrations": {
            str(count): _repeated(
                Shape(count, RECORDS_OF_ONE if count == 1 else RECORDS_EACH), options
            )
            for count in INTEGRATIONS
        },
        "records": {str(size): _repeated(Shape(1, size), options) for size in sizes},
        "memory": {name: _memory(name, *how) for name, how in MEMORY.items()},
        "state_records_each": STATE_RECORDS_EACH,
        "states": {str(count): _states(count) for count in INTEGRATIONS},
    }


def _repeated(shape: Shape, options: Options) -> list[dict[str, float]]:
    records = shape.integrations * shape.records
    rounds = 1 if records >= ONE_ROUND_FROM else min(options.rounds, MOST_ROUNDS)
    with StandIn(shape) as kombo:
        print(f"growth: {shape.integrations} integrations, {records} records", flush=True)
        return [run(*TAP_KOMBO.run(kombo, OFFERS)) for _ in range(rounds)]


def _memory(name: str, shape: Shape, settings: Mapping[str, Any], pause: float) -> Figures:
    print(f"growth, memory: {name}", flush=True)
    with StandIn(shape) as kombo:
        used, counts = TAP_KOMBO.run(
            kombo,
            OFFERS,
            concurrency=MANY,
            settings=settings,
            read=Lines(pause=pause),
            again=True,
        )
    return run(used, counts)


def _states(integrations: int) -> Figures:
    print(f"growth, states: {integrations} integrations", flush=True)
    lines = Lines()
    with StandIn(Shape(integrations, STATE_RECORDS_EACH)) as kombo:
        used, _ = TAP_KOMBO.run(kombo, OFFERS, read=lines)
    return {
        "lines": lines.states,
        "bytes": lines.state_bytes,
        "last": lines.last_state_bytes,
        "output": lines.output_bytes,
        "wall": used.wall,
    }
