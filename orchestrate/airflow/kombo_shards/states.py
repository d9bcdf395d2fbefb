"""Split a tap's state by integration, and merge states for any shard.

The state has a partition for each stream and integration, so the state of a shard consists of the
states of its integrations:

    {"bookmarks": {"ats_offers": {"partitions": [{"context": {"integration_id": "..."}, ...}]}}}
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

State = dict[str, Any]


def merge(states: Iterable[Mapping[str, Any]]) -> State:
    """Merge the states of integrations, for a run that reads all of them."""
    bookmarks: State = {}
    for state in states:
        for stream, bookmark in state.get("bookmarks", {}).items():
            partitions = bookmarks.setdefault(stream, {"partitions": []})["partitions"]
            partitions.extend(bookmark["partitions"])
    return {"bookmarks": bookmarks}


def split(state: Mapping[str, Any]) -> dict[str, State]:
    """Split a run's state: integration -> its state.

    Integrations that were never read are missing.
    """
    states: dict[str, State] = {}
    for stream, bookmark in state.get("bookmarks", {}).items():
        for partition in bookmark.get("partitions", []):
            own = states.setdefault(partition["context"]["integration_id"], {"bookmarks": {}})
            own["bookmarks"].setdefault(stream, {"partitions": []})["partitions"].append(partition)
    return states
