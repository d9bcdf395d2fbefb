"""Shards as a Dagster job: `dagster job execute -f dagster_shards.py -j kombo`.

The environment has the file of the integrations (KOMBO_INTEGRATIONS), the tap's settings
(TAP_KOMBO_API_KEY) and the database (PGHOST, PGUSER, PGPASSWORD, PGDATABASE).
"""

import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dagster import (
    Backoff,
    DynamicOut,
    DynamicOutput,
    Failure,
    OpExecutionContext,
    RetryPolicy,
    job,
    multiprocess_executor,
    op,
)

from tap_kombo_airflow.integrations import find_integration_ids
from tap_kombo_airflow.store import Store

INTEGRATIONS = Path(os.environ["KOMBO_INTEGRATIONS"])
SHARD_SIZE = 20
MAX_ACTIVE_SHARDS = 4
PERMANENT = {2, 3}
"""Exit statuses after which a retry does not help."""


@op(out=DynamicOut(str))
def plan() -> Iterator[DynamicOutput[str]]:
    """Number the shards: `2/5` is the third of five."""
    found = find_integration_ids(INTEGRATIONS, "KOMBO_INTEGRATIONS", Store({}, "kombo"))
    shards = math.ceil(len(found) / SHARD_SIZE)
    for shard in range(shards):
        yield DynamicOutput(f"{shard}/{shards}", mapping_key=str(shard))


@op(retry_policy=RetryPolicy(max_retries=3, delay=300, backoff=Backoff.EXPONENTIAL))
def read(context: OpExecutionContext, shard: str) -> None:
    """Read a shard. It is retried if a problem is transient."""
    number, _, shards = shard.partition("/")
    process = subprocess.run(
        ["kombo-shards", "run", INTEGRATIONS, "--shard", number, "--of", shards],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    context.log.info(process.stderr)
    if process.returncode:
        raise Failure(process.stderr, allow_retries=process.returncode not in PERMANENT)


@job(executor_def=multiprocess_executor.configured({"max_concurrent": MAX_ACTIVE_SHARDS}))
def kombo() -> None:
    """Read all integrations."""
    plan().map(read)
