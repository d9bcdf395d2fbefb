"""The integrations, their shards, and the settings of the target."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

INTEGRATION_ID = re.compile(r"[a-z0-9_-]+:[A-Za-z0-9_-]+")

EXAMPLE = "personio:B1hu5NGyhdjSq5X3hxEz4bAN"


class ConfigurationError(Exception):
    """A setting or a file is missing or not valid; the message says how to fix it."""


def check_integration_ids(found: Any, source: str) -> list[str]:
    """Return the integrations in the given order, without duplicates.

    Args:
        found: The list.
        source: The name of its origin, for the message.

    Raises:
        ConfigurationError: It is not a list, it is empty, or an id is not valid.
    """
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


def read_integration_ids(path: Path) -> list[str]:
    """Read the integrations in a file: an id on each line, or a JSON list.

    Raises:
        ConfigurationError: The file cannot be read, is empty, or an id is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if text.lstrip().startswith("[") else text.split()
    except OSError as error:
        raise ConfigurationError(f"{path}: the file cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise ConfigurationError(
            f"{path}: the file is not valid. Write an id on each line, or a JSON list."
        ) from None
    return check_integration_ids(found, str(path))


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
    number = min(-(-len(integration_ids) // size), at_most)
    return [list(integration_ids[index::number]) for index in range(number)]


def target_settings(database: Mapping[str, Any], schema: str) -> dict[str, Any]:
    """Build the settings of target-postgres, equal to those in this project's meltano.yml.

    Args:
        database: Parameters of libpq, such as `host`. libpq reads the others from environment
            variables, such as PGHOST.
        schema: The schema of the tables.
    """
    return {
        "sqlalchemy_url": f"postgresql+psycopg://?{urlencode(database)}",
        "default_target_schema": schema,
        "use_copy": True,
        "validate_records": False,
        "sanitize_null_text_characters": True,
    }
