"""Tables in Markdown, and how figures are written in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.results import Spread

KIB, MIB = 1 << 10, 1 << 20


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """Write a table: so many columns of text, and behind them figures, which stand to the right."""
    rule = [*["---"] * texts, *["---:"] * (len(head) - texts)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows)) + "\n"


def seconds(spread: Spread) -> str:
    """Write the median, with the least and the most behind it if they differ."""
    digits = 1 if spread.middle >= 10 else 2
    low, middle, high = (
        f"{value:.{digits}f}" for value in (spread.low, spread.middle, spread.high)
    )
    return middle if low == high else f"{middle} ({low}–{high})"


def mib(spread: Spread) -> str:
    return f"{spread.middle / MIB:.0f}"


def times(value: float) -> str:
    """Write a ratio, so that a tenth can be told of what is about one."""
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
