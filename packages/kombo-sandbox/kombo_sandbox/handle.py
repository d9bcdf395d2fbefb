"""Driving a running sandbox from Python."""

import http.client
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

Record = dict[str, Any]

CONTROL_HEADERS = {"X-Kombo-Sandbox": "control"}
"""Headers of each call of the control API: the form of a web page cannot send them."""


class SandboxError(Exception):
    """The sandbox could not be started or reached, or could not do what was asked for."""


@dataclass(frozen=True)
class Request:
    """A request that the sandbox saw under ``/v1``.

    Attributes:
        path: without ``/v1``.
        params: the query parameters.
        status: of the answer; None while there is none, or if there never was one.
        answered: when it was answered, by the sandbox's clock, as Kombo writes times; None if it
            was not.
        started: when it came, in seconds since 1970 on the machine's clock.
        ended: when it was over; None while it lasts.
        headers: in lower case, without the key.
        connection: the client's port; the same for all requests over one connection.
    """

    path: str
    integration_id: str | None
    params: Mapping[str, str]
    status: int | None
    answered: str | None
    started: float
    ended: float | None
    headers: Mapping[str, str]
    connection: int


@dataclass(frozen=True)
class Happening:
    """What came of an operation that was scheduled.

    Attributes:
        result: what the operation would have returned, had it been called.
        error: why it could not be done; None if it could.
    """

    operation: str
    result: Any
    error: str | None


