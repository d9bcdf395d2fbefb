"""Runs of the real `tap-kombo` process, and what came out of them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kombo_sandbox import Sandbox

TAP = str(Path(sys.executable).with_name("tap-kombo"))


@dataclass(frozen=True)
class TapRun:
    """What a process of the tap left behind."""

    code: int
    stdout: bytes
    stderr: str

    @cached_property
    def messages(self) -> list[dict[str, Any]]:
        assert not self.stdout or self.stdout.endswith(b"\n"), "the last line is cut"
        return [json.loads(line) for line in self.stdout.splitlines()]

    @cached_property
    def records(self) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for message in self.messages:
            if message["type"] == "RECORD":
                found[message["stream"]].append(message["record"])
        return found

    @cached_property
    def schemas(self) -> dict[str, dict[str, Any]]:
        return {m["stream"]: m["schema"] for m in self.messages if m["type"] == "SCHEMA"}

    @cached_property
    def states(self) -> list[dict[str, Any]]:
        return [m["value"] for m in self.messages if m["type"] == "STATE"]

    @property
    def state(self) -> dict[str, Any]:
        return self.states[-1]

    @cached_property
    def log(self) -> list[str]:
        """Lines of the log without their times."""
        return [line.split("| ", 1)[-1] for line in self.stderr.splitlines()]

    @property
    def errors(self) -> list[str]:
        return [line.split("| ", 2)[-1].strip() for line in self.log if line.startswith("ERROR")]

    @property
    def warnings(self) -> list[str]:
        return [line.split("| ", 2)[-1].strip() for line in self.log if line.startswith("WARNING")]

    def ids(self, stream: str) -> list[str]:
        return sorted(record["id"] for record in self.records[stream])

    def partition(self, stream: str, integration_id: str) -> dict[str, Any]:
        """Find a partition of the last state; empty if there is none."""
        partitions = self.state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
        found: list[dict[str, Any]] = [
            p for p in partitions if p["context"] == {"integration_id": integration_id}
        ]
        assert len(found) < 2, "duplicate partitions"
        return found[0] if found else {}

    def bookmark(self, stream: str, integration_id: str) -> str | None:
        value: str | None = self.partition(stream, integration_id).get("replication_key_value")
        return value


def settings_for(sandbox: Sandbox, **settings: Any) -> dict[str, Any]:
    return {
        "api_key": sandbox.api_key,
        "api_url": sandbox.url,
        "integration_ids": sandbox.integration_ids,
        **settings,
    }


def catalog_with(*streams: str, deselected: Sequence[str] = ()) -> dict[str, Any]:
    """Build the catalog that `--discover` prints, with only these streams selected.

    Args:
        streams: The streams to select.
        deselected: Fields to leave out, as `stream.field` or `stream.field.nested`.
    """
    path = Path(__file__).parents[1] / "catalog.json"
    catalog: dict[str, Any] = json.loads(path.read_text())
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
            field = ".".join([entry["tap_stream_id"], *item["breadcrumb"][1::2]])
            if field in deselected:
                item["metadata"]["selected"] = False
    return catalog


@contextlib.contextmanager
def tap_process(
    settings: Mapping[str, Any],
    *args: str,
    state: Any = None,
    catalog: Any = None,
    env: Mapping[str, str] | None = None,
    stdout: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the tap, as a shell would; it is killed at the latest when the block ends."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [*args]
        files = {"config": settings, "state": state, "catalog": catalog}
        for name, content in files.items():
            if content is not None:
                path = Path(folder, f"{name}.json")
                path.write_text(json.dumps(content))
                arguments += [f"--{name}", str(path)]
        process = subprocess.Popen(
            [TAP, *arguments],
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            cwd=folder,
            bufsize=0,
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()


def run_tap(
    settings: Mapping[str, Any],
    *args: str,
    state: Any = None,
    catalog: Any = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
) -> TapRun:
    """Run the tap to its end."""
    with tap_process(settings, *args, state=state, catalog=catalog, env=env) as process:
        stdout, stderr = process.communicate(timeout=timeout)
    return TapRun(process.returncode, stdout, stderr.decode())


def state_at(bookmark: str, integration_ids: Iterable[str]) -> dict[str, Any]:
    """Build the state of runs that have read the offers of these integrations up to a moment."""
    return {
        "bookmarks": {
            "ats_offers": {
                "partitions": [
                    {
                        "context": {"integration_id": integration_id},
                        "replication_key": "changed_at",
                        "replication_key_value": bookmark,
                    }
                    for integration_id in integration_ids
                ]
            }
        }
    }
