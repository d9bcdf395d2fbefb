"""Query parameters that filter a list: how to parse them, and their SQL conditions."""

# ruff: noqa: S608 - every column in this SQL comes from the table of models

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from kombo_sandbox.clock import iso, parse_time

_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{24}")


@dataclass(frozen=True)
class Filter:
    """A query parameter.

    Attributes:
        name: The parameter.
        condition: SQL over the row `r`, with the parsed value as `:name`.
        read: Parses the value; raises ValueError if it is not valid.
    """

    name: str
    condition: str
    read: Callable[[str], str] = str


def own(name: str) -> str:
    """Return the SQL for a property of the record itself."""
    return f"r.own->>'{name}'"


def texts(value: str) -> str:
    """Parse comma-separated values to a JSON list."""
    return json.dumps(value.split(","))


def lowered(value: str) -> str:
    """Parse comma-separated values to a JSON list for a case-insensitive comparison."""
    return texts(value.casefold())


def kombo_ids(value: str) -> str:
    """Parse comma-separated Kombo ids to a JSON list."""
    for one in value.split(","):
        kombo_id(one)
    return texts(value)


def kombo_id(value: str) -> str:
    """Parse one Kombo id."""
    if not _ID.fullmatch(value):
        raise ValueError(f"must be a Kombo id of 24 characters, not {value!r}")
    return value


def json_pair(value: str) -> str:
    """Parse a JSON object with one key."""
    try:
        pair = json.loads(value)
    except ValueError:
        pair = None
    if not (isinstance(pair, dict) and len(pair) == 1):
        raise ValueError("must be a JSON object with one key")
    return value


def date(value: str) -> str:
    """Parse a date or time."""
    return iso(parse_time(value))


def among(name: str, column: str, read: Callable[[str], str] = texts) -> Filter:
    """Match records whose column is one of the values."""
    return Filter(name, f"{column} IN (SELECT value FROM json_each(:{name}))", read)


def by_ids(name: str) -> Filter:
    """Match records by the ids in a property: `job_ids` by `job_id`."""
    return among(name, own(name.removesuffix("s")), kombo_ids)


def by_enum(name: str, property_name: str, known: str) -> Filter:
    """Match records whose property is one of the values; `known` lists all, with spaces."""

    def read(value: str) -> str:
        if not set(value.split(",")) <= set(known.split()):
            raise ValueError(f"must be some of {known}, not {value!r}")
        return texts(value)

    return among(name, f"ifnull({own(property_name)}, 'null')", read)


def since(name: str, property_name: str) -> Filter:
    """Match records whose time is the value or later."""
    return Filter(name, f"{own(property_name)} >= :{name}", date)


def equals(name: str) -> Filter:
    """Match records whose property of this name equals the value, ignoring case."""
    return Filter(name, f"casefold({own(name)}) = casefold(:{name})")


# Most list endpoints have these two.
IDS = among("ids", "r.id", kombo_ids)
REMOTE_IDS = among("remote_ids", own("remote_id"))

NAME_CONTAINS = Filter("name_contains", f"instr(casefold({own('name')}), casefold(:name_contains))")
EMPLOYEE_ID = Filter("employee_id", f"{own('employee_id')} = :employee_id", kombo_id)
