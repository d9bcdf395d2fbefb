"""Ends a pipe whose runner is gone, or has been silent for too long.

It runs as a process of its own, the leader of the process group that the tap and the target are
in. The runner holds the other end of its stdin, and writes to it each time it has renewed its
lease. So nothing writes to the target any more when someone else may have taken the lease over:
also when the runner was killed, stopped, or cut off from the database.

    python guard.py FOLDER SECONDS < beats
"""

import os
import select
import shutil
import signal
import sys


def main() -> None:
    """Wait for the end of stdin, or for a silence; then remove the folder and kill the group."""
    folder, patience = sys.argv[1], float(sys.argv[2])
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    while select.select([0], [], [], patience)[0] and os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
