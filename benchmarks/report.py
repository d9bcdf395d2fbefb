"""RESULTS.md, and the measurements in docs/performance.md."""

from __future__ import annotations

from string import Template

from benchmarks import FOLDER
from benchmarks.measuring import Figures
from benchmarks.sections import computing, growth, postgres, waiting
from benchmarks.tables import Ratio, table
from harness import PROJECT

SECTIONS = {
    "computing": computing,
    "waiting": waiting,
    "postgres": postgres,
    "growth": growth,
}

CLAIMS = {
    "cpu: naive SDK tap": "CPU of a plain Singer SDK tap",
    "cpu: Airbyte CDK": "CPU of Airbyte's declarative CDK",
    "cpu: dlt, extract only": "CPU of dlt's `rest_api`, before it normalizes and loads",
    "cpu: official client": "CPU of Kombo's official client, which writes nothing",
    "wait: naive SDK tap": "Duration of a plain Singer SDK tap, 0.1 s per request",
    "wait: Airbyte CDK": "Duration of Airbyte's CDK, with the same concurrency",
    "wait: dlt, extract only": "Duration of dlt, with the same concurrency",
    "postgres, first, time: dlt": "Duration of a first sync into PostgreSQL with dlt",
    "postgres, first, time: PyAirbyte": "Duration of a first sync into PostgreSQL with PyAirbyte",
    "postgres, changes, time: dlt": "Duration of a sync of changes into PostgreSQL with dlt",
    "postgres, changes, time: PyAirbyte": (
        "Duration of a sync of changes into PostgreSQL with PyAirbyte"
    ),
    f"postgres, first, time: {postgres.DEFAULTS}": (
        "Duration of a first sync into PostgreSQL with the default settings of target-postgres, "
        "instead of those in `meltano.yml`"
    ),
}
"""Name of a ratio -> its description in docs/performance.md"""

BEGIN = "<!-- measurements: written by `make bench` -->\n"
END = "<!-- end of measurements -->\n"


def ratios(results: Figures) -> list[Ratio]:
    return [ratio for name, section in SECTIONS.items() for ratio in section.ratios(results[name])]


def results_page(results: Figures) -> str:
    """Build RESULTS.md."""
    rows = ((name, what, f"{value:.2f}") for name, what, value in ratios(results))
    values = {"ratios": table(("Name", "Ratio", "Value"), rows, texts=2)}
    for name, section in SECTIONS.items():
        figures = results[name]
        versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
        where = f"Measured {figures['measured']} on {figures['machine']}. {versions}."
        values |= section.texts(figures) | {f"{name}_measured": where}
    return Template((FOLDER / "template.md").read_text()).substitute(values)


def with_measurements(page: str, results: Figures) -> str:
    """Replace the measurements in docs/performance.md."""
    values = {name: value for name, _, value in ratios(results)}
    rows = ((claim, f"{values[name]:.1f}") for name, claim in CLAIMS.items())
    claims = table(("Measurement", "Ratio to tap-kombo"), rows)
    memory = growth.most_memory(results["growth"]) / 1e6
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return (
        f"{before}{BEGIN}{claims}\n\n"
        f"The tap used at most {memory:.0f} MB of memory, with eight requests in flight, records "
        f"of 1 KB to 1 MB, and a fast or slow target.\n{END}{after}"
    )


def write_report(results: Figures) -> None:
    """Write RESULTS.md, and the measurements into docs/performance.md."""
    (FOLDER / "RESULTS.md").write_text(results_page(results))
    page = PROJECT / "docs/performance.md"
    page.write_text(with_measurements(page.read_text(), results))
