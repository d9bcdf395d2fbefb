"""Reading: jobs go in, pages come out, in the order in which they arrive.

Each job is one cursor chain: the pages of one stream of one integration. Threads walk them side
by side, as many as requests may be in flight; the pages of one job keep their order. What the
threads find goes through one bounded queue to the one thread that writes, so that memory does
not grow with the data and a slow target slows the reading.

Reading knows nothing of Singer.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from singer_sdk.pagination import BaseAPIPaginator
from singer_sdk.streams.rest import HTTPRequest

from tap_kombo import errors
from tap_kombo.bookmarks import ResumePoint
from tap_kombo.client import Answer, Envelope, KomboClient
from tap_kombo.errors import KomboError, Outcome, StoppedError

TIMES_READ_AGAIN = 3
"""How often a read starts again from its bookmark when Kombo refuses its cursor."""

TICK = 1.0
"""Seconds after which the writing thread gets a turn even if no page has come."""

Fields = dict[str, msgspec.Raw]
"""A record as Kombo sent it: field name -> its JSON text, checked for syntax, not yet decoded."""


class Results(msgspec.Struct):
    """What stands under `data` of a page. Both must be there: an absent `next` is no end."""

    next: str | None
    results: list[Fields]


PAGE = msgspec.json.Decoder(Envelope[Results])


@dataclass(frozen=True, slots=True)
class Job:
    """One stream of one integration, to be read from beginning to end.

    Attributes:
        stream: Kombo's name of the model.
        integration_id: The customer's connection.
        since: Read what has changed since then, in Kombo's format; None for everything.
        resume: Where to go on, if the last run was cut off in the middle of this.
        request: Builds the request of the page at a cursor (None: the first page).
    """

    stream: str
    integration_id: str
    since: str | None
    resume: ResumePoint | None
    request: Callable[[str | None], HTTPRequest]


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read whole.

    Attributes:
        job: What it belongs to.
        records: Its records; there may be none, also in the middle.
        started: When the read of the job began, by Kombo's clock.
        read_at: When Kombo answered with this page, by its clock.
        next: Where the job goes on; None after its last page.
    """

    job: Job
    records: list[Fields]
    started: datetime
    read_at: datetime
    next: ResumePoint | None


@dataclass(frozen=True, slots=True)
class Unread:
    """The end of a job that did not come to its last page."""

    job: Job
    error: KomboError


class CursorPaginator(BaseAPIPaginator[str | None]):
    """Follows `next` until it is null, also over empty pages, and never in circles."""

    def __init__(self, start_value: str | None = None) -> None:
        super().__init__(start_value)
        self._seen = {start_value} if start_value else set()

    def get_next(self, response: Any) -> str | None:
        """Find the next cursor.

        Args:
            response: An `Answer` with `Results`, which the reader has decoded once already, or
                a response as the SDK passes it.

        Raises:
            KomboError: Kombo gave this cursor before: its pages have no end.
        """
        results = (
            response.data if isinstance(response, Answer) else PAGE.decode(response.content).data
        )
        cursor: str | None = results.next or None
        if cursor in self._seen:
            raise KomboError(errors.BROKEN_CURSOR, "The same cursor came twice in one read")
        if cursor:
            self._seen.add(cursor)
        return cursor


def walk(job: Job, client: KomboClient) -> Iterator[Page]:
    """Read a job page by page, from where it was cut off, or from its beginning.

    When Kombo refuses a cursor (they do not live for ever), the whole job is read again: what
    was written already comes twice, and nothing is left out.

    Raises:
        KomboError: There is a page that cannot be had.
        StoppedError: The run is being stopped.
    """
    resume = job.resume
    for restarts_left in reversed(range(TIMES_READ_AGAIN + 1)):
        try:
            yield from _walk_once(job, client, resume)
        except _CursorRefusedError as refused:
            if not restarts_left:
                raise refused.error from None
            resume = None
        else:
            return


