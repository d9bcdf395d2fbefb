"""Driving the sandbox over HTTP: ``POST /_sandbox/OPERATION`` with the arguments as a JSON object.

The response is ``{"result": ...}``, or ``{"error": sentence}`` with the status 400. Calls need the
header ``X-Kombo-Sandbox: control``, and a ``Host`` that is a loopback address or the server's own:
otherwise a web page could drive the sandbox from the browser of its user.
"""

import json
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial, wraps
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from kombo_sandbox.arguments import check_arguments, parse_object
from kombo_sandbox.changes import Changes, Choice
from kombo_sandbox.clock import iso
from kombo_sandbox.faults import Fault
from kombo_sandbox.handle import CONTROL_HEADERS
from kombo_sandbox.integrations import ABOUT, TOOLS, details
from kombo_sandbox.models import MODELS
from kombo_sandbox.orders import ORDERS
from kombo_sandbox.world import Budget, World


@dataclass(frozen=True)
class Operation:
    """What an operation calls.

    Attributes:
        takes: A dataclass that holds the arguments; None if ``run`` takes them itself.
    """

    run: Callable[..., Any]
    takes: type[Choice | Fault] | None = None

    def prepare(self, arguments: Mapping[str, Any]) -> Callable[[], Any]:
        """Check the arguments, and return the call."""
        check_arguments(self.takes or self.run, arguments)
        if self.takes:
            return partial(self.run, self.takes(**arguments))
        return partial(self.run, **arguments)


Endpoint = Callable[[Request], Awaitable[Response]]


class Control:
    """The operations.

    Args:
        world: What they change.
        hosts: Names and addresses of the server, besides those of the loopback interface.
    """

    def __init__(self, world: World, hosts: Collection[str]) -> None:
        self._world = world
        self._hosts = hosts
        changes = Changes(world.store, world.clock, world.seeder)
        self._operations: dict[str, Operation] = {
            "change": Operation(changes.change, Choice),
            "change_nested": Operation(changes.change_nested, Choice),
            "delete": Operation(changes.delete, Choice),
            "anonymize": Operation(changes.anonymize, Choice),
            "restore": Operation(changes.restore, Choice),
            "add": Operation(changes.add),
            "patch": Operation(changes.patch),
            "put_raw": Operation(changes.put_raw),
            "state": Operation(self._state),
            "clock": Operation(self._clock),
            "advance": Operation(self._advance),
            "fault": Operation(world.faults.add, Fault),
            "clear_faults": Operation(world.faults.clear),
            "rate_limit": Operation(self._rate_limit),
            "requests": Operation(self._requests),
            "clear_requests": Operation(self._clear_requests),
            "behave": Operation(self._behave),
            "schedule": Operation(self._schedule),
            "happened": Operation(self._happened),
            "clear_schedule": Operation(world.schedule.clear),
            "reset": Operation(world.reset),
            "set_integration": Operation(self._set_integration),
            "add_integration": Operation(self._add_integration),
            "remove_integration": Operation(self._remove_integration),
        }

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
        except ValueError:
            return False
        if name == "localhost" or name in self._hosts:
            return True
        try:
            return ip_address(name).is_loopback
        except ValueError:
            return False

    async def _operate(self, request: Request) -> Response:
        name = request.path_params["operation"]
        if name not in self._operations:
            return _error(404, f"there is no operation {name}")
        try:
            arguments = parse_object(await request.body() or b"{}", "the body")
            result = self._operations[name].prepare(arguments)()
        except ValueError as error:
            return _error(400, str(error))
        except Exception as error:  # noqa: BLE001 - records may have been patched with anything
            traceback.print_exc()
            return _error(400, f"{name} is not possible: {type(error).__name__}")
        return Response(json.dumps({"result": result}), media_type="application/json")

    async def _records(self, request: Request) -> Response:
        """All records of a model, one a line, as Kombo would answer them now."""
        name = request.path_params["model"]
        model = MODELS.get(name)
        if model is None and name not in ABOUT:
            return _error(404, "there is no such model")
        store = self._world.store
        wanted = request.query_params.get("integration_id")
        try:
            integrations = (
                [store.integration(wanted)] if wanted else list(store.integrations.values())
            )
        except ValueError as error:
            return _error(404, str(error))
        include_deleted = request.query_params.get("include_deleted") != "false"

        async def lines() -> AsyncIterator[bytes]:
            for one in integrations:
                if model is None:
                    for row in ABOUT[name](details(one, store.fields())):
                        yield json.dumps(row).encode() + b"\n"
                    continue
                if not one.has(model):
                    continue
                for record in store.records(model, one.seq, include_deleted=include_deleted):
                    # Line breaks in JSON are mere space, and here they part the records.
                    yield record.replace(b"\n", b" ") + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    def _state(self) -> Mapping[str, Any]:
        return {
            "api_key": self._world.api_key,
            "integration_ids": list(self._world.store.integrations),
        }

    def _clock(self) -> str:
        return iso(self._world.clock.now())

    def _advance(self, seconds: float) -> str:
        self._world.clock.move(seconds)
        self._world.store.keep("clock_offset", self._world.clock.offset)
        return self._clock()

    def _rate_limit(self, limit: int, window_seconds: float) -> None:
        self._world.budget = Budget(limit, window_seconds)

    def _requests(self) -> list[dict[str, Any]]:
        return list(self._world.log)

    def _clear_requests(self) -> None:
        self._world.log.clear()

    def _behave(
        self, *, strict: bool | None = None, order: str | None = None, sparse: bool | None = None
    ) -> None:
        if order is not None and order not in ORDERS:
            raise ValueError(f"there is no order {order}, but {', '.join(ORDERS)}")
        behaviour = self._world.behaviour
        self._world.behaviour = replace(
            behaviour,
            strict=behaviour.strict if strict is None else strict,
            order=behaviour.order if order is None else ORDERS[order],
            sparse=behaviour.sparse if sparse is None else sparse,
        )

    def _schedule(self, operation: str, before_request: int, arguments: Mapping[str, Any]) -> None:
        if operation not in self._operations:
            raise ValueError(f"there is no operation {operation}")
        if before_request < 1:
            raise ValueError("before_request counts from 1, the next request")
        run = self._operations[operation].prepare(arguments)
        self._world.schedule.add(operation, run, before_request=before_request)

    def _happened(self) -> list[dict[str, Any]]:
        return self._world.schedule.happened

    def _set_integration(self, integration_id: str, **state: Any) -> None:
        integration = self._world.store.integration(integration_id)
        check_arguments(integration.set, state)
        integration.set(**state)
        self._world.store.save_integration(integration)

    def _add_integration(self, tool: str | None = None, offers: int = 100) -> str:
        category = TOOLS[tool].category if tool in TOOLS else "ATS"
        return self._world.seeder.add_integrations([(category, offers)], tool)[0].id

    def _remove_integration(self, integration_id: str) -> None:
        store = self._world.store
        store.remove_integration(store.integration(integration_id))


def _error(status: int, sentence: str) -> Response:
    # ASCII, because a name in the sentence may be half of a surrogate pair.
    body = json.dumps({"error": sentence})
    return Response(body, status_code=status, media_type="application/json")
