"""How a row becomes the JSON that Kombo answers.

A record stores only its own properties. SQLite puts the nested copies in while it reads the page,
so that they can never be stale and nothing has to be written again when a linked record changes.
"""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

from functools import cache

from kombo_sandbox.models import MODELS, Many, Model, One, Shape


@cache
def served(model: Model) -> str:
    """The SQL expression for the whole record in row ``r``, as UTF-8 bytes.

    ``body``, where there is one, is a record that was put in word for word.
    """
    nested = "".join(
        f""" || ',"{node.name}":' || {_nested(model, node, "r")}""" for node in model.nested
    )
    hidden = "".join(f", '$.{name}'" for name in model.hidden)
    own = f"json_remove(r.own{hidden})" if hidden else "r.own"
    whole = f"substr({own}, 1, length({own}) - 1){nested} || '}}'" if nested else own
    return f"CAST(ifnull(r.body, {whole}) AS BLOB)"


def _nested(model: Model, node: One | Many, outer: str) -> str:
    row = f"{outer}_{node.name}"
    if isinstance(node, One):
        target = MODELS[model.links[node.link]]
        record = _object(target, node.shape, row)
        found = f"{target.id} {row} WHERE {row}.seq = {outer}.{node.link}"
        return f"ifnull((SELECT {record} FROM {found}), 'null')"
    member = MODELS[node.model]
    if node.through is None:
        record = _object(member, node.shape, row)
        found = f"{member.id} {row} WHERE {row}.{node.link} = {outer}.seq AND {row}.state = 0"
    else:
        target, link = MODELS[member.links[node.through]], f"{row}_link"
        record = _object(target, node.shape, row, _properties(node.own, link))
        found = (
            f"{member.id} {link} JOIN {target.id} {row} ON {row}.seq = {link}.{node.through}"
            f" WHERE {link}.{node.link} = {outer}.seq AND {link}.state = 0 AND {row}.state = 0"
        )
    return f"'[' || ifnull((SELECT group_concat({record}, ',') FROM {found}), '') || ']'"


def _object(model: Model, shape: Shape, row: str, more: list[str] | None = None) -> str:
    parts = [
        _properties((item,), row)[0]
        if isinstance(item, str)
        else f"""'"{item.name}":' || {_nested(model, item, row)}"""
        for item in shape
    ]
    return "'{' || " + " || ',' || ".join([*parts, *(more or [])]) + " || '}'"


def _properties(names: tuple[str, ...], row: str) -> list[str]:
    return [f"""'"{name}":' || ifnull({row}.own->'$.{name}', 'null')""" for name in names]
