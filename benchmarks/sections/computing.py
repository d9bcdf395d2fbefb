"""Computing: many offers, no latency: what does each tool cost the machine that it shares?"""

from __future__ import annotations

from pathlib import Path

from benchmarks.environments import TAP
from benchmarks.measuring import FailedError, Lines, measure, scratch
from benchmarks.options import Options
from benchmarks.places import PROJECT
from benchmarks.results import Figures, run
from benchmarks.stand_in import API_KEY, Shape, StandIn
from benchmarks.streams import OFFERS
from benchmarks.tools import (
    AIRBYTE_CDK,
    DECODE_ENCODE,
    DLT_EXTRACT,
    DLT_LOAD,
    NAIVE_TAP,
    OFFICIAL_CLIENT,
    RAW,
    TAP_KOMBO,
    Tool,
    Work,
    tap_kombo,
    work_without_kombo,
)
from kombo_sandbox import Sandbox

TOOLS = (
    TAP_KOMBO,
    NAIVE_TAP,
    AIRBYTE_CDK,
    DLT_EXTRACT,
    DLT_LOAD,
    OFFICIAL_CLIENT,
    RAW,
    DECODE_ENCODE,
)

TRIAL_RECORDS = 1_000
SANDBOX_RECORDS = 5_000


def measure_computing(options: Options) -> Figures:
    """Read all offers of one integration, and nothing from an empty one, with each tool."""
    with StandIn(Shape(records=TRIAL_RECORDS)) as small:
        for tool in TOOLS:
            check(tool, small)
    tools: dict[str, dict[str, list[dict[str, float]]]] = {
        tool.name: {"full": [], "empty": []} for tool in TOOLS
    }
    start_up: dict[str, list[dict[str, float]]] = {}
    with StandIn(Shape(records=options.records)) as full, StandIn(Shape()) as empty:
        for number in range(options.rounds):
            for tool in TOOLS:
                print(f"computing, round {number + 1}: {tool.name}", flush=True)
                tools[tool.name]["full"].append(run(*tool.run(full, OFFERS)))
                tools[tool.name]["empty"].append(run(*tool.run(empty, OFFERS)))
            for name, figures in measure_start_up().items():
                start_up.setdefault(name, []).append(figures)
    size = tools[RAW.name]["full"][0]["kombo_bytes"] / options.records
    return {
        "records": options.records,
        "record_bytes": round(size),
        "rounds": options.rounds,
        "tools": tools,
        "start_up": start_up,
        "sandbox": {"records": SANDBOX_RECORDS, **measure_sandbox()},
    }


def check(tool: Tool, stand_in: StandIn) -> None:
    """Make sure that a tool writes as many records as there are; its caches are then warm.

    Raises:
        FailedError: It does not.
    """
    lines = Lines(mark=tool.mark or b"no such mark")
    tool.run(stand_in, OFFERS, read=lines)
    if tool.mark and lines.records != stand_in.shape.records:
        raise FailedError(f"{tool.name} wrote {lines.records} of {stand_in.shape.records} records")


def measure_sandbox() -> dict[str, float]:
    """Fetch bytes from the sandbox, to tell whether it could have been used instead."""
    with (
        Sandbox(integrations=1, offers=SANDBOX_RECORDS, api_key=API_KEY) as sandbox,
        scratch() as folder,
    ):
        work = Work(sandbox.url, sandbox.integration_ids, OFFERS)
        return run(measure(RAW.command(work, folder), folder))


def measure_start_up() -> dict[str, dict[str, float]]:
    """Measure what users wait for before anything is read."""
    with scratch() as folder:
        tap, *config = tap_kombo(work_without_kombo(), folder)[:3]
        naive: list[str | Path] = [TAP.python, "-m", "benchmarks.naive_tap"]
        commands: dict[str, list[str | Path]] = {
            "tap-kombo --version": [tap, "--version"],
            "tap-kombo --discover": [tap, *config, "--discover"],
            "naive SDK tap, --version": [*naive, "--version"],
            "naive SDK tap, --discover": [*naive, *config, "--discover"],
            "Python alone": [TAP.python, "-c", "pass"],
        }
        return {
            name: run(measure(command, folder, cwd=PROJECT)) for name, command in commands.items()
        }
