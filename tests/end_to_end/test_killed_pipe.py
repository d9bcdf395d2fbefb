"""`tap-kombo | target-postgres`, killed repeatedly while records change, loses no record."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.changing_sandbox import PAGE_SIZE, STREAMS, change_records, skip_lookback
from tests.end_to_end.singer_pipe import Pipe

KILL, TERM = signal.SIGKILL, signal.SIGTERM


@pytest.fixture
def pipe(changing_sandbox: Sandbox, database: Postgres, tmp_path: Path) -> Pipe:
    return Pipe(
        sandbox=changing_sandbox,
        database=database,
        folder=tmp_path,
        schema=tmp_path.name,
        streams=STREAMS,
        tap_settings={"page_size": PAGE_SIZE},
        # Small batches, so that the target writes rows during the sync.
        target_settings={"batch_size_rows": 40},
    )


# A killed target leaves the state unchanged. The target alone is killed first, because the later
# kills need unread pages.


def test_full_sync_loads_all_records_after_kills(pipe: Pipe) -> None:
    run_and_kill(pipe, 30, ["target"], KILL)
    run_and_kill(pipe, 60, ["tap", "target"], KILL)

    pipe.run()

    assert pipe.differences() == []


def test_incremental_sync_loads_all_changes_after_kills(pipe: Pipe) -> None:
    pipe.run()
    skip_lookback(pipe.sandbox)
    for _ in range(6):
        change_records(pipe.sandbox)
    run_and_kill(pipe, 20, ["target"], TERM)

    pipe.run()

    assert pipe.differences() == []


def run_and_kill(pipe: Pipe, requests: int, names: Sequence[str], signum: signal.Signals) -> None:
    """Kill processes just after a change of records, and skip the lookback of the next run."""
    with pipe.paused(requests) as running:
        change_records(pipe.sandbox)
        running.kill(names, signum)
        assert running.wait() != (0, 0), pipe.logs
    skip_lookback(pipe.sandbox)
