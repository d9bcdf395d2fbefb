"""Times as Kombo writes them: UTC, `YYYY-MM-DDTHH:mm:ss.sssZ`."""

from __future__ import annotations

import re
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


CLOCK = r"\d\d:\d\d:\d\d"
YEAR = r"[12]\d{3}"
ZONE = r"(?:GMT|UTC|[+-]\d{4})"
HTTP_DATE = (
    rf"(?:[A-Z][a-z]{{2}}, \d\d [A-Z][a-z]{{2}} {YEAR} {CLOCK} {ZONE}"
    rf"|[A-Z][a-z]+day, \d\d-[A-Z][a-z]{{2}}-\d\d {CLOCK} {ZONE}"
    rf"|[A-Z][a-z]{{2}} [A-Z][a-z]{{2}} [ \d]\d {CLOCK} {YEAR})"
)
HTTP_DATES = re.compile(rf"\s*({HTTP_DATE})(?:, {HTTP_DATE})*\s*", re.ASCII)
"""RFC 9110's three forms, and zones by number; again, where something on the way adds its own.

`email.utils` alone takes a zone that it does not know for UTC, and the year 0001 for 2001; and with
the last years there is no reckoning.
"""


def read_http_date(text: str | None) -> datetime | None:
    """Read an HTTP `Date` header (RFC 9110, whole seconds); None where there is no valid one.

    Of its three forms, one names no zone: it is UTC too.
    """
    try:
        dates = HTTP_DATES.fullmatch(text or "")
        return _in_utc(parsedate_to_datetime(dates[1])) if dates else None
    except ValueError:
        return None


def _in_utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
