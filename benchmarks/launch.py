"""Runs a command and writes what it needed to a file: `launch.py FILE COMMAND...`.

A process inherits the peak of memory of the one that forked it until it is another program. So
what is measured is started by this, which is smaller than any of it, and not by the benchmarks.
"""

from __future__ import annotations

import os
import sys
import time

path, *command = sys.argv[1:]
started = time.perf_counter()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - started
cpu = used.ru_utime + used.ru_stime
with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  # `pathlib` would make it larger
    # `ru_maxrss` is in KiB.
    file.write(f"{os.waitstatus_to_exitcode(status)} {wall} {cpu} {used.ru_maxrss * 1024}")
