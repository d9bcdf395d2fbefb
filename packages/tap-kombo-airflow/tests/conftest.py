from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from harness.postgres import Postgres, postgres
from tap_kombo_airflow.store import Store

SCHEMAS = count()


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def store(database: Postgres) -> Store:
    """A table in its own schema."""
    connection = {"host": database.socket_folder, "user": "postgres", "dbname": "postgres"}
    store = Store(connection, f"shards_{next(SCHEMAS)}")
    store.prepare()
    return store
