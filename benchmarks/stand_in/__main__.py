"""The server: one thread, no framework; prints its port, and ends with its stdin."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import threading
import time
from email.utils import formatdate
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from benchmarks.stand_in.bodies import KEY, MISSING, Bodies

COUNTS = "/counts"
"""Answers what was counted since it was asked the last time. It takes no part in the counting."""


class Kombo:
    """What all connections share: what is served, and what is counted."""

    def __init__(self, bodies: Bodies, latency: float) -> None:
        self.bodies = bodies
        self.latency = latency
        self.connections = 0
        self.in_flight = 0
        self._reset()

    def _reset(self) -> None:
        self.requests = self.pages = self.records = self.bytes = self.most_at_once = 0
        self.opened = 0
        self._cpu = time.process_time()

    def counts(self) -> bytes:
        counts = {
            "requests": self.requests,
            "pages": self.pages,
            "records": self.records,
            "bytes": self.bytes,
            "most_at_once": self.most_at_once,
            "connections": self.opened,
            "cpu": time.process_time() - self._cpu,
        }
        self._reset()
        return json.dumps(counts).encode()

    def begin(self) -> None:
        self.requests += 1
        self.in_flight += 1
        self.most_at_once = max(self.most_at_once, self.in_flight)

    def answer(self, target: str, integration_id: str) -> tuple[int, bytes]:
        """Tell the HTTP status and the body; called when the latency is over."""
        self.in_flight -= 1
        parts = urlsplit(target)
        path = parts.path.removeprefix("/v1")
        if path == "/check-api-key":
            return 200, KEY
        if path.startswith("/integrations/"):
            return 200, self.bodies.details(unquote(path.removeprefix("/integrations/")))
        page = self.bodies.page(path, integration_id, dict(parse_qsl(parts.query)))
        if page is None:
            return 404, MISSING
        self.pages += 1
        self.records += page.records
        self.bytes += len(page.body)
        return 200, page.body


class Connection(asyncio.Protocol):
    """Reads requests without bodies, one after the other, and answers each in its turn."""

    def __init__(self, kombo: Kombo) -> None:
        self._kombo = kombo
        self._received = b""
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            request, *lines = head.decode("latin-1").split("\r\n")
            target = request.split(" ")[1]
            if target == COUNTS:
                self._send(200, self._kombo.counts())
                continue
            if not self._counted:
                self._counted = True
                self._kombo.opened += 1
            fields = dict(line.lower().split(": ", 1) for line in lines)
            self._kombo.begin()
            integration_id = fields.get("x-integration-id", "")
            if self._kombo.latency:
                loop = asyncio.get_running_loop()
                loop.call_later(self._kombo.latency, self._answer, target, integration_id)
            else:
                self._answer(target, integration_id)

    def _answer(self, target: str, integration_id: str) -> None:
        self._send(*self._kombo.answer(target, integration_id))

    def _send(self, status: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} {'OK' if status == 200 else 'Not Found'}\r\n"
            f"content-length: {len(body)}\r\n"
            "content-type: application/json; charset=utf-8\r\n"
            f"date: {formatdate(usegmt=True)}\r\n"
            "ratelimit-limit: 1000000\r\nratelimit-remaining: 999999\r\nratelimit-reset: 60\r\n"
            "connection: keep-alive\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def serve(kombo: Kombo) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(kombo), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kombo", type=Path)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--page-records", type=int, required=True)
    parser.add_argument("--record-bytes", type=int, required=True)
    parser.add_argument("--latency", type=float, required=True)
    parser.add_argument("--categories", required=True)
    options = parser.parse_args()
    bodies = Bodies(
        kombo=options.kombo,
        records=options.records,
        page_records=options.page_records,
        record_bytes=options.record_bytes,
        categories=tuple(options.categories.split(",")),
    )
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    gc.disable()
    asyncio.run(serve(Kombo(bodies, options.latency)))


if __name__ == "__main__":
    main()
