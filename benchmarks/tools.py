"""The tools that are measured, and their command lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import CACHE, FOLDER
from benchmarks.competitors.airbyte_source import configured_catalog, manifest
from benchmarks.measuring import BenchmarkError, Run, measure
from benchmarks.stand_in import API_KEY, StandIn
from benchmarks.streams import OFFERS, catalog, paths
from harness.processes import private_folder

TAP_BIN = CACHE / "tap/bin"
"""Without development dependencies: the SDK imports numpy, for example, if it is installed."""

AIRBYTE_BIN = CACHE / "airbyte/bin"
DLT_BIN = CACHE / "dlt/bin"

Arguments = list[str | Path]


@dataclass(frozen=True)
class Job:
    """The data that a tool reads.

    Attributes:
        kombo: The stand-in.
        streams: The streams of each integration.
        concurrency: Requests in flight, if the tool supports it.
    """

    kombo: StandIn
    streams: Sequence[str] = OFFERS
    concurrency: int = 4

    @property
    def config(self) -> dict[str, Any]:
        """The settings of tap-kombo, the naive tap and the Airbyte source."""
        return {
            "api_key": API_KEY,
            "api_url": self.kombo.url,
            "integration_ids": self.kombo.integration_ids,
        }

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the Airbyte source."""
        return manifest(self.streams, self.concurrency)


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def singer_files(job: Job, folder: Path, **settings: Any) -> Arguments:
    """Write config and catalog, and return the arguments that name them."""
    return [
        *("--config", write(folder, "config.json", job.config | settings)),
        *("--catalog", write(folder, "catalog.json", catalog(job.streams))),
    ]


def tap_kombo(job: Job, folder: Path) -> Arguments:
    return [TAP_BIN / "tap-kombo", *singer_files(job, folder, concurrency=job.concurrency)]


def source_kombo(job: Job, folder: Path) -> Arguments:
    return [
        *(TAP_BIN / "source-kombo", "read"),
        *("--config", write(folder, "config.json", job.config | {"concurrency": job.concurrency})),
        *("--catalog", write(folder, "catalog.json", configured_catalog(job.streams))),
    ]


def naive_tap(job: Job, folder: Path) -> Arguments:
    module = "benchmarks.competitors.naive_tap"
    return [TAP_BIN / "python", "-m", module, *singer_files(job, folder)]


def airbyte_cdk(job: Job, folder: Path) -> Arguments:
    return [
        *(AIRBYTE_BIN / "source-declarative-manifest", "read"),
        *("--config", write(folder, "config.json", job.config)),
        *("--catalog", write(folder, "catalog.json", configured_catalog(job.streams))),
        *("--manifest-path", write(folder, "manifest.yaml", job.manifest)),
    ]


def script(python: Path, name: str, job: Job, folder: Path, **fields: Any) -> Arguments:
    """Write the task of a competitor's script, and return its command line."""
    task = {
        **job.config,
        "paths": paths(job.streams),
        "concurrency": job.concurrency,
        **fields,
    }
    return [python, FOLDER / "competitors" / name, write(folder, "task.json", task)]


dlt = partial(script, DLT_BIN / "python", "dlt_rest_api.py")

TAP_KOMBO = "tap-kombo"
OFFICIAL_CLIENT = "official client"

WRITERS: dict[str, Callable[[Job, Path], Arguments]] = {
    TAP_KOMBO: tap_kombo,
    "source-kombo": source_kombo,
    "naive SDK tap": naive_tap,
    "Airbyte CDK": airbyte_cdk,
}
"""Tools that write a line with `"RECORD"` for each record"""

TOOLS = WRITERS | {
    "dlt, extract only": dlt,
    OFFICIAL_CLIENT: partial(script, TAP_BIN / "python", "official_client.py"),
}
"""Tool -> the function that writes its files into a folder and returns its command line"""


def run(tool: str, job: Job, pause: float | None = None) -> Run:
    """Read all records of a job.

    Args:
        tool: A name in `TOOLS`.
        job: The data to read.
        pause: Seconds to sleep after each 64 KiB of its output; None to discard the output.

    Returns:
        The usage of the process, and the counts of the stand-in.

    Raises:
        BenchmarkError: The tool failed, or did not write each record once. If the output is
            discarded, the tool did not request each record once.
    """
    job.kombo.counts()
    with private_folder("kombo-bench-") as folder:
        found = measure(TOOLS[tool](job, folder), folder, pause) | job.kombo.counts()
    expected = job.kombo.shape.records * job.kombo.shape.integrations * len(job.streams)
    records = found["records" if pause is None else "written"]
    if records != expected:
        raise BenchmarkError(f"{tool}: {records} of {expected} records")
    return found
