"""Which records `updated_after` matches when a linked record changes.

`updated_after` is compared with the column `touched_at`: the time of the last change of the record
itself, or of the nested records that its model tracks.
"""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

from dataclasses import dataclass
from functools import cache

from kombo_sandbox.models import LIVE, MODELS, Model, Nested, NestedList, NestedObject


@dataclass(frozen=True)
class Dependent:
    """Rows in which the row `:seq` of another model is nested.

    Attributes:
        model: The model of these rows.
        where: The SQL condition for these rows.
        tracks_members: `updated_after` matches these rows when the other row is added or removed.
        tracks_changes: `updated_after` matches these rows when the other row changes.
    """

    model: str
    where: str
    tracks_members: bool
    tracks_changes: bool


@cache
def dependents(model: Model) -> tuple[Dependent, ...]:
    """Return the rows that `updated_after` matches when a record of a model changes."""
    found = []
    for outer in MODELS.values():
        for node in outer.nested:
            if isinstance(node, NestedObject):
                if outer.links[node.name] == model.id and node.tracks_changes:
                    found.append(Dependent(outer.id, f"{node.name} = :seq", True, True))
            elif node.model == model.id:
                where = f"seq = (SELECT {node.link} FROM {node.model} WHERE seq = :seq)"
                tracks_changes = node.tracks_changes and node.through is None
                found.append(Dependent(outer.id, where, node.tracks_members, tracks_changes))
            elif node.through and MODELS[node.model].links[node.through] == model.id:
                where = f"seq IN (SELECT {node.link} FROM {node.model} WHERE {node.through} = :seq)"
                found.append(Dependent(outer.id, where, node.tracks_members, node.tracks_changes))
    return tuple(one for one in found if one.tracks_members or one.tracks_changes)


def tracked_rows(model: Model) -> list[tuple[Model, str]]:
    """Return the nested rows `t` whose changes are tracked in row `r` of a model.

    Returns:
        For each source of such rows, their model and the SQL that follows FROM.
    """
    sources = []
    for node in model.nested:
        if node.tracks_changes:
            target, condition = _nested_rows(model, node, "r")
            source = f"{target.id} t WHERE t.state = {LIVE} AND t.body IS NULL AND {condition}"
            sources.append((target, source))
    return sources


def has_tracked_rows(model: Model) -> str:
    """Return the SQL condition for rows `r` that have tracked rows."""
    exists = [f"EXISTS (SELECT 1 FROM {source})" for _, source in tracked_rows(model)]
    return f"({' OR '.join(exists) or 0})"


def initial_touched_at(model: Model) -> str | None:
    """Return the SQL that sets `touched_at` of loaded rows from their nested rows."""
    moments = []
    for node in model.nested:
        if node.tracks_changes:
            target, condition = _nested_rows(model, node, model.id)
            moments.append(f"SELECT max(written_at) FROM {target.id} t WHERE {condition}")
        elif isinstance(node, NestedList) and node.tracks_members:
            condition = f"{node.link} = {model.id}.seq"
            moments.append(f"SELECT max(written_at) FROM {node.model} WHERE {condition}")
    if not moments:
        return None
    latest = ", ".join(f"ifnull(({moment}), '')" for moment in moments)
    return (
        f"UPDATE {model.id} SET touched_at = max(touched_at, {latest}) WHERE integration >= :first"
    )


def _nested_rows(model: Model, node: Nested, row: str) -> tuple[Model, str]:
    """Return the model of a node, and the SQL condition for its rows `t` nested in `row`."""
    if isinstance(node, NestedObject):
        return MODELS[model.links[node.name]], f"t.seq = {row}.{node.name}"
    member = MODELS[node.model]
    if node.through is None:
        return member, f"t.{node.link} = {row}.seq"
    seqs = f"SELECT {node.through} FROM {member.id} WHERE {node.link} = {row}.seq"
    return MODELS[member.links[node.through]], f"t.seq IN ({seqs})"
