"""The server of the stand-in: `python -m benchmarks.stand_in_server SAMPLES SHAPE` prints its port.

A page is built once, with placeholders for ids, times and revisions; a response is that page with
the placeholders replaced. So the server can send millions of different records without storing any.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

ID = b"@@@@@@@@@@@@@@@@"
"""Placeholder of an id's first 16 characters: the integration and the page's first record

Like Kombo's ids, they contain a letter: PyAirbyte would load ids of digits as numbers.
"""

TIME = b"####-##-##T##:##:##"
"""Placeholder of `changed_at` without milliseconds, which differ within a page

dlt remembers the records with the newest time. If many had the same one, it would be slower than
with Kombo.
"""

REVISION = b"revision-#"
"""Placeholder of `remote_id`"""

FIRST_CHANGE = datetime(2026, 1, 1, tzinfo=UTC)

VALID_KEY = b'{"environment_id":"stand-in","customer_id":"stand-in"}'


@dataclass(frozen=True)
class Shape:
    """The data of a stand-in, and how it responds.

    Attributes:
        integrations: The number of integrations.
        records: Records of each stream and integration.
        page_records: The maximum number of records per page.
        latency: Seconds that each request takes.
        record_bytes: Records are padded to this size.
    """

    integrations: int = 1
    records: int = 0
    page_records: int = 250
    latency: float = 0.0
    record_bytes: int = 0


class Server:
    """The endpoints.

    Args:
        samples: `{"records": {model: [record]}, "integration": details}`, from the sandbox.
        shape: The data to serve.
    """

    def __init__(self, samples: dict[str, Any], shape: Shape) -> None:
        self._samples = samples
        self._shape = shape
        self._results = cache(self._build_results)
        self._changed = 0
        self._changed_at = ""
        self._in_flight = 0
        self._most_at_once = 0
        self._records_sent = 0
        self._cpu = 0.0

    async def check_api_key(self, _: Request) -> Response:
        await self._count()
        return _success(VALID_KEY)

    async def integration(self, request: Request) -> Response:
        await self._count()
        return _success(_dump(self._samples["integration"] | {"id": request.path_params["id"]}))

    async def page(self, request: Request) -> Response:
        """Respond with a page of records; the cursor is the number of its first record."""
        await self._count()
        params = request.query_params
        model = "{category}_{model}".format(**request.path_params).replace("-", "_")
        size = min(int(params.get("page_size", "100")), self._shape.page_records)
        first = int(params.get("cursor", "0"))
        total = self._changed if self._is_incremental(request) else self._shape.records
        count = min(size, total - first)
        is_changed = first < self._changed
        changed_at = _to_text(FIRST_CHANGE + timedelta(seconds=first))
        body = (
            self._results(model, count)
            .replace(ID, b"i" + request.headers["x-integration-id"][-7:].encode() + b"%08d" % first)
            .replace(TIME, (self._changed_at if is_changed else changed_at).encode())
            .replace(REVISION, b"revision-2" if is_changed else b"revision-1")
        )
        cursor = b'"%d"' % (first + size) if first + size < total else b"null"
        self._records_sent += count
        return _success(b'{"next":' + cursor + b',"results":[' + body + b"]}")

    async def counts(self, _: Request) -> Response:
        """Respond with the counts since the last call."""
        before, self._cpu = self._cpu, time.process_time()
        counts = {
            "records": self._records_sent,
            "most_at_once": self._most_at_once,
            "kombo_cpu": self._cpu - before,
        }
        self._records_sent = self._most_at_once = 0
        return JSONResponse(counts)

    async def change(self, request: Request) -> Response:
        """Change the first records of each stream: a multiple of the page size, or all."""
        self._changed = int(request.query_params["records"])
        self._changed_at = _to_text(datetime.now(UTC))
        return JSONResponse({})

    async def _count(self) -> None:
        """Count a request, and wait for the latency."""
        self._in_flight += 1
        self._most_at_once = max(self._most_at_once, self._in_flight)
        await asyncio.sleep(self._shape.latency)
        self._in_flight -= 1

    def _is_incremental(self, request: Request) -> bool:
        """Return whether the client has read all unchanged records before."""
        since = request.query_params.get("updated_after")
        last_page = FIRST_CHANGE + timedelta(seconds=self._shape.records - self._shape.page_records)
        return since is not None and datetime.fromisoformat(since) >= last_page

    def _build_results(self, model: str, count: int) -> bytes:
        samples = self._samples["records"][model]
        return b",".join(
            self._build_record(samples[position % len(samples)], position)
            for position in range(count)
        )

    def _build_record(self, sample: dict[str, Any], position: int) -> bytes:
        record = sample | {
            "id": f"{ID.decode()}{position:08d}",
            "remote_id": REVISION.decode(),
            "changed_at": f"{TIME.decode()}.{position:03d}Z",
        }
        missing = self._shape.record_bytes - len(_dump(record))
        if missing > 0:
            record["remote_data"] = {"text": "x" * missing}
        return _dump(record)


def _to_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}"


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _success(data: bytes) -> Response:
    body = b'{"status":"success","data":' + data + b"}"
    return Response(body, media_type="application/json")


def main() -> None:
    samples, shape = sys.argv[1:]
    server = Server(json.loads(Path(samples).read_text()), Shape(**json.loads(shape)))
    routes = [
        Route("/v1/check-api-key", server.check_api_key),
        Route("/v1/integrations/{id}", server.integration),
        Route("/v1/{category}/{model}", server.page),
        Route("/control/counts", server.counts),
        Route("/control/change", server.change),
    ]
    # Only with an explicit protocol does asyncio set TCP_NODELAY.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        Starlette(routes=routes),
        http="httptools",
        lifespan="off",
        log_level="error",
        access_log=False,
    )
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
