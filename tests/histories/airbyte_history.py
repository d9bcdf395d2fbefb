"""Histories of syncs by `source-kombo` into a minimal destination of Airbyte."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from harness.source import configured, run_source, singer_record
from harness.tap import TapRun
from tap_kombo.times import format_time
from tests.histories.events import PATHS
from tests.histories.history import HistoryWithErrors
from tests.histories.target import Record, Target
from tests.source.platform import Platform

CATALOG = configured(*PATHS, "sync_status")


class Destination(Target):
    """Upserts records, and keeps the last state of each stream."""

    def load(self, stdout: bytes, *, keep_unconfirmed: bool = True) -> Sequence[Record]:
        """Load the complete lines of the source's output.

        Args:
            stdout: The output, which may be truncated.
            keep_unconfirmed: Whether to keep the records of each stream after its last state.

        Returns:
            The records of `sync_status` that were stored.
        """
        complete = stdout[: stdout.rfind(b"\n") + 1]
        results: list[Record] = []
        unconfirmed: dict[str, list[Record]] = defaultdict(list)
        for message in map(json.loads, complete.splitlines()):
            match message:
                case {"type": "RECORD", "record": {"stream": stream, "data": data}}:
                    emitted_at = datetime.fromtimestamp(message["record"]["emitted_at"] / 1000, UTC)
                    row = {
                        "stream": stream,
                        "record": singer_record(data),
                        "time_extracted": format_time(emitted_at),
                    }
                    unconfirmed[stream].append(row)
                case {"type": "STATE", "state": {"stream": state}}:
                    stream = state["stream_descriptor"]["name"]
                    rows = unconfirmed.pop(stream, [])
                    self._upsert(rows)
                    results += [row["record"] for row in rows if stream == "sync_status"]
                    states = (self.state or {"bookmarks": {}})["bookmarks"]
                    self.state = {"bookmarks": {**states, stream: state["stream_state"]}}
        if keep_unconfirmed:
            for rows in unconfirmed.values():
                self._upsert(rows)
            results += [row["record"] for row in unconfirmed.get("sync_status", [])]
        return results


class AirbyteHistory(HistoryWithErrors):
    """The platform replays the output of each sync.

    Args:
        sandbox: The sandbox; it is reset.
    """

    target_class = Destination

    def _run_command(
        self, settings: dict[str, Any], state: Any, stop_when: Callable[[], bool] | None
    ) -> TapRun:
        states = state and state["bookmarks"]
        run = run_source("read", settings, catalog=CATALOG, state=states, stop_when=stop_when)
        Platform(CATALOG).replay(run)
        # The checks of a tap's run expect the exit status that a shell reports.
        return replace(run, code=128 - run.code) if run.code < 0 else run
