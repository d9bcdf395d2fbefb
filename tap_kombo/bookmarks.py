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
        "pages": 31,
        "resume": {"cursor": "...", "started": "...", "since": "...", "filters": "..."}
    }]}}}

`resume` stands there only while a read is under way: it is the place after the last page that
was written, for a next run to go on from if this one is cut off. `filters` is a fingerprint, there
only if not all records were asked for. `pages` is how long the last read was, there only if it was
longer than one, so that the next run can begin with the longest.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tap_kombo.errors import InputError
from tap_kombo.times import read_time, write_time

logger = logging.getLogger("tap-kombo")

KOMBO_REMEMBERS = timedelta(days=14)
"""How long Kombo tells of a deletion before it forgets what was deleted."""


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
        self._pages: Counter[tuple[str, str]] = Counter()
        self._warned: set[str] = set()
        self._too_old: set[tuple[str, str]] = set()
        self._from_the_future: set[tuple[str, str]] = set()

    def judge(self, integration_id: str, streams: Iterable[str], now: datetime) -> None:
        """Make void the bookmarks that would leave something out; `tell` says so.

        So are places where a read was cut off: after one from the future its bookmark would be from
        the future, and after one that is too old no deletion would be told of what it had read.

        Args:
            integration_id: Whose bookmarks.
            streams: The incremental streams that are to be read.
            now: Kombo's clock.
        """
        oldest = now - KOMBO_REMEMBERS
        for stream in streams:
            resume = self._resume(stream, integration_id)
            if resume and not oldest <= resume.started <= now:
                del self._partitions[stream][integration_id]["resume"]
            last = self._last(stream, integration_id)
            if last is None or last <= now:
                begun = resume.started if resume else now
                last = self._bookmark(stream, integration_id) or begun
            if last > now:
                self._from_the_future.add((stream, integration_id))
            elif last < oldest:
                self._too_old.add((stream, integration_id))

    def tell(self, integration_id: str, streams: Sequence[str]) -> None:
        """Warn of the bookmarks that are void, of the streams that are read indeed."""
        for void, reason in ((self._from_the_future, FROM_THE_FUTURE), (self._too_old, TOO_OLD)):
            if names := [stream for stream in streams if (stream, integration_id) in void]:
                logger.warning(
                    "%s: everything is read again of %s: %s",
                    integration_id,
                    ", ".join(names),
                    reason,
                )

    def since(self, stream: str, integration_id: str) -> str | None:
        """Tell from when on changes are to be read, in Kombo's format; None for everything.

        Everything begins at `start_date`, but not after the last read: what changed between them
        would be lost.
        """
        bookmark = self._bookmark(stream, integration_id)
        if bookmark is None or (stream, integration_id) in self._too_old:
            bookmark = self._beginning(stream, integration_id)
        return write_time(bookmark) if bookmark else None

    def _beginning(self, stream: str, integration_id: str) -> datetime | None:
        if self._start_date is None or (stream, integration_id) in self._from_the_future:
            return None
        last = self._last(stream, integration_id)
        return min(self._start_date, last) if last else self._start_date

    def resume_point(
        self, stream: str, integration_id: str, since: str | None
    ) -> ResumePoint | None:
        """Find the place where a read of the same changes was cut off, if one was."""
        resume = self._resume(stream, integration_id)
        return resume if resume and resume.since == since else None

    def after(self, stream: str, integration_id: str, started: datetime) -> datetime:
        """Tell where the bookmark stands after a read that began then: never before the last."""
        last = self._bookmark(stream, integration_id)
        bookmark = started - self._lookback
        return max(bookmark, last) if last else bookmark

    def page_written(self, stream: str, integration_id: str, resume: ResumePoint | None) -> None:
        """Note the place after a page: the bookmark itself stays until the read is complete.

        Args:
            stream: The stream that is read.
            integration_id: The integration that is read.
            resume: The place; None for a read that would begin again.
        """
        partition = self._own_partition(stream, integration_id)
        self._pages[stream, integration_id] += 1
        partition["pages"] = self._pages[stream, integration_id]
        if resume is None:
            return
        partition["resume"] = {
            "cursor": resume.cursor,
            "started": write_time(resume.started),
            "since": resume.since,
        }
        if scope := self._scopes[stream]:
            partition["resume"]["filters"] = scope

    def read_completed(
        self,
        stream: str,
        integration_id: str,
        *,
        started: datetime,
        replication_key: str | None,
    ) -> None:
        """Move the bookmark to the moment when the read began, but never backwards.

        Args:
            stream: The stream that was read.
            integration_id: The integration that was read.
            started: When the read began, by Kombo's clock.
            replication_key: The stream's; None for a stream that is always read whole, which
                has no bookmark.
        """
        partition = self._partitions[stream].get(integration_id, {})
        partition.pop("resume", None)
        if pages := self._pages[stream, integration_id]:
            partition["pages"] = pages + 1
        else:
            partition.pop("pages", None)
        if replication_key is None:
            return
        bookmark = self.after(stream, integration_id, started)
        partition = self._own_partition(stream, integration_id)
        partition["replication_key"] = replication_key
        partition["replication_key_value"] = write_time(bookmark)
        partition.pop("filters", None)
        if scope := self._scopes[stream]:
            partition["filters"] = scope

    def pages(self, stream: str, integration_id: str) -> int:
        """Tell how many pages the last read had, or had come to."""
        pages = self._partitions[stream].get(integration_id, {}).get("pages")
        return pages if isinstance(pages, int) else 1

    def _last(self, stream: str, integration_id: str) -> datetime | None:
        """Find the bookmark, whatever it is worth."""
        return _value(self._partitions[stream].get(integration_id, {}))

    def _bookmark(self, stream: str, integration_id: str) -> datetime | None:
        """Find the bookmark, if it is worth something: if it was made with the filters of now."""
        last = self._last(stream, integration_id)
        if last is None or (stream, integration_id) in self._from_the_future:
            return None
        partition = self._partitions[stream][integration_id]
        if partition.get("filters") == self._scopes[stream]:
            return last
        if stream not in self._warned:
            self._warned.add(stream)
            logger.warning(
                "%s: `filters` or `include_deleted` are not what they were in the last run, so "
                "everything that they let through is read again.",
                stream,
            )
        return None

    def _resume(self, stream: str, integration_id: str) -> ResumePoint | None:
        """Find the place of a read that was cut off, if it is worth something."""
        resume = self._partitions[stream].get(integration_id, {}).get("resume")
        if not isinstance(resume, dict) or resume.get("filters") != self._scopes[stream]:
            return None
        try:
            return ResumePoint(str(resume["cursor"]), read_time(resume["started"]), resume["since"])
        except (KeyError, TypeError, ValueError):
            return None

    def _own_partition(self, stream: str, integration_id: str) -> dict[str, Any]:
        index = self._partitions[stream]
        if integration_id not in index:
            index[integration_id] = {"context": {"integration_id": integration_id}}
            bookmarks = self.state.setdefault("bookmarks", {})
            bookmarks.setdefault(stream, {}).setdefault("partitions", []).append(
                index[integration_id]
            )
        return index[integration_id]


