"""`tap-kombo | target-postgres`, killed again and again: nothing is lost, once a run comes through.

Kombo's records change all the while, also between a kill and what the next run does of it.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.living_kombo import PAGE_SIZE, STREAMS, live, pass_time
from tests.end_to_end.piping import Pipe

Kill = tuple[int, Sequence[str], signal.Signals]
"""How many requests Kombo has answered by then, who is killed, and how.

Within three requests the target still starts. What kills the target leaves the state as it was,
so these come first: else there would be nothing left to read.
"""

pytestmark = pytest.mark.timeout(600)  # many runs, also on a machine that has much else to do

KILL, TERM = signal.SIGKILL, signal.SIGTERM

IN_THE_FIRST_READ: list[Kill] = [
    (30, ["target"], KILL),
    (3, ["tap"], TERM),
    (60, ["tap", "target"], KILL),
    (40, ["tap"], KILL),
    (30, ["tap", "target"], TERM),
]

IN_A_LATER_READ: list[Kill] = [
    (20, ["target"], KILL),
    (14, ["tap"], TERM),
    (3, ["tap", "target"], KILL),
    (14, ["target"], TERM),
]


@pytest.fixture
def pipe(living_kombo: Sandbox, database: Postgres, tmp_path: Path) -> Pipe:
    return Pipe(
        sandbox=living_kombo,
        database=database,
        folder=tmp_path,
        schema=tmp_path.name,
        streams=STREAMS,
        tap_settings={"page_size": PAGE_SIZE},
        # So that rows arrive in the middle too.
        target_settings={"batch_size_rows": 40},
    )


def test_a_first_read_that_is_killed_again_and_again_brings_all_records(pipe: Pipe) -> None:
    for kill in IN_THE_FIRST_READ:
        cut_off(pipe, *kill)

    pipe.run()

    assert pipe.differences() == []


def test_a_later_read_that_is_killed_again_and_again_brings_all_changes(pipe: Pipe) -> None:
    pipe.run()
    pass_time(pipe.sandbox)
    for _ in range(6):
        live(pipe.sandbox)
    for kill in IN_A_LATER_READ:
        cut_off(pipe, *kill)

    pipe.run()

    assert pipe.differences() == []


def test_a_tap_whose_target_is_killed_ends_with_one_line_and_asks_nothing_more(pipe: Pipe) -> None:
    with pipe.held(30) as flow:
        flow.kill(["target"], KILL)
        assert flow.wait() == (1, -KILL)
    asked = len(pipe.sandbox.requests())

    [error] = pipe.tap_errors
    assert "The target has closed the pipe" in error
    assert "Traceback" not in pipe.tap_log.read_text()
    # A page for each thread was under way, and one more waited to be written.
    assert asked < 50


def cut_off(pipe: Pipe, requests: int, victims: Sequence[str], signum: signal.Signals) -> None:
    """Run until Kombo has answered so many requests, and kill; things happen before and after."""
    with pipe.held(requests) as flow:
        live(pipe.sandbox)
        flow.kill(victims, signum)
        assert flow.wait() != (0, 0), pipe.logs
    pass_time(pipe.sandbox)
