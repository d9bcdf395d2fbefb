"""Kombo, the network or PostgreSQL is gone in the middle of a run, and comes back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.postgres import Postgres, postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.living_kombo import PAGE_SIZE, STREAMS, live, pass_time
from tests.end_to_end.piping import Pipe, wait_until

MIDDLE = 60
"""Requests that Kombo has answered by then; a whole read has about 170."""


@pytest.fixture
def pipe(living_kombo: Sandbox, database: Postgres, tmp_path: Path) -> Pipe:
    living_kombo.clear_faults()
    living_kombo.clear_requests()
    return Pipe(
        sandbox=living_kombo,
        database=database,
        folder=tmp_path,
        schema=tmp_path.name,
        streams=STREAMS,
        tap_settings={"page_size": PAGE_SIZE, "request_timeout_seconds": 2},
        target_settings={"batch_size_rows": 40},
    )


def test_a_run_outlives_a_restart_of_kombo(pipe: Pipe) -> None:
    with pipe.held(MIDDLE) as flow:
        pipe.sandbox.restart()
        assert flow.wait() == (0, 0), pipe.logs

    assert pipe.differences() == []


@pytest.mark.parametrize(
    "fault",
    [{"close": True}, {"hang": True}, {"cut_body": 0.5}],
    ids=lambda fault: next(iter(fault)),
)
def test_a_run_outlives_a_network_that_is_cut_for_a_while(
    pipe: Pipe, fault: dict[str, Any]
) -> None:
    with pipe.held(MIDDLE) as flow:
        pipe.sandbox.fault(count=8, **fault)
        assert flow.wait() == (0, 0), pipe.logs

    assert pipe.differences() == []


def test_after_a_network_that_was_gone_too_long_the_next_run_brings_the_rest(pipe: Pipe) -> None:
    settings = {**pipe.tap_settings, "max_wait_seconds": 5}
    with replace(pipe, tap_settings=settings).held(MIDDLE) as flow:
        pipe.sandbox.fault(close=True)
        assert flow.wait() == (1, 0), pipe.logs
    assert "Traceback" not in pipe.logs
    assert len(pipe.tap_errors) == 1, pipe.tap_errors
    [error] = pipe.tap_errors
    assert "The run ended early: No connection to 127.0.0.1" in error
    pipe.sandbox.clear_faults()
    pass_time(pipe.sandbox)
    live(pipe.sandbox)

    pipe.run()

    assert pipe.differences() == []


def test_after_a_restart_of_postgresql_the_next_run_brings_the_rest(
    pipe: Pipe,
) -> None:
    with postgres() as database:
        own = replace(pipe, database=database)
        with own.running() as flow:
            wait_until(lambda: own.rows() > 0)
            with database.outage():
                codes = flow.wait()
            asked = len(own.sandbox.requests())
        assert codes[0] == 1, own.logs
        assert codes[1] != 0, own.logs
        [error] = own.tap_errors
        assert "The target has closed the pipe" in error
        assert asked < 170
        live(own.sandbox)

        own.run()

        assert own.differences() == []