class _CursorRefusedError(Exception):
    def __init__(self, error: KomboError) -> None:
        super().__init__()
        self.error = error


def _walk_once(job: Job, client: KomboClient, resume: ResumePoint | None) -> Iterator[Page]:
    paginator = CursorPaginator(resume.cursor if resume else None)
    started = resume.started if resume else None
    while True:
        cursor = paginator.current_value
        try:
            answer = client.get(job.request(cursor), PAGE)
        except KomboError as error:
            if error.outcome is Outcome.REFUSED and cursor is not None:
                raise _CursorRefusedError(error) from None
            raise
        if started is None:
            started = answer.sent_at
        paginator.advance(answer)  # type: ignore[arg-type]  # an answer, decoded once
        upcoming = None if paginator.finished else paginator.current_value
        yield Page(
            job=job,
            records=answer.data.results,
            started=started,
            read_at=answer.answered_at,
            next=ResumePoint(upcoming, started, job.since) if upcoming else None,
        )
        if not upcoming:
            return


class Reader:
    """Walks many jobs side by side.

    Args:
        client: Asks Kombo.
        concurrency: How many requests may be in flight.
        stop: Set by whoever ends the run; the threads then end by themselves.
    """

    def __init__(self, client: KomboClient, *, concurrency: int, stop: threading.Event) -> None:
        self._client = client
        self._concurrency = concurrency
        self._stop = stop
        self._events: queue.Queue[Page | Unread] = queue.Queue(maxsize=concurrency)
        self._todo: deque[Job] = deque()
        self._run_error: KomboError | None = None
        self._integration_errors: dict[str, KomboError] = {}

    def read(self, jobs: Sequence[Job]) -> Iterator[Page | Unread | None]:
        """Read all jobs.

        Yields:
            Each job's pages, the last one with `next` None, or its `Unread`; and None about once
            a second while there is nothing, so that the caller gets a turn. It ends after the
            last job's end, or soon after `stop` is set.
        """
        self._todo.extend(jobs)
        for _ in range(min(self._concurrency, len(jobs))):
            threading.Thread(target=self._work, name="tap-kombo-reader", daemon=True).start()
        unfinished = len(jobs)
        while unfinished and not self._stop.is_set():
            try:
                event = self._events.get(timeout=TICK)
            except queue.Empty:
                yield None
                continue
            unfinished -= isinstance(event, Unread) or event.next is None
            yield event

    def _work(self) -> None:
        with contextlib.suppress(StoppedError, IndexError):  # to be stopped, or nothing left
            while not self._stop.is_set():
                job = self._todo.popleft()
                try:
                    self._read(job)
                except KomboError as error:
                    self._note(job, error)
                    self._put(Unread(job, error))
                except StoppedError:
                    return
                except Exception as error:  # noqa: BLE001  # a thread must not die in silence
                    self._put(Unread(job, _internal_error(error)))

    def _read(self, job: Job) -> None:
        """Read a job, but ask nothing more once it is known that there is no use."""
        if error := self._integration_errors.get(job.integration_id):
            raise error
        pages = walk(job, self._client)
        while True:
            if self._run_error:
                raise self._run_error
            page = next(pages)
            self._put(page)
            if page.next is None:
                return

    def _note(self, job: Job, error: KomboError) -> None:
        if error.outcome is Outcome.STOP_RUN:
            self._run_error = error
        elif error.outcome.is_integration_wide:
            self._integration_errors.setdefault(job.integration_id, error)

    def _put(self, event: Page | Unread) -> None:
        """Hand over, waiting for the writer as long as need be, but not longer than the run."""
        while not self._stop.is_set():
            try:
                self._events.put(event, timeout=TICK)
            except queue.Full:
                continue
            return
        raise StoppedError


def _internal_error(error: Exception) -> KomboError:
    """Name the place of a mistake of ours, and none of the values that were there."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
    return KomboError(errors.INTERNAL, f"Unexpected {type(error).__name__} at {where}")
