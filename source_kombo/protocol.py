"""Messages of Airbyte's protocol, as lines on standard output.

https://docs.airbyte.com/understanding-airbyte/airbyte-protocol
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from typing import Any

from tap_kombo.cli import hide_keys
from tap_kombo.errors import FailureType
from tap_kombo.records import ENCODER

Message = dict[str, Any]

LEVELS = {"CRITICAL": "FATAL", "WARNING": "WARN"}
"""Python's log level -> Airbyte's, if they differ"""


def write(message: Message) -> None:
    """Write a message as one line.

    Standard output is buffered, so lines of several threads do not mix.
    """
    sys.stdout.buffer.write(ENCODER.encode_lines([message]))
    sys.stdout.buffer.flush()


class LogHandler(logging.Handler):
    """Writes log records as LOG messages."""

    def emit(self, record: logging.LogRecord) -> None:
        level = LEVELS.get(record.levelname, record.levelname)
        message = hide_keys(record.getMessage())
        # If standard output is closed, the log cannot be written.
        with contextlib.suppress(OSError):
            write({"type": "LOG", "log": {"level": level, "message": message}})


def stream_status(stream: str, status: str) -> Message:
    """Build a TRACE message with STARTED, RUNNING, COMPLETE or INCOMPLETE."""
    return _trace(
        "STREAM_STATUS",
        stream_status={"stream_descriptor": {"name": stream}, "status": status},
    )


def error(message: str, failure_type: FailureType, stream: str | None = None) -> Message:
    """Build a TRACE message with an error, which may belong to a stream."""
    descriptor = {"stream_descriptor": {"name": stream}} if stream else {}
    return _trace(
        "ERROR",
        error={"message": hide_keys(message), "failure_type": failure_type.value, **descriptor},
    )


def _trace(kind: str, **content: Message) -> Message:
    return {
        "type": "TRACE",
        "trace": {"type": kind, "emitted_at": time.time() * 1000, **content},
    }
