"""The chart of docs/performance.md."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.measuring import Results, median_of
from benchmarks.postgres import CHANGED
from benchmarks.report import tables_of
from benchmarks.sections import LATENCY, REQUESTS

# Readable on light and dark pages.
TEXT = "#7a828c"
OWN_COLOR = "#2f81f7"
OTHER_COLOR = "#8b949e"

SETTINGS = {
    "font.size": 9,
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "tap-kombo",  # the same IDs each time
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "ytick.color": TEXT,
}


def write_chart(results: Results, path: Path) -> None:
    """Draw panels of bars, as SVG."""
    tables = tables_of(results)
    panels = {
        f"CPU seconds for {results['computing']['records']:,} offers": ("computing", "cpu"),
        f"Seconds for {REQUESTS} requests that take {LATENCY:g} s each": ("waiting", "wall"),
        f"Seconds to load {results['postgres']['records']:,} offers into PostgreSQL": (
            "first_sync",
            "wall",
        ),
        f"Seconds to load {CHANGED:,} changed offers into PostgreSQL": ("changes", "wall"),
    }
    heights = [2 + len(tables[table]) for table, _ in panels.values()]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8, 0.28 * sum(heights)), layout="constrained")
        axes = figure.subplots(len(panels), height_ratios=heights)
        for axis, (title, (table, name)) in zip(axes, panels.items(), strict=True):
            bars = {tool: median_of(runs, name) for tool, runs in tables[table].items()}
            tools = sorted(bars, key=lambda tool: -bars[tool])
            colors = [OWN_COLOR if "kombo" in tool else OTHER_COLOR for tool in tools]
            # The ids of clip paths depend on rounding errors of the layout.
            drawn = axis.barh(tools, [bars[tool] for tool in tools], color=colors, clip_on=False)
            axis.bar_label(drawn, fmt="%.1f", padding=4)
            axis.set_title(title, loc="left", fontweight="bold")
            axis.spines[:].set_visible(False)
            axis.tick_params(length=0)
            axis.xaxis.set_visible(False)
        figure.savefig(
            path, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
