"""Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.measuring import Run, middle

MIB = 1 << 20

Ratio = tuple[str, str, float]
"""Name, numerator and denominator in words, value"""

Column = Callable[[Sequence[Run]], str]
"""Builds the cell of a series of runs"""


def table(header: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Return a table; columns after the first `texts` are figures, aligned right."""
    rule = ["---"] * texts + ["---:"] * (len(header) - texts)
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))


def runs_table(first: str, runs: Mapping[str, Sequence[Run]], columns: Mapping[str, Column]) -> str:
    """Return a table with a row for each series of runs.

    Args:
        first: The header of the first column, which has the names.
        runs: The series by name.
        columns: The other columns by header.
    """
    rows = ((name, *(build(series) for build in columns.values())) for name, series in runs.items())
    return table((first, *columns), rows)


def spread(runs: Sequence[Run], name: str) -> str:
    """Return the median of a figure, with the range in parentheses."""
    values = [run[name] for run in runs]
    digits = 1 if max(values) >= 10 else 2
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    median = f"{middle(runs, name):.{digits}f}"
    return median if low == high else f"{median} ({low}–{high})"


def wall(runs: Sequence[Run]) -> str:
    return spread(runs, "wall")


def cpu(runs: Sequence[Run]) -> str:
    return spread(runs, "cpu")


def memory(runs: Sequence[Run]) -> str:
    """Return the peak in MiB."""
    return f"{max(run['memory'] for run in runs) / MIB:.0f}"


def number(runs: Sequence[Run]) -> str:
    return str(len(runs))
