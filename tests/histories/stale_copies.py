"""Nested copies of other records, which incremental syncs may leave stale.

Kombo returns a record as changed if its own values change, or the nested values for which its
documentation says so. All other nested values may be older in the target.
"""

from __future__ import annotations

from typing import Any

from kombo_sandbox.models import MODELS
from kombo_sandbox.models.row import Many, One

Record = dict[str, Any]


def without_stale_copies(stream: str, record: Record) -> Record:
    """Return a record without the nested values that may be stale."""
    nested = {node.name: node for node in MODELS[stream].nested}
    return {
        name: _fresh_values(nested[name], value) if name in nested else value
        for name, value in record.items()
    }


def _fresh_values(node: One | Many, value: Any) -> Any:
    if value is None:
        return None
    own = node.shape.split()
    if isinstance(node, One):
        return {name: value[name] for name in own} if node.counts else None
    if node.linked:
        copies = [{name: one[name] for name in own} for one in value]
    else:
        copies = [{"id": one["id"]} for one in value] if node.added else []
    return sorted(copies, key=lambda one: str(one["id"]))
