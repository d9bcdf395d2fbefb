"""Reading: jobs go in, pages come out, in the order in which they arrive.

Each job is one cursor chain: the pages of one stream of one integration. Before them, each
integration is visited: its details tell which models it can give, and what it cannot give is not
asked for. Threads do all this side by side, as many as requests may be in flight, in the order of
the agenda; the pages of one job keep their order. What the threads find goes through one bounded
queue to the one thread that writes, so that memory does not grow with the data and a slow target
slows the reading.

Reading knows nothing of Singer.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
from singer_sdk.pagination import BaseAPIPaginator
from singer_sdk.streams.rest import HTTPRequest

from tap_kombo import errors
from tap_kombo.agenda import Agenda
from tap_kombo.answers import DETAILS, PAGES, Fields, Listing, can_give
from tap_kombo.bookmarks import ResumePoint
from tap_kombo.client import Answer, KomboClient
from tap_kombo.errors import KomboError, Outcome, StoppedError

TIMES_READ_AGAIN = 3
"""How often a read starts again from its bookmark when Kombo refuses its cursor."""

LARGEST_PAGE = 1 << 21
"""Bytes of a page, where its records can be had in smaller ones: many are in memory at a time."""

TICK = 1.0
"""Seconds after which the writing thread gets a turn even if no page has come."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One stream of one integration, to be read from beginning to end.

    Attributes:
        stream: Kombo's name of the model.
        integration_id: The customer's connection.
        since: Read what has changed since then, in Kombo's format; None for everything.
        listing: How the endpoint lists its records.
        is_filtered: Not all records are asked for.
        request: Builds the request of the page at a cursor (None: the first page), with so many
            records.
        page_size: Records a page; None where all come at once.
        resume: Where to go on, if the last run was cut off in the middle of this.
        catch_up: Makes the job that is to be read after this one, from the moment when this one
            began.
    """

    stream: str
    integration_id: str
    since: str | None
    listing: Listing
    is_filtered: bool
    request: Callable[[str | None, int | None], HTTPRequest]
    page_size: int | None
    resume: ResumePoint | None = None
    catch_up: Callable[[datetime], Job] | None = None

    @property
    def read(self) -> tuple[str, str]:
        """What it is about, of which there may be one job more."""
        return self.stream, self.integration_id


@dataclass(frozen=True, slots=True)
class Page:
    """A page that was read whole.

    Attributes:
        job: What it belongs to.
        records: Its records, as JSON objects; there may be none, also in the middle.
        started: When the read of the job began, by Kombo's clock.
        read_at: When Kombo answered with this page, by its clock.
        next: Where the job goes on; None after its last page.
    """

    job: Job
    records: list[msgspec.Raw]
    started: datetime
    read_at: datetime
    next: ResumePoint | None

    @property
    def is_end(self) -> bool:
        """Nothing more is to be read."""
        return self.next is None and self.job.catch_up is None


@dataclass(frozen=True, slots=True)
class Unread:
    """The end of jobs of one integration that did not come to their last page."""

    jobs: Sequence[Job]
    error: KomboError


@dataclass(frozen=True, slots=True)
class Visit:
    """An integration, and what there is to read of it.

    Attributes:
        integration_id: The customer's connection.
        request: Asks for the integration's details, which tell what it can give.
        jobs: Makes the jobs, by Kombo's clock at the begin of the run (None if it did not say);
            called once, when it is this integration's turn, because the jobs of thousands of
            integrations are many.
        begin: Is told which streams are read indeed, before they are.
    """

    integration_id: str
    request: HTTPRequest
    jobs: Callable[[datetime | None], Sequence[Job]]
    begin: Callable[[Sequence[str]], object]


class CursorPaginator(BaseAPIPaginator[str | None]):
    """Follows `next` until it is null, also over empty pages, and never in circles."""

    def __init__(self, start_value: str | None = None) -> None:
        super().__init__(start_value)
        # Hashes, because a read may have a million pages.
        self._seen = {hash(start_value)} if start_value else set()

    def get_next(self, response: Any) -> str | None:
        """Find the next cursor.

        Args:
            response: An `Answer` with `Results`, which the reader has decoded once already, or
                a response as the SDK passes it.

        Raises:
            KomboError: Kombo gave this cursor before: its pages have no end.
        """
        data = (
            response.data
            if isinstance(response, Answer)
            else PAGES.decoder.decode(response.content).data
        )
        # Only pages have a `next`; what is answered all at once has none.
        cursor: str | None = getattr(data, "next", None)
        if hash(cursor) in self._seen:
            raise KomboError(errors.BROKEN_CURSOR, "The same cursor came twice in one read")
        if cursor:
            self._seen.add(hash(cursor))
        return cursor


def walk(job: Job, client: KomboClient) -> Iterator[Page]:
    """Read a job page by page, from where it was cut off, or from its beginning.

    When Kombo refuses a cursor (they do not live for ever), the whole job is read again: what
    was written already comes twice, and nothing is left out. When a page is too large, its records
    and all later ones are read in smaller pages; never in larger ones again, because a cursor may
    be worth nothing with another page size.

    Raises:
        KomboError: There is a page that cannot be had.
        StoppedError: The run is being stopped.
    """
    page_size = job.page_size

    def ask(cursor: str | None) -> Answer[Any]:
        nonlocal page_size
        while page_size and page_size > 1:
            try:
                return client.get(job.request(cursor, page_size), job.listing.decoder, LARGEST_PAGE)
            except KomboError as error:
                if error.rule is not errors.TOO_LARGE:
                    raise
                page_size //= 2
        return client.get(job.request(cursor, page_size), job.listing.decoder)

    resume = job.resume
    for restarts_left in reversed(range(TIMES_READ_AGAIN + 1)):
        try:
            yield from _walk_once(job, ask, resume)
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


def _walk_once(
    job: Job, ask: Callable[[str | None], Answer[Any]], resume: ResumePoint | None
) -> Iterator[Page]:
    paginator = CursorPaginator(resume.cursor if resume else None)
    started = resume.started if resume else None
    while True:
        cursor = paginator.current_value
        try:
            answer = ask(cursor)
            paginator.advance(answer)  # type: ignore[arg-type]  # an answer, decoded once
        except KomboError as error:
            is_stale = resume is not None and _may_be_stale(resume, cursor, error)
            if is_stale or (error.outcome is Outcome.REFUSED and cursor is not None):
                raise _CursorRefusedError(error) from None
            raise
        if started is None:
            started = answer.sent_at
        upcoming = None if paginator.finished else paginator.current_value
        yield _page(job, answer, started=started, upcoming=upcoming)
        if not upcoming:
            return


def _may_be_stale(resume: ResumePoint, cursor: str | None, error: KomboError) -> bool:
    """Tell whether an error may come of a place of an earlier run, which is kept until it is read.

    How Kombo refuses a cursor that it has forgotten is not documented. What it does not answer at
    all, or only later, says nothing of the cursor.
    """
    if error.rule is errors.BROKEN_CURSOR:
        return True
    is_answer = error.status is not None and error.rule.outcome is not Outcome.WAIT
    return is_answer and cursor == resume.cursor and error.outcome is Outcome.FAIL_READ


def _page(job: Job, answer: Answer[Any], *, started: datetime, upcoming: str | None) -> Page:
    try:
        records = job.listing.records(answer.data)
    except (KeyError, msgspec.DecodeError):
        raise KomboError(errors.BROKEN_ANSWER, "The answer lacks what Kombo promises") from None
    return Page(
        job=job,
        records=records,
        started=started,
        read_at=answer.answered_at,
        next=ResumePoint(upcoming, started, job.since) if upcoming else None,
    )


class Reader:
    """Visits many integrations and walks many jobs side by side.

    Args:
        client: Asks Kombo.
        key_check: Asked before all else: without a valid key there is no use in the rest.
        concurrency: How many requests may be in flight.
        stop: Set by whoever ends the run; the threads then end by themselves.
    """

    def __init__(
        self,
        client: KomboClient,
        key_check: HTTPRequest,
        *,
        concurrency: int,
        stop: threading.Event,
    ) -> None:
        self._client = client
        self._key_check = key_check
        self._concurrency = concurrency
        self._stop = stop
        self._events: queue.Queue[Page | Unread] = queue.Queue(maxsize=concurrency)
        self._agenda = Agenda(concurrency)
        self._mistake: KomboError | None = None
        self._run_error: KomboError | None = None
        self._is_key_known = False
        self._is_answered = False
        self._integration_errors: dict[str, KomboError] = {}

    def read(self, visits: Sequence[Visit], jobs: int) -> Iterator[Page | Unread | None]:
        """Read everything.

        Args:
            visits: The integrations, in the order in which they are to be read.
            jobs: How many jobs they have, all together.

        Yields:
            Each job's pages, the last one with `is_end`, or its `Unread`; and None about once
            a second while there is nothing, so that the caller gets a turn. It ends after the
            last job's end, or soon after `stop` is set.

        Raises:
            KomboError: A mistake of this tap's own kept something from being read at all.
        """
        self._agenda.begin([partial(self._begin, visits)])
        threads = min(self._concurrency, jobs)
        for _ in range(threads):
            threading.Thread(target=self._work, name="tap-kombo-reader", daemon=True).start()
        try:
            while jobs and not self._stop.is_set():
                try:
                    event = self._events.get(timeout=TICK)
                except queue.Empty:
                    if self._mistake:
                        raise self._mistake from None
                    yield None
                    continue
                jobs -= len(event.jobs) if isinstance(event, Unread) else event.is_end
                yield event
        finally:
            self._agenda.close()

    def _work(self) -> None:
        with contextlib.suppress(StoppedError):
            for task in self._agenda:
                try:
                    task()
                except StoppedError:
                    raise
                except Exception as error:  # noqa: BLE001  # a thread must not die in silence
                    self._mistake = errors.internal(error)

    def _begin(self, visits: Sequence[Visit]) -> None:
        now = None
        try:
            now = self._client.prove_key(self._key_check)
        except KomboError as error:
            self._run_error = error
        self._is_key_known = now is not None
        self._agenda.begin([partial(self._visit, visit, now) for visit in visits])

    def _visit(self, visit: Visit, now: datetime | None) -> None:
        """Ask what an integration can give, and put on the list what is to be read of it.

        If it is only the details that cannot be had, everything else is asked for.
        """
        jobs = visit.jobs(now)
        details: Answer[Fields] | None = None
        try:
            if self._run_error:
                raise self._run_error
            details = self._client.get(visit.request, DETAILS)
            self._is_answered = True
        except KomboError as failure:
            error = failure
            is_for_all = error.outcome.is_integration_wide or error.outcome is Outcome.STOP_RUN
            lost = {job.stream for job in jobs if is_for_all or job.listing.decoder is DETAILS}
        else:
            error = KomboError(errors.UNAVAILABLE, "No such data")
            lost = {job.stream for job in jobs if can_give(details.data, job.stream) is False}
        if lost:
            self._give_up([job for job in jobs if job.stream in lost], error)
        found = [job for job in jobs if job.stream not in lost]
        visit.begin([job.stream for job in found])
        to_read = []
        for job in found:
            if details and job.listing.decoder is DETAILS:
                with self._failures_of(job):
                    self._put(_page(job, details, started=details.sent_at, upcoming=None))
            else:
                to_read.append(partial(self._read, job))
        self._agenda.begin(to_read)

    def _read(self, job: Job, pages: Iterator[Page] | None = None) -> None:
        """Read a page of a job, but ask nothing more once it is known that there is no use.

        Args:
            job: What to read.
            pages: Those that are left, if it has begun.
        """
        with self._failures_of(job):
            if self._run_error:
                raise self._run_error
            if pages is None:
                if error := self._integration_errors.get(job.integration_id):
                    raise error
                pages = walk(job, self._client)
            page = next(pages)
            self._is_answered = True
            self._put(page)
            if page.next:
                self._agenda.go_on(partial(self._read, job, pages))
            elif job.catch_up:
                self._agenda.go_on(partial(self._read, job.catch_up(page.started)))

    @contextlib.contextmanager
    def _failures_of(self, job: Job) -> Iterator[None]:
        try:
            yield
        except StoppedError:
            raise
        except KomboError as error:
            self._give_up([job], self._outage(error) or error)
        except Exception as error:  # noqa: BLE001  # one job's trouble is not the others'
            self._give_up([job], errors.internal(error))

    def _outage(self, error: KomboError) -> KomboError | None:
        """Find out whether it is all of Kombo that does not answer.

        Else thousands of reads would each find it out for themselves, one after the other. A check
        of the key that never worked, while other things did, tells nothing.
        """
        could_be = {errors.BROKEN_NETWORK, errors.NO_HTTP, errors.BROKEN_SERVER}
        if self._run_error or error.rule not in could_be:
            return None
        if self._is_answered and not self._is_key_known:
            return None
        try:
            is_there = self._client.prove_key(self._key_check)
        except KomboError as outage:
            return outage
        return None if is_there else error.for_the_whole_run()

    def _give_up(self, jobs: Sequence[Job], error: KomboError) -> None:
        """Hand over as unread, and remember what makes it useless to ask for others."""
        if error.outcome is Outcome.STOP_RUN:
            self._run_error = error
        elif error.outcome.is_integration_wide:
            self._integration_errors.setdefault(jobs[0].integration_id, error)
        self._put(Unread(jobs, error))

    def _put(self, event: Page | Unread) -> None:
        """Hand over, waiting for the writer as long as need be, but not longer than the run."""
        while not self._stop.is_set():
            try:
                self._events.put(event, timeout=TICK)
            except queue.Full:
                continue
            return
        raise StoppedError
