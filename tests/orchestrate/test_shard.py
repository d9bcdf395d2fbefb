"""A shard: what the target has told is kept, whatever happens, and two runs never mix."""

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

from kombo_shards.configuration import ConfigurationError
from kombo_shards.pipe import Pipe
from kombo_shards.shard import Shard
from kombo_shards.store import LeaseLostError, Store
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


def test_each_integration_goes_on_where_it_was_in_whatever_shard_it_is_next(store: Store) -> None:
    first = pipe("tell('1')")
    Shard(store, first, "first").run([A, B])
    Shard(store, pipe("tell('2')"), "second").run([C])
    third = pipe("print(json.dumps({'type': 'STATE', 'value': state}))\ntell('3')")
    assert bookmark(store, A) == "1"
    assert bookmark(store, C) == "2"

    assert Shard(store, third, "third").run([C, A]) == {}

    assert [bookmark(store, name) for name in (A, B, C)] == ["3", "1", "3"]


def test_a_state_is_kept_as_soon_as_the_target_tells_it(store: Store) -> None:
    shard = Shard(store, pipe(f"tell('1'){FOR_EVER}"), "one")
    with in_a_process_of_its_own(shard, [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        assert process.poll() is None


def test_two_runs_of_an_integration_at_once_are_refused_and_the_rest_is_read(store: Store) -> None:
    slow = Shard(store, pipe(f"tell('slow'){FOR_EVER}"), "the slow one")
    with in_a_process_of_its_own(slow, [A]):
        wait_until(lambda: bookmark(store, A) == "slow")

        problems = Shard(store, pipe("tell('quick')"), "the quick one").run([A, B])

        assert set(problems) == {A}
        assert "is being read by the slow one" in problems[A].why
        assert problems[A].passes
        assert bookmark(store, A) == "slow"
        assert bookmark(store, B) == "quick"


def test_a_runner_that_is_killed_takes_its_tap_and_target_along(store: Store) -> None:
    with in_a_process_of_its_own(Shard(store, pipe(f"tell('1'){FOR_EVER}"), "one"), [A]) as process:
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


def test_a_runner_that_is_frozen_loses_its_tap_and_target_before_its_integrations(
    store: Store,
) -> None:
    with in_a_process_of_its_own(Shard(store, pipe(f"tell('1'){FOR_EVER}"), "one"), [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        family = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGSTOP)

        wait_until(lambda: store.take([A], "next").states.keys() == {A})

        assert [child for child in family if alive(child)] == []


def test_a_run_whose_integrations_were_taken_over_ends_and_stores_nothing_more(
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
        Shard(store, pipe("tell('1')\ntime.sleep(2)\ntell('2')"), "one").run([A])

    thief.join()
    assert bookmark(store, A) == "1"


def test_a_run_that_is_terminated_keeps_what_the_target_stores_in_its_last_moment(
    store: Store,
) -> None:
    in_order = """
import signal
def stop(*_):
    tell("2")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
tell("1")
time.sleep(60)
"""
    with in_a_process_of_its_own(Shard(store, pipe(in_order), "one"), [A]) as process:
        wait_until(lambda: bookmark(store, A) == "1")
        process.terminate()
        assert process.wait(10) == 1

    assert bookmark(store, A) == "2"
    assert store.take([A], "next").others == {}


def test_a_second_try_leaves_out_what_the_first_has_completed(store: Store) -> None:
    began = store.prepare()
    could_not = f"""
tell("1")
sys.stderr.write("a day | ERROR    | tap-kombo | Could not read {B} (ats_jobs): HTTP 502. Later.")
sys.exit(1)
"""
    first = Shard(store, pipe(could_not), "one").run([A, B], since=began)
    assert {name: problem.passes for name, problem in first.items()} == {B: True}

    second = Shard(store, pipe("tell('2')"), "two").run([A, B], since=began)

    assert second == {}
    assert [bookmark(store, name) for name in (A, B)] == ["1", "2"]
    assert Shard(store, pipe("sys.exit(9)"), "three").run([A, B], since=began) == {}


def test_a_target_that_fails_completes_nothing_but_what_it_has_told_is_kept(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    failing = "print('psycopg.errors.DiskFull: DETAIL: (Jane Doe)', file=sys.stderr)\nsys.exit(1)"
    began = store.prepare()

    problems = Shard(store, pipe("tell('1')", failing), "one").run([A], since=began)

    assert problems[A].passes
    assert "(psycopg.errors.DiskFull)" in problems[A].why
    assert "Jane" not in caplog.text + problems[A].why
    assert bookmark(store, A) == "1"
    assert store.complete_since(began, [A]) == set()


def test_no_secret_is_on_a_command_line_or_in_the_log(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    seen = tmp_path / "seen"
    look = (
        "import subprocess\nopen(FILES[0], 'w').write(subprocess.check_output("
        "['ps', '-ww', '-eo', 'args'], text=True))"
    )

    Shard(store, pipe(look, files=[seen]), "one").run([A])

    lines = [line for line in seen.read_text().splitlines() if "kombo-shard-" in line]
    assert len(lines) >= 2
    assert "ks_secret" not in "".join(lines) + caplog.text
    assert "pg_secret" not in "".join(lines) + caplog.text


def test_tables_are_made_of_the_schemas_alone(tmp_path: Path) -> None:
    told = tmp_path / "told"
    tap = """
for kind in ("SCHEMA", "SCHEMA", "RECORD", "STATE", "SCHEMA"):
    print(json.dumps({"type": kind, "value": {}}), flush=True)
time.sleep(60)
"""
    target = Pipe({}, {}, target=(*PYTHON, f"open({str(told)!r}, 'w').write(input() + input())"))

    replace(pipe(tap), target=target.target).make_tables(A)

    assert told.read_text().count("SCHEMA") == 2
    assert "RECORD" not in told.read_text()


def test_settings_that_the_tap_refuses_are_known_before_anything_is_read() -> None:
    refusing = "sys.exit('a day | ERROR    | tap-kombo | The setting `page_size` is 0.')"

    with pytest.raises(ConfigurationError, match="`page_size` is 0"):
        pipe(refusing).make_tables(A)


def test_a_setting_that_is_null_is_not_set() -> None:
    told = "'a day | ERROR | tap-kombo | ' + str(os.environ.get('TAP_KOMBO_REGION'))"
    fake = pipe(f"sys.exit({told})")

    with pytest.raises(ConfigurationError, match="None"):
        replace(fake, tap_settings={"region": None}).make_tables(A)


def test_a_command_that_is_not_there_is_one_sentence(store: Store) -> None:
    missing = Pipe({}, {}, tap=("tap-komba",))

    with pytest.raises(ConfigurationError, match="There is no command tap-komba on this machine"):
        Shard(store, missing, "one").run([A])

    assert store.take([A], "next").others == {}


@contextlib.contextmanager
def in_a_process_of_its_own(
    shard: Shard, integration_ids: list[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a shard as Airflow does: in a process that may be killed."""
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
        # Its guard ends what it has started.
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
        assert time.monotonic() < deadline, "it has not come to this"
        time.sleep(0.05)
