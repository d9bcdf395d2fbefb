"""What Kombo promises to bring of a record.

A record comes back when its own values change, and those nested copies for which the tables in
Kombo's document say so. The other copies may be older than what they were made from, for whoever
reads changes only.
"""

from __future__ import annotations

from typing import Any

from kombo_sandbox.models import MODELS
from kombo_sandbox.models.row import Many, One
from tap_kombo.records import OWN_FIELDS

Record = dict[str, Any]


def promised(stream: str, record: Record) -> Record:
    """Leave out of a record of Kombo's what may be stale."""
    nested = {node.name: node for node in MODELS[stream].nested}
    return {
        name: _fresh(nested[name], value) if name in nested else value
        for name, value in record.items()
    }


def as_kombo_sent_it(row: Record) -> Record:
    """Take out of a row what the tap has added."""
    sent = {name: value for name, value in row.items() if name not in OWN_FIELDS}
    return sent | (row["additional_fields"] or {})


def _fresh(node: One | Many, value: Any) -> Any:
    if value is None:
        return None
    own = [name for name in node.shape if isinstance(name, str)]
    if isinstance(node, One):
        return {name: value[name] for name in own} if node.counts else None
    if node.linked:
        copies = [{name: one[name] for name in own} for one in value]
    else:
        copies = [{"id": one["id"]} for one in value] if node.added else []
    return sorted(copies, key=lambda one: str(one["id"]))
