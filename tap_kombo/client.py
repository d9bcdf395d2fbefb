"""One request to Kombo: authentication, timeouts, retries, and the key's one rate limit.

What comes back is either a whole answer in the shape that was asked for, or a `KomboError` that
says what to do. Nothing of a request or an answer is ever logged: addresses hold cursors and
filters, bodies hold people's data.
"""

from __future__ import annotations

import logging
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from urllib.parse import urlsplit

import msgspec
import requests
from singer_sdk.streams.rest import HTTPRequest
from urllib3.exceptions import NewConnectionError, ProxyError

from tap_kombo import errors
from tap_kombo.answers import Envelope, ErrorDetails, ErrorEnvelope, Fields
from tap_kombo.errors import KomboError, Outcome, StoppedError
from tap_kombo.times import read_http_date

# At DEBUG, urllib3 logs each request's address, with its cursor and filters.
logging.getLogger("urllib3").setLevel(logging.INFO)

MAX_RETRIES = 5
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
CHUNK = 1 << 17
SUCCESS = 2

T = TypeVar("T")
Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


ERROR = msgspec.json.Decoder(ErrorEnvelope)
KEY = msgspec.json.Decoder(Envelope[Fields])


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A whole answer.

    Attributes:
        data: What stood under `data`.
        sent_at: When the request was sent, by Kombo's clock, or earlier: never later.
        answered_at: When it was answered, by Kombo's clock (whole seconds).
    """

    data: T
    sent_at: datetime
    answered_at: datetime


class RateBudget:
    """The key's rate limit, one for all threads: when it is spent, all wait.

    Kombo does not say whether its limit counts by key or by integration: the key is the safe
    reading.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opens_at = 0.0

    def close_for(self, seconds: float) -> None:
        with self._lock:
            self._opens_at = max(self._opens_at, time.monotonic() + seconds)

    def seconds_closed(self) -> float:
        return max(0.0, self._opens_at - time.monotonic())


class KomboClient:
    """Asks Kombo, from as many threads as there are: each keeps one connection alive.

    Args:
        auth: Adds the API key to a request.
        user_agent: What the tap calls itself.
        timeout: Seconds that one request may take, from first to last byte.
        max_wait: Seconds that one request waits for the rate limit before it fails.
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
        self._thread = threading.local()

    def get(self, request: HTTPRequest, shape: msgspec.json.Decoder[Envelope[T]]) -> Answer[T]:
        """Ask until there is an answer, as long as asking again makes sense.

        Args:
            request: Where to ask, and what.
            shape: Decoder of the answer that Kombo promises there.

        Raises:
            KomboError: There is no answer, and what to do about that.
            StoppedError: The run is being stopped.
        """
        tries = 0
        waited = 0.0
        while True:
            waited += self._wait_for_budget(self._max_wait - waited)
            try:
                return self._ask(request, shape)
            except KomboError as error:
                pause = _pause(tries, error.retry_after)
                tries += 1
                if error.rule.outcome is Outcome.RETRY and tries <= MAX_RETRIES:
                    pause = min(pause, LONGEST_PAUSE)
                elif error.rule.outcome is Outcome.WAIT and waited + pause <= self._max_wait:
                    # A limit that is waited for is no failure: it leaves the tries alone.
                    tries = 0 if error.retry_after is not None else tries
                    waited += pause
                    if error.rule is errors.KEY_LIMIT:
                        self._budget.close_for(pause)
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

    def _wait_for_budget(self, most: float) -> float:
        seconds = min(self._budget.seconds_closed(), most)
        if seconds > 0:
            self._sleep(seconds)
            return seconds
        return 0.0

    def _sleep(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise StoppedError

    def _ask(self, request: HTTPRequest, shape: msgspec.json.Decoder[Envelope[T]]) -> Answer[T]:
        if self._stop.is_set():
            raise StoppedError
        sent = time.monotonic()
        response, body = self._send(request, sent + self._timeout)
        seconds = time.monotonic() - sent
        self._note_rate_limit(response)
        if response.status_code // 100 != SUCCESS:
            raise _error(response, body)
        try:
            data = _decode(shape, body).data
        except msgspec.DecodeError:
            raise _error(response, body) from None
        answered_at = read_http_date(response.headers.get("Date"))
        if answered_at is None:
            raise KomboError(errors.NO_CLOCK, "The answer has no valid `Date` header")
        return Answer(data, answered_at - timedelta(seconds=seconds), answered_at)

    def _send(self, request: HTTPRequest, deadline: float) -> tuple[requests.Response, bytes]:
        try:
            with self._session().request(
                request.method,
                request.url,
                params=request.encode_params(),
                headers=request.headers,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                return response, self._read(response, deadline)
        except requests.exceptions.SSLError:
            host = urlsplit(request.url).hostname
            raise KomboError(
                errors.UNTRUSTED, f"There is no trusted TLS connection to {host}"
            ) from None
        except requests.Timeout:
            raise self._too_slow() from None
        except requests.ConnectionError as error:
            if _never_connected(error):
                host = urlsplit(request.url).hostname
                raise KomboError(errors.UNREACHABLE, f"There is no connection to {host}") from None
            raise KomboError(errors.BROKEN_NETWORK, "The connection broke") from None
        except requests.RequestException:
            raise KomboError(errors.BROKEN_ANSWER, "The answer broke off or is garbled") from None

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """Read the body within the request's time: a socket's timeout knows only its pauses."""
        chunks = []
        for chunk in response.iter_content(CHUNK):
            chunks.append(chunk)
            if self._stop.is_set():
                raise StoppedError
            if time.monotonic() > deadline:
                raise self._too_slow()
        return b"".join(chunks)

    def _too_slow(self) -> KomboError:
        return KomboError(
            errors.BROKEN_NETWORK, f"There was no whole answer within {self._timeout:g} seconds"
        )

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._thread, "session", None)
        if session is None:
            session = requests.Session()
            session.auth = self._auth
            session.headers["User-Agent"] = self._user_agent
            self._thread.session = session
        return session

    def _note_rate_limit(self, response: requests.Response) -> None:
        """Stop all threads before the limit does: when an answer says that it was the last."""
        if response.headers.get("ratelimit-remaining") == "0":
            seconds = _seconds(response.headers.get("ratelimit-reset"))
            if seconds is not None:
                self._budget.close_for(seconds)


def _never_connected(error: requests.ConnectionError) -> bool:
    cause = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError | ProxyError)


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
    except UnicodeDecodeError:
        raise msgspec.DecodeError("not UTF-8") from None
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
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = ErrorDetails()
    if error.code is None and status // 100 == SUCCESS:
        return KomboError(errors.BROKEN_ANSWER, "The answer is not one of Kombo's", status=status)
    rule = errors.rule_for(status, error.code)
    asked = _retry_after(response)
    if asked is None and rule is errors.KEY_LIMIT:
        asked = _seconds(response.headers.get("ratelimit-reset"))
    return KomboError(
        rule, status=status, code=error.code, log_url=error.log_url, retry_after=asked
    )


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


def _pause(tries: int, asked: float | None) -> float:
    """Seconds until the next try: as the server asks, else longer each time and never in step."""
    if asked is not None:
        return asked + random.uniform(0, 0.5)  # noqa: S311  # no secret depends on it
    backoff: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**tries)
    return backoff * random.uniform(0.75, 1.25)  # noqa: S311
