"""The state: a bookmark for each stream and integration, and where a cut-off read resumes.

The format is the SDK's, with a partition for each integration:

    {"bookmarks": {"ats_offers": {"partitions": [{
        "context": {"integration_id": "personio:..."},
        "replication_key": "changed_at",
        "replication_key_value": "2026-01-31T02:00:00.000Z",
        "filters": "9f86d081884c7d65",
        "pages": 31,
        "resume": {"cursor": "...", "started": "...", "since": "...", "page_size": 250}
    }]}}}

A full-table stream has no bookmark. `full` is the start of the last complete read.

A record's `changed_at` cannot be the bookmark: nested changes do not move it, and pages have no
order. So the bookmark is the time when the last complete read started, by Kombo's clock, which is
Kombo's advice: https://docs.kombo.dev/ats/getting-started/fetching-data
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pendulum
from singer_sdk.singerlib import SelectionMask

from tap_kombo.catalog import Breadcrumb
from tap_kombo.errors import InputError
from tap_kombo.reader import Page, ResumePoint, Start
from tap_kombo.times import format_time, parse_time

logger = logging.getLogger("tap-kombo")

DELETIONS_KEPT = timedelta(days=14)
"""How long Kombo returns deleted records before it empties or removes them."""


class PartitionState(msgspec.Struct, omit_defaults=True):
    """The state of one stream of one integration.

    Attributes:
        context: The SDK's context, with the `integration_id`.
        replication_key: `changed_at`, if there is a bookmark.
        replication_key_value: The bookmark.
        filters: The fingerprint of the filters that the bookmark was set with, if there were any.
        deselected: The fingerprints of the fields that were deselected then, one after the other.
        start_date: The last complete read left out records that had not changed since then; None
            if it left out none.
        full: When the last complete read started that left out no records.
        refreshed: When the last complete read started, if it left out records since `full`.
        is_outdated: Whether the data was not valid in the last run, so that it has to be read
            completely when it is valid again.
        pages: The length of the last read, if it had several pages: the longest are read first.
        resume: Where to resume, while a read has not finished.
    """

    context: dict[str, Any]
    replication_key: str | None = None
    replication_key_value: str | None = None
    filters: str | None = None
    deselected: str = ""
    start_date: str | None = None
    full: str | None = None
    refreshed: str | None = None
    is_outdated: bool = False
    pages: int | None = None
    resume: ResumePoint | None = None

    @property
    def bookmark(self) -> datetime | None:
        return _parse(self.replication_key_value)

    @property
    def integration_id(self) -> str:
        return str(self.context["integration_id"])


class StreamState(msgspec.Struct):
    partitions: list[PartitionState] = []


FINGERPRINT = 6
"""Characters of a deselected field's fingerprint"""


class LeftOut(msgspec.Struct, frozen=True):
    """Everything that a run leaves out of a stream, besides the records before `start_date`.

    If some of it is wanted later, a bookmark is not enough: records that no longer change have to
    be read again. The state has fingerprints, because filters may be people's email addresses, and
    because it has a partition for each of thousands of integrations.

    Attributes:
        filters: The fingerprint of everything that leaves out records; None if nothing does.
        is_filtered: Whether records that are not deleted are left out.
        deselected: The fingerprints of the deselected fields, without the fields below them.
        fields: The fingerprints of all deselected fields.
    """

    filters: str | None = None
    is_filtered: bool = False
    deselected: str = ""
    fields: frozenset[str] = frozenset()

    @classmethod
    def of(cls, params: Mapping[str, str], mask: SelectionMask) -> LeftOut:
        """Build the fingerprints of a run.

        Args:
            params: Everything that leaves out records, such as query parameters.
            mask: The SDK's selection: breadcrumb -> whether it is selected.
        """
        deselected = sorted(breadcrumb for breadcrumb, selected in mask.items() if not selected)
        outermost = [breadcrumb for breadcrumb in deselected if mask[breadcrumb[:-2]]]
        return cls(
            _hash(dict(sorted(params.items())))[:16] if params else None,
            bool(params.keys() - {"include_deleted"}),
            "".join(map(_field_fingerprint, outermost)),
            frozenset(map(_field_fingerprint, deselected)),
        )

    def covers(self, earlier: PartitionState | ResumePoint) -> bool:
        """Return whether nothing that was left out earlier is wanted now."""
        fields = re.findall(f".{{{FINGERPRINT}}}", earlier.deselected)
        return earlier.filters in {None, self.filters} and self.fields.issuperset(fields)


