"""Which records `updated_after` matches when a linked record changes.

`updated_after` is compared with `touched_at` of a row. It moves with the changes of the record
itself, and with those changes of linked records that count according to the table of models.
"""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

from dataclasses import dataclass
from functools import cache

from kombo_sandbox.models import MODELS, Model, Node, One


@dataclass(frozen=True)
class Dependent:
    """Rows in which the row `:seq` of another model is nested.

    Attributes:
        model: The model of these rows.
        where: The SQL condition for them.
        added: They count as changed if the other row is added or removed.
        linked: They count as changed if the other row changes.
    """

    model: str
    where: str
    added: bool
    linked: bool


@cache
def dependents(model: Model) -> tuple[Dependent, ...]:
    """Return the rows that count as changed when a record of a model changes."""
    found = []
    for outer in MODELS.values():
        for node in outer.nested:
            if isinstance(node, One):
                if outer.links[node.name] == model.id and node.counts:
                    found.append(Dependent(outer.id, f"{node.name} = :seq", True, True))
            elif node.model == model.id:
                where = f"seq = (SELECT {node.link} FROM {node.model} WHERE seq = :seq)"
                linked = node.linked and node.through is None
                found.append(Dependent(outer.id, where, node.added, linked))
            elif node.through and MODELS[node.model].links[node.through] == model.id:
                where = f"seq IN (SELECT {node.link} FROM {node.model} WHERE {node.through} = :seq)"
                found.append(Dependent(outer.id, where, node.added, node.linked))
    return tuple(one for one in found if one.added or one.linked)


def linked_rows(model: Model) -> list[tuple[Model, str]]:
    """Return what the rows `t` come from whose changes count for row `r` of a model.

    Returns:
        The model of the rows, and the SQL that follows FROM.
    """
    return [
        (target, f"{target.id} t WHERE t.state = 0 AND t.body IS NULL AND {condition}")
        for target, condition in (
            _nested_rows(model, node, "r") for node in model.nested if _counts(node)
        )
    ]


def has_linked_rows(model: Model) -> str:
    """Return the SQL condition for rows `r` with linked rows whose changes count."""
    exists = [f"EXISTS (SELECT 1 FROM {source})" for _, source in linked_rows(model)]
    return f"({' OR '.join(exists) or 0})"


def initial_touched_at(model: Model) -> str | None:
    """Return the SQL that sets `touched_at` of loaded rows from their linked rows."""
    moments = []
    for node in model.nested:
        if _counts(node):
            target, condition = _nested_rows(model, node, model.id)
            moments.append(f"SELECT max(written_at) FROM {target.id} t WHERE {condition}")
        elif not isinstance(node, One) and node.added:
            condition = f"{node.link} = {model.id}.seq"
            moments.append(f"SELECT max(written_at) FROM {node.model} WHERE {condition}")
    if not moments:
        return None
    latest = ", ".join(f"ifnull(({moment}), '')" for moment in moments)
    return (
        f"UPDATE {model.id} SET touched_at = max(touched_at, {latest}) WHERE integration >= :first"
    )


def _counts(node: Node) -> bool:
    return node.counts if isinstance(node, One) else node.linked


def _nested_rows(model: Model, node: Node, row: str) -> tuple[Model, str]:
    """Return the model of a node, and the SQL condition for its rows `t` nested in `row`."""
    if isinstance(node, One):
        return MODELS[model.links[node.name]], f"t.seq = {row}.{node.name}"
    member = MODELS[node.model]
    if node.through is None:
        return member, f"t.{node.link} = {row}.seq"
    seqs = f"SELECT {node.through} FROM {member.id} WHERE {node.link} = {row}.seq"
    return MODELS[member.links[node.through]], f"t.seq IN ({seqs})"
