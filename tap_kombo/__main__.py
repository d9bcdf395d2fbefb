"""The command `tap-kombo`, and `python -m tap_kombo`."""

from __future__ import annotations

import os
import signal
from types import FrameType


def main() -> None:
    """Run the tap.

    Importing the SDK takes half a second, in which a signal would cause a traceback.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _exit)
    from tap_kombo.tap import TapKombo  # noqa: PLC0415  # after the handlers

    TapKombo.cli()


def _exit(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
