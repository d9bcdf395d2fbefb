"""Middleware for all requests under `/v1`: request log, latency, faults and rate limit."""

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
from kombo_sandbox.state import State


class Middleware:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, state: State) -> None:
        self._app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        entry = _log_entry(scope)
        self._state.log.append(entry)
        try:
            await self._respond(scope, receive, send, entry)
        except asyncio.CancelledError:
            # The server is stopping: clients see a broken connection, as in a real outage.
            scope["state"]["transport"].abort()
            raise
        finally:
            entry["ended"] = time.time()

    async def _respond(
        self, scope: Scope, receive: Receive, send: Send, entry: dict[str, Any]
    ) -> None:
        state = self._state
        has_cursor = "cursor" in entry["params"]
        fault = state.faults.take(entry["path"], entry["integration_id"], has_cursor=has_cursor)
        if wait := state.latency + fault.delay:
            await asyncio.sleep(wait)
        if fault.close:
            scope["state"]["transport"].abort()
        if fault.close or fault.hang:
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        app = self._app
        if not state.rate_limit.spend():
            error = KomboError("PLATFORM.RATE_LIMIT_EXCEEDED", "The rate limit is exceeded.")
            app = error_response(error)
        elif fault.expired_cursor:
            app = error_response(invalid("cursor", "has expired"))
        elif fault.has_response:
            app = _fault_response(fault)
        await app(scope, receive, self._sender(send, fault, entry))

    def _sender(self, send: Send, fault: Fault, entry: dict[str, Any]) -> Send:
        """Return a sender that adds Kombo's headers, and truncates the body if the fault does."""
        left: float = math.inf

        async def sender(message: Message) -> None:
            nonlocal left
            if message["type"] == "http.response.start":
                entry["status"] = message["status"]
                entry["answered"] = iso(self._state.clock.now())
                headers = dict(message["headers"]) | self._headers() | _encoded(fault.headers)
                message = {**message, "headers": list(headers.items())}
                if fault.cut_body is not None:
                    left = fault.bytes_left(int(headers.get(b"content-length", 0)))
            elif fault.cut_body is not None:
                # uvicorn closes the connection if the body is shorter than Content-Length.
                body = message["body"][: int(left)]
                left -= len(body)
                message = {**message, "body": body, "more_body": True}
            await send(message)

        return sender

    def _headers(self) -> dict[bytes, bytes]:
        limit = self._state.rate_limit
        return _encoded(
            {
                "date": formatdate(self._state.clock.now() / 1000, usegmt=True),
                "ratelimit-limit": str(limit.limit),
                "ratelimit-remaining": str(limit.remaining),
                "ratelimit-reset": str(limit.reset),
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


def _fault_response(fault: Fault) -> Response:
    if fault.body is not None:
        status = fault.status or 200
        return Response(fault.body, status_code=status, media_type=fault.content_type)
    status, _ = CODES.get(fault.code or "", (500, ""))
    body = envelope(fault.code, "A fault was set in the sandbox.", fault.log_url)
    return Response(body, status_code=fault.status or status, media_type=JSON)
