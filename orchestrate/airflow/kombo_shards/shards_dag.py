"""Reads all integrations of an API key: a plan, a task for each shard, and a summary.

If a shard fails, its log lists the integrations that are not complete, with the causes; the others
of the shard are complete. The summary lists those of all shards.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, conf, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from kombo_shards.connections import Connections, one_sentence
from kombo_shards.integrations import label, shards
from kombo_shards.pipe import DEFAULT_TAP, DEFAULT_TARGET
from kombo_shards.shard import Shard
from kombo_shards.store import LEASE_SECONDS
from kombo_shards.summary import summary

logger = logging.getLogger(__name__)


def shards_dag(
    dag_id: str,
    *,
    schedule: str | None = "@hourly",
    kombo: str = "kombo",
    database: str = "kombo_database",
    schema: str = "kombo",
    shard_size: int = 20,
    at_once: int = 4,
    retries: int = 3,
    retry_delay: timedelta = timedelta(minutes=5),
    timeout: timedelta = timedelta(hours=3),
    lease_seconds: float = LEASE_SECONDS,
    tap: Sequence[str] = DEFAULT_TAP,
    target: Sequence[str] = DEFAULT_TARGET,
    target_connection: str | None = None,
) -> DAG:
    """Build the DAG of one Kombo key and one database.

    Args:
        dag_id: The name of the DAG.
        schedule: The schedule; runs never overlap.
        kombo: The Airflow connection with the API key as password and the tap's settings as extra.
        database: The Airflow connection to the PostgreSQL database of the states and rows.
        schema: The schema of both.
        shard_size: The largest number of integrations in a task; a run can override it.
        at_once: The number of tasks that run at a time; they share the API key's rate limit.
        retries: The number of retries of a shard; each delay is twice the last one.
        retry_delay: The delay of the first retry.
        timeout: After this time, a task is stopped, and the retry resumes from its states.
        lease_seconds: A lease expires so long after it was last renewed.
        tap: The tap's command.
        target: The target's command.
        target_connection: The Airflow connection with the settings of another target than
            target-postgres as extra.
    """
    connections = Connections(kombo, database, schema, target_connection)

    @task(retries=retries, retry_delay=retry_delay)
    def plan(params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Group the integrations into shards, and let the target create its tables."""
        limit = conf.getint("core", "max_map_length")
        with one_sentence():
            integration_ids = connections.integration_ids()
            groups = shards(integration_ids, (params or {})["shard_size"], at_most=limit)
            began = connections.store(lease_seconds).prepare()
            connections.pipe(tap, target).make_tables(integration_ids[0])
        logger.info("%d integrations in %d shards.", len(integration_ids), len(groups))
        return [
            {"label": label(group), "integration_ids": group, "began": began} for group in groups
        ]

    @task(
        map_index_template="{{ task.op_kwargs['shard']['label'] }}",
        max_active_tis_per_dag=at_once,
        retries=retries,
        retry_delay=retry_delay,
        # A number, because to Airflow True is a factor of 1.
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(hours=1),
        execution_timeout=timeout,
    )
    def read(shard: Mapping[str, Any]) -> None:
        """Read a shard. It is retried if a problem is transient."""
        ti = get_current_context()["ti"]
        name = f"{dag_id} {ti.run_id}, shard {ti.map_index}, try {ti.try_number}"
        integration_ids = shard["integration_ids"]
        with one_sentence():
            this = Shard(connections.store(lease_seconds), connections.pipe(tap, target), name)
            problems = this.run(integration_ids, since=shard["began"])
        lines = summary(integration_ids, {name: p.why for name, p in problems.items()})
        if any(problem.is_transient for problem in problems.values()):
            raise AirflowException("\n".join(lines))
        if problems:
            raise AirflowFailException("\n".join(lines))
        logger.info(lines[0])

    @task(trigger_rule="all_done")
    def summarise(planned: Sequence[Mapping[str, Any]] | None) -> None:
        """Fail the run if an integration is not complete, and log which and why."""
        if not planned:
            raise AirflowFailException("The task `plan` failed. See its log.")
        names = [name for shard in planned for name in shard["integration_ids"]]
        with one_sentence():
            store = connections.store(lease_seconds)
            lines = summary(names, store.problems_since(planned[0]["began"], names))
        if len(lines) > 1:
            raise AirflowFailException("\n".join(lines))
        logger.info(lines[0])

    @dag(
        dag_id=dag_id,
        schedule=schedule,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        tags=["kombo"],
        doc_md=__doc__,
        params={"shard_size": Param(shard_size, type="integer", minimum=1)},
    )
    def build() -> None:
        planned = plan()
        read.expand(shard=planned) >> summarise(planned)

    built: DAG = build()
    return built
