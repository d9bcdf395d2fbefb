"""The sandbox's clock, and Kombo's format of times."""

import re
import time
from datetime import UTC, datetime

# The pattern of dates in Kombo's OpenAPI document: UTC only, no offsets.
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?Z?")

# Leaves room for records with times some years after the clock's.
_END = datetime(3000, 1, 1, tzinfo=UTC).timestamp()


class Clock:
    """The machine's time plus an offset in seconds."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def move(self, seconds: float) -> None:
        """Move the clock; raises ValueError if it would leave the years 1970 to 2999."""
        if not 0 <= time.time() + self.offset + seconds < _END:
            raise ValueError("the clock must stay between the years 1970 and 2999")
        self.offset += seconds

    def now(self) -> int:
        """Return milliseconds since 1970."""
        return int((time.time() + self.offset) * 1000)


def iso(time_ms: int) -> str:
    """Format milliseconds since 1970 as `YYYY-MM-DDTHH:mm:ss.sssZ`."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def day(time_ms: int) -> str:
    """Format milliseconds since 1970 as `YYYY-MM-DD`."""
    return iso(time_ms)[:10]


def parse_time(text: str) -> int:
    """Parse a date or time to milliseconds since 1970; raises ValueError if it is not valid."""
    if not _DATE.fullmatch(text):
        raise ValueError("must be a date like 2026-01-31T12:00:00.000Z")
    parsed = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    return int(parsed.replace(microsecond=0).timestamp()) * 1000 + parsed.microsecond // 1000
