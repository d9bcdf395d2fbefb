"""How far each read has come: the state of a run.

The SDK's shape of state is kept: a partition for each stream and integration. What it holds is
ours, because a Kombo record's `changed_at` says nothing about how far a read has come (nested
changes leave it alone, and results have no order). Following Kombo's own advice, the bookmark is
the moment at which the last complete read *began*, by Kombo's clock:

    {"bookmarks": {"ats_offers": {"partitions": [{
        "context": {"integration_id": "personio:..."},
        "replication_key": "changed_at",
        "replication_key_value": "2026-01-31T02:00:00.000Z",
        "filters": "9f86d081884c7d65",
        "resume": {"cursor": "...", "started": "...", "since": "...", "filters": "..."}
    }]}}}

`resume` stands there only while a read is under way: it is the place after the last page that
was written, for a next run to go on from if this one is cut off. `filters` is a fingerprint, there
only if not all records were asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tap_kombo.errors import InputError
from tap_kombo.times import read_time, write_time

logger = logging.getLogger("tap-kombo")


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """The place in a cut-off read where the next run goes on.

    Attributes:
        cursor: What Kombo gave as `next` with the last page written.
        started: When that read began, by Kombo's clock.
        since: The `updated_after` of that read; a cursor is worth nothing with another one.
    """

    cursor: str
    started: datetime
    since: str | None


class Bookmarks:
    """The state, found by stream and integration without scanning the partitions.

    Args:
        state: The SDK's state; changed in place, so that it is always what STATE has to say.
        scopes: For each stream, the fingerprint of the filters that it is read with, or None.
        start_date: Where the first read of an integration starts; None for everything.
        lookback: How far a bookmark stays behind the moment when its read began.
    """

    def __init__(
        self,
        state: dict[str, Any],
        *,
        scopes: Mapping[str, str | None],
        start_date: datetime | None,
        lookback: timedelta,
    ) -> None:
        self.state = state
        self._scopes = scopes
        self._start_date = start_date
        self._lookback = lookback
        self._partitions = {stream: _index(state, stream) for stream in scopes}
        self._warned: set[str] = set()

    def since(self, stream: str, integration_id: str) -> str | None:
        """Tell from when on changes are to be read, in Kombo's format; None for everything."""
        bookmark = self._bookmark(stream, integration_id) or self._start_date
        return write_time(bookmark) if bookmark else None

    def resume_point(
        self, stream: str, integration_id: str, since: str | None
    ) -> ResumePoint | None:
        """Find the place where a read of the same changes was cut off, if one was."""
        resume = self._partitions[stream].get(integration_id, {}).get("resume")
        if not isinstance(resume, dict):
            return None
        if (resume.get("since"), resume.get("filters")) != (since, self._scopes[stream]):
            return None
        try:
            return ResumePoint(str(resume["cursor"]), read_time(resume["started"]), since)
        except (KeyError, TypeError, ValueError):
            return None

    def page_written(self, stream: str, integration_id: str, resume: ResumePoint) -> None:
        """Note the place after a page: the bookmark itself stays until the read is complete."""
        place = {
            "cursor": resume.cursor,
            "started": write_time(resume.started),
            "since": resume.since,
        }
        if scope := self._scopes[stream]:
            place["filters"] = scope
        self._own_partition(stream, integration_id)["resume"] = place

    def read_completed(
        self,
        stream: str,
        integration_id: str,
        *,
        started: datetime,
        now: datetime,
        replication_key: str | None,
    ) -> None:
        """Move the bookmark to the moment when the read began, but never backwards.

        Args:
            stream: The stream that was read.
            integration_id: The integration that was read.
            started: When the read began, by Kombo's clock.
            now: Kombo's clock when the read ended.
            replication_key: The stream's; None for a stream that is always read whole, which
                has no bookmark.
        """
        self._partitions[stream].get(integration_id, {}).pop("resume", None)
        if replication_key is None:
            return
        bookmark = started - self._lookback
        last = self._bookmark(stream, integration_id)
        if last is not None and last > now:
            logger.warning(
                "The bookmark of %s of %s was %s, later than Kombo's clock: it is set to %s. "
                "Changes before that may be missing: read them with a full refresh.",
                stream,
                integration_id,
                write_time(last),
                write_time(bookmark),
            )
        elif last is not None:
            bookmark = max(bookmark, last)
        partition = self._own_partition(stream, integration_id)
        partition["replication_key"] = replication_key
        partition["replication_key_value"] = write_time(bookmark)
        partition.pop("filters", None)
        if scope := self._scopes[stream]:
            partition["filters"] = scope

    def _bookmark(self, stream: str, integration_id: str) -> datetime | None:
        """Find the bookmark, if it was made with the filters of now: else it is worth nothing."""
        partition = self._partitions[stream].get(integration_id, {})
        value: str | None = partition.get("replication_key_value")
        if value is None:
            return None
        if partition.get("filters") != self._scopes[stream]:
            if stream not in self._warned:
                self._warned.add(stream)
                logger.warning(
                    "%s: `filters` or `include_deleted` are not what they were in the last run, "
                    "so everything that they let through is read again.",
                    stream,
                )
            return None
        return read_time(value)

    def _own_partition(self, stream: str, integration_id: str) -> dict[str, Any]:
        index = self._partitions[stream]
        if integration_id not in index:
            index[integration_id] = {"context": {"integration_id": integration_id}}
            bookmarks = self.state.setdefault("bookmarks", {})
            bookmarks.setdefault(stream, {}).setdefault("partitions", []).append(
                index[integration_id]
            )
        return index[integration_id]


