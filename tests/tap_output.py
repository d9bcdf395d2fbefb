"""What came out of a run of the tap."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any


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
