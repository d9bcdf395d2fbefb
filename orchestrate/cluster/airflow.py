"""A whole Airflow on this machine: CeleryExecutor, Redis, PostgreSQL, two workers."""

from __future__ import annotations

import contextlib
import json
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

from harness.postgres import Postgres
from harness.processes import running, stop_group

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "orchestrate/airflow/kombo_shards"
VENV = PROJECT / ".cache/airflow-venv/bin"

WORKERS = ("one", "two")

PATIENCE = 120.0
"""Seconds that a part of Airflow may take to come up."""


class MissingError(Exception):
    """Something that the cluster needs is not on this machine; the sentence says what."""


@dataclass
class Airflow:
    """A running Airflow.

    Attributes:
        folder: Of its home, DAGs and logs.
        url: Of its API.
        parts: Its processes by name.
    """

    folder: Path
    url: str
    environment: Mapping[str, str]
    parts: dict[str, subprocess.Popen[str]] = field(default_factory=dict)
    _token: str | None = None

    def start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.parts[name] = subprocess.Popen(
                [VENV / "airflow", *arguments],
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
        for process in self.parts.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self.parts.values():
            stop_group(process)

    def lose(self, worker: str, *, with_its_machine: bool) -> int:
        """Kill a worker.

        Args:
            worker: Which.
            with_its_machine: And all that it has started, as if its machine were gone. Else its
                process group: its tasks are in others, and go on without anyone to tell.

        Returns:
            How many shards it was reading.
        """
        process = self.parts[worker]
        family = psutil.Process(process.pid).children(recursive=True)
        shards = [child for child in family if "guard.py" in " ".join(_command(child))]
        os.killpg(process.pid, signal.SIGKILL)
        for child in family if with_its_machine else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        process.wait()
        return len(shards)

    def is_reading(self, worker: str, dag_id: str, run: str) -> bool:
        """Tell whether a worker is in the middle of a shard."""
        # The plan is over then, which starts a target too.
        states = [t["state"] for t in self.tasks(dag_id, run) if t["task_id"] == "read"]
        family = psutil.Process(self.parts[worker].pid).children(recursive=True)
        commands = [" ".join(_command(child)) for child in family]
        return "running" in states and any("target-postgres" in command for command in commands)

    def dags(self) -> list[str]:
        return [found["dag_id"] for found in self.call("GET", "dags")["dags"]]

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Start a run; returns its id."""
        body = {"logical_date": None, "conf": conf}
        run: str = self.call("POST", f"dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run

    def state(self, dag_id: str, run: str) -> str:
        state: str = self.call("GET", f"dags/{dag_id}/dagRuns/{run}")["state"]
        return state

    def wait(self, dag_id: str, run: str, seconds: float) -> str:
        """Wait for the end of a run; returns its state."""
        wait_until(lambda: self.state(dag_id, run) in {"success", "failed"}, seconds)
        return self.state(dag_id, run)

    def tasks(self, dag_id: str, run: str) -> list[dict[str, Any]]:
        path = f"dags/{dag_id}/dagRuns/{run}/taskInstances?limit=1000"
        found: list[dict[str, Any]] = self.call("GET", path)["task_instances"]
        return found

    def log(self, dag_id: str, run: str, task_id: str) -> str:
        """Read what a task has logged, in all tries of all its instances."""
        place = self.folder / f"logs/dag_id={dag_id}/run_id={run}/task_id={task_id}"
        return "\n".join(path.read_text() for path in sorted(place.rglob("*.log")))

    def call(self, method: str, path: str, **how: Any) -> Any:
        if self._token is None:
            answer = requests.get(f"{self.url}/auth/token", timeout=30)
            answer.raise_for_status()
            self._token = answer.json()["access_token"]
        answer = requests.request(
            method,
            f"{self.url}/api/v2/{path}",
            headers={"Authorization": f"Bearer {self._token}"},
            timeout=30,
            **how,
        )
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def airflow(
    folder: Path, database: Postgres, variables: Mapping[str, str], dag: str
) -> Iterator[Airflow]:
    """Start an Airflow whose dags folder holds a copy of the one that users copy.

    Args:
        folder: For all of its files.
        database: Gets a database for Airflow beside its own.
        variables: What a user sets: environment variables of all parts.
        dag: What dag.py has become.

    Raises:
        MissingError: Something is not installed.
    """
    shutil.copytree(FOLDER, folder / "dags/kombo_shards", ignore=shutil.ignore_patterns("__py*"))
    (folder / "dags/kombo_shards/dag.py").write_text(dag)
    with psycopg.connect(
        host=database.socket_folder, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        connection.execute("CREATE DATABASE airflow")
    with _redis(folder) as broker:
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        own = _environment(folder, database.socket_folder, broker, url)
        cluster = Airflow(folder, url, {**os.environ, **own, **variables})
        migrated = subprocess.run(
            [VENV / "airflow", "db", "migrate"],
            env=dict(cluster.environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert migrated.returncode == 0, migrated.stderr[-2000:]

        def start() -> Airflow:
            cluster.start("api-server", "api-server", "--port", str(port))
            cluster.start("scheduler", "scheduler", "--skip-serve-logs")
            cluster.start("dag-processor", "dag-processor")
            for worker in WORKERS:
                cluster.start_worker(worker)
            return cluster

        with running(start, Airflow.stop):
            wait_until(lambda: _answers(f"{url}/api/v2/monitor/health"), PATIENCE)
            yield cluster


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it has not come to this in {seconds:.0f} s"
        time.sleep(1)


def _environment(folder: Path, socket_folder: str, broker: str, url: str) -> dict[str, str]:
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
        # What a lost worker had taken from the queue and not begun comes back after this.
        "celery_broker_transport_options": {"visibility_timeout": 60},
        # A lost worker is noticed in half a minute, instead of five.
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
    if server is None:
        raise MissingError("redis-server is missing: on Debian, apt-get install redis-server.")
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


def _answers(url: str) -> bool:
    try:
        health = requests.get(url, timeout=5).json()
    except (requests.RequestException, json.JSONDecodeError):
        return False
    return all(
        health[part]["status"] == "healthy"
        for part in ("metadatabase", "scheduler", "dag_processor")
    )


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
