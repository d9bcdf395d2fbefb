"""`meltano run tap-kombo target-postgres`, interrupted while the target writes rows."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from harness.meltano import Pipeline, PipelineError, sandbox_settings
from harness.postgres import Postgres
from harness.processes import GRACE_SECONDS
from harness.tap import catalog_with
from kombo_sandbox import Sandbox
from tests.end_to_end.changing_sandbox import PAGE_SIZE, STREAMS, change_records, skip_lookback


@dataclass(frozen=True)
class Processes:
    """The processes of a run."""

    meltano: psutil.Process
    tap: psutil.Process
    target: psutil.Process

    def terminate_meltano(self) -> None:
        """Send SIGTERM to Meltano, which waits for its target; kill a target that does not stop."""
        self.meltano.terminate()
        # SIGTERM raises an exception in the target, which is lost during a garbage collection.
        for target in psutil.wait_procs([self.target], timeout=GRACE_SECONDS)[1]:
            target.kill()

    def kill_meltano(self) -> None:
        """Kill Meltano alone, and wait until the tap and the target notice and exit."""
        self.meltano.kill()
        _, alive = psutil.wait_procs([self.tap, self.target], timeout=60)
        assert alive == []

    def kill_all(self) -> None:
        os.killpg(self.meltano.pid, signal.SIGKILL)


INTERRUPTIONS: dict[str, Callable[[Processes], object]] = {
    "SIGKILL of the tap": lambda processes: processes.tap.kill(),
    "SIGKILL of the target": lambda processes: processes.target.kill(),
    "SIGKILL of Meltano": Processes.kill_meltano,
    "SIGKILL of all": Processes.kill_all,
    "SIGTERM of Meltano": Processes.terminate_meltano,
}


@dataclass(frozen=True)
class InterruptedRun:
    """A run after its interruption.

    Attributes:
        error: How Meltano failed.
        log: Its output.
        still_running: The tap and the target, if they did not stop.
    """

    error: str
    log: str
    still_running: list[psutil.Process]


def pipeline_for(
    sandbox: Sandbox, database: Postgres, folder: Path, schema: str, *, force: bool = False
) -> Pipeline:
    # With a catalog, Meltano need not start the tap for discovery.
    catalog = catalog_with(*STREAMS)
    streams = [entry for entry in catalog["streams"] if entry["tap_stream_id"] in STREAMS]
    (folder / "catalog.json").write_text(json.dumps({"streams": streams}))
    settings = {
        **sandbox_settings(sandbox),
        "TAP_KOMBO_PAGE_SIZE": str(PAGE_SIZE),
        "TAP_KOMBO__CATALOG": str(folder / "catalog.json"),
        "TARGET_POSTGRES_SQLALCHEMY_URL": database.url,
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
        "TARGET_POSTGRES_BATCH_SIZE_ROWS": "40",
        **({"MELTANO_RUN_FORCE": "true"} if force else {}),
    }
    return Pipeline(folder, settings, folder / "log")


def run_and_interrupt(
    pipeline: Pipeline, sandbox: Sandbox, interruption: str, *, batches: int = 1
) -> InterruptedRun:
    """Interrupt a run just after a change of records, and skip the lookback of the next run.

    Args:
        pipeline: The pipeline to run.
        sandbox: The sandbox that it syncs.
        interruption: One of `INTERRUPTIONS`.
        batches: The number of the batch that the target writes when the run is interrupted.
    """
    log = pipeline.folder / f"{interruption}.log"
    processes: list[Processes] = []
    written: list[str] = []

    def interrupt(line: str) -> None:
        if "Draining..." in line:
            written.append(line)
        if len(written) >= batches and not processes:
            processes.append(find_processes(pipeline))
            change_records(sandbox)
            INTERRUPTIONS[interruption](processes[0])

    # Meltano buffers the tap's output. A fast tap would finish before the target's first batch.
    sandbox.fault(delay=0.15)
    with pytest.raises(PipelineError) as failure:
        replace(pipeline, log=log).run("target-postgres", interrupt)
    sandbox.clear_faults()
    skip_lookback(sandbox)
    assert processes, log.read_text()
    children = [processes[0].tap, processes[0].target]
    _, still_running = psutil.wait_procs(children, timeout=10)
    return InterruptedRun(str(failure.value), log.read_text(), still_running)


def find_processes(pipeline: Pipeline) -> Processes:
    """Find the processes of a run by their arguments: settings in the pipeline's folder."""
    found = {
        name: process
        for process in psutil.process_iter(["cmdline"])
        for name in ("tap-kombo", "target-postgres")
        if any(argument.endswith(f"bin/{name}") for argument in process.info["cmdline"] or ())
        and any(str(pipeline.folder) in argument for argument in process.info["cmdline"])
    }
    meltano = found["tap-kombo"].parent()
    assert meltano
    return Processes(meltano, found["tap-kombo"], found["target-postgres"])