def _index(state: Mapping[str, Any], stream: str) -> dict[str, dict[str, Any]]:
    """Find the partitions of a stream: integration -> partition."""
    partitions = state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
    index: dict[str, dict[str, Any]] = {}
    # Of duplicates, the earliest bookmark counts: it may read too much, but loses nothing.
    for partition in sorted(partitions, key=lambda p: p.get("replication_key_value") or ""):
        index.setdefault(partition["context"]["integration_id"], partition)
    if len(index) < len(partitions):
        logger.warning(
            "The state has integrations of %s more than once: the earliest counts.", stream
        )
        partitions[:] = index.values()
    return index


def check_state(state: object, streams: Iterable[str]) -> dict[str, Any]:
    """Make sure that a state is one of this tap's before anything is read with it.

    A state that says nothing to this tap would make it read everything again, silently.

    Args:
        state: What was read from the state file; None for no state.
        streams: The names of the tap's streams.

    Raises:
        InputError: It is not a Singer state, or another tap's.
    """
    if state is None or state == {}:
        return {}
    if not isinstance(state, dict) or not isinstance(state.get("bookmarks"), dict):
        hint = (
            " It is a whole STATE message: pass the content of its `value`."
            if isinstance(state, dict) and state.get("type") == "STATE"
            else ""
        )
        raise InputError(
            'The state is not one of tap-kombo\'s: it must be an object like {"bookmarks": '
            f'{{"ats_offers": ...}}}}.{hint} To start without one, leave --state away.'
        )
    bookmarks: dict[str, Any] = state["bookmarks"]
    ours = set(bookmarks) & set(streams)
    if bookmarks and not ours:
        raise InputError(
            f"The state belongs to another tap: it has bookmarks for {', '.join(sorted(bookmarks))}"
            ", and tap-kombo has no such streams. To start without one, leave --state away."
        )
    for stream in ours:
        _check_partitions(stream, bookmarks[stream])
    return state


def _check_partitions(stream: str, bookmark: object) -> None:
    partitions = bookmark.get("partitions", []) if isinstance(bookmark, dict) else None
    if not isinstance(partitions, list) or not all(map(_is_partition, partitions)):
        raise InputError(
            f"The state's bookmark for {stream} is not one of tap-kombo's: each entry of its "
            '`partitions` must have a context like {"integration_id": "personio:..."}.'
        )
    for partition in partitions:
        value = partition.get("replication_key_value")
        try:
            _ = value is None or read_time(value)
        except (TypeError, ValueError):
            raise InputError(
                f"The state's bookmark for {stream} of {partition['context']['integration_id']} is "
                "not a time: mend it, or remove that partition to read everything again."
            ) from None


def _is_partition(partition: object) -> bool:
    return (
        isinstance(partition, dict)
        and isinstance(partition.get("context"), dict)
        and isinstance(partition["context"].get("integration_id"), str)
    )
