"""Nested copies of other records, which incremental syncs may leave stale.

Kombo returns a record as changed if its own values change, or certain nested values that its
documentation lists. All other nested values may be older in the target, and so may copies of
records that Kombo removed without marking them as deleted.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from kombo_sandbox.models import MODELS, Nested, NestedObject

Record = dict[str, Any]


def without_stale_copies(stream: str, record: Record, forgotten: Container[str]) -> Record:
    """Return a record without the nested values that may be stale.

    Args:
        stream: The stream.
        record: The record.
        forgotten: The ids of the records that Kombo has removed without a mark.
    """
    nested = {node.name: node for node in MODELS[stream].nested}
    return {
        name: _fresh_values(nested[name], value, forgotten) if name in nested else value
        for name, value in record.items()
        # A nested object may lack its id, which is then only in a field such as `job_id`.
        if record.get(f"{name}_id") not in forgotten
    }


def _fresh_values(node: Nested, value: Any, forgotten: Container[str]) -> Any:
    if value is None:
        return None
    own = node.shape.split()
    if isinstance(node, NestedObject):
        if value.get("id") in forgotten:
            return None
        return {name: value[name] for name in own} if node.tracks_changes else None
    value = [one for one in value if one.get("id") not in forgotten]
    if node.tracks_changes:
        copies = [{name: one[name] for name in own} for one in value]
    else:
        copies = [{"id": one["id"]} for one in value] if node.tracks_members else []
    return sorted(copies, key=lambda one: str(one["id"]))
