"""A Kombo of raw bytes: what no HTTP framework would send.

Each integration has two pages of offers; what goes wrong is the answer to the second one.
"""

from __future__ import annotations

import contextlib
import socketserver
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from threading import Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

Pieces = Iterable[bytes | float]
"""What is sent, one after the other: bytes, or seconds of silence."""

SILENCE = 3600.0
END = -1.0
"""The end of the connection."""


def http(
    body: bytes, *headers: str, status: str = "200 OK", length: bool = True, date: bool = True
) -> bytes:
    """Write a whole answer."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if date:
        lines.append(f"Date: {formatdate(usegmt=True)}")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def page(*ids: str, cursor: str = "null") -> bytes:
    """Write the JSON of a page of Kombo's; `cursor` is JSON, too."""
    results = ",".join(f'{{"id":"{name}"}}' for name in ids)
    return f'{{"status":"success","data":{{"next":{cursor},"results":[{results}]}}}}'.encode()


@dataclass(frozen=True)
class Asked:
    """A request for offers."""

    integration_id: str
    cursor: str | None


@dataclass(frozen=True)
class Broken:
    """How an integration answers when it is asked for offers.

    Attributes:
        answer: Makes the answer to a request with a cursor.
        times: How often; after that, the second page is as it should be.
        first: Makes the answer to a request without one, instead of a good first page.
    """

    answer: Callable[[Asked], Pieces]
    times: float = float("inf")
    first: Callable[[Asked], Pieces] | None = None


@dataclass
class RawKombo:
    """A server that is up within a `with` block.

    Attributes:
        broken: Integration -> how it answers; the others are well.
        asked: The requests for offers, and how often each came.
        heads: The heads of all requests, whatever they asked for.
    """

    broken: Mapping[str, Broken] = field(default_factory=dict)
    asked: Counter[Asked] = field(default_factory=Counter)
    heads: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while head := read_head(self.rfile.readline):
                        for piece in outer.answer(head):
                            if isinstance(piece, bytes):
                                self.wfile.write(piece)
                            elif outer.is_ended_by(piece):
                                return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

        self._is_over = False
        self._server = Server(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over = True
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1"

    def is_ended_by(self, seconds: float) -> bool:
        """Sleep; returns whether the connection is to end."""
        if seconds == END:
            return True
        until = time.monotonic() + seconds
        while not self._is_over and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
        return self._is_over

    def answer(self, head: str) -> Pieces:
        self.heads.append(head)
        address = urlsplit(head.split(" ", 2)[1])
        if address.path != "/v1/ats/offers":
            yield http(b'{"status":"success","data":{"category":"ATS","read_models":[]}}')
            return
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        names = {name.lower(): name for name in self.broken}
        integration_id = names.get(headers["x-integration-id"], headers["x-integration-id"])
        cursor = parse_qs(address.query).get("cursor", [None])[0]
        asked = Asked(integration_id, cursor)
        self.asked[asked] += 1
        broken = self.broken.get(integration_id)
        if cursor is None:
            if broken and broken.first:
                yield from broken.first(asked)
            else:
                yield http(page(f"{integration_id}-1", cursor='"second"'))
        elif broken and self.asked[asked] <= broken.times:
            yield from broken.answer(asked)
        else:
            yield http(page(f"{integration_id}-2"))


def read_head(readline: Callable[[], bytes]) -> str:
    lines = []
    while (line := readline()) not in {b"", b"\r\n"}:
        lines.append(line.decode("latin-1"))
    return "".join(lines)
