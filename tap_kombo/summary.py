"""The result of a run: counted while it runs, logged when it ends."""

from __future__ import annotations

import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import msgspec

from tap_kombo.errors import READ, TRANSIENT, UNAVAILABLE, KomboError, Scope
from tap_kombo.reader import Page, ReadFailed
from tap_kombo.times import format_time, in_words

logger = logging.getLogger("tap-kombo")

LOG_INTERVAL = 30.0
TERMINAL_INTERVAL = 1.0
"""Seconds between two reports of progress in a log, and on a terminal."""


class ProgressLine(logging.Filter):
    """The last line of a terminal, which is erased before each line of the log."""

    def show(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{text[:width]}")
        sys.stderr.flush()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  # logging's signature
        self.show("")
        return True


def progress_line() -> ProgressLine | None:
    """Return the last line of the terminal; None if the log is not written to a terminal."""
    handlers = [
        handler
        for handler in logging.root.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr
    ]
    if not handlers or not sys.stderr.isatty():
        return None
    line = ProgressLine()
    for handler in handlers:
        handler.addFilter(line)
    return line


class ReadResult(msgspec.Struct):
    """How a read ended.

    Attributes:
        integration_id: The integration.
        stream: The name of the stream.
        sync_type: `full` or `incremental`; None if no page was read.
        status: `complete`, `skipped`, `not_ready` or `failed`.
        started_at: When the read started, by Kombo's clock.
        completed_at: When its last page was received, by Kombo's clock.
        records: The number of records that were written.
        full_sync_started_at: When the last complete read started that left out no records. Rows of
            the stream that were extracted before are not current.
        error: Why the read is not complete.
    """

    integration_id: str
    stream: str
    sync_type: str | None = None
    status: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    records: int = 0
    full_sync_started_at: str | None = None
    error: KomboError | None = None

    def record(self) -> msgspec.Raw:
        """Return the record of `sync_status`; the encoder adds its `integration_id`."""
        fields = msgspec.structs.asdict(self)
        del fields["integration_id"], fields["error"]
        return msgspec.Raw(msgspec.json.encode(fields | _problem(self.error)))


class RunSummary:
    """Counts reads and records, and logs them.

    A read is one stream of one integration.

    Args:
        streams: Integration -> the names of its streams to read.
        concurrency: The number of requests in flight.
    """

    def __init__(self, streams: Mapping[str, Sequence[str]], concurrency: int) -> None:
        self._open = Counter(chain.from_iterable(streams.values()))
        self._reads = self._open.total()
        self._records: Counter[str] = Counter()
        self._reading: dict[tuple[str, str], ReadResult] = {}
        self._complete: Counter[str] = Counter()
        self._not_complete: list[ReadFailed] = []
        self._run_error: KomboError | None = None
        self._logged: set[str] = set()
        self._started = time.monotonic()
        self._line = progress_line()
        self._interval = TERMINAL_INTERVAL if self._line else LOG_INTERVAL
        self._next_progress = self._started + self._interval
        logger.info(
            "Reading %s of %s with %s at a time.",
            _count(len(self._open), "stream"),
            _count(len(streams), "integration"),
            _count(concurrency, "request"),
        )

    def page_written(self, page: Page, records: int) -> list[ReadResult]:
        """Count a page; return the result of the read after its last one."""
        partition = page.partition
        read = partition.stream, partition.integration_id
        result = self._reading.setdefault(
            read,
            ReadResult(
                partition.integration_id,
                partition.stream,
                sync_type="full" if partition.start.is_complete else "incremental",
                started_at=format_time(page.started),
            ),
        )
        result.records += records
        self._records[partition.stream] += records
        if not page.is_end:
            return []
        self._complete[partition.stream] += 1
        if partition.is_filtered and not result.records:
            logger.info(
                "%s (%s): no record matches the filters. If the tool does not support one of them, "
                "set `ignore_unsupported_filters` to read without it.",
                *read,
            )
        self._read_ended(partition.stream)
        result.status = "complete"
        result.completed_at = format_time(page.received_at)
        return [self._reading.pop(read)]

    def read_failed(self, event: ReadFailed) -> list[ReadResult]:
        """Note reads that did not reach their end; return their results. Log each cause once."""
        error = event.error
        self._not_complete.append(event)
        if error.rule.scope is Scope.RUN:
            self._run_error = error
        else:
            self._log(event)
        results = []
        for stream in event.streams:
            self._read_ended(stream)
            result = self._reading.pop(
                (stream, event.integration_id), ReadResult(event.integration_id, stream)
            )
            results.append(msgspec.structs.replace(result, status=_status(error), error=error))
        return results

    def report_progress(self, waiting: float) -> None:
        """Report progress: every second on a terminal, less often in a log.

        Args:
            waiting: The seconds until the rate limit allows requests.
        """
        now = time.monotonic()
        if now < self._next_progress:
            return
        self._next_progress = now + self._interval
        records = self._records.total()
        text = (
            f"{self._reads - self._open.total():,} of {_count(self._reads, 'stream')} done, "
            f"{_count(records, 'record')}, {records / (now - self._started):,.0f} per second"
        )
        if waiting:
            text += f"; waiting {in_words(waiting)} for the rate limit"
        if self._line:
            self._line.show(text)
        else:
            logger.info("%s.", text)

    def finish(self, *, problem: str | None = None, stopped_by: str | None = None) -> bool:
        """Log the result.

        The last log record has it as the structured field `result`: counts, and a list of the reads
        that are not complete, with fields of `sync_status`, and whether the cause is transient.

        Args:
            problem: A sentence about an end of the run that no read caused.
            stopped_by: The signal that stopped the run.

        Returns:
            Whether the run was successful.
        """
        skipped = [event for event in self._not_complete if event.error.is_skip]
        failed = [event for event in self._not_complete if not event.error.is_skip]
        not_ready = [event for event in skipped if event.error.rule.scope is Scope.INTEGRATION]
        self._log_problems(not_ready, failed)
        if problem:
            logger.error(problem)
        if stopped_by:
            logger.warning("Stopped by %s; the next run resumes from the last state.", stopped_by)
        counts = {
            "complete": self._complete.total(),
            "not supported": _count_reads(skipped) - _count_reads(not_ready),
            "not ready": _count_reads(not_ready),
            "failed": _count_reads(failed),
            "not finished": self._open.total(),
        }
        seconds = time.monotonic() - self._started
        result = {
            **{name.replace(" ", "_"): number for name, number in counts.items()},
            "records": self._records.total(),
            "seconds": round(seconds, 1),
            "stopped_by": stopped_by,
            "reads": [_structured(event) for event in self._not_complete],
        }
        logger.info(
            "%s synced (%s): %s in %s.",
            _count(self._reads, "stream"),
            ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
            or "nothing to read",
            _count(self._records.total(), "record"),
            in_words(seconds),
            extra={"result": result},
        )
        return not (failed or problem)

    def _log_problems(self, not_ready: list[ReadFailed], failed: list[ReadFailed]) -> None:
        for event in _merged(not_ready):
            logger.warning("Not ready: %s", _line(event), extra=_fields(event))
        for event in _merged(e for e in failed if e.error.rule.scope is not Scope.RUN):
            logger.error("Could not read %s", _line(event), extra=_fields(event))
        if self._run_error:
            logger.error("The run ended early: %s", self._run_error)

    def _log(self, event: ReadFailed) -> None:
        error = event.error
        streams = ", ".join(event.streams)
        if error.rule is UNAVAILABLE:
            streams = _count(len(event.streams), "stream")
        elif error.rule.scope is Scope.INTEGRATION:
            streams = "all streams" if len(event.streams) > 1 else "remaining streams"
        name = f"{streams} ({event.integration_id})"
        if name in self._logged:
            return
        self._logged.add(name)
        level = logging.INFO if error.is_skip and error.rule.scope is READ else logging.WARNING
        outcome = "Skipped" if error.is_skip else "Failed"
        logger.log(level, "%s: %s %s.", name, error, outcome, extra=_fields(event))

    def _read_ended(self, stream: str) -> None:
        """Log the number of a stream's records after its last integration."""
        self._open[stream] -= 1
        integrations = self._complete[stream]
        if self._open[stream] or not integrations:
            return
        logger.info(
            "%s: %s of %s.",
            stream,
            _count(self._records[stream], "record"),
            _count(integrations, "integration"),
            extra={"stream_name": stream, "records": self._records[stream]},
        )


def _status(error: KomboError) -> str:
    if not error.is_skip:
        return "failed"
    return "not_ready" if error.rule.scope is Scope.INTEGRATION else "skipped"


def _problem(error: KomboError | None) -> dict[str, Any]:
    """Return the fields of a record of `sync_status` that say why a read is not complete."""
    return {
        "error_code": error and error.code,
        "http_status": error and error.status,
        "log_url": error and error.log_url,
        "message": error and str(error),
    }


def _structured(event: ReadFailed) -> dict[str, object]:
    return {
        "integration_id": event.integration_id,
        "streams": list(event.streams),
        "transient": event.error.rule.failure_type is TRANSIENT,
        "status": _status(event.error),
        **_problem(event.error),
    }


def _fields(event: ReadFailed) -> dict[str, object]:
    """Return the structured fields of a log record, which has a `message` of its own."""
    fields = _structured(event)
    del fields["message"]
    return fields


def _count_reads(events: Iterable[ReadFailed]) -> int:
    return sum(len(event.streams) for event in events)


def _merged(events: Iterable[ReadFailed]) -> list[ReadFailed]:
    """Merge the failures of an integration with the same cause."""
    merged: dict[tuple[str, str], ReadFailed] = {}
    for event in events:
        cause = event.integration_id, str(event.error)
        streams = [*merged[cause].streams, *event.streams] if cause in merged else event.streams
        merged[cause] = replace(event, streams=streams)
    return [*merged.values()]


def _line(event: ReadFailed) -> str:
    return f"{event.integration_id} ({', '.join(event.streams)}): {event.error}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
