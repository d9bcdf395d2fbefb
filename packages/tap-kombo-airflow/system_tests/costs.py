"""Measure a shard without Airflow: seconds, requests and memory, for docs/scaling.md.

    PYTHONPATH=. .venv/bin/python packages/tap-kombo-airflow/system_tests/costs.py

The sandbox responds immediately, and no record changes between the runs.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil

from harness.postgres import postgres
from kombo_sandbox import Sandbox
from tap_kombo_airflow.pipe import Pipe
from tap_kombo_airflow.settings import target_settings
from tap_kombo_airflow.shard import Shard
from tap_kombo_airflow.store import Store

ROUNDS = 7
SIZES = (1, 20, 100)
STREAMS = ("ats_jobs", "ats_offers")


def main() -> None:
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    with (
        Sandbox(integrations=max(SIZES), offers=3, seed=29) as kombo,
        postgres() as server,
        tempfile.NamedTemporaryFile() as catalog,
    ):
        subprocess.run(["kombo-shards", "catalog", *STREAMS], stdout=catalog, check=True)
        database = {"host": server.socket_folder, "user": "postgres", "dbname": "postgres"}
        store = Store(database, "kombo")
        store.prepare()
        settings = {"api_key": kombo.api_key, "api_url": kombo.url}
        pipe = Pipe(settings, target_settings(database, "kombo"), catalog.name)
        shard = Shard(store, pipe, "costs")
        shard.run(kombo.integration_ids)
        for size in SIZES:
            kombo.clear_requests()
            seconds, memory = measure(shard, kombo.integration_ids[:size])
            requests = len(kombo.requests()) / ROUNDS
            print(
                f"{size:3} integrations: {seconds:.2f} s, {requests:.0f} requests, {memory:.0f} MB"
            )


def measure(shard: Shard, integration_ids: list[str]) -> tuple[float, float]:
    """Return the median seconds of a run, and the most memory of its tap and target."""
    stop = threading.Event()
    peak = [0.0]
    watcher = threading.Thread(target=watch_memory, args=(stop, peak))
    watcher.start()
    seconds = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        shard.run(integration_ids)
        seconds.append(time.monotonic() - started)
    stop.set()
    watcher.join()
    return statistics.median(seconds), peak[0]


def watch_memory(stop: threading.Event, peak: list[float]) -> None:
    while not stop.wait(0.05):
        total = 0.0
        for child in psutil.Process().children():
            try:
                if {"tap-kombo", "target-postgres"} & {Path(w).name for w in child.cmdline()[:2]}:
                    total += child.memory_info().rss / 1e6
            except psutil.Error:
                continue
        peak[0] = max(peak[0], total)


if __name__ == "__main__":
    main()
