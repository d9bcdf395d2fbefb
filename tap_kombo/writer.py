"""Writing: pages become Singer messages, on the main thread alone.

Writing knows nothing of HTTP. A page is one write; its bookmark, and the STATE that tells of it,
come after it, so that a target never hears of a record's bookmark before the record.
"""

from __future__ import annotations

import select
import time
from collections.abc import Sequence
from functools import cache
from typing import BinaryIO

from tap_kombo import errors
from tap_kombo.bookmarks import Bookmarks
from tap_kombo.errors import KomboError
from tap_kombo.maps import custom_maps, mapped
from tap_kombo.reader import Page
from tap_kombo.records import DECODER, ENCODER
from tap_kombo.streams import KomboStream
from tap_kombo.times import write_time

STATE_INTERVAL = 1.0
"""Seconds between STATE messages, at least."""

STATE_BYTES_A_SECOND = 100_000
"""At most, so that they grow with the length of a run, and not with the square of the integrations:
each message holds the state of all of them."""


class Writer:
    """Turns pages into RECORD and STATE messages.

    Args:
        out: Where the messages go, in bytes.
        streams: The selected streams.
        bookmarks: The state; it moves as pages are written.
    """

    def __init__(self, out: BinaryIO, streams: Sequence[KomboStream], bookmarks: Bookmarks) -> None:
        self._out = out
        self._streams = {stream.name: stream for stream in streams}
        self._shapes = {stream.name: stream.record_shape() for stream in streams}
        self._maps = {stream.name: custom_maps(stream) for stream in streams}
        self._bookmarks = bookmarks
        self._is_cut = False
        self._state_is_due = True
        self._next_state_at = time.monotonic() + STATE_INTERVAL

    def write_schemas(self) -> None:
        """Announce all streams before the first record of any."""
        self._write(
            ENCODER.encode_lines(
                [
                    message.to_dict()
                    for stream in self._streams.values()
                    for message in stream._generate_schema_messages()  # noqa: SLF001  # see tap.py
                ]
            )
        )

    def write_page(self, page: Page) -> int:
        """Write a page and move its bookmark.

        Returns:
            How many records were written.

        Raises:
            KomboError: A record cannot be written; nothing of the page was.
        """
        try:
            records = self._records(page)
        except KomboError:
            raise
        except Exception as error:  # noqa: BLE001  # one read's trouble is not the others'
            raise errors.internal(error) from None
        end = b',"time_extracted":"%b"}\n' % write_time(page.read_at).encode()
        message: list[bytes] = []
        for stream, text in records:
            message += (_begin(stream), text, end)
        self._write(b"".join(message))
        self._move_bookmark(page)
        self.write_state()
        return len(records)

    def write_state(self, *, at_once: bool = False) -> None:
        """Write the state, if there is something new and the last time is a while ago."""
        now = time.monotonic()
        if at_once or (self._state_is_due and now >= self._next_state_at):
            message = {"type": "STATE", "value": self._bookmarks.state}
            line = ENCODER.encode_lines([message])
            self._write(line)
            self._state_is_due = False
            self._next_state_at = now + max(STATE_INTERVAL, len(line) / STATE_BYTES_A_SECOND)

    def check_pipe(self) -> None:
        """Notice that the target is gone also while there is nothing to write.

        Raises:
            BrokenPipeError: It is.
        """
        # Windows has no poll, and notices with the next write.
        if not hasattr(select, "poll"):
            return
        poll = select.poll()
        poll.register(self._out, 0)
        if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
            raise BrokenPipeError

    def _records(self, page: Page) -> list[tuple[str, bytes]]:
        """Find what a page's records come to: the name of a stream, and a JSON object."""
        job = page.job
        texts = self._shapes[job.stream].texts(page.records, job.integration_id, page.read_at)
        maps = self._maps[job.stream]
        if not maps:
            return [(job.stream, text) for text in texts]
        # The SDK's stream maps and flattening need decoded records.
        return [message for text in texts for message in mapped(maps, DECODER.decode(text))]

    def _move_bookmark(self, page: Page) -> None:
        job = page.job
        stream = self._streams[job.stream]
        is_incremental = stream.replication_method == "INCREMENTAL"
        if page.next:
            resume = page.next if is_incremental else None
            self._bookmarks.page_written(job.stream, job.integration_id, resume)
        else:
            self._bookmarks.read_completed(
                job.stream,
                job.integration_id,
                started=page.started,
                replication_key=stream.replication_key if is_incremental else None,
            )
        self._state_is_due = True

    def _write(self, messages: bytes) -> None:
        """Write all of it: an unbuffered stdout (`python -u`) stops where a signal finds it.

        What could be written in part only is the last: a STATE would stand in the same line.
        """
        if self._is_cut:
            return
        self._is_cut = True
        rest = memoryview(messages)
        while rest:
            rest = rest[self._out.write(rest) :]
        self._out.flush()
        self._is_cut = False


@cache
def _begin(stream: str) -> bytes:
    return b'{"type":"RECORD","stream":%b,"record":' % ENCODER.encode(stream)
