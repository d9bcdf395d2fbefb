"""Reader threads: the partitions of all streams and integrations become pages.

Each thread takes an integration, requests its details, and so finds out which streams it supports;
then the threads read these streams' partitions, each from its first page to its last. Pages and
failures go through one bounded queue to the main thread, so a slow target slows the reading down
and memory does not grow with the data.

Nothing here knows about Singer.
"""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any

import msgspec

from tap_kombo import errors
from tap_kombo.client import KomboClient, Request, Response
from tap_kombo.errors import Action, KomboError, Scope, StoppedError
from tap_kombo.responses import (
    DETAILS,
    Fields,
    ResponseFormat,
    belong_to,
    is_available,
    is_expired,
)
from tap_kombo.times import format_time, parse_time

MAX_RESTARTS = 3
"""How often a read starts again from its bookmark because Kombo rejects its cursor."""

MAX_EMPTY_PAGES = 10_000
"""Empty pages in a row after which cursors that are always new count as endless."""

MAX_PAGE_BYTES = 1 << 21
"""Larger pages are requested again with fewer records, because many pages are in memory at once."""

TICK = 1.0
"""Seconds after which the main thread continues even if no page has arrived."""

INTEGRATION_PATH = "/integrations/{integration_id}"


class ResumePoint(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a cut-off read resumes.

    Attributes:
        cursor: The cursor of the page after the last one that was written.
        started: When the read started, by Kombo's clock.
        since: The `updated_after` of the read; its cursors are not valid with another one.
        filters: As in `PartitionState`, like `deselected`: left out by the read so far.
        page_size: Records per page so far. With larger pages, a cursor that counts pages would
            skip records.
    """

    cursor: str
    started: str
    since: str | None
    filters: str | None = None
    page_size: int | None = None
    deselected: str = ""

    @property
    def started_at(self) -> datetime:
        return parse_time(self.started)


@dataclass(frozen=True, slots=True)
class Start:
    """Where a read starts.

    Attributes:
        since: Read the changes since then; None for everything.
        bookmark: The bookmark that the next one must not be earlier than.
        resume: Where an earlier read of the same changes was cut off.
        problem: Why the last bookmark is not used, because it would leave records out.
        is_complete: Whether the read is complete, as opposed to one of changes.
        is_outdated: Whether Kombo's data is not valid at present, because it has expired or its
            model is switched off. It has to be read completely when it is valid again.
    """

    since: datetime | None = None
    bookmark: datetime | None = None
    resume: ResumePoint | None = None
    problem: str | None = None
    is_complete: bool = True
    is_outdated: bool = False


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class StreamPartition:
    """One stream of one integration.

    Attributes:
        stream: The stream's name.
        integration_id: The integration.
        path: The endpoint's path.
        format: The format of the endpoint's responses.
        params: The query without cursor, page size and `updated_after`.
        page_size: Records per page; None if the endpoint is not paged.
        is_filtered: Whether `filters` restricts the records.
        is_incremental: Whether only changes are read, and a cut-off read can be resumed.
        start: Where the read starts.
        lookback: How long before the start of its read a bookmark is set.
    """

    stream: str
    integration_id: str
    path: str
    format: ResponseFormat
    params: Mapping[str, str] = field(default_factory=dict)
    page_size: int | None = None
    is_filtered: bool = False
    is_incremental: bool = False
    start: Start = field(default_factory=Start)
    lookback: timedelta = timedelta()

    @property
    def is_refresh(self) -> bool:
        """Whether everything is read again, although there is a bookmark."""
        return self.start.is_complete and self.start.bookmark is not None

    def request(self, cursor: str | None, page_size: int | None) -> Request:
        """Build the request of a page; Kombo requires all filters again with every cursor."""
        params = dict(self.params)
        if page_size:
            params["page_size"] = str(page_size)
        if self.start.since:
            params["updated_after"] = format_time(self.start.since)
        if cursor:
            params["cursor"] = cursor
        return Request(
            self.path.format(integration_id=self.integration_id), params, self.integration_id
        )

    def bookmark_after(self, started: datetime) -> datetime:
        """Return the bookmark after a read that started then: never earlier than the last one."""
        bookmark = started - self.lookback
        return max(bookmark, self.start.bookmark or bookmark)

    def catch_up(self, started: datetime) -> StreamPartition | None:
        """Return the partition to read after a resumed one, which started in an earlier run.

        Records of the pages before the cut may have changed since.
        """
        if not self.start.resume:
            return None
        bookmark = self.bookmark_after(started)
        start = replace(
            self.start, since=bookmark, bookmark=bookmark, resume=None, is_complete=False
        )
        return replace(self, start=start)


@dataclass(frozen=True, slots=True)
class Page:
    """A complete page.

    Attributes:
        partition: The partition that it belongs to.
        records: JSON objects; a page in the middle may be empty.
        started: When the read of the partition started, by Kombo's clock.
        received_at: When Kombo sent the page, by its clock; never before `started`.
        page_size: The number of records requested; None if the endpoint is not paged.
        cursor: The cursor of the next page; None on the last one.
        is_end: Whether the read is complete: this is the last page, and nothing follows it.
    """

    partition: StreamPartition
    records: list[msgspec.Raw]
    started: datetime
    received_at: datetime
    page_size: int | None
    cursor: str | None
    is_end: bool


@dataclass(frozen=True, slots=True)
class ReadFailed:
    """The end of reads of one integration that did not reach their last page.

    Attributes:
        integration_id: The integration.
        streams: The names of the streams.
        error: The reason; a skip if the data is legitimately absent.
    """

    integration_id: str
    streams: Sequence[str]
    error: KomboError


class Paginator:
    """The pages of one partition, in the order of their cursors.

    Args:
        partition: The partition.
        client: Sends the requests.
    """

    def __init__(self, partition: StreamPartition, client: KomboClient) -> None:
        self._partition = partition
        self._client = client
        self._page_size = partition.page_size

    def __iter__(self) -> Iterator[Page]:
        """Yield the pages, from the resume point if there is one.

        If Kombo rejects a cursor, which may expire, the partition is read again: records repeat,
        and none is lost.

        Raises:
            KomboError: A page could not be read.
            StoppedError: The run is stopping.
        """
        resume = self._partition.start.resume
        cursor = resume.cursor if resume else None
        started = resume.started_at if resume else None
        if resume and resume.page_size and self._page_size:
            self._page_size = min(self._page_size, resume.page_size)
        seen = {hash(cursor)}
        restarts = empty_pages = 0
        while True:
            try:
                response = self._request(cursor)
                following = _next_cursor(response.data, seen)
            except KomboError as error:
                if restarts == MAX_RESTARTS or not _is_rejected(cursor, error, resume):
                    raise
                restarts += 1
                resume = cursor = started = None
                seen = set()
                continue
            started = started or response.sent_at
            page = make_page(
                self._partition,
                response,
                started=started,
                page_size=self._page_size,
                cursor=following,
            )
            empty_pages = 0 if page.records else empty_pages + 1
            if empty_pages == MAX_EMPTY_PAGES:
                raise KomboError(errors.ENDLESS_CURSOR, f"{MAX_EMPTY_PAGES:,} pages were empty")
            yield page
            if not following:
                return
            cursor = following

    def _request(self, cursor: str | None) -> Response[Any]:
        """Request a page, with fewer records if it is too large.

        The page size is never raised again, because a cursor may depend on it.
        """
        decoder = self._partition.format.decoder
        while self._page_size and self._page_size > 1:
            request = self._partition.request(cursor, self._page_size)
            try:
                return self._client.get(request, decoder, MAX_PAGE_BYTES)
            except KomboError as error:
                if error.rule is not errors.TOO_LARGE:
                    raise
                self._page_size //= 2
        return self._client.get(self._partition.request(cursor, self._page_size), decoder)


def _next_cursor(data: object, seen: set[int]) -> str | None:
    """Return the next cursor, and note that it was seen, by its hash: there may be a million."""
    cursor: str | None = getattr(data, "next", None)
    if cursor and hash(cursor) in seen:
        raise KomboError(errors.ENDLESS_CURSOR, "The same cursor came twice")
    seen.add(hash(cursor))
    return cursor


def _is_rejected(cursor: str | None, error: KomboError, resume: ResumePoint | None) -> bool:
    """Return whether an error may be due to the cursor.

    Kombo does not document how it rejects an expired cursor. So at a resume point any response
    counts as a rejection, unless it says something about the integration or the API key.
    """
    if cursor is None:
        return False
    if error.rule.action is Action.RESTART:
        return True
    if resume is None:
        return False
    if error.rule is errors.ENDLESS_CURSOR:
        return True
    is_response = error.status is not None and error.rule.action is not Action.WAIT
    is_own_failure = error.rule.scope is Scope.READ and not error.is_skip
    return cursor == resume.cursor and is_response and is_own_failure


def make_page(
    partition: StreamPartition,
    response: Response[Any],
    *,
    started: datetime,
    page_size: int | None = None,
    cursor: str | None = None,
) -> Page:
    try:
        records = partition.format.records(response.data)
    except (KeyError, msgspec.DecodeError):
        raise KomboError(
            errors.INVALID_RESPONSE, "The response lacks a field that Kombo promises"
        ) from None
    is_end = cursor is None and partition.start.resume is None
    # The clock of the server that sent this page may be behind that of the first one.
    received_at = max(started, response.received_at)
    return Page(partition, records, started, received_at, page_size, cursor, is_end)


class Priority(IntEnum):
    """The order of tasks: refreshes come last, so that they do not delay changes."""

    END = 0
    CHANGES = 1
    REFRESH = 2


Task = str | StreamPartition | None
"""An integration to open, a partition to read, or the end of a thread"""


class Reader:
    """Reads many partitions at a time.

    Args:
        client: Sends the requests.
        streams: Integration -> the names of its streams to read, in the order of the reads.
        partitions: Builds the partitions of some streams of an integration, longest first. Its last
            argument names the streams whose data is not valid at present. It is called just
            before they are read, because thousands of integrations have many. If it raises a
            `KomboError`, their reads fail.
        reads_deletions: Returns whether to read a stream that an integration does not support,
            because Kombo marks all records of a model that is switched off as deleted.
        concurrency: The number of threads, at most: the machine may not allow as many.
        stop: Set to stop the run; the threads then end.
    """

    def __init__(
        self,
        client: KomboClient,
        streams: Mapping[str, Sequence[str]],
        partitions: Callable[[str, Sequence[str], Collection[str]], Sequence[StreamPartition]],
        reads_deletions: Callable[[str, str], bool],
        *,
        concurrency: int,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._streams = streams
        self._partitions = partitions
        self._reads_deletions = reads_deletions
        self._concurrency = concurrency
        self._stop = stop
        self._tasks: queue.PriorityQueue[tuple[Priority, int, Task]] = queue.PriorityQueue()
        # Last in, first out: an integration's partitions are read before the next one's details.
        self._order = itertools.count(0, -1)
        self._events: queue.Queue[Page | ReadFailed] = queue.Queue(maxsize=concurrency)
        self._bug: KomboError | None = None
        self._run_error: KomboError | None = None
        self._integration_errors: dict[str, KomboError] = {}

    def read(self) -> Iterator[Page | ReadFailed | None]:
        """Read the streams of all integrations.

        Yields:
            The pages of each partition, the last one with `is_end`, or its failure; and None once
            a second while nothing arrives. It ends after the last read, or soon after `stop` is
            set.

        Raises:
            KomboError: A bug in the tap.
        """
        reads_left = sum(map(len, self._streams.values()))
        threads = 0
        try:
            for _ in range(min(self._concurrency, reads_left)):
                work = () if threads else tuple(self._streams)
                threading.Thread(target=self._work, args=(work,), daemon=True).start()
                threads += 1
        except RuntimeError:  # the machine's limit of threads
            if not threads:
                raise
        try:
            while reads_left and not self._stop.is_set():
                try:
                    event = self._events.get(timeout=TICK)
                except queue.Empty:
                    if self._bug:
                        raise self._bug from None
                    yield None
                    continue
                reads_left -= len(event.streams) if isinstance(event, ReadFailed) else event.is_end
                yield event
        finally:
            for _ in range(threads):
                self._put_task(Priority.END, None)

    def _work(self, integration_ids: Sequence[str]) -> None:
        """Check the API key and enqueue the integrations, if there are any; then work."""
        with contextlib.suppress(StoppedError):
            if integration_ids:
                try:
                    self._client.check_api_key()
                except KomboError as error:
                    self._run_error = error
                for integration_id in reversed(integration_ids):
                    self._put_task(Priority.CHANGES, integration_id)
            while (task := self._tasks.get()[-1]) is not None:
                try:
                    if isinstance(task, StreamPartition):
                        self._read(task)
                    else:
                        self._open(task)
                except StoppedError:
                    raise
                except Exception as error:  # noqa: BLE001  # a thread must not end silently
                    self._bug = errors.internal(error)

    def _open(self, integration_id: str) -> None:
        """Request an integration's details, and enqueue the partitions that it supports.

        If only the details cannot be read, all partitions are.
        """
        streams = self._streams[integration_id]
        details: Response[Fields] | None = None
        unavailable: list[str] = []
        outdated: Sequence[str] = []
        try:
            details = self._details(integration_id)
        except KomboError as failure:
            error = failure
            if error.rule.scope is not Scope.READ:
                self._fail(integration_id, streams, error)
                return
        else:
            error = KomboError(errors.UNAVAILABLE, "Not supported")
            off = [name for name in streams if is_available(details.data, name) is False]
            unavailable = [name for name in off if not self._reads_deletions(integration_id, name)]
            outdated = streams if is_expired(details.data) else off
            self._fail(integration_id, unavailable, error)
        available = [stream for stream in streams if stream not in unavailable]
        try:
            supported = self._partitions(integration_id, available, outdated)
        except KomboError as failure:
            self._fail(integration_id, available, failure)
            return
        partitions = []
        for partition in supported:
            if partition.format.decoder is not DETAILS:
                partitions.append(partition)
            elif details is None:
                self._fail(integration_id, [partition.stream], error)
            else:
                with self._failures_of(partition):
                    self._put(make_page(partition, details, started=details.sent_at))
        for partition in reversed(partitions):
            priority = Priority.REFRESH if partition.is_refresh else Priority.CHANGES
            self._put_task(priority, partition)

    def _details(self, integration_id: str) -> Response[Fields]:
        if self._run_error:
            raise self._run_error
        path = INTEGRATION_PATH.format(integration_id=integration_id)
        details = self._client.get(Request(path, integration_id=integration_id), DETAILS)
        if not belong_to(details.data, integration_id):
            raise KomboError(errors.OTHER_INTEGRATION, "The details are another integration's")
        return details

    def _read(self, partition: StreamPartition) -> None:
        """Read a partition, and the changes since a resumed one was started."""
        with self._failures_of(partition):
            if error := self._integration_errors.get(partition.integration_id):
                raise error
            remaining: StreamPartition | None = partition
            while remaining:
                for page in self._pages(remaining):
                    started = page.started
                    self._put(page)
                remaining = remaining.catch_up(started)

    def _pages(self, partition: StreamPartition) -> Iterator[Page]:
        """Yield a partition's pages, until the run has failed."""
        pages = iter(Paginator(partition, self._client))
        while True:
            if self._run_error:
                raise self._run_error
            page = next(pages, None)
            if page is None:
                return
            yield page

    @contextlib.contextmanager
    def _failures_of(self, partition: StreamPartition) -> Iterator[None]:
        try:
            yield
        except StoppedError:
            raise
        except KomboError as error:
            self._fail(partition.integration_id, [partition.stream], error)
        except Exception as error:  # noqa: BLE001  # a bug in one read does not fail the others
            self._fail(partition.integration_id, [partition.stream], errors.internal(error))

    def _fail(self, integration_id: str, streams: Sequence[str], error: KomboError) -> None:
        """Report reads as failed, and remember errors that make other requests pointless."""
        if not streams:
            return
        if error.rule.scope is Scope.RUN:
            self._run_error = error
        elif error.rule.scope is Scope.INTEGRATION:
            self._integration_errors.setdefault(integration_id, error)
        self._put(ReadFailed(integration_id, streams, error))

    def _put_task(self, priority: Priority, task: Task) -> None:
        self._tasks.put((priority, next(self._order), task))

    def _put(self, event: Page | ReadFailed) -> None:
        """Put an event into the queue, and wait for the writer until the run is stopping."""
        while not self._stop.is_set():
            try:
                self._events.put(event, timeout=TICK)
            except queue.Full:
                continue
            return
        raise StoppedError
