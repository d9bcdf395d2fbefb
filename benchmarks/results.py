"""The figures, as they were measured: one file, a part for each section."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.environments import ENVIRONMENTS
from benchmarks.measuring import Used
from benchmarks.stand_in import Counts

Figures = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """Attributes:
    middle: The median; `low` and `high` are the least and the most.
    """

    middle: float
    low: float
    high: float


def spread(runs: Sequence[Mapping[str, float]], what: str) -> Spread:
    """Summarise runs.

    Args:
        runs: As `run` wrote them down.
        what: `wall`, `cpu`, `rss`, ...
    """
    values = [each[what] for each in runs]
    return Spread(median(values), min(values), max(values))


def run(used: Used, counts: Counts | None = None) -> dict[str, float]:
    """Write down one run; what the stand-in saw begins with `kombo_`."""
    seen = {} if counts is None else {f"kombo_{name}": n for name, n in asdict(counts).items()}
    return {**asdict(used), **seen}


def load(path: Path) -> Figures:
    if not path.exists():
        return {}
    content: Figures = json.loads(path.read_text(encoding="utf-8"))
    return content


def save(path: Path, section: str, figures: Figures) -> None:
    """Put a section's figures into the file; those of the others stay."""
    content = load(path)
    content[section] = {
        "measured": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "versions": versions(),
        **figures,
    }
    ordered = {name: content[name] for name in sorted(content)}
    path.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    return {
        package: version
        for environment in ENVIRONMENTS
        for package, version in environment.installed().items()
    }


def machine() -> str:
    """Describe the machine, without its name."""
    cpus = os.sched_getaffinity(0)
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.split(": ")[1] for line in text.splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{len(cpus)} CPUs ({models[0] if models else platform.machine()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    )
