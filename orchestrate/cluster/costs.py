"""What a shard costs: seconds, requests and memory, for orchestrate/README.md's sizing.

    PYTHONPATH=orchestrate/airflow .venv/bin/python -m orchestrate.cluster.costs

Measured without Airflow, on a sandbox that answers at once, with nothing changed since the last
run: what is left is what each run costs, however little there is to move.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from harness.postgres import postgres
from kombo_sandbox import Sandbox
from kombo_shards.configuration import target_settings
from kombo_shards.pipe import Pipe
from kombo_shards.shard import Shard
from kombo_shards.store import Store

ROUNDS = 7
SIZES = (1, 20, 100)
STREAMS = ("ats_jobs", "ats_offers")


def measure() -> None:
    """Print a line for each size of a shard."""
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (
        Sandbox(integrations=max(SIZES), offers=3, seed=29) as kombo,
        postgres() as database,
        tempfile.TemporaryDirectory() as folder,
    ):
        catalog = Path(folder) / "catalog.json"
        make = [sys.executable, "-m", "kombo_shards", "catalog", *STREAMS]
        catalog.write_bytes(subprocess.run(make, stdout=subprocess.PIPE, check=True).stdout)
        url = f"postgresql://postgres@/postgres?host={database.socket_folder}"
        store = Store(url, "kombo")
        store.prepare()
        settings = {"api_key": kombo.api_key, "api_url": kombo.url}
        pipe = Pipe(settings, target_settings(url, "kombo"), catalog)
        shard = Shard(store, pipe, "costs")
        shard.run(kombo.integration_ids)
        for size in SIZES:
            names = kombo.integration_ids[:size]
            kombo.clear_requests()
            seconds, cpu, memory = _costs(lambda names=names: shard.run(names))  # type: ignore[misc]
            requests = len(kombo.requests()) / ROUNDS
            print(
                f"shard of {size:3}: {seconds:.2f} s, {cpu:.2f} CPU s, {requests:.0f} requests, "
                f"{memory:.0f} MB in tap and target"
            )
        bare = _bare(pipe, Path(folder), kombo.integration_ids[0])
        print(f"a bare tap | target for 1: {statistics.median(bare):.2f} s")
        lease = _seconds(lambda: store.take(kombo.integration_ids[:20], "costs").release())
        print(f"taking and releasing 20 integrations: {1000 * lease:.0f} ms")


def _bare(pipe: Pipe, folder: Path, integration_id: str) -> list[float]:
    """The seconds that the two commands take by themselves."""
    state, target = folder / "state.json", folder / "target.json"
    state.write_text("{}")
    target.write_text(json.dumps(pipe.target_settings))
    settings = {**pipe.tap_settings, "integration_ids": json.dumps([integration_id])}
    seconds = []
    for _ in range(ROUNDS):
        began = time.monotonic()
        subprocess.run(  # noqa: S602  # as a person would
            f"tap-kombo --config=ENV --catalog={pipe.catalog} --state={state} "
            f"| target-postgres --config={target}",
            shell=True,  # as a person would
            env={
                **os.environ,
                **{f"TAP_KOMBO_{name.upper()}": value for name, value in settings.items()},
            },
            capture_output=True,
            check=True,
        )
        seconds.append(time.monotonic() - began)
    return seconds


def _costs(run: Callable[[], object]) -> tuple[float, float, float]:
    """Median seconds and CPU seconds of a run, and the highest memory of what it started."""
    over = threading.Event()
    peak = [0.0]
    watch = threading.Thread(target=_watch, args=(over, peak))
    seconds, cpu = [], []
    watch.start()
    try:
        for _ in range(ROUNDS):
            before, began = _cpu(), time.monotonic()
            run()
            seconds.append(time.monotonic() - began)
            cpu.append(_cpu() - before)
    finally:
        over.set()
        watch.join()
    return statistics.median(seconds), statistics.median(cpu), peak[0]


def _watch(over: threading.Event, peak: list[float]) -> None:
    while not over.wait(0.05):
        total = 0.0
        for child in psutil.Process().children():
            try:
                if "kombo_sandbox" not in child.cmdline() and child.name() != "postgres":
                    total += child.memory_info().rss / 1e6
            except psutil.Error:
                continue
        peak[0] = max(peak[0], total)


def _seconds(run: Callable[[], object]) -> float:
    began = time.monotonic()
    for _ in range(ROUNDS):
        run()
    return (time.monotonic() - began) / ROUNDS


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    measure()
