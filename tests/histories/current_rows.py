"""Checks that the current rows of the target are Kombo's live records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from harness.comparison import changed_records
from kombo_sandbox import Sandbox
from tests.histories.events import PATHS
from tests.histories.run_check import Key
from tests.histories.target import Record, Target

Ids = set[str]


class CurrentRows:
    """The records that must be current rows, and those that may be.

    Args:
        sandbox: The sandbox.
        target: The target.

    Attributes:
        forgotten: Records that Kombo removed without marking them as deleted -> Kombo's time then,
            or later.
    """

    def __init__(self, sandbox: Sandbox, target: Target) -> None:
        self.forgotten: dict[str, str] = {}
        self._sandbox = sandbox
        self._target = target
        self._started = ""
        self._before: Mapping[Key, Ids] = {}
        # Live records that were read completely, or incrementally, since their last change
        self._read: dict[Key, Ids] = {}

    def sync_starts(self) -> None:
        self._started = self._sandbox.clock()
        self._before = self._live()

    def check(self, results: Iterable[Record], *, has_changes: bool, has_start_date: bool) -> None:
        """Check the rows after a sync.

        Args:
            results: The records of `sync_status` that were stored.
            has_changes: Whether records changed during the sync. The next one reads those that the
                sync has missed, because they moved to a page that was already read.
            has_start_date: Whether the sync may have left out records.
        """
        live = self._live()
        changed = self._changed() if has_changes else set()
        unchanged = {key: self._before[key] & live[key] - changed for key in live}
        for result in results:
            key = result["stream"], result["integration_id"]
            if result["status"] == "complete":
                # Otherwise, deletions before `start_date` may be missing.
                if full := result["full_sync_started_at"]:
                    self._check_additional(key, live[key], full)
                if not has_start_date:
                    self._read[key] = unchanged[key]
        # Also if the sync failed, was killed, or did not read the stream
        for key, ids in self._read.items():
            self._read[key] = ids & unchanged[key]
            missing = self._read[key] - self._target.current_ids(*key)
            assert not missing, f"{key}: live records are not current: {missing}"

    def check_all(self) -> None:
        """Check that exactly the live records are current, after complete reads of everything."""
        for key, ids in self._live().items():
            assert self._target.current_ids(*key) == ids, f"{key}: wrong current rows"

    def _check_additional(self, key: Key, live: Ids, full: str) -> None:
        """Check that no row is current whose record was deleted before the sync.

        The same holds if Kombo forgot the record before the last complete read.
        """
        forgotten = {id_ for id_, time in self.forgotten.items() if time >= full}
        additional = self._target.current_ids(*key) - self._before[key] - live - forgotten
        assert not additional, f"{key}: current rows without a live record: {additional}"

    def _live(self) -> dict[Key, Ids]:
        """Return the records of Kombo that are not deleted."""
        return {
            key: {r["id"] for r in self._sandbox.records(*key, include_deleted=False)}
            for key in product(PATHS, self._sandbox.integration_ids)
        }

    def _changed(self) -> Ids:
        """Return the records that have changed since the sync started."""
        return {
            record["id"]
            for (stream, integration_id), ids in self._before.items()
            if ids
            for record in changed_records(
                self._sandbox, PATHS[stream], integration_id, self._started
            )
        }
