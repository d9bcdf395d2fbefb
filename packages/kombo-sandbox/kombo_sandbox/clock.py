"""The sandbox's own clock, and the one way in which Kombo writes a time."""

import re
import time
from datetime import UTC, datetime

# Kombo's document gives this pattern for dates in queries: UTC only, no offsets.
_WRITTEN = re.compile(r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?)?Z?")


class Clock:
    """The machine's time plus an offset in seconds."""

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def now(self) -> int:
        """Milliseconds since 1970."""
        return int((time.time() + self.offset) * 1000)


def iso(moment: int) -> str:
    """Milliseconds since 1970 as ``YYYY-MM-DDTHH:mm:ss.sssZ``."""
    return datetime.fromtimestamp(moment / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def day(moment: int) -> str:
    """Milliseconds since 1970 as ``YYYY-MM-DD``."""
    return iso(moment)[:10]


def moment(text: str) -> int:
    """The reverse of ``iso``, from all that Kombo accepts; ValueError for anything else."""
    if not _WRITTEN.fullmatch(text):
        raise ValueError("must be a date like 2026-01-31T12:00:00.000Z")
    parsed = datetime.fromisoformat(text.removesuffix("Z")).replace(tzinfo=UTC)
    return int(parsed.replace(microsecond=0).timestamp()) * 1000 + parsed.microsecond // 1000
