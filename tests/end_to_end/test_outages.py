"""Outages of Kombo, the network and PostgreSQL during `tap-kombo | target-postgres`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.postgres import Postgres, postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.changing_sandbox import (
    FULL_SYNC_REQUESTS,
    PAGE_SIZE,
    STREAMS,
    change_records,
    skip_lookback,
)
from tests.end_to_end.singer_pipe import Pipe

MIDDLE = FULL_SYNC_REQUESTS // 3


@pytest.fixture
def pipe(changing_sandbox: Sandbox, database: Postgres, tmp_path: Path) -> Pipe:
    changing_sandbox.clear_faults()
    return Pipe(
        sandbox=changing_sandbox,
        database=database,
        folder=tmp_path,
        schema=tmp_path.name,
        streams=STREAMS,
        tap_settings={"page_size": PAGE_SIZE, "request_timeout_seconds": 2},
        target_settings={"batch_size_rows": 40},
    )


def test_sync_survives_a_restart_of_kombo(pipe: Pipe) -> None:
    with pipe.paused(MIDDLE) as running:
        pipe.sandbox.restart()
        assert running.wait() == (0, 0), pipe.logs

    assert pipe.differences() == []


def test_next_sync_loads_the_rest_after_a_long_network_outage(pipe: Pipe) -> None:
    impatient = replace(pipe, tap_settings={**pipe.tap_settings, "max_wait_seconds": 5})
    with impatient.paused(MIDDLE) as running:
        pipe.sandbox.fault(close=True)
        assert running.wait() == (1, 0), pipe.logs
    [error] = pipe.tap_errors
    assert "The run ended early: No connection to 127.0.0.1" in error
    assert "Traceback" not in pipe.logs
    pipe.sandbox.clear_faults()
    skip_lookback(pipe.sandbox)
    change_records(pipe.sandbox)

    pipe.run()

    assert pipe.differences() == []


def test_next_sync_loads_the_rest_after_a_crash_of_postgresql(pipe: Pipe) -> None:
    with postgres() as database:
        pipe = replace(pipe, database=database)
        with pipe.paused(MIDDLE) as running, database.outage():
            tap_code, target_code = running.wait()
        assert tap_code == 1, pipe.logs
        assert target_code != 0, pipe.logs
        [error] = pipe.tap_errors
        assert "The target has closed the pipe" in error
        assert len(pipe.sandbox.requests()) < FULL_SYNC_REQUESTS
        change_records(pipe.sandbox)

        pipe.run()

        assert pipe.differences() == []
