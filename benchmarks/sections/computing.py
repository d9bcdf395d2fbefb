"""CPU: many records without latency."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks import tools
from benchmarks.measuring import BenchmarkError, Figures, Messages, cpu_per_record, middle
from benchmarks.stand_in import stand_in
from benchmarks.stand_in_server import Shape
from benchmarks.streams import OFFERS
from benchmarks.tables import Ratio, cpu, memory, runs_table, spread, wall
from benchmarks.tools import TAP_KOMBO, Job

WRITERS = (TAP_KOMBO, tools.NAIVE_TAP, tools.AIRBYTE_CDK, tools.ENCODE)
"""Tools that write a line with `"RECORD"` for each record"""

TOOLS = (*WRITERS, tools.DLT_EXTRACT, tools.DLT_LOAD, tools.OFFICIAL_CLIENT, tools.RECEIVE)

TRIAL_RECORDS = 1_000


def measure(records: int, rounds: int) -> Figures:
    check_output()
    runs: Figures = {tool.name: {"full": [], "empty": []} for tool in TOOLS}
    with stand_in(Shape(records=records)) as full, stand_in(Shape()) as empty:
        for round_ in range(1, rounds + 1):
            for tool in TOOLS:
                print(f"computing, round {round_}: {tool.name}", flush=True)
                runs[tool.name]["full"].append(tool.run(Job(full, OFFERS)))
                runs[tool.name]["empty"].append(tool.run(Job(empty, OFFERS)))
    return {"records": records, "tools": runs}


def check_output() -> None:
    """Check that tools write all records.

    Raises:
        BenchmarkError: One does not.
    """
    with stand_in(Shape(records=TRIAL_RECORDS)) as kombo:
        for tool in WRITERS:
            messages = Messages()
            tool.run(Job(kombo, OFFERS), messages)
            if messages.records != TRIAL_RECORDS:
                raise BenchmarkError(
                    f"{tool.name} wrote {messages.records} of {TRIAL_RECORDS} records"
                )


def ratios(figures: Figures) -> Iterator[Ratio]:
    found, records = figures["tools"], figures["records"]
    own = found[TAP_KOMBO.name]
    for name, tool in found.items():
        if name != TAP_KOMBO.name and not name.startswith("limit"):
            what = f"CPU of {name} ÷ of tap-kombo, {records:,} offers"
            yield f"cpu: {name}", what, middle(tool["full"], "cpu") / middle(own["full"], "cpu")
    what = "CPU per record without startup, tap-kombo ÷ urllib3 and msgspec"
    limit = cpu_per_record(found[tools.ENCODE.name]["full"], found[tools.ENCODE.name]["empty"])
    yield "cpu: limit", what, cpu_per_record(own["full"], own["empty"]) / limit


def texts(figures: Figures) -> dict[str, str]:
    received = figures["tools"][tools.RECEIVE.name]["full"]
    full = {name: tool["full"] for name, tool in figures["tools"].items()}
    empty = {name: tool["empty"] for name, tool in figures["tools"].items()}
    return {
        "computing_records": f"{figures['records']:,}",
        "record_bytes": f"{middle(received, 'bytes') / figures['records']:.0f}",
        "computing": runs_table(
            "Tool", full, {"CPU, s": cpu, "Time, s": wall, "Memory, MiB": memory}
        ),
        "startup": runs_table(
            "Tool", empty, {"CPU, s": cpu, "Time, s": wall, "Memory, MiB": memory}
        ),
        "receive_wall": wall(received),
        "receive_cpu": spread(received, "kombo_cpu"),
    }
