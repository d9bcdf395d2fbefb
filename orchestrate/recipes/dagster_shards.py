"""The shards as a Dagster job: `dagster job execute -f dagster_shards.py -j kombo`.

Each shard is a process, `python -m kombo_shards`. It needs the environment variables
`KOMBO_DATABASE_URL`, `TAP_KOMBO_API_KEY`, and `PYTHONPATH` with the folder of kombo_shards.
`KOMBO_PYTHON` is a Python with psycopg, `KOMBO_INTEGRATIONS` the file of ids.
"""

import os
import subprocess
from collections.abc import Iterator

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

SHARD_SIZE = 20
AT_ONCE = 4
PERMANENT = {2, 3}
"""Exit statuses after which a retry does not help."""


@op(out=DynamicOut(str))
def plan() -> Iterator[DynamicOutput[str]]:
    """Number the shards: `2/5` is the third of five."""
    with open(os.environ["KOMBO_INTEGRATIONS"], encoding="utf-8") as file:  # noqa: PTH123
        integrations = len(file.read().split())
    shards = max(1, -(-integrations // SHARD_SIZE))
    for shard in range(shards):
        yield DynamicOutput(f"{shard}/{shards}", mapping_key=str(shard))


@op(retry_policy=RetryPolicy(max_retries=3, delay=300, backoff=Backoff.EXPONENTIAL))
def read(context: OpExecutionContext, shard: str) -> None:
    """Read a shard. It is retried if a problem is transient."""
    number, _, shards = shard.partition("/")
    python = os.environ.get("KOMBO_PYTHON", "python3")
    command = [python, "-m", "kombo_shards", "run", os.environ["KOMBO_INTEGRATIONS"]]
    done = subprocess.run(
        [*command, "--shard", number, "--of", shards],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    context.log.info(done.stderr)
    if done.returncode:
        raise Failure(done.stderr, allow_retries=done.returncode not in PERMANENT)


@job(executor_def=multiprocess_executor.configured({"max_concurrent": AT_ONCE}))
def kombo() -> None:
    """Read every integration."""
    plan().map(read)
