"""RESULTS.md and the chart, from the figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.chart import chart
from benchmarks.notes import NOTES
from benchmarks.ratios import beyond_start_up, middle, ratios, record_costs
from benchmarks.results import Figures, spread
from benchmarks.tables import MIB, mib, seconds, table, times

INTRODUCTION = """\
# How fast tap-kombo is

Written by `make bench` from `results.json`: change nothing here by hand. Each figure is the median
of runs of real processes, measured from outside; the least and the most stand in brackets. The
tools take turns, so that a slow minute of the machine is everybody's. CPU is user and system time
of the whole process, from start to end.

Kombo is a stand-in (`benchmarks/stand_in`): a server in a process of its own that answers with
Kombo's paths, headers and cursors, and with records that the sandbox made, but needs next to no
time for it. It counts what is read of it, and a run in which that is not every record, once, fails.
"""

HOW = {
    "computing": """\
{records:,} offers of {record_bytes} bytes on average, 250 a page, of one integration, no latency;
output to /dev/null, or to files where a tool must. Each tool does as many requests at a time as it
does by itself. "Start-up" is the same with an empty Kombo; "a record" is what is left, divided by
the records.
""",
    "waiting": """\
Each request takes {latency:g} s; {page_records} records a page, as in a nightly run. Tools that can
do several requests at a time do {concurrency}. The floor is requests × latency ÷ {concurrency}.
"Start-up" is the same streams of one empty integration without latency. What waits for each request
before it asks for the next is run once.
""",
    "growth": """\
tap-kombo alone. CPU is that beyond start-up, divided by the records.
""",
    "pipeline": """\
