"""What a run came to: counted while it runs, told when it ends."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from singer_sdk import metrics

from tap_kombo.answers import FAMILIES
from tap_kombo.errors import KomboError, Outcome
from tap_kombo.reader import Job

logger = logging.getLogger("tap-kombo")

PROGRESS_INTERVAL = 30.0
"""Seconds between lines that tell how far a long run is."""


class Summary:
    """Counts reads and records, and tells of them.

    Args:
        streams: The names of the streams that are to be read.
        integration_ids: The integrations whose streams are to be read.
    """

    def __init__(self, streams: Sequence[str], integration_ids: Sequence[str]) -> None:
        self._families = _families(streams)
        self._streams = len(streams)
        self._integrations = len(integration_ids)
        self._open = Counter(dict.fromkeys(streams, self._integrations))
        self._records: Counter[str] = Counter()
        self._filtered: Counter[tuple[str, str]] = Counter()
        self._completed = 0
        self._changes_only = 0
        self._skipped = 0
        self._unread: list[tuple[Job, KomboError]] = []
        self._told: set[str] = set()
        self._ended_by: KomboError | None = None
        self._started = time.monotonic()
        self._told_at = self._started

    @property
    def _reads(self) -> int:
        return self._streams * self._integrations

    def begin(self, concurrency: int) -> None:
        logger.info(
            "Reading %s of %s, %s at a time.",
            _count(self._streams, "stream"),
            _count(self._integrations, "integration"),
            _count(concurrency, "request"),
        )

    def page_written(self, job: Job, records: int, *, is_end: bool) -> None:
        self._records[job.stream] += records
        if job.is_filtered:
            self._filtered[job.stream, job.integration_id] += records
        if not is_end:
            return
        self._completed += 1
        self._changes_only += job.since is not None
        if job.is_filtered and not self._filtered[job.stream, job.integration_id]:
            logger.info(
                "%s of %s: nothing under its filters. If the tool cannot do one of them, "
                "`ignore_unsupported_filters` reads without it.",
                job.stream,
                job.integration_id,
            )
        self._end(job)

    def unread(self, jobs: Sequence[Job], error: KomboError) -> None:
        """Note reads that did not come to their end, and say so at once, each cause one time.

        What ends the whole run is said when it has ended.
        """
        if not jobs:
            return
        outcome = error.outcome
        if outcome is Outcome.STOP_RUN:
            self._ended_by = error
        what = jobs[0].integration_id
        if not outcome.is_integration_wide:
            what = f"{self._names(job.stream for job in jobs)} of {what}"
        if what not in self._told and outcome is not Outcome.STOP_RUN:
            self._told.add(what)
            verb = "skipped" if outcome.is_skip else "failed"
            logger.log(LEVELS.get(outcome, logging.WARNING), "%s %s: %s", what, verb, error)
        for job in jobs:
            if not outcome.is_skip or outcome is Outcome.SKIP_INTEGRATION:
                self._unread.append((job, error))
            self._skipped += outcome.is_skip
            self._end(job)

    def tell_progress(self) -> None:
        now = time.monotonic()
        if now < self._told_at + PROGRESS_INTERVAL:
            return
        self._told_at = now
        logger.info(
            "So far %d of %s and %s.",
            self._reads - sum(self._open.values()),
            _count(self._reads, "read"),
            _count(self._records.total(), "record"),
        )

    def end(self, *, stopped_by: str | None = None) -> list[str]:
        """Tell what the run came to.

        Returns:
            A sentence for each thing that needs a person; none if the run was a success.
        """
        logger.info(
            "%d of %s complete (%d of them changes only), %d skipped, %d unread: %s in %.1f s.",
            self._completed,
            _count(self._reads, "read"),
            self._changes_only,
            self._skipped,
            self._reads - self._completed - self._skipped,
            _count(self._records.total(), "record"),
            time.monotonic() - self._started,
        )
        for line in _lines(e for e in self._unread if e[1].outcome.is_skip):
            logger.warning("Not ready: %s", line)
        if stopped_by:
            logger.warning(
                "Stopped by %s: the state is written, and the next run goes on from there.",
                stopped_by,
            )
        failures = _lines(
            e
            for e in self._unread
            if not e[1].outcome.is_skip and e[1].outcome is not Outcome.STOP_RUN
        )
        sentences = [f"Could not read {line}" for line in failures]
        if self._ended_by:
            sentences.append(f"The run ended early: {self._ended_by}")
        return sentences

    def _names(self, streams: Iterable[str]) -> str:
        """Name streams, and a whole family of them in one word: `hris_*`."""
        names = []
        for family, found in _families(streams).items():
            is_whole = family in FAMILIES and found == self._families[family]
            names += [f"{family}_*"] if is_whole else sorted(found)
        return ", ".join(names)

    def _end(self, job: Job) -> None:
        self._open[job.stream] -= 1
        if self._open[job.stream]:
            return
        metrics.log(
            metrics.get_metrics_logger(),
            metrics.Point(
                "counter",
                metrics.Metric.RECORD_COUNT,
                self._records[job.stream],
                {metrics.Tag.STREAM.value: job.stream},
            ),
        )


LEVELS = {Outcome.SKIP_READ: logging.INFO, Outcome.SKIP_INTEGRATION: logging.WARNING}


def _lines(unread: Iterable[tuple[Job, KomboError]]) -> list[str]:
    """A line for each integration and cause, with the streams that it kept back."""
    streams: dict[tuple[str, str], list[str]] = {}
    for job, error in unread:
        streams.setdefault((job.integration_id, str(error)), []).append(job.stream)
    return [
        f"{integration_id} ({', '.join(names)}): {error}"
        for (integration_id, error), names in streams.items()
    ]


def _families(streams: Iterable[str]) -> dict[str, set[str]]:
    families: dict[str, set[str]] = {}
    for stream in streams:
        families.setdefault(stream.partition("_")[0], set()).add(stream)
    return families


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
