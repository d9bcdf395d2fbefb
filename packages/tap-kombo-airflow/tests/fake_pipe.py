"""A fake tap and a fake target that start quickly."""

from __future__ import annotations

import sys

from tap_kombo_airflow.pipe import Pipe

PYTHON = (sys.executable, "-S", "-c")

TAP = """
import json, os, sys, time
names = json.loads(os.environ["TAP_KOMBO_INTEGRATION_IDS"])
path = next(a for a in sys.argv if a.startswith("--state=")).partition("=")[2]
state = json.load(open(path))
def emit(value):
    bookmarks = state.setdefault("bookmarks", {}).setdefault("ats_jobs", {"partitions": []})
    bookmarks["partitions"] = [
        {"context": {"integration_id": name}, "replication_key_value": value} for name in names
    ]
    print(json.dumps({"type": "STATE", "value": state}), flush=True)
def log(message, level="error", **extra):
    record = {"level": level, "logger_name": "tap-kombo", "message": message, "extra": extra}
    print(json.dumps(record), file=sys.stderr, flush=True)
"""

TARGET = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE":
        print(json.dumps(message["value"]), flush=True)
"""


def pipe(tap: str, target: str = "") -> Pipe:
    """Build a pipe of fakes.

    Args:
        tap: The tap's code, which can use `names`, `state`, `emit(bookmark)` and `log(message)`.
        target: The target's code after the end of its input.
    """
    return Pipe(
        tap_settings={"api_key": "ks_secret"},
        target_settings={"password": "pg_secret"},
        tap=(*PYTHON, TAP + tap),
        target=(*PYTHON, TARGET + target),
    )
