"""What narrows a list of records: how a query parameter is read, and its meaning in SQL."""

# ruff: noqa: S608 - every column in this SQL comes from the table of models

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from kombo_sandbox.clock import iso, moment

_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{24}")


@dataclass(frozen=True)
class Filter:
    """A query parameter. ``condition`` is SQL over the row ``r``, the value stands in ``:name``.

    ``read`` turns the parameter into that value; its ValueError says what is wrong with it.
    """

    name: str
    condition: str
    read: Callable[[str], str]


def text(value: str) -> str:
    return value


def texts(value: str) -> str:
    return json.dumps(value.split(","))


def kombo_ids(value: str) -> str:
    """Kombo ids, comma-separated, as a JSON list."""
    ids = value.split(",")
    for one in ids:
        if not _ID.fullmatch(one):
            raise ValueError(f"must hold Kombo ids of 24 characters, not {one!r}")
    return json.dumps(ids)


def kombo_id(value: str) -> str:
    """One Kombo id."""
    if not _ID.fullmatch(value):
        raise ValueError(f"must be a Kombo id of 24 characters, not {value!r}")
    return value


def lowered(value: str) -> str:
    """Comma-separated texts whose case does not matter."""
    return texts(value.casefold())


def json_pair(value: str) -> str:
    """A JSON object with one key."""
    try:
        pair = json.loads(value)
    except ValueError:
        pair = None
    if not (isinstance(pair, dict) and len(pair) == 1):
        raise ValueError("must be a JSON object with one key")
    return value


def some_of(*known: str) -> Callable[[str], str]:
    """Reads comma-separated values that are all known."""

    def read(value: str) -> str:
        if not set(value.split(",")) <= set(known):
            raise ValueError(f"must be some of {', '.join(known)}, not {value!r}")
        return texts(value)

    return read


def date(value: str) -> str:
    return iso(moment(value))


def among(name: str, column: str, read: Callable[[str], str] = texts) -> Filter:
    """Keeps the records whose column is one of the given values."""
    return Filter(name, f"{column} IN (SELECT value FROM json_each(:{name}))", read)


def same(name: str, field: str) -> Filter:
    """Keeps the records whose own field is the given text, whatever its case."""
    return Filter(name, f"casefold(r.own->>'{field}') = casefold(:{name})", text)


def name_contains(field: str) -> Filter:
    """Keeps the records in whose own field the text is found, whatever its case."""
    return Filter(
        "name_contains", f"instr(casefold(r.own->>'{field}'), casefold(:name_contains))", text
    )


# Most list endpoints have these two.
IDS = among("ids", "r.id", kombo_ids)
REMOTE_IDS = among("remote_ids", "r.own->>'remote_id'")
