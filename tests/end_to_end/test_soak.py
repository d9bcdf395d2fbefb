"""Pipelines that are killed at random, for SOAK_MINUTES, lose no record."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.comparison import compare_tables
from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.changing_sandbox import (
    STREAMS,
    change_records,
    skip_lookback,
)
from tests.end_to_end.interrupted_meltano import INTERRUPTIONS, pipeline_for, run_and_interrupt
from tests.end_to_end.singer_pipe import Pipe

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
PIPE_SHARE, MELTANO_SHARE = 2 / 15, 1 / 15
"""Shares of SOAK_MINUTES for these tests; the random histories take most of the rest"""

FAULTS: list[dict[str, Any]] = [
    {},
    {"close": True},
    {"hang": True},
    {"cut_body": 0.3},
    {"expired_cursor": True},
]
VICTIMS: list[list[str]] = [["tap"], ["target"], ["tap", "target"], ["target", "tap"], []]

pytestmark = [
    pytest.mark.skipif(not MINUTES, reason="runs for SOAK_MINUTES, which is not set"),
    pytest.mark.timeout(MINUTES * 60 + 600),
]


def test_randomly_killed_pipe_loses_no_record(
    changing_sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    for seed in seeds(MINUTES * PIPE_SHARE):
        rng = random.Random(seed)  # noqa: S311  # reproducible by its seed
        folder = tmp_path / str(seed)
        folder.mkdir()
        pipe = Pipe(
            sandbox=changing_sandbox,
            database=database,
            folder=folder,
            schema=f"pipe_{seed}",
            streams=STREAMS,
            tap_settings={"page_size": rng.choice((1, 3, 10, 50)), "request_timeout_seconds": 2},
            target_settings={"batch_size_rows": rng.choice((1, 7, 40, 10_000))},
        )
        try:
            for _ in range(rng.randint(2, 8)):
                run_and_kill(pipe, rng)
            changing_sandbox.clear_faults()
            skip_lookback(changing_sandbox)
            pipe.run()
            assert pipe.differences() == []
        except AssertionError as error:
            error.add_note(f"seed {seed}, {pipe}\n{pipe.logs}")
            raise


@pytest.mark.usefixtures("installed_plugins")
def test_randomly_interrupted_meltano_loses_no_record(
    changing_sandbox: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    for seed in seeds(MINUTES * MELTANO_SHARE):
        rng = random.Random(seed)  # noqa: S311  # reproducible by its seed
        folder = tmp_path / str(seed)
        folder.mkdir()
        schema = f"meltano_{seed}"
        pipeline = pipeline_for(changing_sandbox, database, folder, schema, force=True)
        for _ in range(rng.randint(2, 4)):
            interruption = rng.choice([*INTERRUPTIONS])
            batches = rng.randint(1, 4)
            run = run_and_interrupt(pipeline, changing_sandbox, interruption, batches=batches)
            assert run.still_running == [], f"seed {seed}: {interruption}"
        pipeline.run("target-postgres")
        pipeline.run("target-postgres")
        assert compare_tables(changing_sandbox, database, schema, STREAMS) == [], f"seed {seed}"


def seeds(minutes: float) -> Iterator[int]:
    deadline = time.monotonic() + minutes * 60
    while time.monotonic() < deadline:
        yield random.randrange(10**9)  # noqa: S311  # not for cryptography


def run_and_kill(pipe: Pipe, rng: random.Random) -> None:
    """Run a sync in which requests may fail, and perhaps kill it at a random moment."""
    sandbox = pipe.sandbox
    sandbox.clear_faults()
    sandbox.clear_requests()
    if fault := rng.choice(FAULTS):
        sandbox.fault(skip=rng.randint(3, 60), count=rng.randint(1, 3), **fault)
    requests, pause = rng.randint(1, 120), rng.random()
    with pipe.running() as running:
        running.wait_for(lambda: len(sandbox.requests()) >= requests)
        if rng.random() < 0.2:
            sandbox.restart()
        change_records(sandbox)
        time.sleep(pause)
        running.kill(rng.choice(VICTIMS), rng.choice((signal.SIGKILL, signal.SIGTERM)))
        running.wait()
    if rng.random() < 0.5:
        skip_lookback(sandbox)
