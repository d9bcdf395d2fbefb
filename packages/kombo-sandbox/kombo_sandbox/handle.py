"""A client of the control API of a running sandbox."""

import http.client
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from urllib.parse import urlencode, urlsplit

Record = dict[str, Any]

CONTROL_HEADERS = {"X-Kombo-Sandbox": "control"}
"""Headers of each call to the control API, which an HTML form cannot send"""


class SandboxError(Exception):
    """The sandbox did not start, did not respond, or rejected a call."""


@dataclass(frozen=True)
class Request:
    """A request that the sandbox received under `/v1`.

    Attributes:
        path: The path without `/v1`.
        integration_id: The integration in the header or the path.
        params: The query parameters.
        status: The HTTP status of the response; None if there is no response.
        answered: When the response was sent, by the sandbox's clock; None if there is no response.
        started: When the request arrived, in seconds since 1970 by the machine's clock.
        ended: When the response was complete; None if it is not complete.
        headers: The headers in lower case, without the API key.
        connection: The client's port, which identifies the connection.
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
class ScheduledResult:
    """The result of a scheduled operation.

    Attributes:
        result: The return value of the operation.
        error: The reason why the operation failed; None if it succeeded.
    """

    operation: str
    result: Any
    error: str | None


class Selection(TypedDict, total=False):
    """The records that an operation changes.

    Attributes:
        count: Number of random records; by default 1.
        integration_id: Only records of this integration.
        ids: The records with these ids, instead of random ones.
    """

    count: int
    integration_id: str | None
    ids: Sequence[str] | None


class FaultOptions(TypedDict, total=False):
    """The requests that fail, and how.

    Attributes:
        integration_id: Only requests for this integration.
        skip: Number of matching requests that first succeed.
        count: Number of matching requests that then fail; by default all.
        delay: Seconds before the response. Without other options, the response is unchanged.
        hang: Send no response, and keep the connection open.
        close: Close the connection without a response.
        expired_cursor: Reject cursors as expired; requests without a cursor do not match.
        status: HTTP status of the response.
        code: Kombo's error code in the response.
        log_url: `log_url` of the error, instead of a generated one.
        body: Body of the response, instead of Kombo's error.
        content_type: Content type of `body`.
        headers: Headers to add to the response.
        cut_body: Close the connection after this number of bytes of the body, or after this
            fraction of it if the value is below 1.
    """

    integration_id: str | None
    skip: int
    count: int | None
    delay: float
    hang: bool
    close: bool
    expired_cursor: bool
    status: int | None
    code: str | None
    log_url: str | None
    body: str | None
    content_type: str
    headers: Mapping[str, str]
    cut_body: float | None


class IntegrationState(TypedDict, total=False):
    """The state of an integration.

    Attributes:
        status: `ACTIVE`, `INACTIVE` or `INVALID`.
        setup_status: `COMPLETED`, `INCOMPLETE` or `FINAL_SYNC_PENDING`.
        data_expired_at: When its data became stale because its configuration changed; None after
            Kombo's next sync.
        unavailable_models: Models that the tool does not have.
        disabled_models: Models that are disabled in the scope config. If a model was available, all
            its records are marked as deleted now, and removed 14 days later.
        opted_out_models: Models that the customer does not share, with the same effect.
        unsupported_filters: Query parameters that the tool does not support.
    """

    status: str | None
    setup_status: str | None
    data_expired_at: str | None
    unavailable_models: Sequence[str] | None
    disabled_models: Sequence[str] | None
    opted_out_models: Sequence[str] | None
    unsupported_filters: Sequence[str] | None


class Handle:
    """A running sandbox.

    Args:
        url: The URL of the sandbox, with or without `/v1`.

    Attributes:
        url: The base URL for Kombo clients, which ends with `/v1`.
        api_key: The valid API key.
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
        """Return all records of a model as Kombo returns them, of one or all integrations.

        The models `integrations` and `integration_models` are the details of integrations. The
        request log does not contain this call.
        """
        return list(self.iter_records(model, integration_id, include_deleted=include_deleted))

    def iter_records(
        self, model: str, integration_id: str | None = None, *, include_deleted: bool = True
    ) -> Generator[Record, None, None]:
        """Yield all records of a model, without loading them all into memory."""
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

    def change(self, model: str, **selection: Unpack[Selection]) -> list[str]:
        """Change values and `changed_at` of live records; returns their ids."""
        return self._ids("change", model=model, **selection)

    def change_nested(self, model: str, **selection: Unpack[Selection]) -> list[str]:
        """Change linked records, so that `updated_after` matches but `changed_at` stays.

        Returns:
            The ids of all records of the model that then match: the selected ones, and others with
            the same linked records.
        """
        return self._ids("change_nested", model=model, **selection)

    def delete(self, model: str, **selection: Unpack[Selection]) -> list[str]:
        """Delete live records; returns their ids."""
        return self._ids("delete", model=model, **selection)

    def anonymize(self, model: str, **selection: Unpack[Selection]) -> list[str]:
        """Set all fields to null; returns the ids.

        Kombo does this 14 days after it no longer finds a record in the tool. Live records are
        also marked as deleted.
        """
        return self._ids("anonymize", model=model, **selection)

    def forget(self, model: str, **selection: Unpack[Selection]) -> list[str]:
        """Remove records without marking them as deleted; returns their ids.

        Kombo does this with all records of a model 14 days after the model was switched off.
        Nothing else changes: `updated_after` does not match the records in which they were nested.
        """
        return self._ids("forget", model=model, **selection)

    def restore(self, model: str, **selection: Unpack[Selection]) -> list[str]:
        """Restore deleted records; returns their ids."""
        return self._ids("restore", model=model, **selection)

    def add(self, model: str, count: int = 1, integration_id: str | None = None) -> list[str]:
        """Add records that are linked to existing ones; returns their ids."""
        return self._ids("add", model=model, count=count, integration_id=integration_id)

    def patch(self, model: str, id: str, values: Mapping[str, Any]) -> None:  # noqa: A002 - Kombo's name
        """Set any values in a record, including wrong types, unknown fields and nested copies."""
        self.call("patch", model=model, id=id, values=values)

    def put_raw(self, model: str, integration_id: str, json_text: str) -> None:
        """Add or replace a record; its JSON is returned unchanged."""
        self.call("put_raw", model=model, integration_id=integration_id, json_text=json_text)

    def clock(self) -> str:
        """Return the time of the sandbox's clock."""
        now: str = self.call("clock")
        return now

    def advance(self, seconds: float) -> str:
        """Move the clock; returns the new time."""
        now: str = self.call("advance", seconds=seconds)
        return now

    def fault(self, path: str | None = None, **options: Unpack[FaultOptions]) -> int:
        """Make requests fail, by default for all paths.

        Returns:
            The number of the fault.
        """
        number: int = self.call("fault", path=path, **options)
        return number

    def clear_faults(self) -> None:
        self.call("clear_faults")

    def rate_limit(self, limit: int, window_seconds: float) -> None:
        """Set the number of requests allowed in each window."""
        self.call("rate_limit", limit=limit, window_seconds=window_seconds)

    def set_integration(self, integration_id: str, **state: Unpack[IntegrationState]) -> None:
        """Set parts of an integration's state; the other parts stay."""
        self.call("set_integration", integration_id=integration_id, **state)

    def add_integration(self, tool: str | None = None, *, offers: int = 100) -> str:
        """Add an integration with its own records; returns its id.

        Args:
            tool: A tool of any category; by default the next ATS.
            offers: Number of offers or, in other categories, of employees, learners or orders.
        """
        integration_id: str = self.call("add_integration", tool=tool, offers=offers)
        return integration_id

    def remove_integration(self, integration_id: str) -> None:
        """Remove an integration and its records."""
        self.call("remove_integration", integration_id=integration_id)

    def set_webhook(self, url: str | None, secret: str = "") -> None:
        """Set the receiver of webhooks.

        Each later call that changes records or integrations returns after its events were sent.
        The events of scheduled operations are sent before the response to the request. An event
        that the receiver does not accept within 2 seconds is lost.

        Args:
            url: The URL of the receiver; None for no receiver.
            secret: The secret with which the events are signed.
        """
        self.call("set_webhook", url=url, secret=secret)

    def requests(self) -> list[Request]:
        """Return the requests under `/v1` since the start or `clear_requests`, oldest first."""
        return [Request(**entry) for entry in self.call("requests")]

    def clear_requests(self) -> None:
        self.call("clear_requests")

    def set_listing(
        self, *, strict: bool | None = None, order: str | None = None, sparse: bool | None = None
    ) -> None:
        """Set behavior of lists that Kombo does not document; None leaves it unchanged.

        Args:
            strict: `updated_after` is exclusive.
            order: `oldest first` (the default), `shuffled`, `latest change first` or `latest change
                last`. In the last two, a change moves a record to another page. A cursor keeps the
                order that was set when it was issued.
            sparse: Records that do not match the filters count toward `page_size`, so that pages
                can be short or empty before the end of a list.
        """
        self.call("set_listing", strict=strict, order=order, sparse=sparse)

    def schedule(self, operation: str, *, before_request: int, **arguments: Any) -> None:
        """Run an operation later, so that data changes while a client reads it.

        Args:
            operation: The name of another method of this class, such as `change` or `advance`.
            before_request: The number of the list request before which the operation runs; 1 is
                the next one. Requests to which a fault responds are not counted.
            arguments: The arguments of the method.
        """
        self.call(
            "schedule", operation=operation, before_request=before_request, arguments=arguments
        )

    def scheduled_results(self) -> list[ScheduledResult]:
        """Return the results of the scheduled operations that ran, in order."""
        return [ScheduledResult(**one) for one in self.call("scheduled_results")]

    def clear_schedule(self) -> None:
        """Remove scheduled operations and results."""
        self.call("clear_schedule")

    def reset(self) -> None:
        """Restore the initial integrations, records, clock and options.

        The same operations in the same order then have the same results again.
        """
        self.call("reset")

    def call(self, operation: str, /, **arguments: Any) -> Any:
        """Call an operation of the control API; raises SandboxError if it fails."""
        connection = http.client.HTTPConnection(*self._address)
        try:
            body = json.dumps(arguments)
            connection.request("POST", f"/_sandbox/{operation}", body, CONTROL_HEADERS)
            response = json.loads(connection.getresponse().read())
        except (OSError, ValueError) as error:
            raise SandboxError(f"no sandbox responds at {self.url}: {error}") from error
        finally:
            connection.close()
        if "error" in response:
            raise SandboxError(response["error"])
        return response["result"]

    def _ids(self, operation: str, **arguments: Any) -> list[str]:
        ids: list[str] = self.call(operation, **arguments)
        return ids
