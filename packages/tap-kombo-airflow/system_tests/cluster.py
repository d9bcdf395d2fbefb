"""Airflow with CeleryExecutor, Redis, PostgreSQL and two workers, on this machine."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg
import requests

from harness import PROJECT
from harness.postgres import Postgres
from harness.processes import running, stop_group

AIRFLOW = PROJECT / ".cache/airflow-venv/bin/airflow"

WORKERS = ("one", "two")

WAIT_SECONDS = 900.0
REQUEST_SECONDS = 120.0
"""The longest waits, for a machine whose cores are shared."""


@dataclass
class Cluster:
    """A running Airflow.

    Attributes:
        folder: Its home, with the DAGs and logs.
        url: The URL of its API.
        environment: The environment of its processes.
        processes: Its processes by name.
    """

    folder: Path
    url: str
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _token: str | None = None

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [AIRFLOW, *arguments],
                env=dict(self.environment),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
            )

    def start_worker(self, name: str) -> None:
        self.start(name, "celery", "worker", "--celery-hostname", f"{name}@%h", "--skip-serve-logs")

    def stop(self) -> None:
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes.values():
            stop_group(process)

    def kill_worker(self, name: str, dag_id: str, run_id: str, *, with_its_tasks: bool) -> int:
        """Kill a worker while it reads shards, and return the number of shards.

        Args:
            name: The name of the worker.
            dag_id: The DAG that it has to be reading.
            run_id: The run that it has to be reading.
            with_its_tasks: Whether its tasks are killed too, as if the machine were lost. Otherwise
                they continue without a supervisor, because they are in other process groups.
        """
        # The task `plan` starts a target too, but before any `read`.
        wait_until(
            lambda: (
                "running"
                in {t["state"] for t in self.tasks(dag_id, run_id) if t["task_id"] == "read"}
            )
        )
        process = self.processes[name]
        shards = 0
        while not shards:
            time.sleep(0.1)
            descendants = psutil.Process(process.pid).children(recursive=True)
            shards = sum("target-postgres" in _command(descendant) for descendant in descendants)
        os.killpg(process.pid, signal.SIGKILL)
        for descendant in descendants if with_its_tasks else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                descendant.kill()
        process.wait()
        return shards

    def dag_ids(self) -> list[str]:
        return [dag["dag_id"] for dag in self.request("GET", "dags")["dags"]]

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run, and return its id."""
        body = {"logical_date": None, "conf": conf}
        run_id: str = self.request("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def wait(self, dag_id: str, run_id: str) -> str:
        """Wait until a run finishes, and return its state."""
        path = f"dags/{dag_id}/dagRuns/{run_id}"
        finished = {"success", "failed"}
        wait_until(lambda: self.request("GET", path)["state"] in finished)
        state: str = self.request("GET", path)["state"]
        return state

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        path = f"dags/{dag_id}/dagRuns/{run_id}/taskInstances?limit=1000"
        tasks: list[dict[str, Any]] = self.request("GET", path)["task_instances"]
        return tasks

    def log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the logs of all tries of a task."""
        folder = self.folder / f"logs/dag_id={dag_id}/run_id={run_id}/task_id={task_id}"
        return "\n".join(path.read_text() for path in sorted(folder.rglob("*.log")))

    def request(self, method: str, path: str, **options: Any) -> Any:
        if self._token is None:
            response = requests.get(f"{self.url}/auth/token", timeout=REQUEST_SECONDS)
            response.raise_for_status()
            self._token = response.json()["access_token"]
        response = requests.request(
            method,
            f"{self.url}/api/v2/{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=REQUEST_SECONDS,
            **options,
        )
        response.raise_for_status()
        return response.json()


@contextlib.contextmanager
def airflow(folder: Path, database: Postgres, variables: Mapping[str, str]) -> Iterator[Cluster]:
    """Start an Airflow.

    Args:
        folder: Its home, with the DAGs in `dags`.
        database: The server of its own database.
        variables: Environment variables of all its processes.
    """
    with psycopg.connect(
        host=database.socket_folder, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE DATABASE airflow")
    with _redis(folder) as broker:
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        settings = _settings(folder, database.socket_folder, broker, url)
        cluster = Cluster(folder, url, {**os.environ, **settings, **variables})
        migrated = subprocess.run(
            [AIRFLOW, "db", "migrate"],
            env=dict(cluster.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert migrated.returncode == 0, migrated.stderr[-2000:]

        def start() -> Cluster:
            cluster.start("api-server", "api-server", "--port", str(port))
            cluster.start("scheduler", "scheduler", "--skip-serve-logs")
            cluster.start("dag-processor", "dag-processor")
            for worker in WORKERS:
                cluster.start_worker(worker)
            return cluster

        with running(start, Cluster.stop):
            wait_until(lambda: _is_healthy(url))
            yield cluster


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(1)


def _settings(folder: Path, socket_folder: str, broker: str, url: str) -> dict[str, str]:
    database = f"postgresql+psycopg2://postgres@/airflow?host={quote(socket_folder)}"
    settings: dict[str, dict[str, Any]] = {
        "core": {
            "executor": "CeleryExecutor",
            "dags_folder": folder / "dags",
            "load_examples": False,
            "execution_api_server_url": f"{url}/execution/",
            "simple_auth_manager_all_admins": True,
            "dags_are_paused_at_creation": False,
        },
        "api": {"host": "127.0.0.1", "workers": 1},
        "api_auth": {"jwt_secret": secrets.token_hex(32)},
        "database": {"sql_alchemy_conn": database},
        "logging": {"base_log_folder": folder / "logs"},
        "celery": {
            "broker_url": broker,
            "result_backend": f"db+{database}",
            "worker_concurrency": 2,
        },
        # Tasks that a lost worker had taken from the queue and not started return after this time.
        "celery_broker_transport_options": {"visibility_timeout": 60},
        # A lost worker is noticed after half a minute, instead of five.
        "workers": {"min_heartbeat_interval": 3},
        "scheduler": {
            "task_instance_heartbeat_timeout": 30,
            "task_instance_heartbeat_timeout_detection_interval": 5,
            "task_queued_timeout": 90,
            "task_queued_timeout_check_interval": 10,
        },
        "dag_processor": {"refresh_interval": 30},
        "usage_data_collection": {"enabled": False},
    }
    return {
        "AIRFLOW_HOME": str(folder),
        "C_FORCE_ROOT": "1",
        "PYTHONWARNINGS": "ignore",
        **{
            f"AIRFLOW__{section.upper()}__{name.upper()}": str(value)
            for section, options in settings.items()
            for name, value in options.items()
        },
    }


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[str]:
    server = shutil.which("redis-server")
    assert server, "redis-server is not installed. On Debian: apt-get install redis-server"
    port = _free_port()
    with (
        (folder / "redis.log").open("wb") as log,
        running(
            lambda: subprocess.Popen(
                [server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                text=True,
            ),
            stop_group,
        ),
    ):
        yield f"redis://127.0.0.1:{port}/0"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _is_healthy(url: str) -> bool:
    try:
        health = requests.get(f"{url}/api/v2/monitor/health", timeout=5).json()
    except requests.RequestException:
        return False
    parts = ("metadatabase", "scheduler", "dag_processor")
    return all(health[part]["status"] == "healthy" for part in parts)


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
