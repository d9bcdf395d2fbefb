"""`meltano run tap-kombo target-postgres`, killed while records change, loses no record.

The runs share Meltano's state: each resumes from the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from harness.comparison import compare_tables
from harness.meltano import PipelineError
from harness.postgres import Postgres
from kombo_sandbox import Sandbox
from tests.end_to_end.changing_sandbox import STREAMS
from tests.end_to_end.interrupted_meltano import InterruptedRun, pipeline_for, run_and_interrupt

SCHEMA = "killed_meltano"

pytestmark = pytest.mark.timeout(600)  # the first test installs the plugins, and waits for all runs


@dataclass(frozen=True)
class Runs:
    """Two interrupted runs, one that Meltano rejects, and one that succeeds.

    Attributes:
        terminated: The run that was stopped by SIGTERM.
        killed: The run that was stopped by SIGKILL.
        rejected: The log of the run that Meltano rejects after SIGKILL.
        differences: The differences between the tables and the sandbox's records at the end.
    """

    terminated: InterruptedRun
    killed: InterruptedRun
    rejected: str
    differences: list[str]


@pytest.fixture(scope="module")
def runs(
    installed_plugins: None,  # noqa: ARG001  # needed by the runs
    changing_sandbox: Sandbox,
    database: Postgres,
    tmp_path_factory: pytest.TempPathFactory,
) -> Runs:
    folder = tmp_path_factory.mktemp("killed")
    pipeline = pipeline_for(changing_sandbox, database, folder, SCHEMA)
    terminated = run_and_interrupt(pipeline, changing_sandbox, "SIGTERM of Meltano")
    killed = run_and_interrupt(pipeline, changing_sandbox, "SIGKILL of Meltano")
    with pytest.raises(PipelineError):
        pipeline.run("target-postgres")
    rejected = pipeline.log.read_text()
    pipeline_for(changing_sandbox, database, folder, SCHEMA, force=True).run("target-postgres")
    differences = compare_tables(changing_sandbox, database, SCHEMA, STREAMS)
    return Runs(terminated, killed, rejected, differences)


def test_last_run_completes_the_tables(runs: Runs) -> None:
    assert runs.differences == []


def test_terminated_run_leaves_no_process_behind(runs: Runs) -> None:
    assert runs.terminated.still_running == []


def test_killed_run_leaves_no_process_behind(runs: Runs) -> None:
    assert runs.killed.still_running == []


def test_terminated_run_emits_its_last_state(runs: Runs) -> None:
    assert "exit status 143" in runs.terminated.error
    assert "Stopped by SIGTERM; the next run resumes from the last state." in runs.terminated.log


def test_meltano_rejects_the_run_after_sigkill_without_force(runs: Runs) -> None:
    assert "pipeline is already running" in runs.rejected
    assert "--force" in runs.rejected
