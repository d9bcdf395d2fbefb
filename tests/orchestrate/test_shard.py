"""A shard stores the states that the target emits, whatever ends the run."""

from __future__ import annotations

import contextlib
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
import psycopg
import pytest

from harness.postgres import Postgres
from kombo_shards.configuration import ConfigurationError
from kombo_shards.pipe import Pipe
from kombo_shards.shard import Shard
from kombo_shards.store import DatabaseError, LeaseLostError, Store
from tests.orchestrate.fakes import PYTHON, pipe

A, B, C = "personio:a", "personio:b", "lever:c"
FOR_EVER = "\ntime.sleep(60)"


def bookmark(store: Store, integration_id: str) -> str | None:
    with psycopg.connect(store.url) as connection:
        row = connection.execute(
            "SELECT state #>> '{bookmarks,ats_jobs,partitions,0,replication_key_value}' "
            f"FROM {store.schema}.tap_kombo_state WHERE integration_id = %s".encode(),
            (integration_id,),
        ).fetchone()
    return row[0] if row else None


def test_each_integration_resumes_from_its_state_in_any_shard(store: Store) -> None:
    first = pipe("emit('1')")
    Shard(store, first, "first").run([A, B])
    Shard(store, pipe("emit('2')"), "second").run([C])
    third = pipe("print(json.dumps({'type': 'STATE', 'value': state}))\nemit('3')")
    assert bookmark(store, A) == "1"
    assert bookmark(store, C) == "2"

    assert Shard(store, third, "third").run([C, A]) == {}

    assert [bookmark(store, name) for name in (A, B, C)] == ["3", "1", "3"]


