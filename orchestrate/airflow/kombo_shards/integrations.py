"""Which integrations there are, and how they are grouped into shards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kombo_shards.configuration import ConfigurationError

INTEGRATION_ID = re.compile(r"[a-z0-9_-]+:[A-Za-z0-9_-]+")

LABEL_LENGTH = 250
"""Airflow keeps no more characters of a mapped task's name."""

EXAMPLE = "personio:B1hu5NGyhdjSq5X3hxEz4bAN"


def find_integrations(
    source: Any,
    *,
    read_variable: Callable[[str], Any],
    read_sql: Callable[[str, str], Iterable[Sequence[Any]]],
) -> list[str]:
    """Find the integrations, in the order in which they are given, each one time.

    Args:
        source: A list of ids, or where such a list is: `{"variable": NAME}`, `{"file": PATH}` or
            `{"sql": QUERY, "connection": NAME}`.
        read_variable: Gives the value of a variable, a list of ids.
        read_sql: Runs a query in a database; takes the name of the connection, and the query.

    Raises:
        ConfigurationError: There are none, or something among them is no integration's id.
    """
    match source:
        case list():
            where, found = "`integration_ids`", source
        case {"variable": str(name), **rest} if not rest:
            where, found = f"The variable {name}", read_variable(name)
        case {"file": str(path), **rest} if not rest:
            return integrations_in(Path(path))
        case {"sql": str(query), "connection": str(name), **rest} if not rest:
            where = f"The query in {name}"
            found = [row[0] for row in read_sql(name, query)]
        case _:
            raise ConfigurationError(
                "`integration_ids` must be a list of integrations, or say where it is: "
                '{"variable": NAME}, {"file": PATH} or {"sql": QUERY, "connection": NAME}.'
            )
    return _checked(where, found)


def integrations_in(path: Path) -> list[str]:
    """Read the integrations in a file: an id on each line, or a JSON list.

    Raises:
        ConfigurationError: There are none, or something among them is no integration's id.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"The file of integrations {path} cannot be read: {error.strerror}."
        ) from None
    if not text.lstrip().startswith("["):
        return _checked(f"The file {path}", text.split())
    try:
        return _checked(f"The file {path}", json.loads(text))
    except json.JSONDecodeError:
        raise ConfigurationError(f"The file {path} is not valid JSON: mend it.") from None


def shards(
    integration_ids: Sequence[str], size: int, *, at_most: int | None = None
) -> list[list[str]]:
    """Group integrations into shards that differ by one integration at most.

    Args:
        integration_ids: The integrations.
        size: How many a shard holds at most.
        at_most: So many shards there may be; they are larger than `size` rather than more.

    Raises:
        ConfigurationError: The size is no size.
    """
    if size < 1:
        raise ConfigurationError(
            f"A shard of {size} integrations is none: `shard_size` is 1 at least."
        )
    number = -(-len(integration_ids) // size)
    if at_most is not None:
        number = min(number, at_most)
    return [list(integration_ids[index::number]) for index in range(number)]


def label(integration_ids: Sequence[str]) -> str:
    """Name a shard by what it holds, so that a person finds an integration in it."""
    whole = ", ".join(integration_ids)
    if len(whole) <= LABEL_LENGTH:
        return whole
    room = LABEL_LENGTH - len(", ... 10,000 in all")
    short = ""
    for integration_id in integration_ids:
        tool, _, key = integration_id.partition(":")
        name = f"{', ' if short else ''}{tool}:{key[:5]}"
        if len(short) + len(name) > room:
            return f"{short}, ... {len(integration_ids):,} in all"
        short += name
    return short


def _checked(where: str, found: Any) -> list[str]:
    if isinstance(found, str | Mapping) or not isinstance(found, Iterable):
        raise ConfigurationError(f'{where} must hold a list of integrations: ["{EXAMPLE}"].')
    integration_ids = list(found)
    for number, integration_id in enumerate(integration_ids, start=1):
        if not isinstance(integration_id, str) or not INTEGRATION_ID.fullmatch(integration_id):
            raise ConfigurationError(
                f"{where} has something that is no integration's id in place {number}: "
                f"they look like {EXAMPLE}."
            )
    if not integration_ids:
        raise ConfigurationError(f"{where} holds no integration: add the first one.")
    return list(dict.fromkeys(integration_ids))