FROM_THE_FUTURE = (
    "by the state they were read later than Kombo's clock, so it tells nothing of what has changed."
)
TOO_OLD = (
    "they were read up to a time more than 14 days ago, and Kombo forgets deletions after that: "
    "rows of what it has forgotten keep their last values."
)


LONG_AGO = datetime.min.replace(tzinfo=UTC)
OURS = {"replication_key_value", "resume", "pages"}
"""What the tap itself writes into a partition, one of them at least."""


def _index(state: Mapping[str, Any], stream: str) -> dict[str, dict[str, Any]]:
    """Find the partitions of a stream: integration -> partition."""
    bookmark = state.get("bookmarks", {}).get(stream, {})
    partitions = bookmark.get("partitions", [])
    if any(bookmark[name] is not None for name in bookmark.keys() - {"partitions"}):
        logger.warning(
            "The state's bookmark for %s is for no integration in particular, so it does not "
            "count: what has no bookmark of its own is read from the beginning.",
            stream,
        )
    for leftover in bookmark.keys() - {"partitions"}:
        del bookmark[leftover]
    index: dict[str, dict[str, Any]] = {}
    # Of duplicates, the earliest bookmark counts: it may read too much, but loses nothing.
    for partition in sorted(partitions, key=lambda p: _value(p) or LONG_AGO):
        index.setdefault(partition["context"]["integration_id"], partition)
    if len(index) < len(partitions):
        logger.warning(
            "The state has integrations of %s more than once: the earliest counts.", stream
        )
        partitions[:] = index.values()
    foreign = [name for name, p in index.items() if p.keys() > {"context"} and not OURS & p.keys()]
    if foreign:
        logger.warning(
            "The state tells nothing that counts of %d integrations of %s: they are read from the "
            "beginning. The first is %s.",
            len(foreign),
            stream,
            foreign[0],
        )
    return index


def _value(partition: Mapping[str, Any]) -> datetime | None:
    value: str | None = partition.get("replication_key_value")
    return None if value is None else read_time(value)


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
        raise InputError(
            'The state is not one of tap-kombo\'s: it must be an object like {"bookmarks": '
            f'{{"ats_offers": ...}}}}.{_hint(state)} To start without one, leave --state away.'
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


def _hint(state: object) -> str:
    """Recognise what a state is often wrapped in."""
    if isinstance(state, dict) and state.get("type") == "STATE":
        return " It is a whole STATE message: pass the content of its `value`."
    if isinstance(state, dict) and "singer_state" in state:
        return " It is what Meltano keeps: pass the content of its `singer_state`."
    return ""


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
