"""Times as Kombo writes them: UTC, `YYYY-MM-DDTHH:mm:ss.sssZ`."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


def read_time(text: str) -> datetime:
    """Read an ISO 8601 time or date; without an offset it is UTC.

    Raises:
        ValueError: It is neither, or not in UTC's calendar.
    """
    moment = datetime.fromisoformat(text)
    try:
        return _in_utc(moment)
    except OverflowError as error:
        raise ValueError(text) from error


def write_time(moment: datetime) -> str:
    """Write a time in Kombo's format; what is finer than a millisecond is cut off."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return f"{utc.isoformat(timespec='milliseconds')}Z"


def read_http_date(text: str | None) -> datetime | None:
    """Read an HTTP `Date` header (RFC 9110, whole seconds); None where there is no valid one.

    Of its three forms, one names no zone: it is UTC too.
    """
    try:
        return _in_utc(parsedate_to_datetime(text)) if text else None
    except (OverflowError, ValueError):
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
