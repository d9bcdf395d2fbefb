"""What is set up: where the rows and states go, and what is said if something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit


class ConfigurationError(Exception):
    """Something that was set up is wrong, or missing; the sentence says what to do."""


def database_url(
    *,
    host: str | None,
    port: int | None,
    user: str | None,
    password: str | None,
    database: str | None,
    options: Mapping[str, Any],
) -> str:
    """Build the URL that libpq and SQLAlchemy read alike: also a socket's folder is a host.

    Args:
        host: Where the server is.
        port: Its port, if it is not 5432.
        user: Who.
        password: Theirs.
        database: Which.
        options: Further ones of libpq's: `{"sslmode": "require"}`.
    """
    given = {"host": host, "port": port, **options}
    query = urlencode({name: value for name, value in given.items() if value not in {None, ""}})
    secret = f":{quote(password, safe='')}" if password else ""
    who = f"{quote(user, safe='')}{secret}@" if user else ""
    return f"postgresql://{who}/{quote(database or '', safe='')}?{query}"


def target_settings(url: str, schema: str) -> dict[str, Any]:
    """Say to target-postgres where the rows go, as this project's meltano.yml does."""
    return {
        "sqlalchemy_url": urlsplit(url)._replace(scheme="postgresql+psycopg").geturl(),
        "default_target_schema": schema,
        "use_copy": True,
        "validate_records": False,
        "sanitize_null_text_characters": True,
    }
