"""Duration: few records with latency, as in a nightly sync."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import tools
from benchmarks.measuring import Figures, middle
from benchmarks.stand_in import stand_in
from benchmarks.stand_in_server import Shape
from benchmarks.streams import STREAMS
from benchmarks.tables import Ratio, cpu, memory, number, runs_table, wall
from benchmarks.tools import TAP_KOMBO, Job

CONCURRENCY = 8
LATENCY = 0.1
SHAPE = Shape(integrations=10, records=50, page_records=25, latency=LATENCY)
REQUESTS = 10 * len(STREAMS) * 2
SHORTEST = REQUESTS * LATENCY / CONCURRENCY
"""Seconds in which the requests for pages are possible"""

CONCURRENT = (TAP_KOMBO, tools.AIRBYTE_CDK, tools.DLT_EXTRACT, tools.OFFICIAL_CLIENT_THREADS)
SEQUENTIAL = (tools.NAIVE_TAP,)
"""Tools with one request in flight: a run takes a minute, and runs hardly differ"""


def measure(_: int, rounds: int) -> Figures:
    runs: Figures = {tool.name: {"full": [], "empty": []} for tool in (*CONCURRENT, *SEQUENTIAL)}
    with stand_in(SHAPE) as full, stand_in(Shape()) as empty:
        for round_ in range(1, rounds + 1):
            for tool in (*CONCURRENT, *(SEQUENTIAL if round_ == 1 else ())):
                print(f"waiting, round {round_}: {tool.name}", flush=True)
                for name, kombo in (("empty", empty), ("full", full)):
                    job = Job(kombo, STREAMS, CONCURRENCY)
                    runs[tool.name][name].append(tool.run(job))
    return {"tools": runs}


def ratios(figures: Figures) -> Iterator[Ratio]:
    own = figures["tools"][TAP_KOMBO.name]
    own_wall = middle(own["full"], "wall")
    for name, tool in figures["tools"].items():
        if name != TAP_KOMBO.name:
            what = f"Time of {name} ÷ of tap-kombo, {REQUESTS} pages"
            yield f"wait: {name}", what, middle(tool["full"], "wall") / own_wall
    what = "Time of tap-kombo without startup ÷ shortest possible time"
    yield "wait: limit", what, (own_wall - middle(own["empty"], "wall")) / SHORTEST


def texts(figures: Figures) -> dict[str, str]:
    columns = {
        "Time, s": wall,
        "CPU, s": cpu,
        "Memory, MiB": memory,
        "Requests in flight": lambda runs: f"{max(run['most_at_once'] for run in runs)}",
        "Runs": number,
    }
    full = {name: tool["full"] for name, tool in figures["tools"].items()}
    return {
        "requests": f"{REQUESTS}",
        "shortest": f"{SHORTEST:.1f}",
        "waiting": runs_table("Tool", full, columns),
    }
