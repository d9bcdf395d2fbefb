"""CPU, state and memory of tap-kombo with more integrations and records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.measuring import Figures, Messages, Run, cpu_per_record
from benchmarks.stand_in import stand_in
from benchmarks.stand_in_server import Shape
from benchmarks.streams import OFFERS
from benchmarks.tables import Column, Ratio, memory, number, runs_table, wall
from benchmarks.tools import TAP_KOMBO, Job

INTEGRATIONS = (50, 500, 5_000)

STATE_RECORDS = 10
"""Records per integration where states are measured: few, as in a nightly sync"""

MEMORY: dict[str, tuple[Shape, dict[str, Any]]] = {
    "records of 1 KB, 250 per page": (Shape(8, 5_000), {}),
    "records of 8 KB, 250 per page": (Shape(8, 1_000, record_bytes=7_900), {}),
    "records of 1 MB, 1 per page": (Shape(8, 20, record_bytes=1_000_000), {"page_size": 1}),
    "records of 1 MB, 20 per page": (Shape(8, 20, record_bytes=1_000_000), {}),
}
"""Data and settings of the tap where memory is measured"""

SLOW = 0.01
"""Seconds that a slow target sleeps after each 64 KiB: it reads 6 MB per second"""


def measure(records: int, rounds: int) -> Figures:
    sizes = (records // 10, records, records * 10)
    return {
        "startup": read(Shape(), rounds),
        "records": {f"{size:,}": read(Shape(1, size), rounds) for size in sizes},
        "integrations": {f"{n:,}": read(Shape(n, records // 100), rounds) for n in INTEGRATIONS},
        "records_each": records // 100,
        "states": {f"{n:,}": [read_states(n)] for n in INTEGRATIONS},
        "memory": {
            f"{name}, {target} target": [read_with_pause(name, pause)]
            for name in MEMORY
            for target, pause in (("fast", 0.0), ("slow", SLOW))
        },
    }


def read(shape: Shape, rounds: int) -> list[Run]:
    print(f"growth: {shape.integrations} × {shape.records} records", flush=True)
    # Long runs hardly differ.
    repeats = rounds if shape.integrations * shape.records < 1_000_000 else 1
    with stand_in(shape) as kombo:
        return [TAP_KOMBO.run(Job(kombo, OFFERS)) for _ in range(repeats)]


def read_states(integrations: int) -> Run:
    print(f"growth: states of {integrations} integrations", flush=True)
    messages = Messages()
    with stand_in(Shape(integrations, STATE_RECORDS)) as kombo:
        TAP_KOMBO.run(Job(kombo, OFFERS), messages)
    return {
        "count": messages.states,
        "last": messages.last_state_bytes / integrations,
        "all": messages.state_bytes / integrations,
        "share": messages.state_bytes / messages.output_bytes,
    }


def read_with_pause(name: str, pause: float) -> Run:
    print(f"growth: memory, {name}", flush=True)
    shape, settings = MEMORY[name]
    with stand_in(shape) as kombo:
        job = Job(kombo, OFFERS, concurrency=8, settings=settings)
        return TAP_KOMBO.run(job, Messages(pause), repeats=True)


def ratios(figures: Figures) -> Iterator[Ratio]:
    [small, _, large] = records = costs(figures, "records")
    what = f"CPU per record, {large} records ÷ {small}"
    yield "growth: records", what, records[large] / records[small]
    [few, _, many] = integrations = costs(figures, "integrations")
    what = f"CPU per record, {many} integrations ÷ {few}"
    yield "growth: integrations", what, integrations[many] / integrations[few]
    [few_states], _, [many_states] = figures["states"].values()
    for key, title in (("last", "the last state"), ("all", "all states")):
        what = f"Bytes per integration of {title}, {many} integrations ÷ {few}"
        yield f"growth: {title}", what, many_states[key] / few_states[key]


def costs(figures: Figures, part: str) -> dict[str, float]:
    """Return the CPU seconds per record by number of records or integrations."""
    return {n: cpu_per_record(runs, figures["startup"]) for n, runs in figures[part].items()}


def most_memory(figures: Figures) -> float:
    """Return the peak memory of all runs, in bytes."""
    parts = (figures["records"], figures["integrations"], figures["memory"])
    return float(max(run["memory"] for part in parts for runs in part.values() for run in runs))


def texts(figures: Figures) -> dict[str, str]:
    columns: dict[str, Column] = {
        "CPU per record, µs": lambda runs: f"{cpu_per_record(runs, figures['startup']) * 1e6:.1f}",
        "Time, s": wall,
        "Memory, MiB": memory,
        "Runs": number,
    }
    states: dict[str, Column] = {
        "States": lambda runs: f"{runs[0]['count']}",
        "Last state, bytes per integration": lambda runs: f"{runs[0]['last']:.0f}",
        "All states, bytes per integration": lambda runs: f"{runs[0]['all']:.0f}",
        "Part of the output": lambda runs: f"{runs[0]['share']:.0%}",
    }
    return {
        "growth_records": runs_table("Records", figures["records"], columns),
        "growth_integrations": runs_table("Integrations", figures["integrations"], columns),
        "records_each": f"{figures['records_each']:,}",
        "states": runs_table("Integrations", figures["states"], states),
        "memory": runs_table("Data", figures["memory"], {"Memory, MiB": memory, "Time, s": wall}),
        "most_memory": f"{most_memory(figures) / 1e6:.0f} MB",
    }
