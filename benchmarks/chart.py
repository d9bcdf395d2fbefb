"""The chart of the README: bars for CPU and for waiting, legible on light and on dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from benchmarks.ratios import TAP, middle
from benchmarks.results import Figures

WIDTH = 760
LABEL = 210
BAR = 20
ROW = 30
TITLE = 44

# A README's picture does not know whether the page is light or dark: these stand out on both.
TEXT = "#7a828c"
OWN = "#2f81f7"
OTHERS = "#8b949e"
LIMITS = "#4ba36b"


def chart(figures: Figures) -> str:
    """Draw what there are figures of, as SVG."""
    panels = list(_panels(figures))
    height = sum(TITLE + ROW * len(bars) for _, bars in panels) + 10
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" '
        f'font-size="14" fill="{TEXT}">'
    )
    title = "tap-kombo beside other ways to read Kombo: shorter is better"
    lines = [head, f"<title>{title}</title>"]
    top = 0
    for title, bars in panels:
        lines += _panel(title, bars, top)
        top += TITLE + ROW * len(bars)
    return "\n".join([*lines, "</svg>\n"])


def _panels(figures: Figures) -> Iterator[tuple[str, dict[str, float]]]:
    if "computing" in figures:
        computing = figures["computing"]
        title = f"CPU seconds for {computing['records']:,} offers"
        yield title, _bars(computing["tools"], "cpu")
    if "waiting" in figures:
        [first, *_] = figures["waiting"]["cases"].values()
        latency = figures["waiting"]["latency"] * 1000
        title = f"Seconds for {first['requests']} requests that take {latency:.0f} ms each"
        yield title, _bars(first["tools"], "wall")


def _bars(tools: Figures, what: str) -> dict[str, float]:
    bars = {name: middle(tool["full"], what) for name, tool in tools.items()}
    return dict(sorted(bars.items(), key=lambda bar: bar[1]))


def _panel(title: str, bars: dict[str, float], top: int) -> Iterator[str]:
    yield f'<text x="0" y="{top + 26}" font-weight="600">{escape(title)}</text>'
    scale = (WIDTH - LABEL - 60) / max(bars.values())
    for number, (name, value) in enumerate(bars.items()):
        y = top + TITLE + ROW * number
        colour = OWN if name == TAP else LIMITS if name.startswith("limit") else OTHERS
        weight = ' font-weight="700"' if name == TAP else ""
        width = max(value * scale, 2)
        yield (
            f'<text x="{LABEL - 10}" y="{y + 15}" text-anchor="end"{weight}>{escape(name)}</text>'
            f'<rect x="{LABEL}" y="{y}" width="{width:.1f}" height="{BAR}" rx="3" fill="{colour}"/>'
            f'<text x="{LABEL + width + 8:.1f}" y="{y + 15}"{weight}>{value:.1f}</text>'
        )