def _field_fingerprint(breadcrumb: Breadcrumb) -> str:
    return _hash(breadcrumb)[:FINGERPRINT]


def _hash(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value)).hexdigest()


class State:
    """The state of a run.

    Args:
        state: The state that the run starts with; it is not changed.
        left_out: What the run leaves out of each of the tap's streams.
        start_date: Where the first read of an integration starts; None for everything.
        refresh_interval: How often each integration is read completely; None for never.

    Raises:
        InputError: It is not a state of this tap.
    """

    def __init__(
        self,
        state: Mapping[str, Any],
        *,
        left_out: Mapping[str, LeftOut],
        start_date: datetime | None,
        refresh_interval: timedelta | None = None,
    ) -> None:
        self._left_out = left_out
        self._start_date = start_date
        self._refresh_interval = refresh_interval
        self._other_streams = {
            stream: value
            for stream, value in state.get("bookmarks", {}).items()
            if stream not in left_out
        }
        self._partitions = {
            stream: _partitions(stream, value)
            for stream, value in state.get("bookmarks", {}).items()
            if stream in left_out
        }
        self._pages: Counter[tuple[str, str]] = Counter()
        self._warned: set[str] = set()

    @property
    def value(self) -> dict[str, Any]:
        """The value of a STATE message."""
        own = {
            stream: StreamState(list(partitions.values()))
            for stream, partitions in self._partitions.items()
        }
        return {"bookmarks": {**self._other_streams, **own}}

    def starts(
        self,
        integration_id: str,
        streams: Collection[str],
        now: datetime,
        outdated: Collection[str] = (),
    ) -> dict[str, Start]:
        """Return where the reads of an integration's incremental streams start.

        Args:
            integration_id: The integration.
            streams: The names of its incremental streams.
            now: Kombo's time.
            outdated: The names of streams whose data is not valid at present.
        """
        outdated = [stream for stream in streams if stream in outdated]
        newly_outdated = [s for s in outdated if not self._is_outdated(s, integration_id)]
        # Before the reads, because they may fail.
        for stream in outdated:
            self.mark_outdated(stream, integration_id)
        starts = {
            stream: self._start(stream, integration_id, now, is_outdated=stream in outdated)
            for stream in streams
        }
        for problem in {start.problem for start in starts.values() if start.problem}:
            logger.warning(
                "%s (%s): %s; reading again from the start.",
                ", ".join(stream for stream, start in starts.items() if start.problem == problem),
                integration_id,
                problem,
            )
        if newly_outdated:
            logger.warning(
                "%s (%s): the data is not valid at present, because the model is switched off or "
                "the scope config has changed; it is read completely when it is valid again.",
                ", ".join(sorted(newly_outdated)),
                integration_id,
            )
        return starts

    def _start(
        self, stream: str, integration_id: str, now: datetime, *, is_outdated: bool
    ) -> Start:
        partition = self._partition(stream, integration_id) or PartitionState({})
        left_out = self._left_out[stream]
        last, resume = partition.bookmark, partition.resume
        is_covered = left_out.covers(partition) and self._covers(partition)
        if resume and not _is_usable(resume, left_out):
            resume = None
        if last and not is_covered:
            self._warn_of_complete_read(stream)
        # Before the first bookmark, the first read may have been cut off long ago.
        reference = (last if is_covered else None) or (resume.started_at if resume else None)
        problem = None
        if max(filter(None, (last, reference)), default=now) > now:
            problem = "the bookmark is ahead of Kombo's clock"
            return Start(problem=problem, is_outdated=is_outdated)
        if reference and reference < now - DELETIONS_KEPT:
            age = pendulum.instance(now).diff(pendulum.instance(reference)).in_hours()
            problem = (
                f"the last read was {pendulum.duration(hours=age).in_words()} ago, and Kombo keeps "
                f"deletions for {DELETIONS_KEPT.days} days"
            )
        is_complete = (
            bool(problem or not last or not is_covered)
            or (partition.is_outdated and not is_outdated)
            or self._is_due(partition, integration_id, now)
        )
        since = last
        if is_complete:
            # The changes between the last read and a later `start_date` are not left out.
            since = min(self._start_date, last) if self._start_date and last else self._start_date
        if resume and (resume.since != _format(since) or _is_stale(resume, now)):
            resume = None
        return Start(since, last, resume, problem, is_complete, is_outdated)

    def _is_due(self, partition: PartitionState, integration_id: str, now: datetime) -> bool:
        """Return whether the last complete read is older than the refresh interval allows.

        Each integration has its own moment in the interval, so that thousands are spread evenly,
        and the refresh of a day without a run is not lost.
        """
        if not self._refresh_interval:
            return False
        seconds = int(self._refresh_interval.total_seconds())
        phase = int(_hash(integration_id), 16) % seconds
        due = now - timedelta(seconds=(now.timestamp() - phase) % seconds)
        refreshed = _parse(partition.refreshed or partition.full) or partition.bookmark
        return refreshed is not None and refreshed < due

    def _is_outdated(self, stream: str, integration_id: str) -> bool:
        partition = self._partition(stream, integration_id)
        return partition is not None and partition.is_outdated

    def full(self, stream: str, integration_id: str) -> str | None:
        """Return when the last complete read started that left out no records."""
        partition = self._partition(stream, integration_id)
        return partition.full if partition else None

    def was_read(self, integration_id: str, stream: str, now: datetime | None) -> bool:
        """Return whether an earlier run has read a stream, so recently that deletions are kept.

        Args:
            integration_id: The integration.
            stream: The stream's name.
            now: Kombo's time; None if it is not known.
        """
        partition = self._partition(stream, integration_id)
        if not partition:
            return False
        resumed = partition.resume and partition.resume.started_at
        last = partition.bookmark or resumed or _parse(partition.full)
        return not (now and last and last < now - DELETIONS_KEPT)

    def pages(self, stream: str, integration_id: str) -> int:
        """Return how many pages the last read had, or has had until it was cut off."""
        partition = self._partition(stream, integration_id)
        return (partition and partition.pages) or 1

    def page_written(self, page: Page) -> None:
        """Move the bookmark after the last page; after any other one, set the resume point."""
        partition = page.partition
        stream, integration_id = partition.stream, partition.integration_id
        left_out = self._left_out[stream]
        pages = self._pages[stream, integration_id]
        if page.cursor:
            state = self._own_partition(stream, integration_id)
            state.pages = self._pages[stream, integration_id] = pages + 1
            if partition.is_incremental and not partition.start.is_outdated:
                state.resume = ResumePoint(
                    page.cursor,
                    format_time(page.started),
                    _format(partition.start.since),
                    left_out.filters,
                    page.page_size,
                    left_out.deselected,
                )
            return
        state = self._own_partition(stream, integration_id)
        state.resume = None
        state.pages = pages + 1 if pages else None
        start = partition.start
        if start.is_complete:
            state.refreshed = format_time(page.started)
            if not left_out.is_filtered and start.since is None:
                state.full, state.refreshed = state.refreshed, None
        state.is_outdated = start.is_outdated
        if partition.is_incremental:
            state.replication_key = "changed_at"
            state.replication_key_value = format_time(partition.bookmark_after(page.started))
            state.filters, state.deselected = left_out.filters, left_out.deselected
            if start.is_complete:
                state.start_date = _format(start.since)

    def mark_outdated(self, stream: str, integration_id: str) -> None:
        """Note that the data is not valid at present, if it was read before.

        It is read completely when it is valid again, so the pages so far do not count.
        """
        if partition := self._partition(stream, integration_id):
            partition.is_outdated = True
            partition.resume = None

    def _covers(self, partition: PartitionState) -> bool:
        """Return whether the reads so far started at `start_date`, or earlier."""
        earlier = _parse(partition.start_date)
        return not earlier or bool(self._start_date and self._start_date >= earlier)

    def _warn_of_complete_read(self, stream: str) -> None:
        if stream not in self._warned:
            self._warned.add(stream)
            logger.warning(
                "%s: earlier runs left out records or fields that are selected now; the stream is "
                "read completely.",
                stream,
            )

    def _partition(self, stream: str, integration_id: str) -> PartitionState | None:
        return self._partitions.get(stream, {}).get(integration_id)

    def _own_partition(self, stream: str, integration_id: str) -> PartitionState:
        partitions = self._partitions.setdefault(stream, {})
        if integration_id not in partitions:
            partitions[integration_id] = PartitionState({"integration_id": integration_id})
        return partitions[integration_id]


