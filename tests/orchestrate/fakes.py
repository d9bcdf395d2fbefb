"""A tap and a target that start at once and do what a test needs: Singer in, Singer out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from kombo_shards.pipe import Pipe

PYTHON = (sys.executable, "-S", "-c")

TAP = """
import json, os, sys, time
names = json.loads(os.environ["TAP_KOMBO_INTEGRATION_IDS"])
path = next(a for a in sys.argv if a.startswith("--state=")).partition("=")[2]
state = json.load(open(path))
def tell(value):
    bookmarks = state.setdefault("bookmarks", {}).setdefault("ats_jobs", {"partitions": []})
    bookmarks["partitions"] = [
        {"context": {"integration_id": name}, "replication_key_value": value} for name in names
    ]
    print(json.dumps({"type": "STATE", "value": state}), flush=True)
"""

TARGET = """
import json, sys
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE":
        print(json.dumps(message["value"]), flush=True)
"""


def pipe(tap: str, target: str = "", files: Sequence[Path] = ()) -> Pipe:
    """Build a pipe of fakes.

    Args:
        tap: What the tap does, with `names`, `state` and `tell(bookmark)` at hand.
        target: What the target does after the end of its input.
        files: `FILES` for both.
    """
    given = f"FILES = {[str(file) for file in files]}\n"
    return Pipe(
        tap_settings={"api_key": "ks_secret"},
        target_settings={"password": "pg_secret"},
        tap=(*PYTHON, given + TAP + tap),
        target=(*PYTHON, given + TARGET + target),
    )
