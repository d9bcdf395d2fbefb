"""One request to Kombo: authentication, timeouts, retries, and the key's one rate limit.

What comes back is either a whole answer in the shape that was asked for, or a `KomboError` that
says what to do. Nothing of a request or an answer is ever logged: addresses hold cursors and
filters, bodies hold people's data.
"""

from __future__ import annotations

import http
import logging
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.client import BadStatusLine, RemoteDisconnected
from typing import Generic, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
import requests
from requests.exceptions import InvalidSchema, InvalidURL
from singer_sdk.streams.rest import HTTPRequest
from urllib3.exceptions import (
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
)

from tap_kombo import errors
from tap_kombo.answers import Envelope, ErrorDetails, ErrorEnvelope, Fields
from tap_kombo.connection import Auth, Session
from tap_kombo.errors import KomboError, Outcome, StoppedError
from tap_kombo.times import read_http_date

# urllib3 logs the addresses of requests, with cursors and filters, and headers that it does not
# understand. All that goes wrong is raised, too.
logging.getLogger("urllib3").setLevel(logging.CRITICAL + 1)

MAX_RETRIES = 5
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
JITTER = 0.5
"""Seconds, at most, that a pause is longer than the server asks for: none come back in step."""

CHUNK = 1 << 17
LARGEST_BODY = 1 << 28
"""Bytes of an answer, unpacked, at the very most."""

FURTHEST_CLOCK = timedelta(days=2)
"""How far apart two servers' clocks may be: more than by a mistake in the zone or the day."""

SHORTEST_SECRET = 8
"""Characters: what is shorter, such as a page size, is found in any log's address by chance."""

NO_LOGIN = "Tunnel connection failed: 407"
"""All that `http.client` tells of it when a proxy on the way to https asks for a login."""

T = TypeVar("T")


ERROR = msgspec.json.Decoder(ErrorEnvelope)
KEY = msgspec.json.Decoder(Envelope[Fields])


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A whole answer.

    Attributes:
        data: What stood under `data`.
        sent_at: When the request was sent, by Kombo's clock, or earlier: never later.
        answered_at: When it was answered, by Kombo's clock, or later.
    """

    data: T
    sent_at: datetime
    answered_at: datetime


class RateBudget:
    """The key's rate limit, one for all threads: while it is spent, none asks.

    Kombo does not say whether its limit counts by key or by integration: the key is the safe
    reading.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opens_at = 0.0
        self._closed_by = KomboError(errors.KEY_LIMIT)

    def close_for(self, seconds: float, because: KomboError) -> None:
        """Keep all from asking for a while, because of an answer that said so."""
        opens_at = time.monotonic() + seconds
        with self._lock:
            if opens_at > self._opens_at:
                self._opens_at, self._closed_by = opens_at, because

    def wait(self, patience: float, sleep: Callable[[float], None]) -> float:
        """Wait until asking is allowed.

        Returns:
            The seconds that it took.

        Raises:
            KomboError: It would take longer than `patience`, in seconds.
        """
        waited = 0.0
        while (seconds := self._opens_at - time.monotonic()) > 0:
            if waited + seconds > patience:
                raise self._closed_by.under(errors.KEY_LIMIT)
            sleep(seconds)
            waited += seconds
        return waited


