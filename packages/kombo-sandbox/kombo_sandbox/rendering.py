"""The SQL that renders a row as the JSON of Kombo's response.

The store keeps only a record's own properties. SQLite adds the nested records when it reads a page,
so they are never stale, and changing a linked record writes only that record.
"""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

from collections.abc import Sequence
from functools import cache

from kombo_sandbox.models import FORGOTTEN, LIVE, MODELS, Model, Nested, NestedObject


@cache
def record_json(model: Model) -> str:
    """Return the SQL for the record in row `r`, as UTF-8 bytes.

    A row with `body` is returned unchanged.
    """
    nested = "".join(
        f""" || ',"{node.name}":' || {_nested(model, node, "r")}""" for node in model.nested
    )
    hidden = "".join(f", '$.{name}'" for name in model.hidden)
    own = f"json_remove(r.own{hidden})" if hidden else "r.own"
    complete = f"substr({own}, 1, length({own}) - 1){nested} || '}}'" if nested else own
    return f"CAST(ifnull(r.body, {complete}) AS BLOB)"


def _nested(model: Model, node: Nested, outer: str) -> str:
    """Return the SQL for the JSON of a node in the row `outer`."""
    row = f"{outer}_{node.name}"
    if isinstance(node, NestedObject):
        target = MODELS[model.links[node.name]]
        # Deleted records stay nested, but forgotten ones do not.
        source = (
            f"{target.id} {row} WHERE {row}.seq = {outer}.{node.name} AND {row}.state < {FORGOTTEN}"
        )
        return f"ifnull((SELECT {_object(target, node, row)} FROM {source}), 'null')"
    member = MODELS[node.model]
    if node.through is None:
        record = _object(member, node, row)
        source = f"{member.id} {row} WHERE {row}.{node.link} = {outer}.seq AND {row}.state = {LIVE}"
    else:
        target, link = MODELS[member.links[node.through]], f"{row}_link"
        record = _object(target, node, row, _properties(node.own, link))
        source = (
            f"{member.id} {link} JOIN {target.id} {row} ON {row}.seq = {link}.{node.through}"
            f" WHERE {link}.{node.link} = {outer}.seq"
            f" AND {link}.state = {LIVE} AND {row}.state = {LIVE}"
        )
    return f"'[' || ifnull((SELECT group_concat({record}, ',') FROM {source}), '') || ']'"


def _object(model: Model, node: Nested, row: str, more: Sequence[str] = ()) -> str:
    nested = [f"""'"{one.name}":' || {_nested(model, one, row)}""" for one in node.nested]
    parts = [*_properties(node.shape, row), *nested, *more]
    return "'{' || " + " || ',' || ".join(parts) + " || '}'"


def _properties(names: str, row: str) -> list[str]:
    return [f"""'"{name}":' || ifnull({row}.own->'$.{name}', 'null')""" for name in names.split()]
