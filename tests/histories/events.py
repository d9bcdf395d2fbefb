"""Events in Kombo during a sync: changed records, a clock that advances, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

PATHS = {
    "ats_offers": "/ats/offers",
    "ats_applications": "/ats/applications",
    "ats_candidates": "/ats/candidates",
}
"""Three streams whose records contain copies of each other"""
STREAMS = {path: stream for stream, path in PATHS.items()}

READ_WITH = {
    "ats_offers": {"ats_offers", "ats_applications"},
    "ats_applications": {"ats_applications", "ats_candidates", "ats_offers"},
    "ats_candidates": {"ats_candidates", "ats_applications"},
}
"""Model in `changed_models` -> the streams that are read"""

DAY = 86_400

# The tap decides by the code alone. Each status is used once, because it identifies the error in
# the sandbox's log of requests.
PERSISTENT_ERRORS = {
    "permission missing": (422, "INTEGRATION.PERMISSION_MISSING"),
    "invalid credentials of the tool": (423, "INTEGRATION.AUTHENTICATION_INVALID"),
    "disabled model": (424, "INTEGRATION.MODEL_DISABLED"),
    "first sync of the tool pending": (425, "INTEGRATION.SETUP_SYNC_PENDING"),
    "invalid API key": (426, "PLATFORM.AUTHENTICATION_INVALID"),
    "outage": (503, None),
}
INVALID_API_KEY = 426
FAILURES = {422, 423, INVALID_API_KEY, 503}
SKIPPED = {424, 425}

TRUNCATED_JSON = '{"status":"success","data":{"next":null,"results":[{"id":"trunc'
TRANSIENT_ERRORS: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "429": {"status": 429, "headers": {"ratelimit-reset": "0.05"}},
    "closed connection": {"close": True},
    "truncated response": {"cut_body": 0.6},
    "missing body": {"cut_body": 0.0},
    "HTML": {"status": 200, "body": "<html></html>", "content_type": "text/html"},
    "truncated JSON": {"status": 200, "body": TRUNCATED_JSON},
    "missing results": {"status": 200, "body": '{"status":"success","data":{"next":null}}'},
    "error with 200": {"status": 200, "body": '{"status":"error","error":{"message":"no"}}'},
}


@dataclass(frozen=True)
class RecordChange:
    """One of `OPERATIONS` on a record, just before the response to a request."""

    operation: str
    stream: str
    integration: int
    record: int
    before_request: int


@dataclass(frozen=True)
class ClockAdvance:
    """Kombo's clock advances, just before the response to a request."""

    seconds: int
    before_request: int


@dataclass(frozen=True)
class TransientError:
    """Some requests fail; a retry succeeds.

    Attributes:
        name: One of `TRANSIENT_ERRORS`.
        stream: The stream whose requests fail; None for all requests.
        skip: The number of requests that succeed first.
        count: The number of requests that fail.
    """

    name: str
    stream: str | None
    skip: int
    count: int


@dataclass(frozen=True)
class ExpiredCursor:
    """A cursor is rejected after some requests, so that the read restarts."""

    stream: str
    skip: int


@dataclass(frozen=True)
class PersistentError:
    """A stream of an integration fails from some request on.

    Attributes:
        name: One of `PERSISTENT_ERRORS`.
        stream: The stream.
        integration: The number of the integration.
        skip: The number of requests that succeed first.
    """

    name: str
    stream: str
    integration: int
    skip: int


Event = RecordChange | ClockAdvance | TransientError | ExpiredCursor | PersistentError

MAX_INTEGRATIONS = 3

# "change" and "add" are twice as likely as the others.
OPERATIONS = [
    *("change", "change_nested", "delete", "anonymize", "restore", "forget", "add"),
    *("change", "add"),
]

operations = st.sampled_from(OPERATIONS)
streams = st.sampled_from(list(PATHS))
integrations = st.integers(0, MAX_INTEGRATIONS - 1)
records = st.integers(0, 6)
switches = st.sampled_from(["disabled_models", "unavailable_models"])
durations = st.sampled_from([1, 2, 20, 61, 90, 300, 3600, 5000, 9000, DAY // 2, 3 * DAY, 15 * DAY])
request_numbers = st.integers(1, 10)

record_changes = st.builds(
    RecordChange, operations, streams, integrations, records, request_numbers
)
changes: st.SearchStrategy[Event] = st.one_of(
    record_changes,
    record_changes,
    st.builds(ClockAdvance, durations, request_numbers),
)
errors: st.SearchStrategy[Event] = st.one_of(
    st.builds(
        TransientError,
        st.sampled_from(list(TRANSIENT_ERRORS)),
        streams | st.none(),
        skip=st.integers(0, 4),
        count=st.integers(1, 2),
    ),
    st.builds(ExpiredCursor, streams, skip=st.integers(0, 3)),
    st.builds(
        PersistentError,
        st.sampled_from(list(PERSISTENT_ERRORS)),
        streams,
        integrations,
        skip=st.sampled_from([0, 1, 0, 2]),
    ),
)
