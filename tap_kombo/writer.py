"""Pages become messages on standard output: the main thread alone writes, and moves bookmarks.

The writer decides on the order: a page is written before its bookmark moves, and the state after
both. The messages themselves are built by an object that the writer is given.
"""

from __future__ import annotations

import io
import select
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol, TextIO

from msgspec import Raw

from tap_kombo import errors
from tap_kombo.errors import KomboError
from tap_kombo.reader import Page
from tap_kombo.records import ENCODER
from tap_kombo.state import State
from tap_kombo.stream_maps import apply, custom_maps
from tap_kombo.streams import SYNC_STATUS, KomboStream
from tap_kombo.summary import ReadResult
from tap_kombo.times import format_time

STATE_INTERVAL = 1.0
"""Seconds between two states, at least."""

STATE_BYTES_PER_SECOND = 100_000
"""Each state has all integrations. Writing large ones less often keeps their total linear."""


class Messages(Protocol):
    """Builds the messages of a protocol, as lines of JSON."""

    def opening(self) -> bytes:
        """Return the messages before all others."""

    def records(self, page: Page) -> tuple[bytes, int]:
        """Return the messages of a page's records, and the number of records.

        Raises:
            KomboError: A record has no key, or a stream map failed.
        """

    def result(self, result: ReadResult) -> bytes:
        """Return the messages about the end of a read."""

    def state(self, state: State) -> bytes:
        """Return the messages of the state."""

    def closing(self) -> bytes:
        """Return the messages after the last state."""


class SingerMessages:
    """Builds Singer messages, as lines of JSON.

    Args:
        streams: The selected streams.
    """

    def __init__(self, streams: Sequence[KomboStream]) -> None:
        self._streams = streams
        self._encoders = {stream.name: stream.record_encoder() for stream in streams}
        self._maps = {stream.name: custom_maps(stream) for stream in streams}

    def opening(self) -> bytes:
        """Return the SCHEMA messages of all streams."""
        return ENCODER.encode_lines(
            [
                message.to_dict()
                for stream in self._streams
                for message in stream._generate_schema_messages()  # noqa: SLF001  # see tap.py
            ]
        )

    def records(self, page: Page) -> tuple[bytes, int]:
        """Return the RECORD messages of a page, and their number."""
        partition = page.partition
        return self._lines(
            partition.stream, page.records, partition.integration_id, page.received_at
        )

    def state(self, state: State) -> bytes:
        """Return the STATE message."""
        return ENCODER.encode_lines([{"type": "STATE", "value": state.value}])

    def result(self, result: ReadResult) -> bytes:
        """Return the RECORD message of `sync_status`, if that stream is selected."""
        if SYNC_STATUS.name not in self._encoders:
            return b""
        return self._lines(
            SYNC_STATUS.name, [result.record()], result.integration_id, datetime.now(UTC)
        )[0]

    def closing(self) -> bytes:
        """Return the messages after the last state: Singer has none."""
        return b""

    def _lines(
        self, stream: str, records: Sequence[Raw], integration_id: str, received_at: datetime
    ) -> tuple[bytes, int]:
        messages: list[tuple[str, bytes]]
        texts = self._encoders[stream].encode(records, integration_id, received_at)
        if maps := self._maps[stream]:
            # The SDK's stream maps and flattening need decoded records.
            messages = [message for text in texts for message in apply(maps, text)]
        else:
            messages = [(stream, text) for text in texts]
        end = b',"time_extracted":"%b"}\n' % format_time(received_at).encode()
        lines: list[bytes] = []
        for name, text in messages:
            lines += (_record_start(name), text, end)
        return b"".join(lines), len(messages)


@cache
def _record_start(stream: str) -> bytes:
    return b'{"type":"RECORD","stream":%b,"record":' % ENCODER.encode(stream)


class Writer:
    """Writes messages, and moves bookmarks as pages are written.

    Args:
        output: Standard output, or a text stream in its place.
        messages: Builds the messages.
        state: The state.
    """

    def __init__(self, output: TextIO, messages: Messages, state: State) -> None:
        self._output = output
        self._messages = messages
        self._state = state
        self._is_cut = False
        self._is_state_due = True
        self._next_state_at = time.monotonic() + STATE_INTERVAL

    def open(self) -> None:
        self._write(self._messages.opening())

    def write_page(self, page: Page) -> int:
        """Write a page, and move its bookmark.

        Returns:
            The number of records written.

        Raises:
            KomboError: A record cannot be written; nothing of the page was.
        """
        try:
            data, records = self._messages.records(page)
        except KomboError:
            raise
        except Exception as error:  # noqa: BLE001  # a bug in one read does not fail the others
            raise errors.internal(error) from None
        self._write(data)
        self._state.page_written(page)
        self._is_state_due = True
        return records

    def write_results(self, results: Iterable[ReadResult]) -> None:
        """Write the results of reads, before the state that has their bookmarks."""
        messages = []
        for result in results:
            if result.status == "skipped":
                self._state.mark_outdated(result.stream, result.integration_id)
            full = self._state.full(result.stream, result.integration_id)
            result.full_sync_started_at = full
            messages.append(self._messages.result(result))
        self._write(b"".join(messages))

    def write_state(self, *, at_once: bool = False) -> None:
        """Write the state, if it has changed and the last time is long enough ago."""
        now = time.monotonic()
        if at_once or (self._is_state_due and now >= self._next_state_at):
            line = self._messages.state(self._state)
            self._write(line)
            self._is_state_due = False
            self._next_state_at = now + max(STATE_INTERVAL, len(line) / STATE_BYTES_PER_SECOND)

    def close(self) -> None:
        self.write_state(at_once=True)
        self._write(self._messages.closing())

    def check_pipe(self) -> None:
        """Check that the target still runs, while there is nothing to write.

        Raises:
            BrokenPipeError: It does not.
        """
        # Windows has no poll; there, the next write fails.
        if not hasattr(select, "poll"):
            return
        poll = select.poll()
        try:
            poll.register(self._output, 0)
        except io.UnsupportedOperation:
            return  # a stream in memory
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            raise BrokenPipeError

    @property
    def _binary(self) -> Any:
        """The binary stream below the output; None if it is only text, like a `StringIO`."""
        return getattr(self._output, "buffer", None)

    def _write(self, data: bytes) -> None:
        """Write all of `data`: an unbuffered stdout (`python -u`) may write a part at a time.

        If a message is cut off, nothing follows it: a state would be in the same line.
        """
        if self._is_cut or not data:
            return
        if self._binary is None:
            self._output.write(data.decode())
            return
        self._is_cut = True
        rest = memoryview(data)
        while rest:
            rest = rest[self._binary.write(rest) :]
        self._binary.flush()
        self._is_cut = False
