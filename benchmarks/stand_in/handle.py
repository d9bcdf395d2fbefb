"""A stand-in as a process of its own, started and asked from Python."""

from __future__ import annotations

import hashlib
import http.client
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.places import CACHE, PROJECT
from benchmarks.stand_in.harvest import harvest
from benchmarks.streams import PATHS

API_KEY = "ks_stand_in"


@dataclass(frozen=True)
class Shape:
    """How much the stand-in holds, and how it answers.

    Attributes:
        integrations: How many connections there are.
        records: How many records each stream of each of them has.
        page_records: A page holds no more, whatever is asked for.
        latency: Seconds that each request takes.
        record_bytes: Each record is filled up to this size; 0 leaves it as it is.
        categories: What kinds of models the connections have.
    """

    integrations: int = 1
    records: int = 0
    page_records: int = 250
    latency: float = 0.0
    record_bytes: int = 0
    categories: Sequence[str] = ("ATS",)

    @property
    def integration_ids(self) -> list[str]:
        return [f"personio:{number:024d}" for number in range(1, self.integrations + 1)]


@dataclass(frozen=True)
class Counts:
    """What the stand-in saw since it was asked the last time.

    Attributes:
        requests: All of them; `pages` are those for a page of records.
        bytes: Of the pages.
        most_at_once: The most requests that waited for their answer at the same time.
        connections: How many were opened and used.
        cpu: Seconds of CPU that the stand-in itself needed.
    """

    requests: int
    pages: int
    records: int
    bytes: int
    most_at_once: int
    connections: int
    cpu: float


class StandIn:
    """Runs until the end of the block; attributes: `url`, `shape`."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.stand_in", harvested()),
                f"--records={shape.records}",
                f"--page-records={shape.page_records}",
                f"--record-bytes={shape.record_bytes}",
                f"--latency={shape.latency}",
                f"--categories={','.join(shape.categories)}",
            ],
            cwd=PROJECT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self._stop()
            raise RuntimeError("the stand-in did not start; it says why on stderr")
        self._port = int(line)
        self.url = f"http://127.0.0.1:{self._port}/v1"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def counts(self) -> Counts:
        """Ask what was counted since the last time."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("GET", "/counts")
        counts = Counts(**json.loads(connection.getresponse().read()))
        connection.close()
        return counts

    def _stop(self) -> None:
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def harvested() -> Path:
    """Find what the sandbox, as it is now, made; made once, because it takes seconds."""
    sources = sorted((PROJECT / "packages/kombo-sandbox/kombo_sandbox").rglob("*.py"))
    content = b"".join(source.read_bytes() for source in sources)
    path = CACHE / f"kombo-{hashlib.sha256(content).hexdigest()[:16]}.json"
    if not path.exists():
        harvest(path, list(PATHS))
    return path
