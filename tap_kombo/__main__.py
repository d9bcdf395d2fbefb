"""The command `tap-kombo`, and `python -m tap_kombo`."""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Run the tap.

    The import of the SDK takes most of a second, in which a signal would end in a traceback.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _leave)
    from tap_kombo.tap import TapKombo  # noqa: PLC0415  # after the handlers

    TapKombo.cli()


def _leave(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
    """Nothing was read or written yet, and the tap's own handler is not there."""
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
