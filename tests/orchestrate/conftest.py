from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from harness.postgres import Postgres, postgres
from kombo_shards.store import Store

SCHEMAS = count()


@pytest.fixture(scope="session")
def database() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def store(database: Postgres) -> Store:
    """A table in its own schema, whose leases expire after a second."""
    url = f"postgresql://postgres@/postgres?host={database.socket_folder}"
    store = Store(url, f"shards_{next(SCHEMAS)}", lease_seconds=1)
    store.prepare()
    return store
