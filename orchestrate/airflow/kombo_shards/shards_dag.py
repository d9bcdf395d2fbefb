"""Reads every integration of a Kombo key: a plan, a task for each shard, and a summary.

A shard that fails holds an integration that could not be read to its end; its log says which, and
why. All others of the shard are complete. The summary tells it of all shards.
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
        dag_id: Its name.
        schedule: When it runs; runs never overlap.
        kombo: The connection with the API key as its password, and the tap's settings in its extra.
        database: The connection to the PostgreSQL in which the states are, and the rows.
        schema: The schema of both.
        shard_size: Integrations in a task, at most; a run can be triggered with another size.
        at_once: Tasks that run at the same time: all of them share the key's rate limit.
        retries: Further tries of a shard, each after twice the time of the last.
        retry_delay: The time before the first of them.
        timeout: After this a try is stopped in order, and the next one goes on.
        lease_seconds: So long after a run's last sign of life its integrations are free again.
        tap: The tap's command.
        target: The target's command.
        target_connection: For another target than target-postgres: the connection whose extra
            holds the target's settings.
    """
    connections = Connections(kombo, database, schema, target_connection)

    @task(retries=retries, retry_delay=retry_delay)
    def plan(params: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """Find the integrations, group them, and have their tables made."""
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
        # A number, because Airflow takes True for a factor of one.
        retry_exponential_backoff=2.0,
        max_retry_delay=timedelta(hours=1),
        execution_timeout=timeout,
    )
    def read(shard: Mapping[str, Any]) -> None:
        """Read a shard; it is tried again, unless only a person can help."""
        ti = get_current_context()["ti"]
        name = f"{dag_id} {ti.run_id}, shard {ti.map_index}, try {ti.try_number}"
        integration_ids = shard["integration_ids"]
        with one_sentence():
            this = Shard(connections.store(lease_seconds), connections.pipe(tap, target), name)
            problems = this.run(integration_ids, since=shard["began"])
        lines = summary(integration_ids, {key: found.why for key, found in problems.items()})
        if any(found.passes for found in problems.values()):
            raise AirflowException("\n".join(lines))
        if problems:
            raise AirflowFailException("\n".join(lines))
        logger.info(lines[0])

    @task(trigger_rule="all_done")
    def summarise(planned: Sequence[Mapping[str, Any]] | None) -> None:
        """Fail the run if an integration is not complete, and say which and why."""
        if not planned:
            raise AirflowFailException("There was no plan: the log of `plan` says why.")
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
