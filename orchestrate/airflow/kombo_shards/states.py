"""A tap's state, taken apart by integration and put together again for any shard.

The tap keeps a partition for each stream and integration, so the state of a shard is no more than
the sum of its integrations' states:

    {"bookmarks": {"ats_offers": {"partitions": [{"context": {"integration_id": "..."}, ...}]}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

State = dict[str, Any]


def merge(states: Iterable[Mapping[str, Any]]) -> State:
    """Put the states of integrations together, for a run that reads them all."""
    bookmarks: State = {}
    for state in states:
        for stream, bookmark in state.get("bookmarks", {}).items():
            partitions = bookmarks.setdefault(stream, {"partitions": []})["partitions"]
            partitions.extend(bookmark["partitions"])
    return {"bookmarks": bookmarks}


def split(state: Mapping[str, Any]) -> dict[str, State]:
    """Take a run's state apart: integration -> its state.

    An integration of which nothing was read yet is not there.
    """
    states: dict[str, State] = {}
    for stream, bookmark in state.get("bookmarks", {}).items():
        for partition in bookmark.get("partitions", []):
            own = states.setdefault(partition["context"]["integration_id"], {"bookmarks": {}})
            own["bookmarks"].setdefault(stream, {"partitions": []})["partitions"].append(partition)
    return states
