"""The tools that are measured, and how each is told what to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from benchmarks.environments import AIRBYTE, CLIENT, DLT, TAP, Environment
from benchmarks.measuring import FailedError, Used, measure, scratch
from benchmarks.peers.airbyte_manifest import configured_catalog, manifest
from benchmarks.places import HERE, PROJECT
from benchmarks.stand_in import API_KEY, Counts, StandIn
from benchmarks.streams import PATHS, catalog, schemas


@dataclass(frozen=True)
class Work:
    """What is to be read.

    Attributes:
        streams: Of each integration.
        concurrency: Requests in flight, for those that can; None leaves each tool its default.
        settings: Of tap-kombo, beside those.
    """

    url: str
    integration_ids: Sequence[str]
    streams: Sequence[str]
    concurrency: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


def work_without_kombo() -> Work:
    """Describe what is enough to start: nobody is asked."""
    return Work("http://127.0.0.1:9/v1", ["personio:1"], [])


Command = Callable[[Work, Path], list[str | Path]]
"""Writes what the tool wants to have in files into a folder, and builds its command line."""


@dataclass(frozen=True)
class Tool:
    """Attributes:
    mark: What its messages with a record begin with, near enough; None if it writes none.
    """

    name: str
    environment: Environment
    command: Command
    mark: bytes | None = b'"RECORD"'

    def run(
        self,
        stand_in: StandIn,
        streams: Sequence[str],
        *,
        concurrency: int | None = None,
        settings: Mapping[str, Any] | None = None,
        read: Callable[[IO[bytes]], object] | None = None,
        again: bool = False,
    ) -> tuple[Used, Counts]:
        """Let it read all that the stand-in has of these streams.

        What it finds too large it may ask for `again`.

        Raises:
            FailedError: It failed, or it did not read everything, once.
        """
        shape = stand_in.shape
        work = Work(stand_in.url, shape.integration_ids, streams, concurrency, settings or {})
        stand_in.counts()
        with scratch() as folder:
            command = self.command(work, folder)
            used = measure(command, folder, read=read, cwd=PROJECT)
        counts = stand_in.counts()
        records = shape.records * shape.integrations * len(streams)
        if counts.records < records or (counts.records > records and not again):
            raise FailedError(f"{self.name} read {counts.records} of {records} records")
        return used, counts


def _write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _config(work: Work, **more: Any) -> dict[str, Any]:
    own = {"api_key": API_KEY, "api_url": work.url, "integration_ids": list(work.integration_ids)}
    return {**own, **more}


def tap_kombo(work: Work, folder: Path) -> list[str | Path]:
    concurrency = {} if work.concurrency is None else {"concurrency": work.concurrency}
    config = _write(folder, "config.json", _config(work, **concurrency, **work.settings))
    selected = _write(folder, "catalog.json", catalog(work.streams))
    return [TAP.folder / "bin/tap-kombo", "--config", config, "--catalog", selected]


def _naive_tap(work: Work, folder: Path) -> list[str | Path]:
    config = _write(folder, "config.json", _config(work))
    selected = _write(folder, "catalog.json", catalog(work.streams))
    module = ["-m", "benchmarks.naive_tap"]
    return [TAP.python, *module, "--config", config, "--catalog", selected]


def _airbyte(work: Work, folder: Path) -> list[str | Path]:
    shapes = schemas(work.streams)
    paths = {stream: PATHS[stream] for stream in work.streams}
    # The CDK splits threads between finding partitions and reading them: 1 is not possible.
    content = manifest(paths, shapes, work.concurrency or 4)
    return [
        *(AIRBYTE.folder / "bin/source-declarative-manifest", "read"),
        *("--config", _write(folder, "config.json", _config(work))),
        *("--catalog", _write(folder, "catalog.json", configured_catalog(shapes))),
        *("--manifest-path", _write(folder, "manifest.yaml", content)),
    ]


def _script(
    environment: Environment, script: str, work: Work, folder: Path, **more: Any
) -> list[str | Path]:
    task = {
        "url": work.url,
        "api_key": API_KEY,
        "integration_ids": list(work.integration_ids),
        "paths": {stream: PATHS[stream] for stream in work.streams},
        **more,
    }
    return [environment.python, HERE / "peers" / script, _write(folder, "task.json", task)]


def _official_client(work: Work, folder: Path) -> list[str | Path]:
    return _script(CLIENT, "official_client.py", work, folder, threads=1)


def _official_client_threads(work: Work, folder: Path) -> list[str | Path]:
    threads = work.concurrency or 1
    return _script(CLIENT, "official_client.py", work, folder, threads=threads)


def _dlt(work: Work, folder: Path, *, load: bool) -> list[str | Path]:
    threads = work.concurrency or 1
    return _script(DLT, "dlt_rest_api.py", work, folder, threads=threads, load=load)


TAP_KOMBO = Tool("tap-kombo", TAP, tap_kombo)
NAIVE_TAP = Tool("naive SDK tap", TAP, _naive_tap)
AIRBYTE_CDK = Tool("Airbyte CDK", AIRBYTE, _airbyte)
DLT_EXTRACT = Tool("dlt, extract only", DLT, partial(_dlt, load=False), None)
DLT_LOAD = Tool("dlt, into files", DLT, partial(_dlt, load=True), None)
OFFICIAL_CLIENT = Tool("official client", CLIENT, _official_client, None)
OFFICIAL_CLIENT_THREADS = Tool(
    "official client, own threads", CLIENT, _official_client_threads, None
)
RAW = Tool("limit: bytes only", TAP, partial(_script, TAP, "raw.py"), None)
DECODE_ENCODE = Tool(
    "limit: decode and encode", TAP, partial(_script, TAP, "decode_encode.py"), b'"RECORD"'
)
