"""Retries, rate limits and Kombo's clock, without a server and without real waits."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise, repeat

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

import tap_kombo.client
from tap_kombo import errors
from tap_kombo.client import KomboClient, KomboClock, RateLimit, Request
from tap_kombo.errors import KomboError, Scope, StoppedError
from tap_kombo.responses import PAGES

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
DATE = {"Date": "Sat, 31 Jan 2026 12:00:00 GMT"}
BODY = b'{"status":"success","data":{"next":null,"results":[]}}'
OFFERS = Request("/ats/offers", {}, "personio:x")
JOBS = Request("/ats/jobs", {}, "personio:x")


class FakeTime:
    """Replaces the module `time`; its clock only moves when a test advances it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class FakeStop(threading.Event):
    """A stop event whose waits advance the fake clock instead of sleeping."""

    def __init__(self, time: FakeTime) -> None:
        super().__init__()
        self._time = time
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        self._time.advance(timeout)
        return self.is_set()


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    time = FakeTime()
    monkeypatch.setattr(tap_kombo.client, "time", time)
    return time


Reply = tuple[int, Mapping[str, str], bytes] | None
"""Status, headers and body of a response; None for no connection"""

SUCCESS: Reply = (200, DATE, BODY)
NO_CONNECTION: Reply = None


def failure(status: int, code: str | None = None, **headers: str) -> Reply:
    error = f'{{"code":"{code}"}}' if code else "{}"
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return status, {**DATE, **names}, f'{{"status":"error","error":{error}}}'.encode()


class FakeServer:
    """Replies to the client's requests in order, each after `seconds`."""

    def __init__(self, time: FakeTime, stop: FakeStop) -> None:
        self._time = time
        self.stop = stop
        self.paths: list[str] = []
        self.seconds = 0.0
        self.replies: Iterator[Reply] = repeat(SUCCESS)
        self.check_replies: Iterator[Reply] = repeat(SUCCESS)

    def send(self, request: requests.PreparedRequest) -> requests.Response:
        path = request.path_url.removeprefix("/v1")
        self.paths.append(path)
        self._time.advance(self.seconds)
        reply = next(self.check_replies if path == "/check-api-key" else self.replies)
        if reply is None:
            raise requests.ConnectionError
        status, headers, body = reply
        response = urllib3.HTTPResponse(
            io.BytesIO(body), headers, status, preload_content=False, request_method="GET"
        )
        return HTTPAdapter().build_response(request, response)


