"""What a run came to: counted while it runs, told when it ends."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterable, Sequence

from singer_sdk import metrics

from tap_kombo.errors import KomboError, Outcome
from tap_kombo.reader import Job

logger = logging.getLogger("tap-kombo")

PROGRESS_INTERVAL = 30.0
"""Seconds between lines that tell how far a long run is."""


class Summary:
    """Counts reads and records, and tells of them.

    Args:
        jobs: Everything that is to be read.
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = len(jobs)
        self._integrations = len({job.integration_id for job in jobs})
        self._open = Counter(job.stream for job in jobs)
        self._records: Counter[str] = Counter()
        self._completed = 0
        self._unread: list[tuple[Job, KomboError]] = []
        self._told: set[str] = set()
        self._started = time.monotonic()
        self._told_at = self._started

    def begin(self, concurrency: int) -> None:
        logger.info(
            "Reading %s of %s, %s at a time.",
            _count(len(self._open), "stream"),
            _count(self._integrations, "integration"),
            _count(concurrency, "request"),
        )

    def page_written(self, job: Job, records: int, *, is_last: bool) -> None:
        self._records[job.stream] += records
        if is_last:
            self._completed += 1
            self._end(job)

    def unread(self, job: Job, error: KomboError) -> None:
        """Note a read that did not come to its end, and say so at once, each cause one time.

        What ends the whole run is said when it has ended.
        """
        self._unread.append((job, error))
        outcome = error.outcome
        what = job.integration_id
        if not outcome.is_integration_wide:
            what = f"{job.stream} of {what}"
        if what not in self._told and outcome is not Outcome.STOP_RUN:
            self._told.add(what)
            verb = "is skipped" if outcome.is_skip else "failed"
            logger.log(LEVELS.get(outcome, logging.WARNING), "%s %s: %s", what, verb, error)
        self._end(job)

    def tell_progress(self) -> None:
        now = time.monotonic()
        if now < self._told_at + PROGRESS_INTERVAL:
            return
        self._told_at = now
        logger.info(
            "So far %d of %s and %s.",
            self._completed + len(self._unread),
            _count(self._jobs, "read"),
            _count(self._records.total(), "record"),
        )

    def end(self, *, stopped_by: str | None = None) -> list[str]:
        """Tell what the run came to.

        Returns:
            A sentence for each thing that needs a person; none if the run was a success.
        """
        skips = [entry for entry in self._unread if entry[1].outcome.is_skip]
        failures = [entry for entry in self._unread if not entry[1].outcome.is_skip]
        logger.info(
            "%d of %s complete, %d skipped, %d failed: %s in %.1f s.",
            self._completed,
            _count(self._jobs, "read"),
            len(skips),
            len(failures),
            _count(self._records.total(), "record"),
            time.monotonic() - self._started,
        )
        for line in _lines(e for e in skips if e[1].outcome is Outcome.SKIP_INTEGRATION):
            logger.warning("Not ready: %s", line)
        if stopped_by:
            logger.warning(
                "Stopped by %s: the state is written, and the next run goes on from there.",
                stopped_by,
            )
        ended = [error for _, error in failures if error.outcome is Outcome.STOP_RUN]
        return [
            *(
                f"Could not read {line}"
                for line in _lines(e for e in failures if e[1].outcome is not Outcome.STOP_RUN)
            ),
            *(f"The run ended before {_count(len(ended), 'read')}: {error}" for error in ended[:1]),
        ]

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


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
