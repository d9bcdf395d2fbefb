"""Requests to Kombo: deadline, retries, the rate limit, and Kombo's clock.

A request ends with a complete response of the requested format, or with a `KomboError`. Queries
and bodies are never logged: they contain cursors, filters and people's data.
"""

from __future__ import annotations

import http
import logging
import random
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
from requests import exceptions
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import Timeout

from tap_kombo import errors
from tap_kombo.errors import Action, KomboError, Rule, StoppedError
from tap_kombo.responses import Envelope, ErrorDetails, ErrorEnvelope, Fields, decode
from tap_kombo.times import in_words, parse_http_date

logger = logging.getLogger("tap-kombo")

FIRST_BACKOFF = 0.5
MAX_BACKOFF = 30.0
JITTER = 0.5
"""Seconds, at most, that are added to a wait that the server asks for, so that threads spread."""

LOGGED_WAIT = 2.0
"""Seconds; shorter waits are not logged."""
LOG_INTERVAL = 30.0
"""Seconds between two log lines about waits for the same reason."""

CHUNK = 1 << 17
MAX_BYTES = 1 << 28
"""Bytes of a response, decompressed."""

MAX_DIFFERENCE = timedelta(days=2)
"""Between the clocks of two of Kombo's servers; a larger difference is a wrong clock."""

T = TypeVar("T")

ERROR = msgspec.json.Decoder(ErrorEnvelope)
ANY_OBJECT = msgspec.json.Decoder(Envelope[Fields])

NETWORK_ERRORS: tuple[tuple[type[Exception], Rule, str], ...] = (
    (exceptions.InvalidURL, errors.INVALID_URL, "The URL of Kombo or of the proxy is not valid"),
    (exceptions.InvalidSchema, errors.INVALID_URL, "The URL of Kombo or of the proxy is not valid"),
    (exceptions.ConnectTimeout, errors.NO_CONNECTION, "No connection to {host}"),
    (exceptions.Timeout, errors.NO_CONNECTION, "No complete response within {timeout}"),
    (ReadTimeoutError, errors.NO_CONNECTION, "No complete response within {timeout}"),
    (exceptions.ConnectionError, errors.NO_CONNECTION, "No connection to {host}, or it was lost"),
    (exceptions.RequestException, errors.INVALID_RESPONSE, "The response is not valid HTTP"),
    (HTTPError, errors.INVALID_RESPONSE, "The response is truncated or corrupt"),
    (ValueError, errors.INVALID_RESPONSE, "The response is truncated or corrupt"),
    (OSError, errors.UNTRUSTED, "The trusted certificates cannot be read"),
)
"""Class of an exception, problem and rule; the first row that matches counts."""


@dataclass(frozen=True, slots=True)
class Request:
    """A GET request.

    Attributes:
        path: The path below the base URL, such as `/ats/offers`.
        params: The query.
        integration_id: The integration whose data is requested, if it is one's.
    """

    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    integration_id: str | None = None


CHECK_API_KEY = Request("/check-api-key")


@dataclass(frozen=True, slots=True)
class Response(Generic[T]):
    """A complete response.

    Attributes:
        data: The response's `data`.
        sent_at: When the request was sent, by Kombo's clock, or earlier.
        received_at: When Kombo responded, by its clock, or later.
    """

    data: T
    sent_at: datetime
    received_at: datetime


class KomboClock:
    """Kombo's clock, by the `Date` headers of all responses of a run.

    A response with a wrong clock could move a bookmark past changes that were never read. So times
    are measured against the clock that is furthest behind: a bookmark that is a little too early
    only repeats records. Clocks that differ by days are not compared: most responses are right.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Kombo's time when `time.monotonic()` was zero -> how many responses agree on it. A run
        # without a wrong clock has one.
        self._starts: Counter[datetime] = Counter()

    def now(self) -> datetime | None:
        """Return Kombo's time, or later; None before the first response."""
        with self._lock:
            start = max(self._agreed(), default=None)
        return start and start + timedelta(seconds=time.monotonic())

    def times(self, date: datetime | None, seconds: float) -> tuple[datetime, datetime] | None:
        """Return when a request was sent, or earlier, and when Kombo responded, or later.

        Args:
            date: The response's `Date` header, if it has a valid one.
            seconds: How long the request took.

        Returns:
            None if neither this response nor an earlier one has a clock.
        """
        elapsed = timedelta(seconds=time.monotonic())
        with self._lock:
            own = [date - elapsed] if date else []
            for start in own:
                near = next((s for s in self._starts if abs(s - start) < MAX_DIFFERENCE), start)
                self._starts[min(near, start)] = self._starts.pop(near, 0) + 1
            starts = [*self._agreed(), *own]
        if not starts:
            return None
        return min(starts) + elapsed - timedelta(seconds=seconds), max(starts) + elapsed

    def _agreed(self) -> list[datetime]:
        """Return the clock of most responses, or several if as many agree on each."""
        most = max(self._starts.values(), default=0)
        return [start for start, count in self._starts.items() if count == most]


