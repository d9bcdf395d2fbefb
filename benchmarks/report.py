"""RESULTS.md, and the measurements in docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from string import Template

from benchmarks import FOLDER
from benchmarks.measuring import Results, Run, Tables, median_of
from benchmarks.postgres import DEFAULTS
from harness import PROJECT

CLAIMS = {
    "CPU of a plain Singer SDK tap": ("computing", "cpu", "naive SDK tap"),
    "CPU of Airbyte's declarative CDK": ("computing", "cpu", "Airbyte CDK"),
    "CPU of dlt's `rest_api`, before it normalizes and loads": (
        "computing",
        "cpu",
        "dlt, extract only",
    ),
    "CPU of Kombo's official client, which writes nothing": (
        "computing",
        "cpu",
        "official client",
    ),
    "Duration of a plain Singer SDK tap, 0.1 s per request": ("waiting", "wall", "naive SDK tap"),
    "Duration of Airbyte's CDK, with the same concurrency": ("waiting", "wall", "Airbyte CDK"),
    "Duration of dlt, with the same concurrency": ("waiting", "wall", "dlt, extract only"),
    "Duration of a first sync into PostgreSQL with dlt": ("first_sync", "wall", "dlt"),
    "Duration of a first sync into PostgreSQL with PyAirbyte": ("first_sync", "wall", "PyAirbyte"),
    "Duration of a sync of changes into PostgreSQL with dlt": ("changes", "wall", "dlt"),
    "Duration of a sync of changes into PostgreSQL with PyAirbyte": (
        "changes",
        "wall",
        "PyAirbyte",
    ),
    "Duration of a first sync into PostgreSQL with the default settings of target-postgres, "
    "instead of those in `meltano.yml`": ("first_sync", "wall", DEFAULTS),
}
"""Ratio to tap-kombo in docs/performance.md -> table, figure and row"""

COLUMNS = {
    "wall": ("Time, s", 1, 1),
    "cpu": ("CPU, s", 1, 1),
    "memory": ("Memory, MB", 1e6, 0),
    "most_at_once": ("Requests in flight", 1, 0),
    "kombo_cpu": ("CPU of the stand-in, s", 1, 1),
}
"""Figure -> header, unit and decimals; a table has those that were measured"""

BEGIN = "<!-- measurements: written by `make bench` -->\n"
END = "<!-- end of measurements -->\n"


def write_report(results: Results) -> None:
    """Write RESULTS.md, and the measurements into docs/performance.md."""
    (FOLDER / "RESULTS.md").write_text(results_page(results))
    page = PROJECT / "docs/performance.md"
    page.write_text(with_measurements(page.read_text(), results))


def tables_of(results: Results) -> Tables:
    return {name: rows for part in results.values() for name, rows in part["tables"].items()}


def results_page(results: Results) -> str:
    """Build RESULTS.md."""
    tables = tables_of(results)
    values = {name: runs_table(rows) for name, rows in tables.items()}
    for name, section in results.items():
        versions = ", ".join(f"{name} {version}" for name, version in section["versions"].items())
        values[f"{name}_offers"] = f"{section['records']:,}"
        values[f"{name}_measured"] = (
            f"Measured {section['measured']} on {section['machine']}. {versions}. "
            f"Runs: {section['rounds']}."
        )
    startup, *sizes = tables["growth_records"].values()
    integrations = list(tables["growth_integrations"].values())
    values["growth_by_records"] = f"{cpu_growth(sizes, startup):.1f}"
    values["growth_by_integrations"] = f"{cpu_growth(integrations, startup):.1f}"
    return Template((FOLDER / "template.md").read_text()).substitute(values)


def with_measurements(page: str, results: Results) -> str:
    """Replace the measurements in docs/performance.md."""
    tables = tables_of(results)
    rows = []
    for claim, (table, figure, name) in CLAIMS.items():
        own = next(iter(tables[table].values()))
        ratio = median_of(tables[table][name], figure) / median_of(own, figure)
        rows.append((claim, f"{ratio:.1f}"))
    grown = results["growth"]["tables"].values()
    memory = max(run["memory"] for rows in grown for runs in rows.values() for run in runs)
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return (
        f"{before}{BEGIN}{markdown_table(('Measurement', 'Ratio to tap-kombo'), rows)}\n\n"
        f"The tap used at most {memory / 1e6:.0f} MB of memory, with eight requests in flight, "
        f"records of 1 KB to 1 MB, and a fast or slow target.\n{END}{after}"
    )


def cpu_growth(sizes: Sequence[Sequence[Run]], startup: Sequence[Run]) -> float:
    """Return the CPU per record of the largest size, without startup, relative to the smallest."""
    small, large = (
        (median_of(runs, "cpu") - median_of(startup, "cpu")) / median_of(runs, "records")
        for runs in (sizes[0], sizes[-1])
    )
    return large / small


def runs_table(rows: Mapping[str, Sequence[Run]]) -> str:
    """Return a table of medians, with a row for each series of runs."""
    measured = next(iter(rows.values()))[0]
    columns = {figure: column for figure, column in COLUMNS.items() if figure in measured}
    lines = [
        [
            f"{median_of(runs, figure) / unit:,.{decimals}f}"
            for figure, (_, unit, decimals) in columns.items()
        ]
        for runs in rows.values()
    ]
    return markdown_table(
        ("", *(header for header, _, _ in columns.values())),
        ((name, *line) for name, line in zip(rows, lines, strict=True)),
    )


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; all columns but the first are figures, aligned right."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows))
