"""The integrations to read, and their shards."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tap_kombo_airflow.settings import ConfigurationError
from tap_kombo_airflow.store import Store

INTEGRATION_ID = re.compile(r"[a-z0-9_-]+:[A-Za-z0-9_-]+")

EXAMPLE = "personio:B1hu5NGyhdjSq5X3hxEz4bAN"


def find_integration_ids(given: Any, source: str, store: Store) -> list[str]:
    """Return the integrations in the given order, without duplicates.

    Args:
        given: A list of ids; `{"sql": "SELECT ..."}`, a query that returns an id in each row; or
            the path of a file that contains one of these as JSON, or an id on each line.
        source: The name of the setting or file, for the message.
        store: The database of the query.

    Raises:
        ConfigurationError: An id, the file or the query is not valid, or there is no id.
        DatabaseError: The database failed.
    """
    if isinstance(given, str | Path):
        return find_integration_ids(_read(Path(given)), str(given), store)
    found = given
    if isinstance(given, dict) and isinstance(given.get("sql"), str):
        found = [row[0] for row in store.select(given["sql"])]
    if not isinstance(found, list):
        raise ConfigurationError(
            f'{source}: this is not a list of integrations. Write ["{EXAMPLE}"].'
        )
    if not found:
        raise ConfigurationError(f"{source}: there is no integration. Add one.")
    for number, integration_id in enumerate(found, start=1):
        if not isinstance(integration_id, str) or not INTEGRATION_ID.fullmatch(integration_id):
            raise ConfigurationError(
                f"{source}: entry {number} is not a valid integration id. Write ids like {EXAMPLE}."
            )
    return list(dict.fromkeys(found))


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if text.lstrip().startswith(("[", "{")) else text.split()
    except OSError as error:
        raise ConfigurationError(f"{path}: the file cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(
            f"{path}: the file is not valid. Write an id on each line, a JSON list, or "
            '{"sql": "SELECT ..."}.'
        ) from None


def make_shards(integration_ids: Sequence[str], size: int, at_most: int) -> list[list[str]]:
    """Group integrations into shards whose sizes differ by at most one.

    Args:
        integration_ids: The integrations.
        size: The largest size of a shard.
        at_most: The largest number of shards, which overrides `size`.

    Raises:
        ConfigurationError: The size is less than 1.
    """
    if size < 1:
        raise ConfigurationError(f"`shard_size`: {size} is not valid. Write 1 or more.")
    number = min(math.ceil(len(integration_ids) / size), at_most)
    return [list(integration_ids[index::number]) for index in range(number)]
