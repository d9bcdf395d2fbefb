"""Faults: the requests that fail, and how."""

import re
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct, field

_MAX = 1_000_000_000
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]*")

_Seconds = Annotated[float, Meta(ge=0, le=_MAX)]


class Fault(Struct, forbid_unknown_fields=True):
    """A fault; `kombo_sandbox.handle.FaultOptions` documents its fields."""

    path: str | None = None
    integration_id: str | None = None
    skip: Annotated[int, Meta(ge=0, le=_MAX)] = 0
    count: Annotated[int, Meta(ge=1, le=_MAX)] | None = None
    delay: _Seconds = 0.0
    hang: bool = False
    close: bool = False
    expired_cursor: bool = False
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    code: str | None = None
    log_url: str | None = None
    body: str | None = None
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_body: _Seconds | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for a response that the server cannot send."""
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
    def has_response(self) -> bool:
        """Whether the fault replaces Kombo's response."""
        return (self.status, self.code, self.body) != (None, None, None)

    def bytes_left(self, length: int) -> int:
        """Return how many bytes of a body of this length are sent."""
        cut = self.cut_body or 0
        return int(cut if cut >= 1 else cut * length)

    def matches(self, path: str, integration_id: str | None, *, has_cursor: bool) -> bool:
        return (
            self.path in (None, path)
            and self.integration_id in (None, integration_id)
            and (has_cursor or not self.expired_cursor)
        )


class Faults:
    """The faults in the order in which they were added."""

    def __init__(self) -> None:
        self._faults: dict[int, Fault] = {}
        self._last = 0

    def add(self, fault: Fault) -> int:
        """Add a fault, and return its number."""
        self._last += 1
        self._faults[self._last] = fault
        return self._last

    def clear(self) -> None:
        self._faults.clear()

    def take(self, path: str, integration_id: str | None, *, has_cursor: bool) -> Fault:
        """Return the first fault that applies to a request; without one, a fault with no effect."""
        for number, fault in self._faults.items():
            if not fault.matches(path, integration_id, has_cursor=has_cursor):
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
