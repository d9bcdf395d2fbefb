"""The control API: `POST /_sandbox/OPERATION` with the arguments as a JSON object.

The response is `{"result": ...}`, or `{"error": message}` with status 400. Calls need the header
`X-Kombo-Sandbox: control`, and a `Host` that is a loopback address or the server's own. Otherwise,
a web page could call the API from a browser.
"""

import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from functools import wraps
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from kombo_sandbox.handle import CONTROL_HEADERS
from kombo_sandbox.integrations import DETAIL_MODELS, Integration, details
from kombo_sandbox.models import MODELS
from kombo_sandbox.operations import OPERATIONS, parse
from kombo_sandbox.state import State

Endpoint = Callable[[Request], Awaitable[Response]]


class Control:
    """The endpoints of the control API.

    Args:
        state: The state of the sandbox.
        hosts: Host names and addresses of the server, besides loopback addresses.
    """

    def __init__(self, state: State, hosts: Collection[str]) -> None:
        self._state = state
        self._hosts = hosts

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/_sandbox/records/{model}", self._guarded(self._records)),
            Route("/_sandbox/{operation}", self._guarded(self._operate), methods=["POST"]),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        @wraps(endpoint)
        async def guarded(request: Request) -> Response:
            for name, value in CONTROL_HEADERS.items():
                if request.headers.get(name) != value:
                    return _error(403, f"the header {name}: {value} is missing")
            host = request.headers.get("host", "")
            if not self._is_own(host):
                return _error(403, f"the Host {host!r} is not this server: start it with --host")
            return await endpoint(request)

        return guarded

    def _is_own(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
            return name == "localhost" or name in self._hosts or ip_address(name).is_loopback
        except ValueError:
            return False

    async def _operate(self, request: Request) -> Response:
        name = request.path_params["operation"]
        if name not in OPERATIONS:
            return _error(404, f"there is no operation {name}")
        try:
            arguments = json.loads(await request.body() or b"{}")
            result = parse(name, arguments).run(self._state)
            await self._state.webhooks.send()
            return _json(200, {"result": result})
        except ValueError as error:
            return _error(400, str(error))
        except Exception as error:  # noqa: BLE001 - a patched record can have any value
            traceback.print_exc()
            return _error(400, f"{name} failed: {type(error).__name__}")

    async def _records(self, request: Request) -> Response:
        """Return the records of a model, one per line."""
        model = request.path_params["model"]
        if model not in MODELS and model not in DETAIL_MODELS:
            return _error(404, f"there is no model {model}")
        store = self._state.store
        integration_id = request.query_params.get("integration_id")
        include_deleted = request.query_params.get("include_deleted") != "false"
        try:
            integrations = (
                [store.integration(integration_id)]
                if integration_id
                else list(store.integrations.values())
            )
        except ValueError as error:
            return _error(404, str(error))

        async def lines() -> AsyncIterator[bytes]:
            for integration in integrations:
                for record in self._records_of(integration, model, include_deleted=include_deleted):
                    # Line breaks separate the records; inside a record they are white space.
                    yield record.replace(b"\n", b" ") + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    def _records_of(
        self, integration: Integration, model: str, *, include_deleted: bool
    ) -> Iterator[bytes]:
        store = self._state.store
        if model in DETAIL_MODELS:
            for record in DETAIL_MODELS[model](details(integration, store.fields())):
                yield json.dumps(record).encode()
        elif integration.lists(MODELS[model], self._state.clock.now()):
            yield from store.records(
                MODELS[model], integration.seq, include_deleted=include_deleted
            )


def _json(status: int, content: dict[str, Any]) -> Response:
    # ASCII, because an error message can contain a lone surrogate.
    return Response(json.dumps(content), status_code=status, media_type="application/json")


def _error(status: int, message: str) -> Response:
    return _json(status, {"error": message})