class KomboClient:
    """Asks Kombo, from as many threads as there are: each keeps one connection alive.

    Args:
        auth: Adds the API key to a request.
        user_agent: What the tap calls itself.
        timeout: Seconds that one request may take, from first to last byte.
        max_wait: Seconds that one request waits for rate limits before it fails.
        stop: Set when the run is to end: waits are given up at once.
    """

    def __init__(
        self,
        *,
        auth: Auth,
        user_agent: str,
        timeout: float,
        max_wait: float,
        stop: threading.Event,
    ) -> None:
        self._auth = auth
        self._user_agent = user_agent
        self._timeout = timeout
        self._max_wait = max_wait
        self._stop = stop
        self._budget = RateBudget()
        self._clock_lock = threading.Lock()
        self._zero: datetime | None = None  # what Kombo's clock said when `monotonic` was zero
        self._thread = threading.local()

    def get(
        self,
        request: HTTPRequest,
        shape: msgspec.json.Decoder[Envelope[T]],
        largest: int = LARGEST_BODY,
    ) -> Answer[T]:
        """Ask until there is an answer, as long as asking again makes sense.

        Args:
            request: Where to ask, and what.
            shape: Decoder of the answer that Kombo promises there.
            largest: Bytes, unpacked, that the answer may have.

        Raises:
            KomboError: There is no answer, and what to do about that.
            StoppedError: The run is being stopped.
        """
        failures = limits = 0
        # What the server asks for is measured by the setting, and not what is added to it.
        patience = self._max_wait + JITTER
        while True:
            patience -= self._budget.wait(patience, self._sleep)
            try:
                return self._ask(request, shape, largest)
            except KomboError as error:
                if error.rule.outcome is Outcome.RETRY and failures < MAX_RETRIES:
                    pause = _pause(failures, error.retry_after)
                    failures += 1
                elif error.rule.outcome is Outcome.WAIT:
                    # A limit that is waited for is no failure: it leaves the retries alone.
                    pause = _pause(limits, error.retry_after, longest=float("inf"))
                    limits += 1
                    if error.rule is errors.KEY_LIMIT:
                        self._budget.close_for(pause, error)
                        continue
                    if pause > patience:
                        raise
                    patience -= pause
                else:
                    raise
            self._sleep(pause)

    def prove_key(self, request: HTTPRequest) -> datetime | None:
        """Make sure that there is a Kombo, and that it knows the key, before all else.

        A Kombo in trouble is let pass: its other endpoints may work.

        Args:
            request: Kombo's `GET /check-api-key`.

        Returns:
            Kombo's clock; None from a Kombo in trouble.

        Raises:
            KomboError: The key, the address or the network is wrong: nothing else will work.
            StoppedError: The run is being stopped.
        """
        try:
            return self.get(request, KEY).answered_at
        except KomboError as error:
            if error.rule is not errors.BROKEN_SERVER:
                raise error.for_the_whole_run() from None
            return None

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError

    def _ask(
        self, request: HTTPRequest, shape: msgspec.json.Decoder[Envelope[T]], largest: int
    ) -> Answer[T]:
        if self._stop.is_set():
            raise StoppedError
        sent = time.monotonic()
        response, body = self._send(request, largest)
        self._note_rate_limit(response)
        if response.status_code != http.HTTPStatus.OK:
            raise _error(response, body)
        try:
            data = _decode(shape, body).data
        except msgspec.DecodeError:
            raise _error(response, body) from None
        answered_at = read_http_date(response.headers.get("Date"))
        if answered_at is None:
            raise KomboError(errors.NO_CLOCK, "The answer has no valid `Date` header")
        sent_at, answered_at = self._by_kombos_clock(sent, answered_at)
        return Answer(data, sent_at, answered_at)

    def _by_kombos_clock(self, sent: float, answered_at: datetime) -> tuple[datetime, datetime]:
        """Tell when a request was sent, or earlier, and when it was answered, or later.

        An answer whose clock is wrong would move a bookmark past changes that were never read. So
        it is held against the clock that is the furthest behind of all that answered in this run:
        a bookmark that is a little too early costs repetitions only. Days too early, it would cost
        a read of everything; so a clock that is days behind counts for its own answer alone.
        """
        now = time.monotonic()
        zero = answered_at - timedelta(seconds=now)
        with self._clock_lock:
            if self._zero is None or timedelta() < self._zero - zero < FURTHEST_CLOCK:
                self._zero = zero
            expected = self._zero + timedelta(seconds=now)
        return (
            min(answered_at, expected) - timedelta(seconds=now - sent),
            max(answered_at, expected),
        )

    def _send(self, request: HTTPRequest, largest: int) -> tuple[requests.Response, bytes]:
        try:
            with self._session().send(request, self._timeout) as response:
                return response, self._read(response, largest)
        except (InvalidSchema, InvalidURL):
            raise KomboError(
                errors.UNUSABLE_ADDRESS, "There is no way to the address of Kombo or of the proxy"
            ) from None
        except (requests.RequestException, HTTPError, ValueError) as error:
            raise self._failure(error, urlsplit(request.url).hostname) from None
        except OSError:
            raise KomboError(errors.UNTRUSTED, "The certificates to trust cannot be read") from None

    def _failure(self, error: Exception, host: str | None) -> KomboError:
        """Tell what kept an answer from coming, or from coming whole."""
        if _has_cause(error, requests.ConnectTimeout, NewConnectionError, ProxyError):
            return _no_connection(error, host)
        if _has_cause(error, requests.Timeout, ReadTimeoutError):
            return KomboError(
                errors.BROKEN_NETWORK,
                f"There was no whole answer within {self._timeout:g} seconds",
            )
        # A handshake that just ends is a network's trouble, and so is TLS later on.
        is_handshake = _has_cause(error, MaxRetryError) and not _has_cause(
            error, ssl.SSLEOFError, ssl.SSLZeroReturnError
        )
        if is_handshake and isinstance(error, requests.exceptions.SSLError):
            return KomboError(errors.UNTRUSTED, f"There is no trusted TLS connection to {host}")
        if _has_cause(error, BadStatusLine) and not _has_cause(error, RemoteDisconnected):
            return KomboError(errors.NO_HTTP, f"What answers at {host} is no HTTP")
        if isinstance(error, requests.ConnectionError):
            return KomboError(errors.BROKEN_NETWORK, "The connection broke")
        return KomboError(errors.BROKEN_ANSWER, "The answer broke off or is garbled")

    def _read(self, response: requests.Response, largest: int) -> bytes:
        chunks = []
        size = 0
        for chunk in response.iter_content(CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > largest:
                raise KomboError(
                    errors.TOO_LARGE,
                    f"The answer is larger than {largest >> 20} MiB",
                    status=response.status_code,
                )
            if self._stop.is_set():
                raise StoppedError
        return b"".join(chunks)

    def _session(self) -> Session:
        session: Session | None = getattr(self._thread, "session", None)
        if session is None:
            session = self._thread.session = Session(self._auth, self._user_agent)
        return session

    def _note_rate_limit(self, response: requests.Response) -> None:
        """Stop all threads before the limit does: when an answer says that it was the last.

        It is no refusal, so it never makes a read fail that could as well be tried.
        """
        if response.headers.get("ratelimit-remaining") == "0":
            seconds = _seconds(response.headers.get("ratelimit-reset"))
            if seconds is not None and seconds <= self._max_wait:
                self._budget.close_for(
                    seconds, KomboError(errors.KEY_LIMIT, "No request is left of the limit")
                )


def _no_connection(error: Exception, host: str | None) -> KomboError:
    if any(str(cause).startswith(NO_LOGIN) for cause in _causes(error)):
        status = http.HTTPStatus.PROXY_AUTHENTICATION_REQUIRED.value
        return KomboError(errors.rule_for(status, None), status=status)
    return KomboError(errors.UNREACHABLE, f"There is no connection to {host}")


def _has_cause(error: Exception, *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    # Beyond an error of the tap's own is what kept an earlier request from being answered.
    while error is not None and not isinstance(error, KomboError):
        yield error
        error = error.__cause__ or error.__context__


# A backslash that is itself escaped begins no escape.
NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(?:\\u[dD][89abAB][0-9a-fA-F]{2}(\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)


def _decode(shape: msgspec.json.Decoder[T], body: bytes) -> T:
    """Decode a body, whatever JSON it is that Kombo sends.

    Line breaks between tokens would end a Singer message in its middle, as the records' own text
    is passed on. What is JSON but no text that a database can hold becomes U+FFFD: NUL, which
    would stop PostgreSQL's whole load, and halves of surrogate pairs, which no UTF-8 can hold.
    """
    if b"\n" in body or b"\r" in body:
        body = body.replace(b"\n", b" ").replace(b"\r", b" ")
    if b"\\u0000" in body:
        body = NUL.sub(rb"\1\\ufffd", body)
    try:
        # msgspec checks the syntax of what it passes on as raw JSON, but not its encoding.
        if not body.isascii():
            body.decode()
        return shape.decode(body)
    except (RecursionError, UnicodeDecodeError):
        raise msgspec.DecodeError("nested too deeply, or not UTF-8") from None
    except msgspec.DecodeError:
        mended = LONE_SURROGATE.sub(_mend_surrogate, body)
        if mended == body:
            raise
        return shape.decode(mended)


def _mend_surrogate(match: re.Match[bytes]) -> bytes:
    return match[0] if match[2] else match[1] + rb"\ufffd"


def _error(response: requests.Response, body: bytes) -> KomboError:
    """Make of any answer without data what its code, else its status, says."""
    status = response.status_code
    try:
        error = ERROR.decode(body).error
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        error = ErrorDetails()
    code, log_url = _text(error.code), _text(error.log_url)
    if _echoes(response.request, log_url):
        log_url = None
    if code is None and status // 100 == http.HTTPStatus.OK // 100:
        return KomboError(
            errors.BROKEN_ANSWER, "The answer is not one of Kombo's", status=status, log_url=log_url
        )
    rule = errors.rule_for(status, code)
    asked = _retry_after(response)
    if asked is None and rule is errors.KEY_LIMIT:
        asked = _seconds(response.headers.get("ratelimit-reset"))
    return KomboError(
        rule,
        status=status,
        code=None if _echoes(response.request, code) else code,
        log_url=log_url,
        retry_after=asked,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _echoes(request: requests.PreparedRequest, text: str | None) -> bool:
    """Tell whether a text has something in it that was sent, and is secret."""
    sent = [value for _, value in parse_qsl(urlsplit(request.url or "").query)]
    sent += str(request.headers.get("Authorization", "")).split()
    return any(len(value) >= SHORTEST_SECRET and value in (text or "") for value in sent)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds, whether the header gives seconds or, by the server's clock, a date (RFC 9110)."""
    asked = response.headers.get("Retry-After")
    date, now = read_http_date(asked), read_http_date(response.headers.get("Date"))
    if date and now:
        return max(0.0, (date - now).total_seconds())
    return _seconds(asked)


def _seconds(text: str | None) -> float | None:
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _pause(tries: int, asked: float | None, *, longest: float = LONGEST_PAUSE) -> float:
    """Seconds until the next try: as the server asks, else longer each time, and never in step.

    Args:
        tries: How often this came before.
        asked: What the server asks for.
        longest: The longest that it is heard in.
    """
    if asked is not None:
        return min(asked, longest) + random.uniform(0, JITTER)  # noqa: S311  # no secret depends on it
    # A limit may be met a thousand times, and no number is that large.
    backoff: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(tries, 10))
    return backoff * random.uniform(0.75, 1.25)  # noqa: S311
