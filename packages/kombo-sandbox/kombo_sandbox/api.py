"""Kombo's endpoints: authentication, query parameters and the envelope of responses."""

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from kombo_sandbox.errors import KomboError, envelope
from kombo_sandbox.filters import IDS, Filter, date
from kombo_sandbox.integrations import Integration, details
from kombo_sandbox.models import LIVE, SERVED, Model
from kombo_sandbox.state import State

JSON = "application/json; charset=utf-8"


class Kombo:
    """Kombo's endpoints."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._store = state.store

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/check-api-key", self._check_api_key),
            Route("/v1/integrations/{integration_id}", self._integration),
            *(Route(f"/v1{model.path}", self._listing(model)) for model in SERVED),
        ]

    async def _check_api_key(self, request: Request) -> Response:
        self._authenticate(request)
        return _success({"environment_id": "2" * 24, "customer_id": "3" * 24})

    async def _integration(self, request: Request) -> Response:
        self._authenticate(request)
        integration = self._find(request.path_params["integration_id"])
        return _success(details(integration, self._store.fields()))

    def _listing(self, model: Model) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            self._authenticate(request)
            self._state.schedule.count_request()
            await self._state.webhooks.send()
            in_path = request.path_params.get("integration_id")
            integration = self._find(in_path or request.headers.get("x-integration-id"))
            integration.check_readable(model, self._state.clock.now())
            return self._list(model, integration, Query(request, model))

        return endpoint

    def _authenticate(self, request: Request) -> None:
        if request.headers.get("authorization") != f"Bearer {self._state.api_key}":
            raise KomboError("PLATFORM.AUTHENTICATION_INVALID", "The API key is not valid.")

    def _find(self, integration_id: str | None) -> Integration:
        if not integration_id:
            raise KomboError("PLATFORM.INPUT_INVALID", "The header X-Integration-Id is missing.")
        if integration_id not in self._store.integrations:
            message = f'The integration "{integration_id}" was not found.'
            raise KomboError("PLATFORM.INTEGRATION_NOT_FOUND", message)
        return self._store.integrations[integration_id]

    def _list(self, model: Model, integration: Integration, query: "Query") -> Response:
        now = self._state.clock.now()
        options = self._state.listing
        order, after = options.order, None
        if query.cursor is not None:
            try:
                order, after = self._state.cursors.read(query.cursor, model.id, integration.id, now)
            except ValueError as error:
                raise invalid("cursor", str(error)) from error
        conditions: list[str] = []
        values: dict[str, str] = {}
        if not query.include_deleted:
            conditions.append(f"r.state = {LIVE}")
        if query.updated_after is not None:
            operator = ">" if options.strict else ">="
            conditions.append(f"r.touched_at {operator} :updated_after")
            values["updated_after"] = query.updated_after
        for one, value in query.filters.items():
            if one.name in integration.unsupported_filters:
                if not query.ignore_unsupported_filters:
                    return _page(model, [], None)
                continue
            if one is IDS:
                self._check_known(model, integration, value)
            conditions.append(one.condition)
            values[one.name] = value
        page = self._store.page(
            model,
            integration.seq,
            order=order,
            after=after,
            limit=-1 if query.page_size is None else query.page_size + 1,
            conditions=conditions,
            values=values,
            sparse=options.sparse,
        )
        next_cursor = None
        if query.page_size is not None and len(page) > query.page_size:
            page.pop()
            last = page[-1][0]
            next_cursor = self._state.cursors.issue(model.id, integration.id, order, last, now)
        return _page(model, [body for _, body in page if body is not None], next_cursor)

    def _check_known(self, model: Model, integration: Integration, ids: str) -> None:
        if unknown := self._store.unknown_ids(model, integration.seq, ids):
            message = f"{model.id}: the id {unknown[0]} was not found."
            raise KomboError("PLATFORM.INPUT_INVALID", message, status=404)


class Query:
    """The query parameters of a list endpoint.

    A cursor does not contain parameters: they must be sent with every page.
    """

    def __init__(self, request: Request, model: Model) -> None:
        sent = request.query_params.multi_items()
        self._sent = dict(sent)
        listing = model.listing
        if len(self._sent) != len(sent):
            raise KomboError("PLATFORM.INPUT_INVALID", "A parameter was sent twice.")
        self.cursor = None
        self.page_size = None
        if listing.max_page_size is not None:
            self.cursor = self._sent.pop("cursor", None)
            self.page_size = self._read_page_size(listing.max_page_size)
        self.include_deleted = self.ignore_unsupported_filters = False
        self.updated_after = None
        if listing.tracks_changes:
            self.include_deleted = self._read_flag("include_deleted")
            self.ignore_unsupported_filters = self._read_flag("ignore_unsupported_filters")
            self.updated_after = self._read("updated_after", date)
        self.filters: dict[Filter, str] = {}
        for one in model.all_filters:
            value = self._read(one.name, one.read)
            if value is not None:
                self.filters[one] = value
        if self._sent:
            raise invalid(next(iter(self._sent)), f"is not supported by {model.path}")

    def _read(self, name: str, read: Callable[[str], str]) -> str | None:
        text = self._sent.pop(name, None)
        try:
            return None if text is None else read(text)
        except ValueError as error:
            raise invalid(name, str(error)) from error

    def _read_page_size(self, maximum: int) -> int:
        text = self._sent.pop("page_size", "100")
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= maximum):
            raise invalid("page_size", f"must be a number from 1 to {maximum}")
        return int(text)

    def _read_flag(self, name: str) -> bool:
        text = self._sent.pop(name, "false")
        if text not in {"true", "false"}:
            raise invalid(name, "must be true or false")
        return text == "true"


def invalid(parameter: str, reason: str) -> KomboError:
    return KomboError("PLATFORM.INPUT_INVALID", f"The parameter {parameter} {reason}.")


def error_response(error: KomboError) -> Response:
    return Response(envelope(error.code, str(error)), status_code=error.status, media_type=JSON)


def _success(data: dict[str, Any]) -> Response:
    return JSONResponse({"status": "success", "data": data})


def _page(model: Model, records: list[bytes], next_cursor: str | None) -> Response:
    cursor = b"null" if next_cursor is None else b'"%b"' % next_cursor.encode()
    data = model.listing.data % {b"next": cursor, b"records": b",".join(records)}
    return Response(b'{"status":"success","data":%b}' % data, media_type=JSON)


async def _kombo_error(_: Request, error: KomboError) -> Response:
    return error_response(error)


async def _http_error(_: Request, error: HTTPException) -> Response:
    body = envelope(None, error.detail)
    return Response(body, status_code=error.status_code, media_type=JSON)


async def _bug(_: Request, error: Exception) -> Response:
    traceback.print_exception(error)
    body = envelope(None, f"The sandbox has a bug: {error!r}")
    return Response(body, status_code=500, media_type=JSON)


ERROR_HANDLERS: dict[Any, Any] = {
    KomboError: _kombo_error,
    HTTPException: _http_error,
    Exception: _bug,
}
