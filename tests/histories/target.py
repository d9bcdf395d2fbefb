"""A minimal Singer target."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

Record = dict[str, Any]


class Target:
    """Upserts records, and keeps the last state.

    Attributes:
        rows: The records by stream and `id`, without those of `sync_status`.
        extracted: When each of them was extracted.
        sync_status: The records of `sync_status` by stream and integration.
        state: The state for the next sync; None before the first STATE message.
    """

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Record] = {}
        self.extracted: dict[tuple[str, str], str] = {}
        self.sync_status: dict[tuple[str, str], Record] = {}
        self.state: Record | None = None

    def load(self, stdout: bytes, *, keep_unconfirmed: bool = True) -> Sequence[Record]:
        """Load the complete lines of the tap's output.

        Args:
            stdout: The output, which may be truncated.
            keep_unconfirmed: Whether to keep the records after the last STATE. A target loads in
                batches: if it is killed, it has stored these records or not. It emits a STATE
                only after it has stored all records before it.

        Returns:
            The records of `sync_status` that were stored.
        """
        complete = stdout[: stdout.rfind(b"\n") + 1]
        stored: list[Record] = []
        unconfirmed: list[Record] = []
        for message in map(json.loads, complete.splitlines()):
            if message["type"] == "RECORD":
                unconfirmed.append(message)
            elif message["type"] == "STATE":
                stored += unconfirmed
                unconfirmed = []
                self.state = message["value"]
        if keep_unconfirmed:
            stored += unconfirmed
        self._upsert(stored)
        return [m["record"] for m in stored if m["stream"] == "sync_status"]

    def rows_of(self, stream: str, integration_id: str) -> dict[str, Record]:
        """Return the rows of an integration by `id`."""
        return {
            id_: row
            for (its_stream, id_), row in self.rows.items()
            if its_stream == stream and row["integration_id"] == integration_id
        }

    def current_ids(self, stream: str, integration_id: str) -> set[str]:
        """Return the ids of the rows that are current.

        The record is not deleted, and was extracted since the start of the last complete read.
        """
        status = self.sync_status.get((stream, integration_id), {})
        full = status.get("full_sync_started_at") or ""
        return {
            id_
            for id_, row in self.rows_of(stream, integration_id).items()
            if row["_sdc_deleted_at"] is None and self.extracted[stream, id_] >= full
        }

    def _upsert(self, messages: Sequence[Record]) -> None:
        for message in messages:
            stream, record = message["stream"], message["record"]
            if stream == "sync_status":
                self.sync_status[record["stream"], record["integration_id"]] = record
            else:
                self.rows[stream, record["id"]] = record
                self.extracted[stream, record["id"]] = message["time_extracted"]
