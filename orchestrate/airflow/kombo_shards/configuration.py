"""The settings of the database and the target."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

INVALID_ESCAPE = re.compile(r"%(?!0[1-9A-Fa-f]|[1-9A-Fa-f][0-9A-Fa-f])")


class ConfigurationError(Exception):
    """A setting or a file is missing or not valid; the message says how to fix it."""


def database_url(
    *,
    host: str | None,
    port: int | None,
    user: str | None,
    password: str | None,
    database: str | None,
    options: Mapping[str, Any],
) -> str:
    """Build a URL that libpq and SQLAlchemy parse alike, also if the host is a socket's folder.

    Args:
        host: The server, or the folder of its socket.
        port: The port, if it is not 5432.
        user: The user.
        password: The password.
        database: The name of the database.
        options: More parameters of libpq: `{"sslmode": "require"}`.
    """
    given = {"host": host, "port": port, **options}
    query = urlencode({name: value for name, value in given.items() if value not in (None, "")})
    secret = f":{quote(password, safe='')}" if password else ""
    who = f"{quote(user, safe='')}{secret}@" if user else ""
    return f"postgresql://{who}/{quote(database or '', safe='')}?{query}"


def check_database_url(url: str) -> None:
    """Check a database URL. Drivers would print parts of the password if it is not quoted.

    Raises:
        ConfigurationError: The URL is not valid. The message contains no part of it.
    """
    try:
        parts = urlsplit(url)
        is_valid = (
            parts.scheme in {"postgresql", "postgres"}
            and parts.port != 0
            # libpq and Python agree on where the password ends only if it is quoted.
            and url.count("@") == parts.netloc.count("@") <= 1
            and not INVALID_ESCAPE.search(url)
        )
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ConfigurationError(
            "KOMBO_DATABASE_URL is not a valid URL. Write it as "
            "postgresql://user:password@host:5432/database, with special characters of the "
            "password quoted: %40 for @, %2F for /, %25 for %."
        )


def target_settings(url: str, schema: str) -> dict[str, Any]:
    """Build the settings of target-postgres, equal to those in this project's meltano.yml."""
    return {
        "sqlalchemy_url": urlsplit(url)._replace(scheme="postgresql+psycopg").geturl(),
        "default_target_schema": schema,
        "use_copy": True,
        "validate_records": False,
        "sanitize_null_text_characters": True,
    }
