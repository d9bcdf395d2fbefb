"""A stand-in for Kombo, in a separate process that needs less CPU than any client."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from benchmarks import CACHE
from benchmarks.measuring import Run
from benchmarks.stand_in_server import Shape
from benchmarks.streams import STREAMS, paths
from harness import PROJECT
from harness.processes import running, stop_group
from kombo_sandbox import Sandbox

API_KEY = "ks_stand_in"

SAMPLES = 50
"""The number of different records of each model"""


@dataclass(frozen=True)
class StandIn:
    """A running stand-in.

    Attributes:
        shape: Its data.
        address: Its URL without `/v1`.
    """

    shape: Shape
    address: str

    @property
    def url(self) -> str:
        return f"{self.address}/v1"

    @property
    def integration_ids(self) -> list[str]:
        return [f"personio:{number:024d}" for number in range(1, self.shape.integrations + 1)]

    def counts(self) -> Run:
        """Return `records` sent, requests `most_at_once` and `kombo_cpu` since the last call."""
        counts: Run = self._get("/control/counts")
        return counts

    def change(self, records: int) -> None:
        """Change the first records of each stream and integration."""
        self._get(f"/control/change?records={records}")

    def first_records(self, stream: str) -> list[dict[str, Any]]:
        """Return the first page of a stream of the first integration."""
        [path] = paths([stream]).values()
        records: list[dict[str, Any]] = self._get(f"/v1{path}")["data"]["results"]
        return records

    def _get(self, path: str) -> Any:
        headers = {"X-Integration-Id": self.integration_ids[0]}
        with urlopen(Request(self.address + path, headers=headers)) as response:  # noqa: S310  # always http
            return json.load(response)


@contextlib.contextmanager
def stand_in(shape: Shape) -> Iterator[StandIn]:
    """Start a stand-in, and stop it when the block ends."""
    server = "benchmarks.stand_in_server"
    shape_text = json.dumps(asdict(shape))
    command: list[str | Path] = [sys.executable, "-m", server, _samples(), shape_text]
    with running(
        lambda: subprocess.Popen(
            command, cwd=PROJECT, stdout=subprocess.PIPE, text=True, start_new_session=True
        ),
        stop_group,
    ) as process:
        port = process.stdout.readline().strip() if process.stdout else ""
        yield StandIn(shape, f"http://127.0.0.1:{port}")


@cache
def _samples() -> Path:
    """Write records of each model, and an integration's details, to a file."""
    with Sandbox(
        integrations=3,
        categories=("ATS", "HRIS", "LMS"),
        offers=SAMPLES,
        employees=SAMPLES,
        clock="2026-11-01T00:00:00.000Z",
    ) as sandbox:
        [details, *_] = sandbox.records("integrations")
        samples = {
            "records": {model: sandbox.records(model)[:SAMPLES] for model in STREAMS},
            "integration": details | {"read_models": sandbox.records("integration_models")},
        }
    CACHE.mkdir(parents=True, exist_ok=True)
    path = CACHE / "samples.json"
    path.write_text(json.dumps(samples, ensure_ascii=False))
    return path
