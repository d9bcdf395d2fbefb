"""Run a command and write its exit status and usage to a file: `launch.py FILE COMMAND...`.

Until a process executes its program, it counts the memory of the process that forked it. So
commands are started by this script, which is smaller than all of them.
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
with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  # pathlib would take more memory
    # `ru_maxrss` is in KiB.
    file.write(f"{os.waitstatus_to_exitcode(status)} {wall} {cpu} {used.ru_maxrss * 1024}")
