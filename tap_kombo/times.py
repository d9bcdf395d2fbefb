"""Times: how settings, states and HTTP headers write them, and how Kombo does."""

from __future__ import annotations

from datetime import UTC, datetime

import pendulum

HTTP_DATE = "%a, %d %b %Y %H:%M:%S GMT"
"""https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7"""


def parse_start_date(text: str) -> pendulum.DateTime:
    """Parse a date or a time written by a person; without an offset it is UTC.

    Raises:
        ValueError: The text is neither, for example a duration or a time of day.
    """
    is_date = isinstance(pendulum.parse(text, exact=True), pendulum.Date)
    moment = pendulum.parse(text, tz="UTC")
    if not is_date or not isinstance(moment, pendulum.DateTime):
        raise ValueError(text)
    try:
        return moment.in_timezone("UTC")
    except OverflowError:
        raise ValueError(text) from None


def has_offset(text: str) -> bool:
    """Return whether a valid date or time is the same moment in every time zone."""
    return pendulum.parse(text, tz="Asia/Tokyo") == pendulum.parse(text, tz="UTC")


def parse_time(text: str) -> datetime:
    """Parse an ISO 8601 time of a state or a record; without an offset it is UTC.

    This is the standard library's parser: a state holds up to 100,000 times, and pendulum takes
    45 times as long for each.

    Raises:
        ValueError: The text is not a time, or has no equivalent in UTC.
    """
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError(text) from None


def format_time(moment: datetime) -> str:
    """Format a time as Kombo does: UTC, `YYYY-MM-DDTHH:mm:ss.sssZ`, cut to milliseconds."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"


def parse_http_date(text: str | None) -> datetime | None:
    """Parse an HTTP `Date` header; None if it is missing or not valid."""
    try:
        return datetime.strptime(text or "", HTTP_DATE).replace(tzinfo=UTC)
    except ValueError:
        return None


def in_words(seconds: float) -> str:
    """Write a duration for a log line: "1 minute 12 seconds"; at least one second."""
    return pendulum.duration(seconds=max(1, round(seconds))).in_words()
