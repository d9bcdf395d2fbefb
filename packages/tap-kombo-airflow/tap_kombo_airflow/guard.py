"""Kill a pipe whose run has ended, or has not renewed its lease in time.

The guard leads the process group of the tap and the target. A run writes a byte, the heartbeat, to
the guard's standard input each time it has renewed its lease. The guard kills the pipe before
another run can take over the lease, even if the first run was killed, frozen or cut off from the
database.

    python guard.py FOLDER TIMEOUT_SECONDS < heartbeats
"""

import os
import select
import shutil
import signal
import sys


def main() -> None:
    """Remove the folder and kill the group when stdin closes or times out."""
    folder, timeout = sys.argv[1], float(sys.argv[2])
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    while select.select([0], [], [], timeout)[0] and os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