def test_a_state_is_stored_as_soon_as_the_target_emits_it(store: Store) -> None:
    shard = Shard(store, pipe(f"emit('1'){FOR_EVER}"), "one")
    with in_a_process_of_its_own(shard, [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        assert process.poll() is None


def test_an_integration_that_another_run_reads_is_omitted_and_the_others_are_read(
    store: Store,
) -> None:
    slow = Shard(store, pipe(f"emit('slow'){FOR_EVER}"), "the slow one")
    with in_a_process_of_its_own(slow, [A]):
        wait_until(lambda: bookmark(store, A) == "slow")

        problems = Shard(store, pipe("emit('quick')"), "the quick one").run([A, B])

        assert set(problems) == {A}
        assert "Another run is reading it: the slow one" in problems[A].why
        assert problems[A].is_transient
        assert bookmark(store, A) == "slow"
        assert bookmark(store, B) == "quick"


def test_if_the_runner_is_killed_its_tap_and_target_end(store: Store) -> None:
    with in_a_process_of_its_own(Shard(store, pipe(f"emit('1'){FOR_EVER}"), "one"), [A]) as process:
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
    time.sleep(1.1)
    assert store.take([A], "next").others == {}


def test_if_the_runner_is_frozen_its_tap_and_target_end_before_its_lease(
    store: Store,
) -> None:
    with in_a_process_of_its_own(Shard(store, pipe(f"emit('1'){FOR_EVER}"), "one"), [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGSTOP)

        wait_until(lambda: store.take([A], "next").states.keys() == {A})

        assert [child for child in family if alive(child)] == []


def test_a_run_that_lost_its_lease_ends_and_stores_nothing_more(
    store: Store,
) -> None:
    def take_over() -> None:
        wait_until(lambda: bookmark(store, A) == "1")
        with psycopg.connect(store.url) as connection:
            query = f"UPDATE {store.schema}.tap_kombo_state SET holder = 'another'"
            connection.execute(query.encode())

    thief = threading.Thread(target=take_over)
    thief.start()

    with pytest.raises(LeaseLostError):
        Shard(store, pipe("emit('1')\ntime.sleep(2)\nemit('2')"), "one").run([A])

    thief.join()
    assert bookmark(store, A) == "1"


def test_a_run_that_loses_its_database_ends_with_one_sentence(
    store: Store, database: Postgres
) -> None:
    over = threading.Event()

    def lose() -> None:
        wait_until(lambda: bookmark(store, A) == "1")
        with database.outage():
            over.wait(20)

    outage = threading.Thread(target=lose)
    outage.start()
    try:
        with pytest.raises(DatabaseError, match="The database of the states failed: "):
            Shard(store, pipe(f"emit('1'){FOR_EVER}"), "one").run([A])
    finally:
        over.set()
        outage.join()

    assert bookmark(store, A) == "1"


def test_a_run_that_is_terminated_stores_the_last_state_of_the_target(
    store: Store,
) -> None:
    in_order = """
import signal
def stop(*_):
    emit("2")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
emit("1")
time.sleep(60)
"""
    with in_a_process_of_its_own(Shard(store, pipe(in_order), "one"), [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        process.terminate()
        assert process.wait(10) == 1

    assert bookmark(store, A) == "2"
    assert store.take([A], "next").others == {}


def test_a_retry_omits_the_integrations_that_are_complete(store: Store) -> None:
    began = store.prepare()
    could_not = f"""
emit("1")
read = {{"integration_id": "{B}", "action": "fail", "transient": True, "code": None}}
read["message"] = "HTTP 502."
log("1 failed", "info", result={{"reads": [read], "not_finished": 0}})
sys.exit(1)
"""
    first = Shard(store, pipe(could_not), "one").run([A, B], since=began)
    assert {name: problem.is_transient for name, problem in first.items()} == {B: True}

    second = Shard(store, pipe("emit('2')"), "two").run([A, B], since=began)

    assert second == {}
    assert [bookmark(store, name) for name in (A, B)] == ["1", "2"]
    assert Shard(store, pipe("sys.exit(9)"), "three").run([A, B], since=began) == {}


def test_if_the_target_fails_its_states_are_stored_and_nothing_is_complete(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    failing = "print('psycopg.errors.DiskFull: DETAIL: (Jane Doe)', file=sys.stderr)\nsys.exit(1)"
    began = store.prepare()

    problems = Shard(store, pipe("emit('1')", failing), "one").run([A], since=began)

    assert problems[A].is_transient
    assert "(psycopg.errors.DiskFull)" in problems[A].why
    assert "Jane" not in caplog.text + problems[A].why
    assert bookmark(store, A) == "1"
    assert store.complete_since(began, [A]) == set()


def test_no_secret_is_on_a_command_line_in_the_log_or_in_a_readable_file(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = tmp_path / "seen"
    look = """
import pathlib, subprocess
own = pathlib.Path(path).parent
modes = [f"{file.name} {file.stat().st_mode & 0o777:o}" for file in (own, *own.iterdir())]
processes = subprocess.check_output(["ps", "-ww", "-eo", "args"], text=True)
open(FILES[0], "w").write("\\n".join(modes) + "\\n" + processes)
"""
    # The target's file is there before the tap looks.
    look = f"time.sleep(0.5)\n{look}"

    Shard(store, pipe(look, files=[seen]), "one").run([A])

    lines = [
        line for line in seen.read_text().splitlines() if "--" in line and "kombo-shard-" in line
    ]
    assert len(lines) >= 2
    for mode in ("state.json 600", "target.json 600", "log.json 600"):
        assert mode in seen.read_text().splitlines()
    assert "ks_secret" not in "".join(lines) + caplog.text
    assert "pg_secret" not in "".join(lines) + caplog.text


def test_tables_are_created_from_the_schemas_alone(tmp_path: Path) -> None:
    received = tmp_path / "received"
    tap = """
for kind in ("SCHEMA", "SCHEMA", "RECORD", "STATE", "SCHEMA"):
    print(json.dumps({"type": kind, "value": {}}), flush=True)
time.sleep(60)
"""
    target = Pipe(
        {}, {}, target=(*PYTHON, f"open({str(received)!r}, 'w').write(input() + input())")
    )

    replace(pipe(tap), target=target.target).make_tables(A)

    assert received.read_text().count("SCHEMA") == 2
    assert "RECORD" not in received.read_text()


def test_settings_that_the_tap_rejects_are_reported_before_anything_is_read() -> None:
    rejecting = "log('The setting `page_size` is 0.')\nsys.exit(1)"

    with pytest.raises(ConfigurationError, match="`page_size` is 0"):
        pipe(rejecting).make_tables(A)


def test_a_setting_that_is_null_is_not_set() -> None:
    fake = pipe("log(str(os.environ.get('TAP_KOMBO_REGION')))\nsys.exit(1)")

    with pytest.raises(ConfigurationError, match="None"):
        replace(fake, tap_settings={"region": None}).make_tables(A)


def test_a_command_that_does_not_exist_is_one_sentence(store: Store) -> None:
    missing = Pipe({}, {}, tap=("tap-komba",))

    with pytest.raises(
        ConfigurationError, match="tap-komba: there is no such command on this machine"
    ):
        Shard(store, missing, "one").run([A])

    assert store.take([A], "next").others == {}


@contextlib.contextmanager
def in_a_process_of_its_own(
    shard: Shard, integration_ids: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a shard in a process that the test can kill, as Airflow can."""
    code = f"""
        from kombo_shards.pipe import Pipe
        from kombo_shards.shard import Shard
        from kombo_shards.store import Store
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
