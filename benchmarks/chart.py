"""The chart of docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.measuring import Figures, middle
from benchmarks.sections.postgres import DEFAULTS, OWN
from benchmarks.sections.waiting import LATENCY, REQUESTS
from benchmarks.tools import TAP_KOMBO

# Readable on light and dark pages.
TEXT = "#7a828c"
OWN_COLOR = "#2f81f7"
OTHER_COLOR = "#8b949e"
LIMIT_COLOR = "#4ba36b"

SETTINGS = {
    "font.size": 9,
    "svg.fonttype": "none",  # text, not outlines
    "svg.hashsalt": "tap-kombo",  # the same IDs each time
    "text.color": TEXT,
    "axes.labelcolor": TEXT,
    "ytick.color": TEXT,
}


def write_chart(results: Figures, path: Path) -> None:
    """Draw a panel of bars per section, as SVG."""
    panels = list(_panels(results))
    heights = [2 + len(bars) for _, bars in panels]
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(8, 0.28 * sum(heights)), layout="constrained")
        axes = figure.subplots(len(panels), height_ratios=heights)
        for axis, (title, bars) in zip(axes, panels, strict=True):
            names = sorted(bars, key=lambda name: -bars[name])
            colors = [_color(name) for name in names]
            # The ids of clip paths depend on rounding errors of the layout.
            drawn = axis.barh(names, [bars[name] for name in names], color=colors, clip_on=False)
            axis.bar_label(drawn, fmt="%.1f", padding=4)
            axis.set_title(title, loc="left", fontweight="bold")
            axis.spines[:].set_visible(False)
            axis.tick_params(length=0)
            axis.xaxis.set_visible(False)
        figure.savefig(
            path, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )


def _panels(results: Figures) -> Iterator[tuple[str, Mapping[str, float]]]:
    computing, waiting, postgres = results["computing"], results["waiting"], results["postgres"]
    title = f"CPU seconds for {computing['records']:,} offers"
    yield title, _bars(computing["tools"], "full", "cpu")
    title = f"Seconds for {REQUESTS} requests that take {LATENCY:g} s each"
    yield title, _bars(waiting["tools"], "full", "wall")
    pipelines = {name: runs for name, runs in postgres["pipelines"].items() if name != DEFAULTS}
    title = f"Seconds to load {postgres['records']:,} offers into PostgreSQL"
    yield title, _bars(pipelines, "first", "wall")
    title = f"Seconds to load {postgres['changed']:,} changed offers into PostgreSQL"
    yield title, _bars(pipelines, "changes", "wall")


def _bars(tools: Figures, step: str, figure: str) -> dict[str, float]:
    return {name: middle(tool[step], figure) for name, tool in tools.items()}


def _color(name: str) -> str:
    if name.startswith("limit"):
        return LIMIT_COLOR
    return OWN_COLOR if name in (TAP_KOMBO.name, OWN) else OTHER_COLOR
