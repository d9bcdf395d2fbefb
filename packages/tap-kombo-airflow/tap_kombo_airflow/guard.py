"""Kill a pipe whose run has ended, or has not renewed its lease in time.

The guard is the leader of the process group of the tap and the target. A run writes a byte to the
guard's standard input each time it has renewed its lease. When another run can take over the
lease, nothing writes to the target anymore, even if the first run was killed, frozen or cut off
from the database.

    python guard.py FOLDER SECONDS < beats
"""

import os
import select
import shutil
import signal
import sys


def main() -> None:
    """Wait until stdin is closed or silent, then remove the folder and kill the group."""
    folder, patience = sys.argv[1], float(sys.argv[2])
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, signal.SIG_IGN)
    while select.select([0], [], [], patience)[0] and os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
