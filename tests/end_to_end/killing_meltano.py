"""Runs of `meltano run tap-kombo target-postgres` that are killed in their middle."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from harness.comparison import differences, records_of
from harness.meltano import Pipeline, PipelineError, sandbox_settings
from harness.postgres import Postgres
from harness.tap import catalog_with
from kombo_sandbox import Sandbox
from tests.end_to_end.conftest import CATALOG
from tests.end_to_end.living_kombo import PAGE_SIZE, STREAMS, live, pass_time
from tests.end_to_end.piping import PATIENCE

TABLES = [table for table in CATALOG if table.name in STREAMS]


@dataclass(frozen=True)
class Parts:
    """The processes of a run."""

    meltano: psutil.Process
    tap: psutil.Process
    target: psutil.Process

    def kill_all(self) -> None:
        os.killpg(self.meltano.pid, signal.SIGKILL)

    def kill_meltano(self) -> None:
        """Kill it alone, and wait for what it has started to see that."""
        self.meltano.kill()
        _, alive = psutil.wait_procs([self.tap, self.target], timeout=PATIENCE)
        assert alive == []


KILLS: dict[str, Callable[[Parts], object]] = {
    "the target": lambda parts: parts.target.kill(),
    "the tap": lambda parts: parts.tap.kill(),
    "Meltano in order": lambda parts: parts.meltano.terminate(),
    "Meltano alone": Parts.kill_meltano,
    "all": Parts.kill_all,
}


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes:
        error: What it came to.
        log: What it said.
        left: What it has left running.
    """

    error: str
    log: str
    left: list[psutil.Process]


def pipeline_of(
    sandbox: Sandbox, database: Postgres, folder: Path, schema: str, *, force: bool = False
) -> Pipeline:
    # Else each run would first ask the tap for its catalog.
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


def cut_off(pipeline: Pipeline, sandbox: Sandbox, who: str, *, drains: int = 1) -> Ending:
    """Run until the target has begun to write so often, and kill; things happen before and after.

    Args:
        pipeline: What to run.
        sandbox: What is read.
        who: Is killed.
        drains: How often.
    """
    log = pipeline.folder / f"{who}.log"
    parts: list[Parts] = []
    seen: list[str] = []

    def kill(line: str) -> None:
        if "Draining..." in line:
            seen.append(line)
        if len(seen) >= drains and not parts:
            parts.append(parts_of(pipeline))
            live(sandbox)
            KILLS[who](parts[0])

    # Meltano takes from the tap all that it gives: else it would be done before the target begins.
    sandbox.fault(delay=0.15)
    with pytest.raises(PipelineError) as caught:
        replace(pipeline, log=log).run("target-postgres", kill)
    sandbox.clear_faults()
    assert parts, log.read_text()
    left = [process for process in (parts[0].tap, parts[0].target) if process.is_running()]
    pass_time(sandbox)
    return Ending(str(caught.value), log.read_text(), left)


def differences_of(sandbox: Sandbox, database: Postgres, schema: str) -> dict[str, list[str]]:
    """Tell where the tables are not what Kombo holds: table -> what differs."""
    return {
        table.name: [
            str(difference)
            for difference in differences(
                table, records_of(sandbox, table), database.table(schema, table.name)
            )
        ]
        for table in TABLES
    }


def parts_of(pipeline: Pipeline) -> Parts:
    """Find the processes of a run: their settings are in the pipeline's folder."""
    found = {
        name: process
        for process in psutil.process_iter(["cmdline"])
        for name in ("tap-kombo", "target-postgres")
        if any(argument.endswith(f"bin/{name}") for argument in process.info["cmdline"] or ())
        and any(str(pipeline.folder) in argument for argument in process.info["cmdline"])
    }
    tap = found["tap-kombo"]
    meltano = tap.parent()
    assert meltano
    return Parts(meltano, tap, found["target-postgres"])
