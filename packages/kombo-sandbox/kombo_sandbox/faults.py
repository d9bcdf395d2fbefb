"""What can go wrong on purpose: faults, each for certain requests and a number of times."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kombo_sandbox.arguments import check_range

_MOST = 1_000_000_000
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")


@dataclass
class Fault:
    """Which requests fail, and how.

    Attributes:
        path: only this path, without ``/v1`` (None: all).
        integration_id: only requests for this integration (None: all).
        skip: so many requests that fit pass first.
        count: so many requests that fit then fail (None: all that follow).
        delay: seconds to wait first; with nothing else, the answer itself is the true one.
        hang: no answer, ever; the connection stays open.
        close: no answer; the connection breaks.
        expired_cursor: requests with a cursor are told that it has expired; others do not fit.
        status: HTTP status of the answer.
        code: Kombo's error code in the answer.
        log_url: ``log_url`` of that error, instead of a made-up one.
        body: text of the answer, instead of Kombo's envelope.
        content_type: of the answer with ``body``.
        headers: more headers for the answer, also for a true one.
        cut_body: send only so many bytes (an integer) or that part (below 1) of the body, then
            break the connection.
    """

    path: str | None = None
    integration_id: str | None = None
    skip: int = 0
    count: int | None = None
    delay: float = 0.0
    hang: bool = False
    close: bool = False
    expired_cursor: bool = False
    status: int | None = None
    code: str | None = None
    log_url: str | None = None
    body: str | None = None
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_body: float | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a fault that could not be sent."""
        check_range("skip", self.skip, 0, _MOST)
        check_range("delay", self.delay, 0, _MOST)
        check_range("cut_body", self.cut_body or 0, 0, _MOST)
        if self.count is not None:
            check_range("count", self.count, 1, _MOST)
        if self.status is not None:
            check_range("status", self.status, 200, 599)
        try:
            (self.body or "").encode()
        except UnicodeEncodeError as error:
            raise ValueError("body cannot be encoded as UTF-8") from error
        for name, value in {**self.headers, "Content-Type": self.content_type}.items():
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise ValueError(f"{name!r}: {value!r} is not a valid header")
            if name.lower() == "content-length" and not (value.isascii() and value.isdigit()):
                raise ValueError("Content-Length must be a number of bytes")

    @property
    def answers(self) -> bool:
        """Whether it stands in for Kombo's true answer."""
        return (self.status, self.code, self.body) != (None, None, None)

    def left_of(self, length: int) -> int:
        """How many bytes to send of a body of that length."""
        cut = self.cut_body or 0
        return int(cut if cut >= 1 else cut * length)

    def fits(self, path: str, integration_id: str | None, *, with_cursor: bool) -> bool:
        return (
            self.path in (None, path)
            and self.integration_id in (None, integration_id)
            and (with_cursor or not self.expired_cursor)
        )


class Faults:
    """The faults that wait for requests; the oldest that fits strikes."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._last = 0

    def add(self, fault: Fault) -> int:
        self._last += 1
        self._faults[self._last] = fault
        return self._last

    def clear(self) -> None:
        self._faults.clear()

    def strike(self, path: str, integration_id: str | None, *, with_cursor: bool) -> Fault:
        """The fault for this request, one that does nothing if there is none."""
        for number, fault in self._faults.items():
            if not fault.fits(path, integration_id, with_cursor=with_cursor):
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.count is not None:
                fault.count -= 1
                if fault.count <= 0:
                    del self._faults[number]
            return fault
        return Fault()