class RateLimit:
    """The API key's rate limit, shared by all threads: while it is exhausted, none sends a request.

    Kombo does not document whether the limit is per key or per integration; per key is the safe
    assumption.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opens_at = 0.0
        self._error = KomboError(errors.KEY_LIMIT)

    @property
    def seconds_left(self) -> float:
        """Seconds until requests are allowed; 0 if they are."""
        return max(0.0, self._opens_at - time.monotonic())

    def close(self, seconds: float, error: KomboError) -> None:
        """Delay all requests for some seconds, because of an error or the last allowed one."""
        opens_at = time.monotonic() + seconds
        with self._lock:
            if opens_at > self._opens_at:
                self._opens_at, self._error = opens_at, error

    def wait(self, max_wait: float, sleep: Callable[[float, KomboError], None]) -> float:
        """Wait until requests are allowed.

        Returns:
            The seconds waited.

        Raises:
            KomboError: The wait would be longer than `max_wait` seconds.
        """
        started = time.monotonic()
        while seconds := self.seconds_left:
            if self._opens_at - started > max_wait:
                raise self._error
            sleep(seconds, self._error)
        return time.monotonic() - started


class KomboClient:
    """Sends requests to Kombo, from any number of threads.

    Args:
        base_url: The URL that paths are appended to.
        api_key: Kombo's API key.
        user_agent: The `User-Agent` header.
        connections: How many connections are kept open.
        timeout: Seconds for one request, from connecting to the last byte.
        max_wait: Seconds that one request waits for rate limits or an outage before it fails.
        stop: Set when the run is stopping; waits are abandoned at once.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        user_agent: str,
        connections: int,
        timeout: float,
        max_wait: float,
        stop: threading.Event,
    ) -> None:
        self.clock = KomboClock()
        self._base_url = base_url
        self._timeout = timeout
        self._max_wait = max_wait
        self._stop = stop
        self.rate_limit = RateLimit()
        self._last_response = 0.0
        self._is_key_checked = False
        self._failing: set[str | None] = set()
        self._next_log: dict[str, float] = {}
        # Looking up proxies and certificates takes longer than anything else in a request, so they
        # are looked up once. Then `.netrc`, which would replace the API key, is not read either.
        session = requests.Session()
        session.headers.update({"Authorization": f"Bearer {api_key}", "User-Agent": user_agent})
        try:
            self._options: Any = session.merge_environment_settings(
                base_url, {}, stream=True, verify=None, cert=None
            )
            session.trust_env = False
            self._template = session.prepare_request(requests.Request("GET", base_url))
        except (exceptions.RequestException, ValueError) as error:
            raise self._network_error(error) from None
        if base_url.startswith("http:"):
            self._options["proxies"] = {}  # they would receive the API key unencrypted
        # Unlike a session, an adapter can be shared by threads: its state is urllib3's pool.
        self._adapter = HTTPAdapter(pool_maxsize=connections)

    def get(
        self,
        request: Request,
        decoder: msgspec.json.Decoder[Envelope[T]],
        max_bytes: int = MAX_BYTES,
    ) -> Response[T]:
        """Send a request, and retry it for as long as that makes sense.

        Args:
            request: The request.
            decoder: The decoder of the response that Kombo documents.
            max_bytes: The size limit of the response, decompressed.

        Raises:
            KomboError: The request failed.
            StoppedError: The run is stopping.
        """
        waited = 0.0
        failures = 0
        while True:
            waited += self.rate_limit.wait(self._max_wait + JITTER - waited, self._sleep)
            sent = time.monotonic()
            try:
                response = self._send(request, decoder, max_bytes)
            except KomboError as error:
                if error.rule.action not in {Action.RETRY, Action.WAIT}:
                    raise
                pause = _pause(failures, error)
                failures += 1
                if error.rule is errors.KEY_LIMIT:
                    self.rate_limit.close(pause, error)
                    continue
                limit = self._max_wait + JITTER
                if error.rule.action is Action.RETRY:
                    is_known = request.integration_id in self._failing
                    limit = 0.0 if is_known else self._max_wait
                    waited += time.monotonic() - sent
                if waited + pause > limit:
                    raise self._final(request, error, sent) from None
                self._sleep(pause, error)
                waited += pause
            else:
                self._failing.discard(request.integration_id)
                return response

    def now(self) -> datetime:
        """Return Kombo's time; if no response has had a clock so far, request one.

        Raises:
            KomboError: There is no response with a clock.
            StoppedError: The run is stopping.
        """
        return self.clock.now() or self.get(CHECK_API_KEY, ANY_OBJECT).received_at

    def check_api_key(self) -> None:
        """Check that Kombo can be reached and accepts the API key.

        A transient failure passes, because the requests that follow are retried.

        Raises:
            KomboError: The API key, the URL or the network is wrong.
            StoppedError: The run is stopping.
        """
        error = self._check_api_key()
        if error and error.rule.action is not Action.RETRY:
            raise error

    def _check_api_key(self) -> KomboError | None:
        try:
            self._send(CHECK_API_KEY, ANY_OBJECT, MAX_BYTES)
        except KomboError as error:
            if error.rule.action is not Action.WAIT:
                return error.for_run()
        self._is_key_checked = True
        return None

    def _final(self, request: Request, error: KomboError, sent: float) -> KomboError:
        """Return the error of a request that is no longer retried.

        If no other request has succeeded since it was last sent, Kombo may be down for all reads,
        which then have waited together. A check of the API key shows it, unless that never worked
        while other requests did.
        """
        if error.rule.action is Action.WAIT:
            return error
        if self._last_response < sent:
            outage = self._check_api_key()
            if outage and (self._is_key_checked or not self._last_response):
                return outage
        # The other reads of this integration do not wait as long for the same failure.
        self._failing.add(request.integration_id)
        return error

    def _sleep(self, seconds: float, error: KomboError) -> None:
        now = time.monotonic()
        if seconds > LOGGED_WAIT and self._next_log.get(error.problem, 0.0) <= now:
            self._next_log[error.problem] = now + LOG_INTERVAL
            logger.info("%s; waiting %s.", error.problem, in_words(seconds))
        wait(self._stop, seconds)

    def _send(
        self, request: Request, decoder: msgspec.json.Decoder[Envelope[T]], max_bytes: int
    ) -> Response[T]:
        """Send a request once."""
        if self._stop.is_set():
            raise StoppedError
        sent = time.monotonic()
        response, body = self._exchange(request, max_bytes)
        seconds = time.monotonic() - sent
        logger.debug(
            "GET %s (%s): HTTP %d in %.0f ms",
            request.path,
            request.integration_id or "no integration",
            response.status_code,
            seconds * 1000,
        )
        times = self.clock.times(parse_http_date(response.headers.get("Date")), seconds)
        self._check_remaining(response)
        if response.status_code != http.HTTPStatus.OK:
            raise _error(response, body)
        try:
            data = decode(decoder, body).data
        except msgspec.DecodeError:
            raise _error(response, body) from None
        if times is None:
            raise KomboError(errors.NO_CLOCK, "The response has no valid `Date` header")
        self._last_response = time.monotonic()
        return Response(data, *times)

    def _exchange(self, request: Request, max_bytes: int) -> tuple[requests.Response, bytes]:
        """Send a request, and receive the response before the deadline."""
        prepared = self._template.copy()
        prepared.prepare_url(self._base_url + request.path, request.params)
        if request.integration_id:
            prepared.headers["X-Integration-Id"] = request.integration_id
        deadline = time.monotonic() + self._timeout
        # Each address of a host has the connect timeout, so it is a part of the total.
        timeout: Any = Timeout(connect=self._timeout / 4, total=self._timeout)
        try:
            response = self._adapter.send(prepared, timeout=timeout, **self._options)
            with response:
                return response, self._read(response, deadline, max_bytes)
        except (exceptions.RequestException, HTTPError, ValueError, OSError) as error:
            raise self._network_error(error) from None

    def _read(self, response: requests.Response, deadline: float, max_bytes: int) -> bytes:
        chunks: list[bytes] = []
        size = 0
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise exceptions.ReadTimeout
            if self._stop.is_set():
                raise StoppedError
            # A socket's timeout starts again with each byte; the deadline does not.
            if response.raw.connection and response.raw.connection.sock:
                response.raw.connection.sock.settimeout(remaining)
            chunk = response.raw.read1(CHUNK, decode_content=True)
            if not chunk:
                return b"".join(chunks)
            chunks.append(chunk)
            size += len(chunk)
            if size > max_bytes:
                raise KomboError(
                    errors.TOO_LARGE,
                    f"The response is larger than {max_bytes >> 20} MiB",
                    status=response.status_code,
                )

    def _network_error(self, error: Exception) -> KomboError:
        host = urlsplit(self._base_url).netloc
        if isinstance(error, exceptions.SSLError) and _is_tls_failure(error):
            return KomboError(errors.UNTRUSTED, f"No trusted TLS connection to {host}")
        rule, problem = next(
            (rule, problem) for kind, rule, problem in NETWORK_ERRORS if isinstance(error, kind)
        )
        return KomboError(rule, problem.format(host=host, timeout=in_words(self._timeout)))

    def _check_remaining(self, response: requests.Response) -> None:
        """Delay all requests if a response says that it was the last one allowed.

        A wait that is too long is left to an error response, which may not come.
        """
        if response.headers.get("ratelimit-remaining") == "0":
            seconds = _seconds(response.headers.get("ratelimit-reset"))
            if seconds is not None and seconds <= self._max_wait:
                self.rate_limit.close(seconds, KomboError(errors.KEY_LIMIT, "Rate limit reached"))


