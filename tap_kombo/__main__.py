"""The command `tap-kombo`, and `python -m tap_kombo`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

LOGGING_NOT_VALID = (
    "`LOGLEVEL`, `TAP_KOMBO_LOGLEVEL` or `SINGER_SDK_LOG_CONFIG`: logging cannot be set up. Use a "
    "level like INFO, and a file in the format of Python's logging.config."
)


def main() -> None:
    """Run the tap.

    Importing the SDK takes half a second, in which a signal would cause a traceback.
    """
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _exit)
    from tap_kombo.tap import TapKombo  # noqa: PLC0415  # after the handlers

    try:
        command = TapKombo.cli  # sets up logging
    except Exception:  # noqa: BLE001  # of levels, files, YAML, and handlers
        sys.exit(LOGGING_NOT_VALID)
    command()


def _exit(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001  # Python's signature
    os._exit(128 + signum)


if __name__ == "__main__":
    main()
