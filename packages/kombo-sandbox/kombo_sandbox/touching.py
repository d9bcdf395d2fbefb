"""What counts as changed: which records ``updated_after`` finds when another record moves.

``touched_at`` of a row is the moment that ``updated_after`` is compared with. It moves with the
record's own changes and with those of linked records for which the table of models says so.
"""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

from dataclasses import dataclass
from functools import cache

from kombo_sandbox.models import MODELS, Many, Model, One


@dataclass(frozen=True)
class Dependent:
    """Rows of ``model`` that show the row ``:seq`` of another one.

    Attributes:
        where: SQL that is true for these rows.
        added: adding or removing the other row is a change of theirs.
        linked: a change of the other row is a change of theirs.
    """

    model: str
    where: str
    added: bool
    linked: bool


@cache
def dependents(model: Model) -> tuple[Dependent, ...]:
    """Who shows records of this model, where that counts."""
    found = []
    for other in MODELS.values():
        for node in other.nested:
            if isinstance(node, One):
                if other.links[node.link] == model.id and node.counts:
                    found.append(Dependent(other.id, f"{node.link} = :seq", True, True))
                continue
            member = MODELS[node.model]
            if member is model:
                where = f"seq = (SELECT {node.link} FROM {member.id} WHERE seq = :seq)"
                linked = node.linked and node.through is None
                found.append(Dependent(other.id, where, node.added, linked))
            elif node.through and member.links[node.through] == model.id:
                where = f"seq IN (SELECT {node.link} FROM {member.id} WHERE {node.through} = :seq)"
                found.append(Dependent(other.id, where, node.added, node.linked))
    return tuple(one for one in found if one.added or one.linked)


def counting(model: Model) -> list[tuple[Model, str]]:
    """The models of the linked records whose changes count, each with the SQL behind a FROM that
    finds those, ``t``, which the row ``r`` shows.
    """
    found = []
    for node in model.nested:
        if _is_linked(node):
            target, shown = _shown(model, node, "r")
            live = "t.state = 0 AND t.body IS NULL"
            found.append((target, f"{target.id} t WHERE {live} AND {shown}"))
    return found


def shows_counting(model: Model) -> str:
    """SQL that is true for rows ``r`` which show at least one such record."""
    shows = [f"EXISTS (SELECT 1 FROM {found})" for _, found in counting(model)]
    return f"({' OR '.join(shows) or 0})"


def settling(model: Model) -> str | None:
    """SQL that sets ``touched_at`` of rows just loaded to what their linked rows make it."""
    moments = []
    for node in model.nested:
        if _is_linked(node):
            target, shown = _shown(model, node, model.id)
            moments.append(f"SELECT max(written_at) FROM {target.id} t WHERE {shown}")
        elif isinstance(node, Many) and node.added:
            shown = f"{node.link} = {model.id}.seq"
            moments.append(f"SELECT max(written_at) FROM {node.model} WHERE {shown}")
    if not moments:
        return None
    latest = ", ".join(f"ifnull(({moment}), '')" for moment in moments)
    return (
        f"UPDATE {model.id} SET touched_at = max(touched_at, {latest}) WHERE integration >= :first"
    )


def _is_linked(node: One | Many) -> bool:
    return node.counts if isinstance(node, One) else node.linked


def _shown(model: Model, node: One | Many, row: str) -> tuple[Model, str]:
    """The model behind a node, and SQL that is true for the rows ``t`` that ``row`` shows there."""
    if isinstance(node, One):
        return MODELS[model.links[node.link]], f"t.seq = {row}.{node.link}"
    member = MODELS[node.model]
    if node.through is None:
        return member, f"t.{node.link} = {row}.seq"
    target = MODELS[member.links[node.through]]
    seqs = f"SELECT {node.through} FROM {member.id} WHERE {node.link} = {row}.seq"
    return target, f"t.seq IN ({seqs})"
