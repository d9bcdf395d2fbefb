"""Driving the sandbox over HTTP: ``POST /_sandbox/OPERATION`` with the arguments as a JSON object.

The answer is ``{"result": ...}``, or ``{"error": sentence}`` with the status 400.
"""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from kombo_sandbox.changes import Changes, Choice
from kombo_sandbox.clock import iso
from kombo_sandbox.faults import Fault
from kombo_sandbox.integrations import ABOUT, TOOLS, details
from kombo_sandbox.models import MODELS
from kombo_sandbox.orders import ORDERS
from kombo_sandbox.world import Budget, World


class Control:
    """The operations."""

    def __init__(self, world: World) -> None:
        self._world = world
        changes = Changes(world.store, world.clock, world.seeder)
        self._operations: dict[str, Callable[..., Any]] = {
            "change": _choosing(changes.change),
            "change_nested": _choosing(changes.change_nested),
            "delete": _choosing(changes.delete),
            "anonymise": _choosing(changes.anonymise),
            "restore": _choosing(changes.restore),
            "add": changes.add,
            "patch": changes.patch,
            "put_raw": changes.put_raw,
            "state": self._state,
            "clock": self._clock,
            "advance": self._advance,
            "fault": self._fault,
            "clear_faults": world.faults.clear,
            "rate_limit": self._rate_limit,
            "requests": self._requests,
            "clear_requests": world.log.clear,
            "behave": self._behave,
            "schedule": self._schedule,
            "happened": self._happened,
            "clear_schedule": world.schedule.clear,
            "reset": world.reset,
            "set_integration": self._set_integration,
            "add_integration": self._add_integration,
            "remove_integration": self._remove_integration,
        }

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/_sandbox/records/{model}", self._records),
            Route("/_sandbox/{operation}", self._operate, methods=["POST"]),
        ]

    async def _operate(self, request: Request) -> Response:
        name = request.path_params["operation"]
        if name not in self._operations:
            return JSONResponse({"error": f"there is no operation {name}"}, status_code=404)
        try:
            arguments = json.loads(await request.body() or b"{}")
            result = self._operations[name](**arguments)
        except (TypeError, ValueError) as error:
            return JSONResponse({"error": str(error)}, status_code=400)
        return Response(json.dumps({"result": result}), media_type="application/json")

    async def _records(self, request: Request) -> Response:
        """All records of a model, one a line, as Kombo would answer them now."""
        name = request.path_params["model"]
        model = MODELS.get(name)
        if model is None and name not in ABOUT:
            return JSONResponse({"error": "there is no such model"}, status_code=404)
        store = self._world.store
        wanted = request.query_params.get("integration_id")
        try:
            integrations = (
                [store.integration(wanted)] if wanted else list(store.integrations.values())
            )
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=404)
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
        self._world.clock.offset += seconds
        self._world.store.keep("clock_offset", self._world.clock.offset)
        return self._clock()

    def _fault(self, **how: Any) -> int:
        return self._world.faults.add(Fault(**how))

    def _rate_limit(self, limit: int, window_seconds: float) -> None:
        self._world.budget = Budget(limit, window_seconds)

    def _requests(self) -> list[dict[str, Any]]:
        return list(self._world.log)

    def _behave(self, **how: Any) -> None:
        if "order" in how:
            if how["order"] not in ORDERS:
                raise ValueError(f"there is no order {how['order']}, but {', '.join(ORDERS)}")
            how["order"] = ORDERS[how["order"]]
        self._world.behaviour = replace(self._world.behaviour, **how)

    def _schedule(self, operation: str, before_request: int, arguments: Mapping[str, Any]) -> None:
        if operation not in self._operations:
            raise ValueError(f"there is no operation {operation}")
        if before_request < 1:
            raise ValueError("before_request counts from 1, the next request")
        run = partial(self._operations[operation], **arguments)
        self._world.schedule.add(operation, run, before_request=before_request)

    def _happened(self) -> list[dict[str, Any]]:
        return self._world.schedule.happened

    def _set_integration(self, integration_id: str, **state: Any) -> None:
        integration = self._world.store.integration(integration_id)
        integration.set(**state)
        self._world.store.save_integration(integration)

    def _add_integration(self, tool: str | None = None, offers: int = 100) -> str:
        category = TOOLS[tool].category if tool in TOOLS else "ATS"
        return self._world.seeder.add_integrations([(category, offers)], tool)[0].id

    def _remove_integration(self, integration_id: str) -> None:
        store = self._world.store
        store.remove_integration(store.integration(integration_id))


def _choosing(change: Callable[[Choice], list[str]]) -> Callable[..., list[str]]:
    return lambda **choice: change(Choice(**choice))