def _parse(text: str | None) -> datetime | None:
    return parse_time(text) if text else None


def _format(since: datetime | None) -> str | None:
    return format_time(since) if since else None


def _is_usable(resume: ResumePoint, left_out: LeftOut) -> bool:
    """Return whether the cursor is valid for the requests of this run, and nothing is left out.

    A cursor may depend on the page size, which states of earlier versions lack.
    """
    has_same_filters = resume.filters == left_out.filters
    return bool(resume.page_size) and has_same_filters and left_out.covers(resume)


def _is_stale(resume: ResumePoint, now: datetime) -> bool:
    return not now - DELETIONS_KEPT <= resume.started_at <= now


def _partitions(stream: str, value: object) -> dict[str, PartitionState]:
    """Convert a stream's partitions: integration -> partition.

    Of several for one integration, the earliest bookmark is used, which loses nothing.
    """
    index: dict[str, PartitionState] = {}
    try:
        for partition in msgspec.convert(value, StreamState).partitions:
            _ = partition.resume and partition.resume.started_at
            for text in (partition.start_date, partition.full, partition.refreshed):
                _parse(text)
            other = index.get(partition.integration_id, partition)
            index[partition.integration_id] = min(
                other, partition, key=lambda p: p.bookmark or datetime.min.replace(tzinfo=UTC)
            )
    except KeyError:
        problem = "a partition's context has no `integration_id`"
    except (msgspec.ValidationError, ValueError) as error:
        problem = str(error)
    else:
        return index
    raise InputError(
        f"State: the bookmark of {stream} is not valid ({problem}). Use a state that tap-kombo "
        "has emitted, or start without one."
    )


def check_state(state: object, streams: Iterable[str]) -> dict[str, Any]:
    """Check that a state is this tap's; another one would have everything read again.

    Args:
        state: The content of the state file; None without one.
        streams: The names of the tap's streams.

    Raises:
        InputError: It is not a Singer state, or another tap's.
    """
    if state is None or state == {}:
        return {}
    if not isinstance(state, dict) or not isinstance(state.get("bookmarks"), dict):
        raise InputError(
            "State: the object has no `bookmarks`. Use the `value` of a STATE message, or "
            "Meltano's `singer_state`."
        )
    bookmarks: dict[str, Any] = state["bookmarks"]
    if bookmarks and not bookmarks.keys() & set(streams):
        raise InputError(
            f"State: the bookmarks are another tap's ({', '.join(sorted(bookmarks))}). Use a state "
            "that tap-kombo has emitted, or start without one."
        )
    return state
