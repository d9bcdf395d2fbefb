"""`meltano run tap-kombo target-postgres`, killed in its middle: the next run loses nothing.

One run after another goes on from Meltano's own state, while Kombo's records change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from harness.comparison import Table
from harness.meltano import PipelineError
from harness.postgres import Postgres
from harness.processes import running
from kombo_sandbox import Sandbox
from tests.end_to_end.killing_meltano import (
    KILLS,
    TABLES,
    Ending,
    cut_off,
    differences_of,
    pipeline_of,
)
from tests.end_to_end.living_kombo import start_living_kombo

SCHEMA = "killed"

pytestmark = pytest.mark.timeout(600)  # eight runs, also on a machine that has much else to do


@dataclass(frozen=True)
class History:
    """What became of runs that were killed, of the run after the worst kill, and of the data."""

    endings: dict[str, Ending]
    refusal: str
    differences: dict[str, list[str]]


@pytest.fixture(scope="module")
def history(
    installed_plugins: None,  # noqa: ARG001  # they must be there
    database: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[History]:
    folder = tmp_path_factory.mktemp("killed")
    with running(start_living_kombo, Sandbox.stop) as sandbox:
        pipeline = pipeline_of(sandbox, database, folder, SCHEMA)
        endings = {
            who: cut_off(pipeline, sandbox, who)
            for who in ("the target", "the tap", "Meltano in order", "all")
        }
        with pytest.raises(PipelineError):
            pipeline.run("target-postgres")
        refusal = pipeline.log.read_text()
        forced = pipeline_of(sandbox, database, folder, SCHEMA, force=True)
        endings["Meltano alone"] = cut_off(forced, sandbox, "Meltano alone")
        forced.run("target-postgres")
        yield History(endings, refusal, differences_of(sandbox, database, SCHEMA))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_after_all_kills_and_a_last_run_every_row_equals_kombos_record(
    history: History, table: Table
) -> None:
    assert history.differences[table.name] == []


@pytest.mark.parametrize("who", KILLS)
def test_a_run_that_is_killed_leaves_no_process_behind(history: History, who: str) -> None:
    assert history.endings[who].left == []


def test_meltano_lets_a_tap_that_it_stops_end_in_order(history: History) -> None:
    ending = history.endings["Meltano in order"]

    assert "exit status 143" in ending.error
    assert "Stopped by SIGTERM; the next run resumes from the last state." in ending.log


@pytest.mark.parametrize("who", ["the target", "the tap"])
def test_a_run_whose_tap_or_target_is_killed_fails(history: History, who: str) -> None:
    """What Meltano says of it depends on which of the two it finds out about first."""
    assert "exit status 1." in history.endings[who].error


def test_meltano_does_not_run_again_at_once_after_it_was_killed_itself(history: History) -> None:
    assert "pipeline is already running" in history.refusal
    assert "--force" in history.refusal
