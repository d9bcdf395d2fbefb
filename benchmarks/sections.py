"""The sections of the benchmarks: each measures one round."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.measuring import Run
from benchmarks.postgres import measure_postgres
from benchmarks.stand_in import stand_in
from benchmarks.stand_in_server import Shape
from benchmarks.streams import STREAMS
from benchmarks.tools import OFFICIAL_CLIENT, TAP_KOMBO, TOOLS, WRITERS, Job, run

TRIAL_RECORDS = 1_000

CONCURRENCY = 8
LATENCY = 0.1
WAITING = Shape(integrations=10, records=50, page_records=25, latency=LATENCY)
REQUESTS = 10 * len(STREAMS) * 2

INTEGRATIONS = (50, 500, 5_000)

MEMORY = {
    "records of 1 KB, 250 per page": Shape(8, 5_000),
    "records of 8 KB, 250 per page": Shape(8, 1_000, record_bytes=7_900),
    "records of 1 MB, 1 per page": Shape(8, 20, page_records=1, record_bytes=1_000_000),
    "records of 1 MB, 20 per page": Shape(8, 20, record_bytes=1_000_000),
}
"""Data with which memory is measured"""

TARGETS = {"fast": 0.0, "slow": 0.01}
"""Seconds that a target sleeps after each 64 KiB: the slow one reads 6 MB per second"""

Runs = Iterator[tuple[str, str, Run]]
"""The table of RESULTS.md, the name of its row, and a run"""


def measure_computing(records: int) -> Runs:
    """CPU: many records without latency."""
    with stand_in(Shape(records=TRIAL_RECORDS)) as kombo:
        for tool in WRITERS:
            run(tool, Job(kombo), pause=0)
    with stand_in(Shape(records=records)) as kombo:
        for tool in TOOLS:
            yield "computing", tool, run(tool, Job(kombo))


def measure_waiting(_: int) -> Runs:
    """Duration: few records with latency, as in a nightly sync."""
    with stand_in(WAITING) as kombo:
        for tool in TOOLS:
            if tool != OFFICIAL_CLIENT:
                yield "waiting", tool, run(tool, Job(kombo, STREAMS, CONCURRENCY))


def measure_growth(records: int) -> Runs:
    """CPU and memory of tap-kombo with more records, integrations and larger pages."""
    for size in (0, records // 10, records, records * 10):
        with stand_in(Shape(records=size)) as kombo:
            yield "growth_records", f"{size:,}", run(TAP_KOMBO, Job(kombo))
    for number in INTEGRATIONS:
        with stand_in(Shape(number, records // 100)) as kombo:
            yield "growth_integrations", f"{number:,}", run(TAP_KOMBO, Job(kombo))
    for data, shape in MEMORY.items():
        for target, pause in TARGETS.items():
            with stand_in(shape) as kombo:
                job = Job(kombo, concurrency=CONCURRENCY)
                yield "memory", f"{data}, {target} target", run(TAP_KOMBO, job, pause)


SECTIONS = {
    "computing": measure_computing,
    "waiting": measure_waiting,
    "postgres": measure_postgres,
    "growth": measure_growth,
}
