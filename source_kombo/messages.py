"""The messages of a read: records, states and statuses of streams, and errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any

import msgspec
from msgspec import Raw

from source_kombo.protocol import Message, error, stream_status
from tap_kombo.errors import FailureType, KomboError, Scope
from tap_kombo.reader import Page
from tap_kombo.records import ENCODER
from tap_kombo.state import State, StreamState
from tap_kombo.streams import SYNC_STATUS, KomboStream
from tap_kombo.summary import ReadResult

DELETED_AT = "_ab_cdc_deleted_at"
"""Airbyte's name of `_sdc_deleted_at`: destinations delete rows that have a time in it."""

MAX_ERRORS = 20
MAX_NAMES = 5
"""The number of integrations that an error names; it counts the others."""


class StreamProgress(msgspec.Struct):
    """The messages of one stream so far.

    Attributes:
        records: The number of records.
        stateless: The number of records since the last state.
        emitted_at: The time of the last records, in milliseconds since 1970.
        is_state_due: Whether the state may have changed since it was last emitted.
        is_failed: Whether the read of an integration has failed.
    """

    records: int = 0
    stateless: int = 0
    emitted_at: int = 0
    is_state_due: bool = True
    is_failed: bool = False


class Failure(msgspec.Struct):
    """Reads that failed for the same reason.

    Attributes:
        error: The error of the first read.
        stream: The stream, unless the error affects all streams of an integration.
        integration_ids: The integrations, as keys.
    """

    error: KomboError
    stream: str | None
    integration_ids: dict[str, None] = {}

    def message(self) -> Message:
        """Build the TRACE message."""
        names = ", ".join(islice(self.integration_ids, MAX_NAMES))
        if (more := len(self.integration_ids) - MAX_NAMES) > 0:
            names += f" and {more:,} more"
        text = str(self.error)
        if self.error.rule.scope is not Scope.RUN:
            text = f"{self.stream or 'All streams'} ({names}): {text}"
        return error(text, self.error.rule.failure_type, self.stream)


class AirbyteMessages:
    """Builds Airbyte's messages, as lines of JSON.

    A stream's state is its part of the tap's state, with two more fields: `sync_id`, and the number
    of `records`, because the platform rejects the same state twice with records in between.

    Args:
        streams: The configured streams.
        reads: Integration -> the names of its streams to read.
        sync_ids: Stream -> Airbyte's ID of the sync, which is the same for all of its attempts.
    """

    def __init__(
        self,
        streams: Sequence[KomboStream],
        reads: Mapping[str, Sequence[str]],
        sync_ids: Mapping[str, int | None],
    ) -> None:
        self._encoders = {stream.name: stream.record_encoder(DELETED_AT) for stream in streams}
        self._progress = {stream.name: StreamProgress() for stream in streams}
        self._sync_ids = sync_ids
        self._open = Counter(chain.from_iterable(reads.values()))
        # `sync_status` has a record for each read of the other streams.
        self._open[SYNC_STATUS.name] = self._open.total()
        self._failures: dict[tuple[object, ...], Failure] = {}

    def opening(self) -> bytes:
        """Return the status STARTED of all streams."""
        return ENCODER.encode_lines([stream_status(name, "STARTED") for name in self._progress])

    def records(self, page: Page) -> tuple[bytes, int]:
        """Return the RECORD messages of a page, and their number."""
        partition = page.partition
        return self._records(
            partition.stream, page.records, partition.integration_id, page.received_at
        )

    def result(self, result: ReadResult) -> bytes:
        """Return the RECORD message of `sync_status`, if that stream is configured."""
        self._open.subtract([result.stream, SYNC_STATUS.name])
        self._progress[result.stream].is_state_due = True
        if result.error and not result.error.is_skip:
            self._progress[result.stream].is_failed = True
            self._add_failure(result, result.error)
        if SYNC_STATUS.name not in self._progress:
            return b""
        return self._records(
            SYNC_STATUS.name, [result.record()], result.integration_id, datetime.now(UTC)
        )[0]

    def state(self, state: State) -> bytes:
        """Return a STATE message for each stream whose state may have changed."""
        bookmarks = state.value["bookmarks"]
        messages: list[Message] = []
        for name, progress in self._progress.items():
            if progress.is_state_due:
                stream_state = bookmarks.get(name, StreamState())
                messages.append(self._state(name, stream_state.partitions, progress))
                progress.stateless, progress.is_state_due = 0, False
        return ENCODER.encode_lines(messages)

    def closing(self) -> bytes:
        """Return the last status of all streams, and the errors.

        The first error determines whether the platform retries the sync, so errors that a retry may
        fix come first.
        """
        statuses = [
            stream_status(
                name, "INCOMPLETE" if progress.is_failed or self._open[name] > 0 else "COMPLETE"
            )
            for name, progress in self._progress.items()
        ]
        order = [*FailureType]
        failures = sorted(
            self._failures.values(), key=lambda f: order.index(f.error.rule.failure_type)
        )
        return ENCODER.encode_lines([*statuses, *(f.message() for f in failures[:MAX_ERRORS])])

    def _state(self, stream: str, partitions: Iterable[Any], progress: StreamProgress) -> Message:
        stream_state = {
            "sync_id": self._sync_ids.get(stream),
            "records": progress.records,
            "partitions": partitions,
        }
        return {
            "type": "STATE",
            "state": {
                "type": "STREAM",
                "stream": {"stream_descriptor": {"name": stream}, "stream_state": stream_state},
                "sourceStats": {"recordCount": float(progress.stateless)},
            },
        }

    def _records(
        self, stream: str, records: Sequence[Raw], integration_id: str, received_at: datetime
    ) -> tuple[bytes, int]:
        """Return the RECORD messages of some records, and their number.

        Destinations keep the record with the latest `changed_at`, and among equals the one with the
        latest `emitted_at`. Changes of nested data do not move `changed_at`, so `emitted_at` always
        increases.
        """
        texts = self._encoders[stream].encode(records, integration_id, received_at)
        progress = self._progress[stream]
        progress.is_state_due = True
        if not texts:
            return b"", 0
        now = int(received_at.timestamp() * 1000)
        progress.emitted_at = max(now, progress.emitted_at + 1)
        start = b'{"type":"RECORD","record":{"stream":%b,"emitted_at":%d,"data":' % (
            ENCODER.encode(stream),
            progress.emitted_at,
        )
        lines: list[bytes] = []
        if not progress.records:
            lines.append(ENCODER.encode_lines([stream_status(stream, "RUNNING")]))
        for text in texts:
            lines += (start, text, b"}}\n")
        progress.records += len(texts)
        progress.stateless += len(texts)
        return b"".join(lines), len(texts)

    def _add_failure(self, result: ReadResult, problem: KomboError) -> None:
        """Group a failed read with others that failed for the same reason."""
        rule = problem.rule
        stream = result.stream if rule.scope is Scope.READ else None
        failure = self._failures.setdefault(
            (rule, problem.problem, stream), Failure(problem, stream)
        )
        failure.integration_ids[result.integration_id] = None
