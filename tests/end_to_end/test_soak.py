"""Histories by chance, as long as SOAK_MINUTES says: whatever is killed, nothing is lost."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.postgres import Postgres
from harness.processes import running
from kombo_sandbox import Sandbox
from tests.end_to_end.killing_meltano import KILLS, cut_off, differences_of, pipeline_of
from tests.end_to_end.living_kombo import STREAMS, live, pass_time, start_living_kombo
from tests.end_to_end.piping import Pipe

MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))
PIPES, MELTANO = 2 / 15, 1 / 15
"""Their parts of these minutes: together a fifth."""

FAULTS: list[dict[str, Any]] = [
    {},
    {"close": True},
    {"hang": True},
    {"cut_body": 0.3},
    {"expired_cursor": True},
]

pytestmark = [
    pytest.mark.skipif(not MINUTES, reason="it is long: SOAK_MINUTES says how long"),
    pytest.mark.timeout(MINUTES * 60 + 600),
]


@pytest.fixture
def living_kombo() -> Iterator[Sandbox]:
    with running(start_living_kombo, Sandbox.stop) as sandbox:
        yield sandbox


def test_pipes_that_are_killed_at_random_lose_nothing(
    living_kombo: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    for seed in seeds(MINUTES * PIPES):
        chance = random.Random(seed)  # noqa: S311  # a history that can be had again
        folder = tmp_path / str(seed)
        folder.mkdir()
        pipe = Pipe(
            sandbox=living_kombo,
            database=database,
            folder=folder,
            schema=f"pipe_{seed}",
            streams=STREAMS,
            tap_settings={"page_size": chance.choice((1, 3, 10, 50)), "request_timeout_seconds": 2},
            target_settings={"batch_size_rows": chance.choice((1, 7, 40, 10_000))},
        )
        try:
            for _ in range(chance.randint(2, 8)):
                run_and_perhaps_kill(pipe, chance)
            living_kombo.clear_faults()
            pass_time(living_kombo)
            pipe.run()
            assert pipe.differences() == []
        except AssertionError as error:
            error.add_note(f"seed {seed}, {pipe}\n{pipe.logs}")
            raise


@pytest.mark.usefixtures("installed_plugins")
def test_runs_of_meltano_that_are_killed_at_random_lose_nothing(
    living_kombo: Sandbox, database: Postgres, tmp_path: Path
) -> None:
    for seed in seeds(MINUTES * MELTANO):
        chance = random.Random(seed)  # noqa: S311  # a history that can be had again
        folder = tmp_path / str(seed)
        folder.mkdir()
        schema = f"meltano_{seed}"
        pipeline = pipeline_of(living_kombo, database, folder, schema, force=True)
        for _ in range(chance.randint(2, 4)):
            cut_off(pipeline, living_kombo, chance.choice([*KILLS]), drains=chance.randint(1, 4))
        pipeline.run("target-postgres")
        pipeline.run("target-postgres")
        found = differences_of(living_kombo, database, schema)
        assert not any(found.values()), f"seed {seed}: {found}"


def seeds(minutes: float) -> Iterator[int]:
    deadline = time.monotonic() + minutes * 60
    while time.monotonic() < deadline:
        yield random.randrange(10**9)  # noqa: S311  # any will do


def run_and_perhaps_kill(pipe: Pipe, chance: random.Random) -> None:
    """Run, with a fault of the network perhaps, until some moment or to the end."""
    sandbox = pipe.sandbox
    sandbox.clear_faults()
    sandbox.clear_requests()
    if fault := chance.choice(FAULTS):
        sandbox.fault(skip=chance.randint(3, 60), count=chance.randint(1, 3), **fault)
    victims = chance.choice((["tap"], ["target"], ["tap", "target"], ["target", "tap"], []))
    moment, pause = chance.randint(1, 120), chance.random()
    with pipe.running() as flow:
        flow.wait_until(lambda: len(sandbox.requests()) >= moment)
        if chance.random() < 0.2:
            sandbox.restart()
        live(sandbox)
        time.sleep(pause)
        flow.kill(victims, chance.choice((signal.SIGKILL, signal.SIGTERM)))
        flow.wait()
    if chance.random() < 0.5:
        pass_time(sandbox)
