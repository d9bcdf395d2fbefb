"""The tools that are measured, and their command lines."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks import CACHE, FOLDER
from benchmarks.competitors.airbyte_source import configured_catalog, manifest
from benchmarks.measuring import BenchmarkError, Run, measure
from benchmarks.stand_in import API_KEY, StandIn
from benchmarks.streams import catalog, paths, schemas
from harness.processes import private_folder

TAP_BIN = CACHE / "tap/bin"
"""Without development dependencies: the SDK imports numpy, for example, if it is installed."""

AIRBYTE_BIN = CACHE / "airbyte/bin"
DLT_BIN = CACHE / "dlt/bin"

Arguments = list[str | Path]


@dataclass(frozen=True)
class Job:
    """What a tool reads.

    Attributes:
        kombo: The stand-in.
        streams: The streams of each integration.
        concurrency: Requests in flight, if the tool supports it; None for its default.
        settings: More settings of tap-kombo.
    """

    kombo: StandIn
    streams: Sequence[str]
    concurrency: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """The settings that tap-kombo, the naive tap and the Airbyte source have."""
        return {
            "api_key": API_KEY,
            "api_url": self.kombo.url,
            "integration_ids": self.kombo.integration_ids,
        }

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of the Airbyte source; 4 is the usual concurrency of connectors."""
        return manifest(paths(self.streams), schemas(self.streams), self.concurrency or 4)


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        name: Its name in RESULTS.md.
        command: Writes its files into a folder and returns its command line.
    """

    name: str
    command: Callable[[Job, Path], Arguments]

    def run(
        self,
        job: Job,
        read: Callable[[IO[bytes]], object] | None = None,
        *,
        repeats: bool = False,
    ) -> Run:
        """Read all records of a job.

        Args:
            job: What to read.
            read: Reads the output; without, it is discarded.
            repeats: Whether records may be requested more than once.

        Returns:
            The usage of the process, and the counts of the stand-in.

        Raises:
            BenchmarkError: It failed, or did not read all records.
        """
        job.kombo.counts()
        with private_folder("kombo-bench-") as folder:
            usage = measure(self.command(job, folder), folder, read)
        counts = job.kombo.counts()
        shape = job.kombo.shape
        records = shape.records * shape.integrations * len(job.streams)
        if counts.records < records or (counts.records > records and not repeats):
            raise BenchmarkError(f"{self.name} read {counts.records} of {records} records")
        return {**asdict(counts), **usage, "kombo_cpu": counts.cpu}


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def singer_files(job: Job, folder: Path, settings: Mapping[str, Any]) -> Arguments:
    """Write config and catalog, and return the arguments that name them."""
    return [
        *("--config", write(folder, "config.json", {**job.config, **settings})),
        *("--catalog", write(folder, "catalog.json", catalog(job.streams))),
    ]


def tap_kombo(job: Job, folder: Path) -> Arguments:
    concurrency = {"concurrency": job.concurrency} if job.concurrency else {}
    return [TAP_BIN / "tap-kombo", *singer_files(job, folder, {**job.settings, **concurrency})]


def naive_tap(job: Job, folder: Path) -> Arguments:
    return [
        TAP_BIN / "python",
        "-m",
        "benchmarks.competitors.naive_tap",
        *singer_files(job, folder, {}),
    ]


def airbyte_cdk(job: Job, folder: Path) -> Arguments:
    selected = configured_catalog(schemas(job.streams))
    return [
        *(AIRBYTE_BIN / "source-declarative-manifest", "read"),
        *("--config", write(folder, "config.json", job.config)),
        *("--catalog", write(folder, "catalog.json", selected)),
        *("--manifest-path", write(folder, "manifest.yaml", job.manifest)),
    ]


def script(python: Path, name: str, job: Job, folder: Path, **fields: Any) -> Arguments:
    """Write the task of a competitor's script, and return its command line."""
    task = {
        "api_key": API_KEY,
        "url": job.kombo.url,
        "integration_ids": job.kombo.integration_ids,
        "paths": paths(job.streams),
        "threads": job.concurrency or 1,
        **fields,
    }
    return [python, FOLDER / "competitors" / name, write(folder, "task.json", task)]


dlt = partial(script, DLT_BIN / "python", "dlt_rest_api.py")
client = partial(script, TAP_BIN / "python", "official_client.py")
limit = partial(script, TAP_BIN / "python", "limits.py")

TAP_KOMBO = Tool("tap-kombo", tap_kombo)
NAIVE_TAP = Tool("naive SDK tap", naive_tap)
AIRBYTE_CDK = Tool("Airbyte CDK", airbyte_cdk)
DLT_EXTRACT = Tool("dlt, extract only", partial(dlt, until="extract"))
DLT_LOAD = Tool("dlt, into files", partial(dlt, until="load"))
OFFICIAL_CLIENT = Tool("official client", partial(client, threads=1))
OFFICIAL_CLIENT_THREADS = Tool("official client, own threads", client)
RECEIVE = Tool("limit: bytes only", partial(limit, encode=False))
ENCODE = Tool("limit: decode and encode", partial(limit, encode=True))
