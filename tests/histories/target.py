"""A target, in its essence: rows by key, and the last STATE that it has told of."""

from __future__ import annotations

import json
from typing import Any

Record = dict[str, Any]


class Target:
    """Holds what the runs so far have brought.

    Attributes:
        rows: By stream and key.
        state: What the next run is given; None before the first STATE.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Record] = {}
        self.state: Record | None = None

    def load(self, stdout: bytes, *, keeps_unconfirmed: bool = True) -> None:
        """Load what came, up to its last whole line.

        Args:
            stdout: The tap's output, perhaps cut.
            keeps_unconfirmed: Records behind the last STATE are kept. Targets load in batches,
                so one that is killed has them or not; a STATE it passes on when it has all
                before it.
        """
        whole = stdout[: stdout.rfind(b"\n") + 1]
        messages = [json.loads(line) for line in whole.splitlines()]
        last_state = max(
            (number for number, one in enumerate(messages) if one["type"] == "STATE"), default=-1
        )
        for number, message in enumerate(messages):
            if message["type"] == "STATE":
                self.state = message["value"]
            elif message["type"] == "RECORD" and (keeps_unconfirmed or number < last_state):
                record = message["record"]
                self.rows[message["stream"], record["id"]] = record

    def held(self, stream: str, integration_id: str) -> dict[str, Record]:
        """Find the rows of an integration: id -> record."""
        return {
            key: row
            for (its_stream, key), row in self.rows.items()
            if its_stream == stream and row["integration_id"] == integration_id
        }
