"""Terminate the process on a signal."""

from __future__ import annotations

import os
import signal
from types import FrameType


def end_by_signal(signum: int, frame: FrameType | None = None) -> None:  # noqa: ARG001  # Python's signature
    """Terminate by the signal itself: PyAirbyte counts every exit status but 0 as a failure."""
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    # Process 1 of a container ignores signals without a handler.
    os._exit(128 + signum)