class Handle:
    """A sandbox that runs at ``url``.

    Attributes:
        url: the base URL for clients of Kombo, ending with ``/v1``.
        api_key: the key that is valid.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = f"http://{parts.netloc}/v1"
        self._address = (parts.hostname or "", parts.port or 80)
        self.api_key: str = self.call("state")["api_key"]

    @property
    def integration_ids(self) -> list[str]:
        """The integrations, oldest first."""
        ids: list[str] = self.call("state")["integration_ids"]
        return ids

    def records(
        self, model: str, integration_id: str | None = None, *, include_deleted: bool = True
    ) -> list[Record]:
        """All records of a model (of all integrations), as Kombo would answer them now.

        Beside the models there are ``integrations`` and ``integration_models``: their details.
        Reading them so is not a request that the sandbox logs.
        """
        return list(self.iter_records(model, integration_id, include_deleted=include_deleted))

    def iter_records(
        self, model: str, integration_id: str | None = None, *, include_deleted: bool = True
    ) -> Generator[Record, None, None]:
        """The same one by one, for more records than fit into memory."""
        query = {"include_deleted": str(include_deleted).lower()}
        if integration_id is not None:
            query["integration_id"] = integration_id
        connection = http.client.HTTPConnection(*self._address)
        try:
            path = f"/_sandbox/records/{model}?{urlencode(query)}"
            connection.request("GET", path, headers=CONTROL_HEADERS)
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                raise SandboxError(json.loads(response.read())["error"])
            for line in response:
                yield json.loads(line)
        finally:
            connection.close()

    def change(
        self,
        model: str,
        *,
        count: int = 1,
        integration_id: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Give live records new own values, so that ``changed_at`` moves.

        Args:
            model: Kombo's name of the model, such as ``ats_offers``.
            count: how many, chosen by chance.
            integration_id: choose only from this integration.
            ids: change these instead.

        Returns:
            The ids of the changed records.
        """
        return self._ids("change", model, count, integration_id, ids)

    def change_nested(
        self,
        model: str,
        *,
        count: int = 1,
        integration_id: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Change linked records that count: ``changed_at`` stays, ``updated_after`` matches.

        Returns:
            The ids of all records of the model that match because of it: those chosen, and others
            that show the same linked records.
        """
        return self._ids("change_nested", model, count, integration_id, ids)

    def delete(
        self,
        model: str,
        *,
        count: int = 1,
        integration_id: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Delete live records; returns their ids."""
        return self._ids("delete", model, count, integration_id, ids)

    def anonymize(
        self,
        model: str,
        *,
        count: int = 1,
        integration_id: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Delete records if they are not yet, and empty all their fields; returns their ids."""
        return self._ids("anonymize", model, count, integration_id, ids)

    def restore(
        self,
        model: str,
        *,
        count: int = 1,
        integration_id: str | None = None,
        ids: Sequence[str] | None = None,
    ) -> list[str]:
        """Bring deleted records back; returns their ids."""
        return self._ids("restore", model, count, integration_id, ids)

    def add(self, model: str, count: int = 1, integration_id: str | None = None) -> list[str]:
        """Add records that are linked to existing ones; returns their ids."""
        ids: list[str] = self.call("add", model=model, count=count, integration_id=integration_id)
        return ids

    def patch(self, model: str, id: str, values: Mapping[str, Any]) -> None:  # noqa: A002 - Kombo's name
        """Put any values into a record: wrong types, unknown fields, other nested copies."""
        self.call("patch", model=model, id=id, values=values)

    def put_raw(self, model: str, integration_id: str, json_text: str) -> None:
        """Add a record, or replace that with the same id, whose JSON is answered word for word."""
        self.call("put_raw", model=model, integration_id=integration_id, json_text=json_text)

    def clock(self) -> str:
        """What the sandbox's clock says, as Kombo writes times."""
        now: str = self.call("clock")
        return now

    def advance(self, seconds: float) -> str:
        """Move the clock; returns what it says then."""
        now: str = self.call("advance", seconds=seconds)
        return now

    def fault(
        self,
        path: str | None = None,
        *,
        integration_id: str | None = None,
        status: int | None = None,
        code: str | None = None,
        log_url: str | None = None,
        body: str | None = None,
        content_type: str = "application/json; charset=utf-8",
        headers: Mapping[str, str] | None = None,
        delay: float = 0.0,
        cut_body: float | None = None,
        close: bool = False,
        hang: bool = False,
        expired_cursor: bool = False,
        skip: int = 0,
        count: int | None = None,
    ) -> int:
        """Let requests fail; ``kombo_sandbox.faults.Fault`` says what each argument does.

        Returns:
            The number of the fault.
        """
        number: int = self.call(
            "fault",
            path=path,
            integration_id=integration_id,
            status=status,
            code=code,
            log_url=log_url,
            body=body,
            content_type=content_type,
            headers=headers or {},
            delay=delay,
            cut_body=cut_body,
            close=close,
            hang=hang,
            expired_cursor=expired_cursor,
            skip=skip,
            count=count,
        )
        return number

    def clear_faults(self) -> None:
        self.call("clear_faults")

    def rate_limit(self, limit: int, window_seconds: float) -> None:
        """From now on only so many requests in each window."""
        self.call("rate_limit", limit=limit, window_seconds=window_seconds)

    def set_integration(
        self,
        integration_id: str,
        *,
        status: str | None = None,
        setup_status: str | None = None,
        data_expired_at: str | None = None,
        unavailable_models: Sequence[str] | None = None,
        disabled_models: Sequence[str] | None = None,
        opted_out_models: Sequence[str] | None = None,
        unsupported_filters: Sequence[str] | None = None,
    ) -> None:
        """Set what is given, and leave the rest.

        Args:
            integration_id: which.
            status: ``ACTIVE``, ``INACTIVE`` or ``INVALID``.
            setup_status: ``COMPLETED``, ``INCOMPLETE`` or ``FINAL_SYNC_PENDING``.
            data_expired_at: since when its data is stale, as Kombo writes times.
            unavailable_models: models that the tool does not have.
            disabled_models: models that are switched off in the scope config.
            opted_out_models: models that the customer does not want to share.
            unsupported_filters: query parameters that the tool cannot do.
        """
        state = {
            "status": status,
            "setup_status": setup_status,
            "data_expired_at": data_expired_at,
            "unavailable_models": unavailable_models,
            "disabled_models": disabled_models,
            "opted_out_models": opted_out_models,
            "unsupported_filters": unsupported_filters,
        }
        given = {name: value for name, value in state.items() if value is not None}
        self.call("set_integration", integration_id=integration_id, **given)

    def add_integration(self, tool: str | None = None, *, offers: int = 100) -> str:
        """Connect another tool with data of its own; returns its integration id.

        Args:
            tool: of any category (default: the next ATS tool).
            offers: or, by its category, employees, learners or orders.
        """
        integration_id: str = self.call("add_integration", tool=tool, offers=offers)
        return integration_id

    def remove_integration(self, integration_id: str) -> None:
        """Disconnect it: Kombo knows neither the integration nor its records any more."""
        self.call("remove_integration", integration_id=integration_id)

    def requests(self) -> list[Request]:
        """The requests under ``/v1`` since the start or ``clear_requests``, oldest first."""
        return [Request(**entry) for entry in self.call("requests")]

    def clear_requests(self) -> None:
        self.call("clear_requests")

    def behave(
        self, *, strict: bool | None = None, order: str | None = None, sparse: bool | None = None
    ) -> None:
        """Set what is given, and leave the rest: Kombo promises none of it.

        Args:
            strict: ``updated_after`` means later than, instead of at that moment or later.
            order: of the records in lists: ``oldest first`` (as at the start), ``shuffled``,
                ``latest change first`` or ``latest change last``. The last two move records from
                page to page while they are read. A cursor goes on in the order that it began in.
            sparse: pages are cut before it is looked which records fit, so that they can be
                short, or empty, in the middle of a list.
        """
        how = {"strict": strict, "order": order, "sparse": sparse}
        self.call("behave", **{name: value for name, value in how.items() if value is not None})

    def schedule(self, operation: str, *, before_request: int, **arguments: Any) -> None:
        """Let something happen to Kombo while it is being read.

        Args:
            operation: the name of another method of this class, such as ``change``, ``delete``,
                ``add`` or ``advance``.
            before_request: of the requests for lists that come from now on, before which one is
                answered; 1 is the next one. Requests that a fault answers do not count.
            arguments: of that method.
        """
        self.call(
            "schedule", operation=operation, before_request=before_request, arguments=arguments
        )

    def happened(self) -> list[Happening]:
        """What came of that which was scheduled, in the order in which it happened."""
        return [Happening(**one) for one in self.call("happened")]

    def clear_schedule(self) -> None:
        """Forget what was scheduled: what has not happened yet, and what came of the rest."""
        self.call("clear_schedule")

    def reset(self) -> None:
        """Make everything as it was at the start: integrations, records, clock and moods.

        The same operations in the same order then lead to the same ids and choices again.
        """
        self.call("reset")

    def call(self, operation: str, /, **arguments: Any) -> Any:
        """Run an operation of ``kombo_sandbox.control``; SandboxError if it cannot be done."""
        connection = http.client.HTTPConnection(*self._address)
        try:
            body = json.dumps(arguments)
            connection.request("POST", f"/_sandbox/{operation}", body, CONTROL_HEADERS)
            answer = json.loads(connection.getresponse().read())
        except (OSError, ValueError) as error:
            raise SandboxError(f"no sandbox answers at {self.url}: {error}") from error
        finally:
            connection.close()
        if "error" in answer:
            raise SandboxError(answer["error"])
        return answer["result"]

    def _ids(
        self,
        operation: str,
        model: str,
        count: int,
        integration_id: str | None,
        ids: Sequence[str] | None,
    ) -> list[str]:
        result: list[str] = self.call(
            operation, model=model, count=count, integration_id=integration_id, ids=ids
        )
        return result
