"""What coverage measures: the tap alone, not the servers and tools that tests start beside it.

It would be started in every Python process below this one, and make the tests twice as slow.
"""

from __future__ import annotations

import os

VARIABLE = "COVERAGE_PROCESS_CONFIG"

# The process that hands tests out must leave it to those that run them.
IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ
MEASURED = {VARIABLE: os.environ.pop(VARIABLE)} if IS_WORKER and VARIABLE in os.environ else {}
"""The environment in which a process is measured, where tests are run to measure."""
