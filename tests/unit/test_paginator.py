"""The pages of a partition, with a client that sends no requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, cast

import msgspec
import pytest

from tap_kombo import errors
from tap_kombo.client import KomboClient, Request, Response
from tap_kombo.errors import KomboError
from tap_kombo.reader import Page, Paginator, ResumePoint, Start, StreamPartition
from tap_kombo.responses import PAGES, PageData
from tap_kombo.times import format_time

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
YESTERDAY = NOON - timedelta(days=1)

REJECTED = KomboError(errors.CODES["PLATFORM.INPUT_INVALID"], status=400)


class FakeClient:
    """Returns pages by their cursors, one a second.

    Args:
        cursors: Cursor of a page -> cursor of the next one, or an error; None for the first and
            after the last page.
        limit: The largest number of records that is not too large for a response.
    """

    def __init__(
        self, cursors: Mapping[str | None, str | KomboError | None], limit: int = 250
    ) -> None:
        self._cursors = cursors
        self._limit = limit
        self.requests: list[Request] = []

    @property
    def cursors(self) -> list[str | None]:
        return [request.params.get("cursor") for request in self.requests]

    @property
    def page_sizes(self) -> list[int]:
        return [int(request.params["page_size"]) for request in self.requests]

    def get(self, request: Request, *_: object) -> Response[Any]:
        self.requests.append(request)
        if int(request.params.get("page_size", 1)) > self._limit:
            raise KomboError(errors.TOO_LARGE)
        cursor = request.params.get("cursor")
        following = self._cursors[cursor]
        if isinstance(following, KomboError):
            raise following
        time = NOON + timedelta(seconds=len(self.requests))
        record = msgspec.Raw(b'{"id":"%b"}' % str(cursor).encode())
        return Response(PageData(following, [record]), time, time)


def read(client: FakeClient, **partition: Any) -> list[Page]:
    paginator = Paginator(
        StreamPartition(
            stream="ats_offers",
            integration_id="personio:x",
            path="/ats/offers",
            format=PAGES,
            page_size=partition.pop("page_size", 250),
            **partition,
        ),
        cast("KomboClient", client),
    )
    return list(paginator)


def interrupted_before(cursor: str) -> Start:
    return Start(resume=ResumePoint(cursor, format_time(YESTERDAY), None))


def test_pages_follow_their_cursors() -> None:
    client = FakeClient({None: "a", "a": "b", "b": None})

    pages = read(client)

    assert client.cursors == [None, "a", "b"]
    assert [page.cursor for page in pages] == ["a", "b", None]
    assert [page.is_end for page in pages] == [False, False, True]
    assert [bytes(*page.records) for page in pages] == [
        b'{"id":"None"}',
        b'{"id":"a"}',
        b'{"id":"b"}',
    ]


def test_a_read_starts_with_its_first_request() -> None:
    pages = read(FakeClient({None: "a", "a": None}))

    assert {page.started for page in pages} == {NOON + timedelta(seconds=1)}


def test_every_request_has_all_parameters() -> None:
    client = FakeClient({None: "a", "a": None})

    read(client, params={"outcomes": "HIRED"}, page_size=20, start=Start(since=NOON))

    parameters = {"outcomes": "HIRED", "page_size": "20", "updated_after": format_time(NOON)}
    assert [request.params for request in client.requests] == [
        parameters,
        {**parameters, "cursor": "a"},
    ]
    assert {request.path for request in client.requests} == {"/ats/offers"}
    assert {request.integration_id for request in client.requests} == {"personio:x"}


def test_an_unpaged_endpoint_is_requested_without_a_page_size() -> None:
    client = FakeClient({None: None})

    read(client, page_size=None)

    [request] = client.requests
    assert request.params == {}


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("prefix", [[], ["x"], ["x", "y"]])
def test_cursors_in_a_loop_are_an_error(length: int, prefix: list[str]) -> None:
    loop = ["a", "b", "c"][:length]
    chain = [None, *prefix, *loop, loop[0]]
    client = FakeClient(dict(pairwise(chain)))

    with pytest.raises(KomboError) as caught:
        read(client)

    assert caught.value.rule is errors.ENDLESS_CURSOR
    assert client.cursors == [None, *prefix, *loop]


class ClientOfEmptyPages(FakeClient):
    """Returns a new cursor with every page, and a record on a few of them.

    Args:
        records: The numbers of the pages with a record.
    """

    def __init__(self, *records: int) -> None:
        super().__init__({})
        self._records = records

    def get(self, request: Request, *_: object) -> Response[Any]:
        self.requests.append(request)
        count = len(self.requests)
        records = [msgspec.Raw(b"{}")] if count in self._records else []
        return Response(PageData(str(count), records), NOON, NOON)


def test_empty_pages_without_an_end_are_an_error() -> None:
    client = ClientOfEmptyPages(100, 5000)

    with pytest.raises(KomboError) as caught:
        read(client)

    assert caught.value.rule is errors.ENDLESS_CURSOR
    assert len(client.requests) == 5000 + 10_000


class ClientOfTwoServers(FakeClient):
    """The clock of the server that sends the second page is five minutes behind."""

    def get(self, request: Request, *args: object) -> Response[Any]:
        response = super().get(request, *args)
        time = NOON - timedelta(minutes=5 * (len(self.requests) - 1))
        return replace(response, sent_at=time, received_at=time)


def test_page_of_a_server_whose_clock_is_behind_is_not_received_before_the_read_started() -> None:
    pages = read(ClientOfTwoServers({None: "a", "a": None}))

    assert [(page.started, page.received_at) for page in pages] == [(NOON, NOON)] * 2


def test_a_rejected_cursor_restarts_the_read_three_times() -> None:
    client = FakeClient({None: "a", "a": REJECTED})

    with pytest.raises(KomboError) as caught:
        read(client)

    assert caught.value is REJECTED
    assert client.cursors == [None, "a"] * 4


def test_a_rejected_first_page_is_not_requested_again() -> None:
    client = FakeClient({None: REJECTED})

    with pytest.raises(KomboError):
        read(client)

    assert client.cursors == [None]


def test_a_restarted_read_has_a_new_start() -> None:
    client = FakeClient({None: None, "expired": REJECTED})

    [page] = read(client, start=interrupted_before("expired"))

    assert client.cursors == ["expired", None]
    assert page.started == NOON + timedelta(seconds=2)


def test_an_interrupted_read_resumes_at_its_cursor_with_its_start() -> None:
    """The last page does not end the read: changes since its start are read next."""
    client = FakeClient({"b": "c", "c": None})

    pages = read(client, start=interrupted_before("b"))

    assert client.cursors == ["b", "c"]
    assert {page.started for page in pages} == {YESTERDAY}
    assert [page.is_end for page in pages] == [False, False]


@pytest.mark.parametrize(
    "error",
    [
        KomboError(errors.UNKNOWN_CODE, status=400),
        KomboError(errors.rule_for(404, None), status=404),
        KomboError(errors.SERVER_ERROR, status=500),
    ],
    ids=["another code", "HTTP 404", "HTTP 500"],
)
def test_any_error_response_at_a_resume_point_restarts_the_read(error: KomboError) -> None:
    client = FakeClient({None: "a", "a": None, "expired": error})

    read(client, start=interrupted_before("expired"))

    assert client.cursors == ["expired", None, "a"]


def test_a_loop_after_a_resume_point_restarts_the_read() -> None:
    client = FakeClient({None: "a", "a": None, "expired": "expired"})

    read(client, start=interrupted_before("expired"))

    assert client.cursors == ["expired", None, "a"]


@pytest.mark.parametrize(
    "error",
    [
        KomboError(errors.NO_CONNECTION),
        KomboError(errors.KEY_LIMIT, status=429),
        KomboError(errors.KEY_REJECTED, status=401),
        KomboError(errors.CODES["INTEGRATION.INACTIVE"], status=400),
        KomboError(errors.CODES["INTEGRATION.MODEL_DISABLED"], status=400),
    ],
    ids=["network", "rate limit", "API key", "integration", "model"],
)
def test_other_errors_at_a_resume_point_keep_it(error: KomboError) -> None:
    client = FakeClient({"b": error})

    with pytest.raises(KomboError) as caught:
        read(client, start=interrupted_before("b"))

    assert caught.value is error
    assert client.cursors == ["b"]


def test_an_error_after_the_resume_point_keeps_it() -> None:
    client = FakeClient({"b": "c", "c": KomboError(errors.SERVER_ERROR, status=500)})

    with pytest.raises(KomboError):
        read(client, start=interrupted_before("b"))

    assert client.cursors == ["b", "c"]


def test_a_page_that_is_too_large_is_requested_with_half_the_records() -> None:
    """The next pages keep the size, because their cursors may depend on it."""
    client = FakeClient({None: "a", "a": None}, limit=40)

    read(client)

    assert client.page_sizes == [250, 125, 62, 31, 31]


def test_a_record_that_is_too_large_is_an_error() -> None:
    client = FakeClient({None: None}, limit=0)

    with pytest.raises(KomboError) as caught:
        read(client, page_size=4)

    assert caught.value.rule is errors.TOO_LARGE
    assert client.page_sizes == [4, 2, 1]


@pytest.mark.parametrize(("page_size", "requested"), [(250, 50), (50, 50), (20, 20)])
def test_a_resumed_read_never_requests_larger_pages(page_size: int, requested: int) -> None:
    """A cursor may count pages, and would then skip records."""
    client = FakeClient({"a": "b", "b": None})
    resume = ResumePoint("a", format_time(YESTERDAY), None, page_size=50)

    read(client, page_size=page_size, start=Start(resume=resume))

    assert client.page_sizes == [requested, requested]


def test_a_page_has_the_size_that_its_next_cursor_depends_on() -> None:
    client = FakeClient({None: "a", "a": None}, limit=100)

    pages = read(client, page_size=250)

    assert [page.page_size for page in pages] == [62, 62]
