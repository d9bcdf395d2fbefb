"""Settings from Airflow's connections and variables."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow.sdk import Connection, Variable
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
)

from kombo_shards.configuration import ConfigurationError, database_url, target_settings
from kombo_shards.integrations import find_integrations
from kombo_shards.pipe import Pipe, TargetError
from kombo_shards.store import DatabaseError, LeaseLostError, Store

CATALOG = Path(__file__).with_name("catalog.json")
"""The catalog, if the file exists; otherwise all streams are read."""


@dataclass(frozen=True)
class Connections:
    """The names of Airflow's connections.

    Attributes:
        kombo: Its password is the API key, its extra the tap's other settings. `integration_ids`
            is a list or a source of one.
        database: The PostgreSQL database of the states and rows.
        schema: The schema of both.
        target: Its extra is the settings of another target than target-postgres.
    """

    kombo: str
    database: str
    schema: str
    target: str | None

    def integration_ids(self) -> list[str]:
        return find_integrations(
            _connection(self.kombo).extra_dejson.get("integration_ids"),
            read_variable=_variable,
            read_sql=_query,
        )

    def store(self, lease_seconds: float) -> Store:
        return Store(self._database_url, self.schema, lease_seconds)

    def pipe(self, tap: Sequence[str], target: Sequence[str]) -> Pipe:
        kombo = _connection(self.kombo)
        if not kombo.password:
            raise ConfigurationError(
                f"The Airflow connection {self.kombo} has no password. Set it to the API key."
            )
        settings = {k: v for k, v in kombo.extra_dejson.items() if k != "integration_ids"}
        return Pipe(
            tap_settings={**settings, "api_key": kombo.password},
            target_settings=(
                _connection(self.target).extra_dejson
                if self.target
                else target_settings(self._database_url, self.schema)
            ),
            catalog=CATALOG if CATALOG.exists() else None,
            tap=tap,
            target=target,
        )

    @property
    def _database_url(self) -> str:
        database = _connection(self.database)
        return database_url(
            host=database.host,
            port=database.port,
            user=database.login,
            password=database.password,
            database=database.schema,
            options=database.extra_dejson,
        )


@contextlib.contextmanager
def one_sentence() -> Iterator[None]:
    """Replace errors by one sentence each; a setting that is not valid is not retried."""
    try:
        yield
    except ConfigurationError as error:
        raise AirflowFailException(str(error)) from None
    except (DatabaseError, LeaseLostError, TargetError) as error:
        raise AirflowException(str(error)) from None


def _connection(name: str) -> Any:
    try:
        return Connection.get(name)
    except AirflowNotFoundException:
        raise ConfigurationError(f"Airflow has no connection {name}. Add it.") from None


def _variable(name: str) -> Any:
    value = Variable.get(name, default=None, deserialize_json=True)
    if value is None:
        raise ConfigurationError(f"Airflow has no variable {name}. Add it.")
    return value


def _query(name: str, query: str) -> Any:
    return _connection(name).get_hook().get_records(query)