def _is_tls_failure(error: BaseException | None) -> bool:
    """Return whether TLS failed, as opposed to a connection that closed during the handshake."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _error(response: requests.Response, body: bytes) -> KomboError:
    """Build the error of a response without valid data."""
    status = response.status_code
    try:
        error = ERROR.decode(body).error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        error = ErrorDetails()
    code = error.code or None
    if code is None and status // 100 == http.HTTPStatus.OK // 100:
        rule, problem = errors.INVALID_RESPONSE, "The response is not Kombo's"
        return KomboError(rule, problem, status=status, log_url=error.log_url)
    rule = errors.rule_for(status, code)
    retry_after = _seconds(response.headers.get("Retry-After"))
    if retry_after is None and rule is errors.KEY_LIMIT:
        retry_after = _seconds(response.headers.get("ratelimit-reset"))
    return KomboError(
        rule, status=status, code=code, log_url=error.log_url, retry_after=retry_after
    )


def _seconds(text: str | None) -> float | None:
    """Parse a header that holds seconds; None unless they lie ahead."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 < seconds < float("inf") else None


def wait(stop: threading.Event, seconds: float) -> None:
    """Wait, unless the run is stopping.

    Raises:
        StoppedError: The run is stopping.
    """
    if stop.wait(seconds):
        raise StoppedError


def _pause(failures: int, error: KomboError) -> float:
    """Return the seconds before the next try.

    Requests are retried with exponential backoff, and a rate limit is waited out at least as long
    as the server asks; both have jitter.
    """
    # The exponent is capped: a limit may be met a thousand times, and floats overflow.
    backoff: float = min(MAX_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures, 10))
    backoff *= random.uniform(0.75, 1.0)  # noqa: S311  # not a secret
    if error.retry_after is None:
        return backoff
    is_limit = error.rule.action is Action.WAIT
    asked = error.retry_after if is_limit else min(error.retry_after, MAX_BACKOFF)
    return max(backoff, asked + random.uniform(0, JITTER))  # noqa: S311
