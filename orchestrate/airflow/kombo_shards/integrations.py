"""The list of integrations, and the shards."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kombo_shards.configuration import ConfigurationError

INTEGRATION_ID = re.compile(r"[a-z0-9_-]+:[A-Za-z0-9_-]+")

LABEL_LENGTH = 250
"""Airflow truncates longer names of mapped tasks."""

EXAMPLE = "personio:B1hu5NGyhdjSq5X3hxEz4bAN"


def find_integrations(
    source: Any,
    *,
    read_variable: Callable[[str], Any],
    read_sql: Callable[[str, str], Iterable[Sequence[Any]]],
) -> list[str]:
    """Return the integrations in the given order, without duplicates.

    Args:
        source: A list of ids, or a source of one: `{"variable": NAME}`, `{"file": PATH}` or
            `{"sql": QUERY, "connection": NAME}`.
        read_variable: Returns the value of a variable, a list of ids.
        read_sql: Runs a query, given the name of a connection and the query.

    Raises:
        ConfigurationError: The list is empty, or an id is not valid.
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
                "`integration_ids` must be a list of integrations, or a source of one: "
                '{"variable": NAME}, {"file": PATH} or {"sql": QUERY, "connection": NAME}.'
            )
    return _checked(where, found)


def integrations_in(path: Path) -> list[str]:
    """Read the integrations in a file: an id on each line, or a JSON list.

    Raises:
        ConfigurationError: The file cannot be read, is empty, or an id is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"The file {path} is not a text file. Write an id on each line, or a JSON list."
        ) from None
    if not text.lstrip().startswith("["):
        return _checked(f"The file {path}", text.split())
    try:
        return _checked(f"The file {path}", json.loads(text))
    except (json.JSONDecodeError, RecursionError):
        raise ConfigurationError(f"The file {path} is not valid JSON.") from None


def shards(
    integration_ids: Sequence[str], size: int, *, at_most: int | None = None
) -> list[list[str]]:
    """Group integrations into shards whose sizes differ by at most one.

    Args:
        integration_ids: The integrations.
        size: The largest size of a shard.
        at_most: The largest number of shards, which overrides `size`.

    Raises:
        ConfigurationError: The size is less than 1.
    """
    if size < 1:
        raise ConfigurationError("`shard_size` must be at least 1.")
    number = -(-len(integration_ids) // size)
    if at_most is not None:
        number = min(number, at_most)
    return [list(integration_ids[index::number]) for index in range(number)]


def label(integration_ids: Sequence[str]) -> str:
    """Return a name of a shard that lists its integrations, if there is room."""
    full = ", ".join(integration_ids)
    if len(full) <= LABEL_LENGTH:
        return full
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
        raise ConfigurationError(f'{where} must be a list of integrations: ["{EXAMPLE}"].')
    integration_ids = list(found)
    for number, integration_id in enumerate(integration_ids, start=1):
        if not isinstance(integration_id, str) or not INTEGRATION_ID.fullmatch(integration_id):
            raise ConfigurationError(
                f"{where}: entry {number} is not a valid integration id. Write ids like {EXAMPLE}."
            )
    if not integration_ids:
        raise ConfigurationError(f"{where} has no integration. Add one.")
    return list(dict.fromkeys(integration_ids))