`meltano run tap-kombo target-postgres`, {records:,} offers into an empty PostgreSQL on the same
machine. CPU is that of Meltano, the tap and the target, without PostgreSQL's.
""",
}


WAITING_HEAD = (
    "Tool",
    "Time, s",
    "of it start-up, s",
    "the rest ÷ floor",
    "CPU, s",
    "Memory, MiB",
    "most requests at once",
    "connections",
    "runs",
)
INTEGRATIONS_HEAD = (
    "Integrations",
    "offers each",
    "CPU a record, µs",
    "Time, s",
    "Memory, MiB",
    "runs",
)
STATE_HEAD = (
    "Integrations",
    "STATE lines",
    "bytes of the last, an integration",
    "bytes of all, an integration",
    "of the whole output",
    "Time, s",
)


def write(figures: Figures, folder: Path) -> None:
    """Write both into a folder."""
    text = "\n".join(part.rstrip("\n") + "\n" for part in _parts(figures))
    (folder / "RESULTS.md").write_text(text, encoding="utf-8")
    (folder / "chart.svg").write_text(chart(figures), encoding="utf-8")


def _parts(figures: Figures) -> Iterator[str]:
    yield INTRODUCTION
    yield "## Ratios"
    yield table(
        ("Name", "What is divided by what", "Ratio"),
        ((name, what, times(value)) for name, what, value in ratios(figures)),
        texts=2,
    )
    sections = {
        "computing": _computing,
        "waiting": _waiting,
        "growth": _growth,
        "pipeline": _pipeline,
    }
    for name, section in sections.items():
        if name in figures:
            yield f"## {name.capitalize()}"
            yield HOW[name].format(**figures[name])
            yield from section(figures[name])
            yield _where(figures[name])
    yield "## Not like for like"
    yield "\n".join(f"- **{name}** {note}" for name, note in NOTES.items())


def _where(figures: Figures) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    return f"Measured {figures['measured']} on {figures['machine']}. {versions}."


def _computing(figures: Figures) -> Iterator[str]:
    records, tools = figures["records"], figures["tools"]
    yield table(
        ("Tool", "CPU, s", "of it start-up, s", "a record, µs", "Time, s", "Memory, MiB"),
        (
            (
                name,
                seconds(spread(tool["full"], "cpu")),
                seconds(spread(tool["empty"], "cpu")),
                f"{beyond_start_up(tool, records) * 1e6:.1f}",
                seconds(spread(tool["full"], "wall")),
                mib(spread(tool["full"], "rss")),
            )
            for name, tool in tools.items()
        ),
    )
    yield _limit(figures)
    yield "Before anything is read:"
    yield table(
        ("Command", "Time, s", "CPU, s", "Memory, MiB"),
        (
            (
                f"`{name}`" if name.startswith("tap") else name,
                seconds(spread(runs, "wall")),
                seconds(spread(runs, "cpu")),
                mib(spread(runs, "rss")),
            )
            for name, runs in figures["start_up"].items()
        ),
    )


def _limit(figures: Figures) -> str:
    """Tell whether it was the server that kept the tools waiting."""
    raw, sandbox = figures["tools"]["limit: bytes only"], figures["sandbox"]
    wall, start_up = middle(raw["full"], "wall"), middle(raw["empty"], "wall")
    fastest = min(
        middle(tool["full"], "wall")
        for name, tool in figures["tools"].items()
        if not name.startswith("limit")
    )
    stand_in = figures["records"] / (wall - start_up)
    other = sandbox["records"] / (sandbox["wall"] - start_up)
    return (
        f"The stand-in is not the limit: who only fetches its bytes is done in {wall:.2f} s, for "
        f"which it needs {middle(raw['full'], 'kombo_cpu'):.2f} s of CPU itself; the fastest of "
        f"the tools takes {fastest:.2f} s. It serves {stand_in:,.0f} records a second to such a "
        f"client, and the sandbox {other:,.0f}."
    )


def _waiting(figures: Figures) -> Iterator[str]:
    for name, case in figures["cases"].items():
        yield f"### {name}"
        yield f"{case['requests']} requests for pages; the floor is {case['floor']:.1f} s."
        yield table(
            WAITING_HEAD,
            (
                (
                    tool,
                    seconds(spread(runs["full"], "wall")),
                    seconds(spread(runs["empty"], "wall")),
                    times(_over_floor(runs, case["floor"])),
                    seconds(spread(runs["full"], "cpu")),
                    mib(spread(runs["full"], "rss")),
                    f"{spread(runs['full'], 'kombo_most_at_once').high:.0f}",
                    f"{middle(runs['full'], 'kombo_connections'):.0f}",
                    str(len(runs["full"])),
                )
                for tool, runs in case["tools"].items()
            ),
        )


def _over_floor(runs: Figures, floor: float) -> float:
    return (middle(runs["full"], "wall") - middle(runs["empty"], "wall")) / floor


def _use(cost: float, runs: Any) -> tuple[str, ...]:
    """Tell what a volume takes: `cost` is in seconds of CPU for each record."""
    return (
        f"{cost * 1e6:.1f}",
        seconds(spread(runs, "wall")),
        mib(spread(runs, "rss")),
        str(len(runs)),
    )


def _growth(figures: Figures) -> Iterator[str]:
    each, one = figures["records_each"], figures["records_of_one"]
    costs = record_costs(figures, "integrations")
    yield table(
        INTEGRATIONS_HEAD,
        (
            (
                f"{int(count):,}",
                f"{one if count == '1' else each:,}",
                *_use(costs[count], runs),
            )
            for count, runs in figures["integrations"].items()
        ),
    )
    yield f"STATE, with {figures['state_records_each']} offers of each integration:"
    yield table(
        STATE_HEAD,
        (
            (
                f"{int(count):,}",
                str(state["lines"]),
                f"{state['last'] / int(count):,.0f}",
                f"{state['bytes'] / int(count):,.0f}",
                f"{state['bytes'] / state['output']:.0%}",
                f"{state['wall']:.1f}",
            )
            for count, state in figures["states"].items()
        ),
    )
    costs = record_costs(figures, "records")
    yield table(
        ("Offers of one integration", "CPU a record, µs", "Time, s", "Memory, MiB", "runs"),
        (
            (
                f"{int(count):,}",
                *_use(costs[count], runs),
            )
            for count, runs in figures["records"].items()
        ),
    )
    yield "Memory with eight requests in flight over eight integrations:"
    yield table(
        ("What", "Memory, MiB", "Time, s"),
        (
            (name, f"{used['rss'] / MIB:.0f}", f"{used['wall']:.1f}")
            for name, used in figures["memory"].items()
        ),
    )
    grown = [*figures["integrations"].values(), *figures["records"].values()]
    runs = [*(run for runs in grown for run in runs), *figures["memory"].values()]
    yield f"The most memory of all these runs: {spread(runs, 'rss').high / 1e6:.0f} MB."


def _pipeline(figures: Figures) -> Iterator[str]:
    records = figures["records"]
    start_up = middle(figures["nothing"], "wall")
    rows = [
        (
            f"target-postgres, {name}",
            seconds(spread(runs, "wall")),
            f"{records / (middle(runs, 'wall') - start_up):,.0f}",
            seconds(spread(runs, "cpu")),
        )
        for name, runs in figures["loads"].items()
    ]
    nothing, alone = figures["nothing"], figures["tap_alone"]
    rows += [
        (
            "an empty Kombo: what Meltano and the start of all cost",
            seconds(spread(nothing, "wall")),
            "",
            seconds(spread(nothing, "cpu")),
        ),
        (
            "tap-kombo alone, to /dev/null, with its start-up",
            seconds(spread(alone, "wall")),
            "",
            seconds(spread(alone, "cpu")),
        ),
    ]
    yield table(("What", "Time, s", "records a second beyond start-up", "CPU, s"), rows)
