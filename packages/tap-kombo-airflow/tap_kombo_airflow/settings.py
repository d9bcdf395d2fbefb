"""The settings of the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode


class ConfigurationError(Exception):
    """A setting or a file is missing or not valid; the message says how to fix it."""


def target_settings(database: Mapping[str, Any], schema: str) -> dict[str, Any]:
    """Build the settings of target-postgres, the same as in this project's meltano.yml.

    Args:
        database: Parameters of libpq, such as `host`. libpq reads missing ones from environment
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
