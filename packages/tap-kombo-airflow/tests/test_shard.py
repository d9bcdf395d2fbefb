"""A shard stores the states that the target emits, whatever ends the run."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from fake_pipe import PYTHON, pipe

from harness.postgres import Postgres
from tap_kombo_airflow.pipe import Pipe
from tap_kombo_airflow.settings import ConfigurationError
from tap_kombo_airflow.shard import Shard
from tap_kombo_airflow.store import DatabaseError, LeaseLostError, Store

A, B, C = "personio:a", "personio:b", "lever:c"
FOREVER = "\ntime.sleep(60)"
LEASE_SECONDS = 6


def bookmark(store: Store, integration_id: str) -> str | None:
    rows = store.execute(
        "SELECT state #>> '{{bookmarks,ats_jobs,partitions,0,replication_key_value}}' "
        "FROM {table} WHERE integration_id = %s",
        [integration_id],
    )
    return rows[0][0] if rows else None


def test_each_integration_resumes_from_its_state_in_any_shard(store: Store) -> None:
    first = pipe("emit('1')")
    Shard(store, first, "first").run([A, B])
    Shard(store, pipe("emit('2')"), "second").run([C])
    third = pipe("print(json.dumps({'type': 'STATE', 'value': state}))\nemit('3')")
    assert bookmark(store, A) == "1"
    assert bookmark(store, C) == "2"

    assert Shard(store, third, "third").run([C, A]) == {}

    assert [bookmark(store, name) for name in (A, B, C)] == ["3", "1", "3"]


def test_an_integration_that_another_run_reads_is_omitted_and_the_others_are_read(
    store: Store,
) -> None:
    slow = Shard(store, pipe(f"emit('slow'){FOREVER}"), "the slow one")
    with in_new_process(slow, [A]):
        wait_until(lambda: bookmark(store, A) == "slow")

        problems = Shard(store, pipe("emit('quick')"), "the quick one").run([A, B])

        assert set(problems) == {A}
        assert "Another run is reading it: the slow one" in problems[A].message
        assert problems[A].is_transient
        assert bookmark(store, A) == "slow"
        assert bookmark(store, B) == "quick"


def test_if_a_run_is_killed_its_tap_and_target_are_killed(store: Store) -> None:
    with in_new_process(Shard(store, pipe(f"emit('1'){FOREVER}"), "one"), [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        family = psutil.Process(process.pid).children(recursive=True)
        guard = next(child for child in family if "guard.py" in " ".join(child.cmdline()))
        folder = Path(guard.cmdline()[-2])
        assert len(family) == 3
        assert folder.exists()
        process.kill()
        process.wait()

        _, left = psutil.wait_procs(family, timeout=5)

    assert left == []
    assert not folder.exists()


def test_if_a_run_is_frozen_its_tap_and_target_are_killed_before_its_lease_expires(
    store: Store,
) -> None:
    short = replace(store, lease_seconds=LEASE_SECONDS)
    with in_new_process(Shard(short, pipe(f"emit('1'){FOREVER}"), "one"), [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGSTOP)

        wait_until(lambda: store.take([A], "next").states.keys() == {A})

        assert [child for child in family if alive(child)] == []


def test_a_run_that_loses_its_lease_stops_without_storing_anything_else(
    store: Store,
) -> None:
    def take_over() -> None:
        wait_until(lambda: bookmark(store, A) == "1")
        store.execute("UPDATE {table} SET holder = 'another'")

    other = threading.Thread(target=take_over)
    other.start()

    with pytest.raises(LeaseLostError):
        Shard(store, pipe("emit('1')\ntime.sleep(2)\nemit('2')"), "one").run([A])

    other.join()
    assert bookmark(store, A) == "1"


def test_a_run_that_loses_its_database_stops_with_one_sentence(
    store: Store, database: Postgres
) -> None:
    short = replace(store, lease_seconds=LEASE_SECONDS)
    over = threading.Event()

    def lose() -> None:
        wait_until(lambda: bookmark(store, A) == "1")
        with database.outage():
            over.wait(20)

    outage = threading.Thread(target=lose)
    outage.start()
    try:
        with pytest.raises(DatabaseError, match="The database of the states failed: "):
            Shard(short, pipe(f"emit('1'){FOREVER}"), "one").run([A])
    finally:
        over.set()
        outage.join()

    assert bookmark(store, A) == "1"


def test_a_run_that_is_terminated_stores_the_last_state_of_the_target(
    store: Store,
) -> None:
    stopping = """
import signal
def stop(*_):
    emit("2")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
