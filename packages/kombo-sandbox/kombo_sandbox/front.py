"""What every request under ``/v1`` meets first: request log, latency, faults, rate limit."""

import asyncio
import math
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kombo_sandbox.api import JSON, error_response, invalid
from kombo_sandbox.clock import iso
from kombo_sandbox.errors import CODES, KomboError, envelope
from kombo_sandbox.faults import Fault
from kombo_sandbox.world import World


class Front:
    """An ASGI application before another one."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app = app
        self._world = world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        entry = _log_entry(scope)
        self._world.log.append(entry)
        try:
            await self._answer(scope, receive, send, entry)
        except asyncio.CancelledError:
            # The server stops: whoever waits sees the connection break, as in a real outage.
            scope["state"]["transport"].abort()
            raise
        finally:
            entry["ended"] = time.time()

    async def _answer(
        self, scope: Scope, receive: Receive, send: Send, entry: dict[str, Any]
    ) -> None:
        world = self._world
        with_cursor = "cursor" in entry["params"]
        fault = world.faults.strike(entry["path"], entry["integration_id"], with_cursor=with_cursor)
        if wait := world.latency + fault.delay:
            await asyncio.sleep(wait)
        if fault.close:
            scope["state"]["transport"].abort()
        if fault.close or fault.hang:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        app = self._app
        if not world.budget.spend():
            error = KomboError("PLATFORM.RATE_LIMIT_EXCEEDED", "The rate limit is exceeded.")
            app = error_response(error)
        elif fault.expired_cursor:
            app = error_response(invalid("cursor", "has expired"))
        elif fault.answers:
            app = _faulty(fault)
        await app(scope, receive, self._sender(send, fault, entry))

    def _sender(self, send: Send, fault: Fault, entry: dict[str, Any]) -> Send:
        """Sends with Kombo's headers, and only what the fault leaves of the body."""
        left: float = math.inf

        async def sender(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
                entry["answered"] = iso(self._world.clock.now())
                headers = dict(message["headers"]) | self._headers() | _encoded(fault.headers)
                message = {**message, "headers": list(headers.items())}
                if fault.cut_body is not None:
                    left = fault.left_of(int(headers.get(b"content-length", 0)))
            elif fault.cut_body is not None:
                # The server breaks the connection when not all comes that was announced.
                body = message["body"][: int(left)]
                left -= len(body)
                message = {**message, "body": body, "more_body": True}
            await send(message)

        return sender

    def _headers(self) -> dict[bytes, bytes]:
        budget = self._world.budget
        return _encoded(
            {
                "date": formatdate(self._world.clock.now() / 1000, usegmt=True),
                "ratelimit-limit": str(budget.limit),
                "ratelimit-remaining": str(budget.remaining),
                "ratelimit-reset": str(budget.reset),
            }
        )


def _encoded(headers: Mapping[str, str]) -> dict[bytes, bytes]:
    return {name.lower().encode(): value.encode() for name, value in headers.items()}


def _log_entry(scope: Scope) -> dict[str, Any]:
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    headers.pop("authorization", None)
    path = scope["path"].removeprefix("/v1")
    integration_id = headers.get("x-integration-id")
    if path.startswith("/integrations/"):
        integration_id = path.removeprefix("/integrations/").partition("/")[0]
    return {
        "path": path,
        "integration_id": integration_id,
        "params": dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
        "headers": headers,
        "status": None,
        "answered": None,
        "started": time.time(),
        "connection": scope["client"][1],
        "ended": None,
    }


def _faulty(fault: Fault) -> Response:
    if fault.body is not None:
        status = fault.status or 200
        return Response(fault.body, status_code=status, media_type=fault.content_type)
    usual, _ = CODES.get(fault.code or "", (500, ""))
    body = envelope(fault.code, "The sandbox was told to fail.", fault.log_url)
    return Response(body, status_code=fault.status or usual, media_type=JSON)
