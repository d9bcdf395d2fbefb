"""Read all integrations of an API key: a plan, a task for each shard, and a summary.

If a shard fails, its log lists the integrations that are not complete, with the causes. The other
integrations of the shard are complete. The summary lists the incomplete integrations of all shards.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Connection, Param, conf, dag, get_current_context, task
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
)

from tap_kombo_airflow.integrations import find_integration_ids, make_shards
from tap_kombo_airflow.pipe import DEFAULT_TARGET, Pipe, TargetError
from tap_kombo_airflow.result import summarize
from tap_kombo_airflow.settings import ConfigurationError, target_settings
from tap_kombo_airflow.shard import Shard
from tap_kombo_airflow.store import DatabaseError, LeaseLostError, Store

logger = logging.getLogger(__name__)


def kombo_dag(
    dag_id: str = "kombo",
    *,
    schedule: str | None = "@hourly",
    kombo_conn_id: str = "kombo",
    database_conn_id: str = "kombo_database",
    schema: str = "kombo",
    integration_ids: Callable[[], list[str]] | None = None,
    catalog: str | Path | None = None,
    shard_size: int = 20,
    max_active_shards: int = 4,
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=5),
    execution_timeout: timedelta = timedelta(hours=3),
    target: Sequence[str] = DEFAULT_TARGET,
    target_conn_id: str | None = None,
) -> DAG:
    """Build the DAG of one API key and one database.

    Args:
        dag_id: The name of the DAG.
        schedule: The schedule; runs never overlap.
        kombo_conn_id: The Airflow connection with the API key as password, and the tap's settings
            as extra.
        database_conn_id: The Airflow connection to the PostgreSQL database of the states and rows.
        schema: The schema of the states and rows.
        integration_ids: A function that returns the integrations. Without it, they are the
            `integration_ids` in the extra of the Kombo connection: a list, the path of a file, or
            `{"sql": "SELECT ..."}`, a query of the database.
        catalog: A catalog file on the workers. By default, all streams are read.
        shard_size: The maximum number of integrations in a task; a run can override it.
        max_active_shards: The maximum number of tasks that run at a time. They share the API key's
            rate limit.
        retries: The number of retries of a shard. Each delay is twice the previous one.
        retry_delay: The delay before the first retry.
        execution_timeout: A task that takes longer is stopped; its retry resumes from its states.
        target: The target's command.
        target_conn_id: For a target other than target-postgres, the Airflow connection with its
            settings as extra.
    """

    def store() -> Store:
        return Store(_database(database_conn_id), schema)

    def pipe() -> Pipe:
        settings = (
            _connection(target_conn_id).extra_dejson
            if target_conn_id
            else target_settings(_database(database_conn_id), schema)
        )
        return Pipe(_tap_settings(kombo_conn_id), settings, catalog, target=target)

    @task(retries=retries, retry_delay=retry_delay)
    def plan(params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Group the integrations into shards, and let the target create its tables."""
        limit = conf.getint("core", "max_map_length")
        with _airflow_exceptions():
            extra = _connection(kombo_conn_id).extra_dejson
            given = integration_ids() if integration_ids else extra.get("integration_ids")
            found = find_integration_ids(given, "`integration_ids`", store())
            shards = make_shards(found, (params or {})["shard_size"], at_most=limit)
            started = store().prepare()
            pipe().create_tables(found[0])
        logger.info("%d integrations in %d shards.", len(found), len(shards))
        return [{"integration_ids": shard, "started": started} for shard in shards]

    @task(
        map_index_template="{{ task.op_kwargs['shard']['integration_ids'] | join(', ') "
        "| truncate(250, leeway=0) }}",
        max_active_tis_per_dag=max_active_shards,
        retries=retries,
        retry_delay=retry_delay,
        # A number, because Airflow treats True as a factor of 1.
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(hours=1),
        execution_timeout=execution_timeout,
    )
    def read(shard: Mapping[str, Any]) -> None:
        """Read a shard. It is retried if a problem is transient."""
        ti = get_current_context()["ti"]
        name = f"{dag_id} {ti.run_id}, shard {ti.map_index}, try {ti.try_number}"
        names = shard["integration_ids"]
        with _airflow_exceptions():
            problems = Shard(store(), pipe(), name).run(names, since=shard["started"])
        _report(
            names,
            {name: problem.message for name, problem in problems.items()},
            is_transient=any(problem.is_transient for problem in problems.values()),
        )

    @task(trigger_rule="all_done")
    def summary(shards: Sequence[Mapping[str, Any]] | None) -> None:
        """Fail the run if an integration is not complete, and log each cause."""
        if not shards:
            raise AirflowFailException("The task `plan` failed. See its log.")
        names = [name for shard in shards for name in shard["integration_ids"]]
        with _airflow_exceptions():
            problems = store().problems_since(shards[0]["started"], names)
        _report(names, problems, is_transient=False)

    @dag(
        dag_id=dag_id,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags=["kombo"],
        doc_md=__doc__,
        params={"shard_size": Param(shard_size, type="integer")},
    )
    def build() -> None:
        shards = plan()
        read.expand(shard=shards) >> summary(shards)

    built: DAG = build()
    return built


def _report(names: Sequence[str], problems: Mapping[str, str], *, is_transient: bool) -> None:
    """Log the summary, or fail the task with it; Airflow retries a transient failure."""
    summary = "\n".join(summarize(names, problems))
    if not problems:
        logger.info(summary)
    elif is_transient:
        raise AirflowException(summary)
    else:
        raise AirflowFailException(summary)


@contextlib.contextmanager
def _airflow_exceptions() -> Iterator[None]:
    """Convert errors to Airflow's exceptions. A setting that is not valid is not retried."""
    try:
        yield
    except ConfigurationError as error:
        raise AirflowFailException(str(error)) from None
    except (DatabaseError, LeaseLostError, TargetError) as error:
        raise AirflowException(str(error)) from None


def _tap_settings(conn_id: str) -> dict[str, Any]:
    connection = _connection(conn_id)
    if not connection.password:
        raise ConfigurationError(
            f"The Airflow connection {conn_id} has no password. Set it to the API key."
        )
    # Kombo's advice: https://docs.kombo.dev/ats/getting-started/fetching-data
    defaults = {"full_refresh_interval_days": 7}
    return {**defaults, **connection.extra_dejson, "api_key": connection.password}


def _database(conn_id: str) -> dict[str, Any]:
    """Return the parameters of libpq."""
    connection = _connection(conn_id)
    given = {
        "host": connection.host,
        "port": connection.port,
        "user": connection.login,
        "password": connection.password,
        "dbname": connection.schema,
        **connection.extra_dejson,
    }
    return {name: value for name, value in given.items() if value not in (None, "")}


def _connection(conn_id: str) -> Any:
    try:
        return Connection.get(conn_id)
    except AirflowNotFoundException:
        raise ConfigurationError(f"Airflow has no connection {conn_id}. Add it.") from None
