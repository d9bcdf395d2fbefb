"""A minimal Singer target."""

from __future__ import annotations

import json
from typing import Any

Record = dict[str, Any]


class Target:
    """Upserts records, and keeps the last state.

    Attributes:
        rows: The records by stream and `id`.
        state: The state for the next sync; None before the first STATE message.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Record] = {}
        self.state: Record | None = None

    def load(self, stdout: bytes, *, keep_unconfirmed: bool = True) -> None:
        """Load the complete lines of the tap's output.

        Args:
            stdout: The output, which may be truncated.
            keep_unconfirmed: Whether to keep the records after the last STATE. A target loads in
                batches: if it is killed, it has stored these records or not. It emits a STATE
                only after it has stored all records before it.
        """
        complete = stdout[: stdout.rfind(b"\n") + 1]
        unconfirmed: list[dict[str, Any]] = []
        for message in map(json.loads, complete.splitlines()):
            if message["type"] == "RECORD":
                unconfirmed.append(message)
            elif message["type"] == "STATE":
                self._upsert(unconfirmed)
                unconfirmed = []
                self.state = message["value"]
        if keep_unconfirmed:
            self._upsert(unconfirmed)

    def rows_of(self, stream: str, integration_id: str) -> dict[str, Record]:
        """Return the rows of an integration by `id`."""
        return {
            id_: row
            for (its_stream, id_), row in self.rows.items()
            if its_stream == stream and row["integration_id"] == integration_id
        }

    def _upsert(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            self.rows[message["stream"], message["record"]["id"]] = message["record"]