@pytest.fixture
def server(time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = FakeServer(time, FakeStop(time))
    monkeypatch.setattr(HTTPAdapter, "send", lambda _, request, **__: server.send(request))
    return server


def client_of(server: FakeServer, max_wait: float = 300) -> KomboClient:
    return KomboClient(
        base_url="https://api.kombo.dev/v1",
        api_key="ks_dev_1",
        user_agent="tap-kombo/0",
        connections=1,
        timeout=60,
        max_wait=max_wait,
        stop=server.stop,
    )


def error_of(client: KomboClient, request: Request = OFFERS) -> KomboError:
    with pytest.raises(KomboError) as caught:
        client.get(request, PAGES.decoder)
    return caught.value


TRANSIENT = pytest.mark.parametrize(
    "reply",
    [
        pytest.param(NO_CONNECTION, id="no connection"),
        pytest.param(failure(503), id="HTTP 503"),
        pytest.param((200, DATE, BODY[:-1]), id="a truncated response"),
        pytest.param(failure(400, "REMOTE.SERVICE_UNAVAILABLE"), id="the tool"),
    ],
)


class TestRetries:
    @TRANSIENT
    def test_a_transient_failure_is_retried(self, server: FakeServer, reply: Reply) -> None:
        server.replies = chain([reply] * 3, repeat(SUCCESS))

        client_of(server).get(OFFERS, PAGES.decoder)

        assert server.paths == ["/ats/offers"] * 4

    @TRANSIENT
    def test_pauses_double_up_to_30_seconds(self, server: FakeServer, reply: Reply) -> None:
        server.replies = repeat(reply)

        error_of(client_of(server))

        waits = server.stop.waits
        for number, seconds in enumerate(waits):
            pause = min(30, 0.5 * 2**number)
            assert 0.75 * pause <= seconds <= pause
        assert 260 < sum(waits) <= 300.5

    def test_pauses_have_jitter(self, server: FakeServer) -> None:
        server.replies = repeat(NO_CONNECTION)
        error_of(client_of(server))
        first, server.stop.waits = server.stop.waits, []

        error_of(client_of(server))

        assert first != server.stop.waits

    def test_the_time_of_failed_requests_counts(self, server: FakeServer) -> None:
        server.replies = repeat(NO_CONNECTION)
        server.seconds = 60

        error_of(client_of(server))

        assert 4 <= server.paths.count("/ats/offers") <= 5

    def test_without_max_wait_seconds_nothing_is_retried(self, server: FakeServer) -> None:
        server.replies = repeat(NO_CONNECTION)

        for _ in range(20):
            error_of(client_of(server, max_wait=0))

        assert server.paths.count("/ats/offers") == 20

    def test_a_permanent_error_is_not_retried(self, server: FakeServer) -> None:
        server.replies = repeat(failure(403, "INTEGRATION.PERMISSION_MISSING"))

        error = error_of(client_of(server))

        assert error.code == "INTEGRATION.PERMISSION_MISSING"
        assert server.paths == ["/ats/offers"]

    def test_a_long_retry_after_of_a_failure_is_shortened(self, server: FakeServer) -> None:
        server.replies = chain([failure(503, Retry_After="3600")], repeat(SUCCESS))

        client_of(server).get(OFFERS, PAGES.decoder)

        [seconds] = server.stop.waits
        assert 30 <= seconds <= 30.5

    def test_a_stopped_run_sends_no_request(self, server: FakeServer) -> None:
        server.stop.set()

        with pytest.raises(StoppedError):
            client_of(server).get(OFFERS, PAGES.decoder)

        assert server.paths == []

    def test_a_first_response_without_a_date_is_retried(self, server: FakeServer) -> None:
        server.replies = chain([(200, {}, BODY)], repeat(SUCCESS))

        client_of(server).get(OFFERS, PAGES.decoder)

        assert server.paths == ["/ats/offers"] * 2

    def test_kombos_time_is_requested_if_no_response_had_a_date(
        self, server: FakeServer, time: FakeTime
    ) -> None:
        server.check_replies = chain([(200, {}, BODY), (503, {}, b"")], repeat(SUCCESS))
        client = client_of(server)
        client.check_api_key()

        assert client.now() == NOON
        time.advance(10)
        assert client.now() == NOON + timedelta(seconds=10)
        assert server.paths == ["/check-api-key"] * 3


class TestOutage:
    def test_an_outage_ends_the_run_if_the_check_of_the_api_key_fails_too(
        self, server: FakeServer
    ) -> None:
        server.replies = repeat(NO_CONNECTION)
        server.check_replies = repeat(failure(502))

        error = error_of(client_of(server))

        assert error.rule.scope is Scope.RUN
        assert error.status == 502
        assert server.paths.count("/check-api-key") == 1

    def test_an_outage_fails_only_the_read_if_the_check_of_the_api_key_succeeds(
        self, server: FakeServer
    ) -> None:
        server.replies = repeat(failure(503))

        error = error_of(client_of(server))

        assert error.rule.scope is Scope.READ
        assert error.status == 503
        assert server.paths.count("/check-api-key") == 1

    def test_other_reads_of_the_integration_do_not_wait(self, server: FakeServer) -> None:
        server.replies = repeat(failure(503))
        client = client_of(server)
        error_of(client)
        waits = len(server.stop.waits)

        error_of(client, JOBS)

        assert server.paths.count("/ats/jobs") == 1
        assert len(server.stop.waits) == waits

    def test_other_reads_of_the_integration_wait_again_after_a_success(
        self, server: FakeServer
    ) -> None:
        server.replies = repeat(failure(503))
        client = client_of(server)
        error_of(client)
        server.replies = chain([SUCCESS, failure(503)], repeat(SUCCESS))

        client.get(JOBS, PAGES.decoder)
        client.get(JOBS, PAGES.decoder)

        assert server.paths.count("/ats/jobs") == 3

    def test_the_first_check_of_the_api_key_is_not_retried(self, server: FakeServer) -> None:
        server.check_replies = repeat(failure(503))

        client_of(server).check_api_key()

        assert server.paths == ["/check-api-key"]

    def test_a_rejected_api_key_ends_the_run(self, server: FakeServer) -> None:
        server.check_replies = repeat(failure(401, "PLATFORM.AUTHENTICATION_INVALID"))

        with pytest.raises(KomboError) as caught:
            client_of(server).check_api_key()

        assert caught.value.rule.scope is Scope.RUN


class TestWaitsForLimits:
    @pytest.mark.parametrize("code", ["PLATFORM.RATE_LIMIT_EXCEEDED", "REMOTE.RATE_LIMIT_EXCEEDED"])
    def test_a_limit_is_waited_out_as_long_as_retry_after_says(
        self, server: FakeServer, code: str
    ) -> None:
        server.replies = chain([failure(429, code, Retry_After="200")], repeat(SUCCESS))

        client_of(server).get(OFFERS, PAGES.decoder)

        [seconds] = server.stop.waits
        assert 200 <= seconds <= 200.5

    def test_the_keys_limit_is_waited_out_as_long_as_ratelimit_reset_says(
        self, server: FakeServer
    ) -> None:
        server.replies = chain([failure(429, ratelimit_reset="200")], repeat(SUCCESS))

        client_of(server).get(OFFERS, PAGES.decoder)

        assert 200 <= sum(server.stop.waits) <= 200.5

    @pytest.mark.parametrize("code", ["PLATFORM.RATE_LIMIT_EXCEEDED", "REMOTE.RATE_LIMIT_EXCEEDED"])
    @pytest.mark.parametrize("seconds", ["", "0", "0.05", "-5", "Sun, 01 Mar 2020 12:00:00 GMT"])
    def test_a_limit_of_unknown_length_is_retried_with_growing_pauses(
        self, server: FakeServer, code: str, seconds: str
    ) -> None:
        server.replies = chain([failure(429, code, Retry_After=seconds)] * 6, repeat(SUCCESS))

        client_of(server).get(OFFERS, PAGES.decoder)

        assert len(server.stop.waits) == 6
        assert all(longer > shorter for shorter, longer in pairwise(server.stop.waits))

    def test_a_limit_that_is_too_long_is_an_error_at_once(self, server: FakeServer) -> None:
        server.replies = repeat(failure(429, Retry_After="301"))
        client = client_of(server)

        errors_of_reads = [error_of(client), error_of(client, JOBS)]

        assert server.paths == ["/ats/offers"]
        assert server.stop.waits == []
        assert all(error.rule is errors.KEY_LIMIT for error in errors_of_reads)

    def test_the_request_after_the_last_allowed_one_waits(self, server: FakeServer) -> None:
        headers = {**DATE, "ratelimit-remaining": "0", "ratelimit-reset": "7"}
        server.replies = chain([(200, headers, BODY)], repeat(SUCCESS))
        client = client_of(server)

        client.get(OFFERS, PAGES.decoder)
        assert server.stop.waits == []
        client.get(OFFERS, PAGES.decoder)

        assert server.stop.waits == [7]


class TestRateLimit:
    ERROR = KomboError(errors.KEY_LIMIT, status=429)

    @staticmethod
    def sleeps(time: FakeTime) -> Callable[[float, KomboError], None]:
        return lambda seconds, _: time.advance(seconds)

    def test_a_new_limit_is_open(self, time: FakeTime) -> None:
        assert RateLimit().wait(300, self.sleeps(time)) == 0

    def test_a_closed_limit_opens_after_its_seconds(self, time: FakeTime) -> None:
        limit = RateLimit()
        limit.close(5, self.ERROR)
        time.advance(2)

        assert limit.wait(300, self.sleeps(time)) == 3
        assert limit.wait(300, self.sleeps(time)) == 0

    def test_a_shorter_time_does_not_open_a_limit_earlier(self, time: FakeTime) -> None:
        limit = RateLimit()
        limit.close(5, self.ERROR)
        limit.close(1, self.ERROR)

        assert limit.wait(300, self.sleeps(time)) == 5

    def test_a_longer_wait_than_allowed_is_an_error_at_once(self, time: FakeTime) -> None:
        limit = RateLimit()
        limit.close(5, self.ERROR)
        before = time.now

        with pytest.raises(KomboError) as caught:
            limit.wait(4, self.sleeps(time))

        assert caught.value is self.ERROR
        assert time.now == before

    def test_a_limit_closed_again_during_the_wait_is_waited_out(self, time: FakeTime) -> None:
        limit = RateLimit()
        limit.close(5, self.ERROR)
        again = iter([3.0])

        def sleep(seconds: float, _: KomboError) -> None:
            time.advance(seconds)
            for more in again:
                limit.close(more, self.ERROR)

        assert limit.wait(300, sleep) == 8

    def test_a_limit_that_keeps_closing_is_an_error(self, time: FakeTime) -> None:
        limit = RateLimit()
        limit.close(5, self.ERROR)

        def sleep(seconds: float, _: KomboError) -> None:
            time.advance(seconds)
            limit.close(5, self.ERROR)

        with pytest.raises(KomboError):
            limit.wait(12, sleep)


def times(clock: KomboClock, date: datetime | None, seconds: float = 0) -> tuple[datetime, ...]:
    found = clock.times(date, seconds)
    assert found
    return found


class TestKomboClock:
    @pytest.mark.usefixtures("time")
    def test_the_time_is_unknown_before_the_first_response(self) -> None:
        clock = KomboClock()

        assert clock.now() is None
        assert clock.times(None, 1) is None

    def test_a_response_is_dated_by_its_header(self, time: FakeTime) -> None:
        clock = KomboClock()

        assert clock.times(NOON, 3) == (NOON - timedelta(seconds=3), NOON)
        time.advance(10)
        assert clock.now() == NOON + timedelta(seconds=10)

    def test_a_response_without_a_date_is_dated_by_an_earlier_one(self, time: FakeTime) -> None:
        clock = KomboClock()
        clock.times(NOON, 3)
        time.advance(60)

        sent, received = times(clock, None, 2)

        assert sent == NOON + timedelta(seconds=58)
        assert received == NOON + timedelta(seconds=60)

    @pytest.mark.usefixtures("time")
    @pytest.mark.parametrize("minutes", [(0, 5), (5, 0)])
    def test_the_earlier_of_two_clocks_dates_requests(self, minutes: tuple[int, int]) -> None:
        clock = KomboClock()

        for ahead in minutes:
            sent, _ = times(clock, NOON + timedelta(minutes=ahead))

        assert sent == NOON
        assert clock.now() == NOON

    @pytest.mark.usefixtures("time")
    def test_the_later_of_two_clocks_dates_its_own_response(self) -> None:
        """`_sdc_extracted_at` must not be before the start of the read."""
        clock = KomboClock()
        clock.times(NOON, 0)

        _, received = times(clock, NOON + timedelta(minutes=5))

        assert received == NOON + timedelta(minutes=5)

    @pytest.mark.usefixtures("time")
    @pytest.mark.parametrize("days", [-9999, -30, 30])
    def test_a_first_response_with_a_wrong_clock_is_outvoted(self, days: int) -> None:
        clock = KomboClock()
        clock.times(NOON + timedelta(days=days), 0)

        times(clock, NOON)
        assert times(clock, NOON) == (NOON, NOON)
        assert clock.now() == NOON

    @pytest.mark.usefixtures("time")
    @pytest.mark.parametrize("days", [(0, 30), (30, 0)])
    def test_the_later_of_two_clocks_that_differ_by_days_is_kombos_time(
        self, days: tuple[int, int]
    ) -> None:
        """Otherwise, an old state could seem recent. The earlier clock dates requests."""
        clock = KomboClock()

        for ahead in days:
            sent, _ = times(clock, NOON + timedelta(days=ahead))

        assert clock.now() == NOON + timedelta(days=30)
        assert sent == NOON

    def test_a_clock_years_behind_only_dates_its_own_response(self, time: FakeTime) -> None:
        clock = KomboClock()
        clock.times(NOON, 0)

        wrong = NOON - timedelta(days=9999)
        assert clock.times(wrong, 0) == (wrong, NOON)
        time.advance(1)
        assert clock.times(NOON + timedelta(seconds=1), 0) == (NOON + timedelta(seconds=1),) * 2
