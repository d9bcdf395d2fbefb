"""What can happen to Kombo while a run reads it, at which request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

PATHS = {
    "ats_offers": "/ats/offers",
    "ats_applications": "/ats/applications",
    "ats_candidates": "/ats/candidates",
}
"""Three models that are nested in one another."""
STREAMS = {path: stream for stream, path in PATHS.items()}

DAY = 86_400

# A lasting trouble has an HTTP status of its own, by which it is found in the log of requests: the
# tap decides by codes alone.
LASTING = {
    "a permission is missing": (422, "INTEGRATION.PERMISSION_MISSING"),
    "the tool refuses the credentials": (423, "INTEGRATION.AUTHENTICATION_INVALID"),
    "the model is switched off": (424, "INTEGRATION.MODEL_DISABLED"),
    "the first sync is pending": (425, "INTEGRATION.SETUP_SYNC_PENDING"),
    "the key is refused": (426, "PLATFORM.AUTHENTICATION_INVALID"),
    "Kombo is down": (503, None),
}
KEY_REFUSED = 426
FAILS = {422, 423, KEY_REFUSED, 503}
SKIPS = {424, 425}

HALF = '{"status":"success","data":{"next":null,"results":[{"id":"half'
PASSING: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"ratelimit-reset": "1"}},
    "429 that is over": {"status": 429, "headers": {"ratelimit-reset": "0"}},
    "the connection breaks": {"close": True},
    "the answer breaks off": {"cut_body": 0.6},
    "an answer without a body": {"cut_body": 0.0},
    "a page of HTML": {"status": 200, "body": "<html></html>", "content_type": "text/html"},
    "half of the JSON": {"status": 200, "body": HALF},
    "no results": {"status": 200, "body": '{"status":"success","data":{"next":null}}'},
    "an error with 200": {"status": 200, "body": '{"status":"error","error":{"message":"no"}}'},
}


@dataclass(frozen=True)
class Happens:
    """A record changes, in whatever way, before a request is answered."""

    operation: str
    stream: str
    integration: int
    record: int
    before_request: int


@dataclass(frozen=True)
class TimePasses:
    """Kombo's clock moves on, before a request is answered."""

    seconds: int
    before_request: int


@dataclass(frozen=True)
class Passes:
    """Some requests fail, and asking again helps.

    Attributes:
        what: One of `PASSING`.
        stream: Only its requests; None for all, also those that are for no list.
        skip: So many requests pass first.
        count: So many fail then.
    """

    what: str
    stream: str | None
    skip: int
    count: int


@dataclass(frozen=True)
class CursorExpires:
    """A request with a cursor is refused, and the read begins again."""

    stream: str
    skip: int


@dataclass(frozen=True)
class Lasts:
    """From some request on, a list of an integration cannot be had.

    Attributes:
        what: One of `LASTING`.
    """

    what: str
    stream: str
    integration: int
    skip: int


Event = Happens | TimePasses | Passes | CursorExpires | Lasts

MOST_INTEGRATIONS = 3

operations = st.sampled_from(
    ["change", "change_nested", "delete", "anonymise", "restore", "add", "change", "add"]
)
streams = st.sampled_from(list(PATHS))
integrations = st.integers(0, MOST_INTEGRATIONS - 1)
records = st.integers(0, 6)
spans = st.sampled_from([1, 2, 20, 61, 90, 300, 3600, 5000, 9000, DAY // 2, 3 * DAY, 15 * DAY])

_places = st.integers(1, 10)
changes: st.SearchStrategy[Event] = st.one_of(
    st.builds(Happens, operations, streams, integrations, records, _places),
    st.builds(Happens, operations, streams, integrations, records, _places),
    st.builds(TimePasses, spans, _places),
)
troubles: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        Passes,
        st.sampled_from(list(PASSING)),
        streams | st.none(),
        skip=st.integers(0, 4),
        count=st.integers(1, 2),
    ),
    st.builds(CursorExpires, streams, skip=st.integers(0, 3)),
    st.builds(
        Lasts,
        st.sampled_from(list(LASTING)),
        streams,
        integrations,
        skip=st.sampled_from([0, 1, 0, 2]),
    ),
)
