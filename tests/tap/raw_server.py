"""A fake Kombo that sends raw bytes, which no HTTP framework would send.

Each integration has two pages of offers. A test decides how they are sent.
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
"""The parts of a response in order: bytes, or seconds of silence"""

SILENCE = 3600.0
CLOSE = -1.0
"""Closes the connection"""

DETAILS = b'{"status":"success","data":{"category":"ATS","read_models":[]}}'


def http_response(
    body: bytes, *headers: str, status: str = "200 OK", length: bool = True, date: bool = True
) -> bytes:
    """Build a complete response."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if date:
        lines.append(f"Date: {formatdate(usegmt=True)}")
    if length:
        lines.append(f"Content-Length: {len(body)}")
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def page_json(*ids: str, cursor: str = "null") -> bytes:
    """Build the JSON of a page of offers; `cursor` is also JSON."""
    results = ",".join(f'{{"id":"{name}"}}' for name in ids)
    return f'{{"status":"success","data":{{"next":{cursor},"results":[{results}]}}}}'.encode()


@dataclass(frozen=True)
class OffersRequest:
    """A request for a page of offers."""

    integration_id: str
    cursor: str | None


Responder = Callable[[OffersRequest], Pieces]


@dataclass(frozen=True)
class Behavior:
    """How the server responds to requests for the offers of an integration.

    Attributes:
        second_page: Responds to requests with a cursor.
        times: The number of such responses; later ones are a normal second page.
        first_page: Responds to requests without a cursor; None for a normal page.
    """

    second_page: Responder
    times: float = float("inf")
    first_page: Responder | None = None


@dataclass
class RawServer:
    """A server that runs within a `with` block.

    Attributes:
        behaviors: Integration -> how the server responds; normally for all others.
        requests: The requests for offers, and how often each was sent.
        heads: The request lines and headers of all requests.
    """

    behaviors: Mapping[str, Behavior] = field(default_factory=dict)
    requests: Counter[OffersRequest] = field(default_factory=Counter)
    heads: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    while head := _read_head(self.rfile.readline):
                        outer.heads.append(head)
                        for piece in outer.respond(head):
                            if isinstance(piece, bytes):
                                self.wfile.write(piece)
                            elif piece == CLOSE or outer.is_closed_within(piece):
                                return

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 256

        self._is_closed = False
        self._server = Server(("127.0.0.1", 0), Handler)
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_closed = True
        self._server.shutdown()
        self._server.server_close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1"

    def is_closed_within(self, seconds: float) -> bool:
        """Sleep; return whether the server was closed in the meantime."""
        deadline = time.monotonic() + seconds
        while not self._is_closed and (remaining := deadline - time.monotonic()) > 0:
            time.sleep(min(remaining, 0.2))
        return self._is_closed

    def respond(self, head: str) -> Pieces:
        url = urlsplit(head.split(" ", 2)[1])
        if url.path != "/v1/ats/offers":
            yield http_response(DETAILS)
            return
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
        names = {name.lower(): name for name in self.behaviors}
        integration_id = names.get(headers["x-integration-id"], headers["x-integration-id"])
        cursor = parse_qs(url.query).get("cursor", [None])[0]
        request = OffersRequest(integration_id, cursor)
        self.requests[request] += 1
        behavior = self.behaviors.get(integration_id)
        if cursor is None:
            if behavior and behavior.first_page:
                yield from behavior.first_page(request)
            else:
                yield http_response(page_json(f"{integration_id}-1", cursor='"second"'))
        elif behavior and self.requests[request] <= behavior.times:
            yield from behavior.second_page(request)
        else:
            yield http_response(page_json(f"{integration_id}-2"))


def _read_head(readline: Callable[[], bytes]) -> str:
    lines = []
    while (line := readline()) not in {b"", b"\r\n"}:
        lines.append(line.decode("latin-1"))
    return "".join(lines)