emit("1")
time.sleep(60)
"""
    with in_new_process(Shard(store, pipe(stopping), "one"), [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        process.terminate()
        assert process.wait(10) == 1

    assert bookmark(store, A) == "2"
    assert store.take([A], "next").others == {}


def test_a_retry_omits_the_integrations_that_are_complete(store: Store) -> None:
    started = store.prepare()
    failing = f"""
emit("1")
read = {{"integration_id": "{B}", "status": "failed", "transient": True, "error_code": None}}
read["message"] = "HTTP 502."
log("1 failed", "info", result={{"reads": [read], "not_finished": 0}})
sys.exit(1)
"""
    first = Shard(store, pipe(failing), "one").run([A, B], since=started)
    assert {name: problem.is_transient for name, problem in first.items()} == {B: True}

    second = Shard(store, pipe("emit('2')"), "two").run([A, B], since=started)

    assert second == {}
    assert [bookmark(store, name) for name in (A, B)] == ["1", "2"]
    assert Shard(store, pipe("sys.exit(9)"), "three").run([A, B], since=started) == {}


def test_if_the_target_fails_its_states_are_stored_and_nothing_is_complete(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    failing = "print('psycopg.errors.DiskFull: DETAIL: (Jane Doe)', file=sys.stderr)\nsys.exit(1)"
    started = store.prepare()

    problems = Shard(store, pipe("emit('1')", failing), "one").run([A], since=started)

    assert problems[A].is_transient
    assert "(psycopg.errors.DiskFull)" in problems[A].message
    assert "Jane" not in caplog.text + problems[A].message
    assert bookmark(store, A) == "1"
    assert store.problems_since(started, [A]).keys() == {A}


def test_secrets_are_in_private_files_and_not_on_a_command_line_or_in_the_log(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = tmp_path / "seen"
    look = f"""
import pathlib, subprocess
time.sleep(0.5)  # the target starts
folder = pathlib.Path(path).parent
files = {{f.name: oct(f.stat().st_mode & 0o777) for f in folder.iterdir()}}
commands = subprocess.check_output(["ps", "-ww", "-eo", "args"], text=True).splitlines()
found = [oct(folder.stat().st_mode & 0o777), files, [c for c in commands if str(folder) in c]]
json.dump(found, open({str(seen)!r}, "w"))
"""

    Shard(store, pipe(look), "one").run([A])

    folder, files, commands = json.loads(seen.read_text())
    assert folder == "0o700"
    assert files == dict.fromkeys(["state.json", "target.json", "log.json"], "0o600")
    assert len(commands) >= 2
    assert "ks_secret" not in "".join(commands) + caplog.text
    assert "pg_secret" not in "".join(commands) + caplog.text


def test_tables_are_created_from_the_schemas_alone(tmp_path: Path) -> None:
    received = tmp_path / "received"
    tap = """
for kind in ("SCHEMA", "SCHEMA", "RECORD", "STATE", "SCHEMA"):
    print(json.dumps({"type": kind, "value": {}}), flush=True)
time.sleep(60)
"""
    target = f"open({str(received)!r}, 'w').write(input() + input())"

    replace(pipe(tap), target=(*PYTHON, target)).create_tables(A)

    assert received.read_text().count("SCHEMA") == 2
    assert "RECORD" not in received.read_text()


def test_settings_that_the_tap_rejects_are_reported_before_anything_is_read() -> None:
    rejecting = "log('The setting `page_size` is 0.')\nsys.exit(1)"

    with pytest.raises(ConfigurationError, match="`page_size` is 0"):
        pipe(rejecting).create_tables(A)


def test_a_setting_that_is_null_is_not_set() -> None:
    fake = pipe("log(str(os.environ.get('TAP_KOMBO_REGION')))\nsys.exit(1)")

    with pytest.raises(ConfigurationError, match="None"):
        replace(fake, tap_settings={"region": None}).create_tables(A)


def test_a_command_that_does_not_exist_is_reported_in_one_sentence(store: Store) -> None:
    missing = Pipe({}, {}, tap=("tap-komba",))

    with pytest.raises(ConfigurationError, match="tap-komba: command not found"):
        Shard(store, missing, "one").run([A])

    assert store.take([A], "next").others == {}


@contextlib.contextmanager
def in_new_process(shard: Shard, integration_ids: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a shard in a process that the test can kill, as Airflow can."""
    code = f"""
        from tap_kombo_airflow.pipe import Pipe
        from tap_kombo_airflow.shard import Shard
        from tap_kombo_airflow.store import Store
        {shard!r}.run({integration_ids!r})
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        # Its guard kills the tap and the target.
        process.kill()
        process.wait()


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition was not met in time"
        time.sleep(0.05)
