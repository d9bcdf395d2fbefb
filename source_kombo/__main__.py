"""The command `source-kombo`, and `python -m source_kombo`."""

from __future__ import annotations

import signal
import sys

from source_kombo.signals import end_by_signal


def main() -> None:
    """Run the source."""
    # Importing the SDK takes half a second, during which a signal may arrive.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, end_by_signal)
    from source_kombo.cli import run  # noqa: PLC0415  # after the handlers

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
