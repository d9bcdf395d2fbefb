"""A run that is told to end does so soon, in order, and the next one goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tests.tap_run import TAP, TapRun, catalog_with, run_tap, settings_for, tap_process
from tests.warm_tap import arguments_for

OFFERS = catalog_with("ats_offers")
BOTH_SIGNALS = pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)


def stop_after_first_record(
    settings: dict[str, Any], signum: signal.Signals, **env: str
) -> tuple[TapRun, float]:
    with tap_process(settings, catalog=OFFERS, env=env) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signum)
        began = time.monotonic()
        stdout, stderr = process.communicate(timeout=30)
        took = time.monotonic() - began
    return TapRun(process.returncode, b"".join(lines) + stdout, stderr.decode()), took


def wait_until_the_pipe_is_full(sandbox: Sandbox) -> int:
    """Wait until a tap whose target reads nothing asks for no more; gives what it asked for."""
    asked = -1
    while asked < 3 or asked != len(sandbox.requests()):
        asked = len(sandbox.requests())
        time.sleep(1.0)
    return asked


@BOTH_SIGNALS
def test_a_signal_ends_the_run_after_a_last_whole_state(
    sandbox: Sandbox, signum: signal.Signals, code: int
) -> None:
    sandbox.fault(path="/ats/offers", delay=0.3)
    settings = settings_for(sandbox, page_size=20)

    run, took = stop_after_first_record(settings, signum)

    assert run.code == code
    assert took < 5
    assert run.messages[-1]["type"] == "STATE"
    assert "Traceback" not in run.stderr
    assert any(signum.name in warning for warning in run.warnings)
    sandbox.clear_faults()
    rest = run_tap(settings, state=run.state, catalog=OFFERS)
    truth = {record["id"] for record in sandbox.records("ats_offers")}
    assert set(run.ids("ats_offers")) | set(rest.ids("ats_offers")) == truth


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"hang": True}, id="a request that hangs"),
        pytest.param(
            {"status": 429, "headers": {"ratelimit-reset": "200"}}, id="a wait for the limit"
        ),
        pytest.param({"status": 503}, id="a back-off"),
    ],
)
def test_a_signal_ends_the_run_also_while_it_waits(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.fault(path="/ats/offers", skip=3, **fault)

    run, took = stop_after_first_record(settings_for(sandbox, page_size=20), signal.SIGTERM)

    assert run.code == 143
    assert took < 5
    assert run.messages[-1]["type"] == "STATE"


@BOTH_SIGNALS
def test_a_signal_ends_the_command_also_while_it_starts(signum: signal.Signals, code: int) -> None:
    # Python tells of each module that is imported, so that the moment is not by chance.
    with tap_process({}, "--about", env={"PYTHONPROFILEIMPORTTIME": "1"}) as process:
        assert process.stderr is not None
        lines = [next(process.stderr)]
        while not lines[-1].rstrip().endswith(b" click"):
            lines.append(next(process.stderr))
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == code
    assert stdout == b""
    assert b"Traceback" not in stderr


def test_a_closed_pipe_ends_the_run_with_one_line(sandbox: Sandbox) -> None:
    sandbox.fault(path="/ats/offers", delay=0.2)
    with tap_process(settings_for(sandbox, page_size=5), catalog=OFFERS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, stderr = process.communicate(timeout=10)

    run = TapRun(process.returncode, b"", stderr.decode())
    assert run.code == 1
    [error] = run.errors
    assert "closed the pipe" in error
    assert "Traceback" not in run.stderr
    assert "Exception ignored" not in run.stderr
    asked = len(sandbox.requests())
    time.sleep(0.5)
    assert len(sandbox.requests()) == asked


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"hang": True}, id="a request that hangs"),
        pytest.param({"status": 429, "headers": {"ratelimit-reset": "200"}}, id="a wait"),
    ],
)
def test_a_pipe_closed_while_nothing_comes_ends_the_run_too(
    sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.fault(path="/ats/offers", skip=3, **fault)
    # So few records wait in the pipe that the tap is not in the middle of a write.
    with tap_process(settings_for(sandbox, page_size=1), catalog=OFFERS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_until_nothing_comes(sandbox)
        process.stdout.close()
        process.stdout = None
        assert_ends_without_its_target(process)


def wait_until_nothing_comes(sandbox: Sandbox) -> None:
    """Wait for the read after three pages, and until no STATE is to be written either."""
    while len(sandbox.requests()) < 1 + len(sandbox.integration_ids) + 4:
        time.sleep(0.05)
    time.sleep(2.5)


def assert_ends_without_its_target(process: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    _, stderr = process.communicate(timeout=30)
    took = time.monotonic() - began
    run = TapRun(process.returncode, b"", stderr.decode())
    assert run.code == 1
    assert took < 5
    [error] = run.errors
    assert "closed the pipe" in error


def test_a_pipe_closed_while_only_failures_come_ends_the_run_too() -> None:
    with Sandbox(integrations=120, offers=1, seed=6) as sandbox:
        sandbox.fault("/ats/offers", status=403, delay=0.3)
        with tap_process(settings_for(sandbox), catalog=OFFERS) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.stdout.close()
            process.wait(5)
            assert process.stderr is not None
            log = process.stderr.read()

    assert process.returncode == 1
    assert b"The target has closed the pipe" in log


def test_a_socket_closed_while_nothing_comes_ends_the_run_too(sandbox: Sandbox) -> None:
    sandbox.fault(path="/ats/offers", skip=3, hang=True)
    ours, theirs = socket.socketpair()
    with (
        ours,
        theirs,
        tap_process(
            settings_for(sandbox, page_size=1), catalog=OFFERS, stdout=theirs.fileno()
        ) as process,
    ):
        theirs.close()
        wait_until_nothing_comes(sandbox)
        with contextlib.suppress(BlockingIOError):
            while ours.recv(1 << 16, socket.MSG_DONTWAIT):
                pass
        ours.close()
        assert_ends_without_its_target(process)


def test_a_signal_that_ends_the_target_too_is_told_by_the_exit_status(sandbox: Sandbox) -> None:
    sandbox.fault(path="/ats/offers", delay=0.3)
    with tap_process(settings_for(sandbox, page_size=5), catalog=OFFERS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        process.stdout = None
        _, stderr = process.communicate(timeout=30)

    run = TapRun(process.returncode, b"", stderr.decode())
    assert run.code == 143
    assert run.errors == []
    assert "Traceback" not in run.stderr


def test_a_full_disk_ends_the_run_with_one_line(sandbox: Sandbox) -> None:
    with (
        Path("/dev/full").open("wb") as full,
        tap_process(settings_for(sandbox), catalog=OFFERS, stdout=full.fileno()) as process,
    ):
        _, stderr = process.communicate(timeout=30)

    run = TapRun(process.returncode, b"", stderr.decode())
    assert run.code == 1
    [error] = run.errors
    assert "No space left" in error
    assert "Traceback" not in run.stderr


def test_nothing_is_written_after_what_could_be_written_in_part_only(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """A STATE would stand in the line of half a record."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "from tap_kombo.writer import Writer\n"
        "write_state = Writer.write_state\n"
        "def when_there_is_room_again(writer, *, at_once=False):\n"
        "    if at_once:\n"
        "        os.set_blocking(1, True)\n"
        "        print('the last STATE', file=sys.stderr, flush=True)\n"
        "    write_state(writer, at_once=at_once)\n"
        "Writer.write_state = when_there_is_room_again\n"
    )
    env = {"PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": ""}
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    with (
        os.fdopen(ours, "rb") as pipe,
        tap_process(settings_for(sandbox), catalog=OFFERS, env=env, stdout=theirs) as process,
    ):
        os.close(theirs)
        assert process.stderr is not None
        for line in process.stderr:
            if line == b"the last STATE\n":
                break
        stdout = pipe.read()
        assert process.wait(timeout=30) == 1

    *lines, cut = stdout.split(b"\n")
    assert cut
    for line in lines:
        json.loads(line)


def test_a_closed_stdout_is_told(sandbox: Sandbox, tmp_path: Path) -> None:
    arguments = arguments_for(tmp_path, settings_for(sandbox), catalog=OFFERS)

    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&-', TAP, *arguments],
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        timeout=30,
        check=False,
    )

    run = TapRun(done.returncode, b"", done.stderr.decode())
    assert run.code == 1
    [error] = run.errors
    assert error.startswith("Standard output is closed: ")
    assert sandbox.requests() == []


def test_a_target_that_reads_no_more_does_not_keep_the_run_alive(sandbox: Sandbox) -> None:
    with tap_process(settings_for(sandbox), catalog=OFFERS) as process:
        wait_until_the_pipe_is_full(sandbox)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143


def test_a_second_signal_ends_the_run_at_once(sandbox: Sandbox) -> None:
    with tap_process(settings_for(sandbox), catalog=OFFERS) as process:
        wait_until_the_pipe_is_full(sandbox)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=4) == 143


def test_a_slow_target_slows_the_reading(sandbox: Sandbox) -> None:
    """What is not written is not read ahead without bounds either."""
    settings = settings_for(sandbox, page_size=10, concurrency=2)
    with tap_process(settings, catalog=OFFERS) as process:
        asked = wait_until_the_pipe_is_full(sandbox)
        assert process.stdout is not None
        written = os.read(process.stdout.fileno(), 1 << 16).count(b'"RECORD"') // 10

    assert asked < written + 20
    assert asked < len(sandbox.records("ats_offers")) / 10


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_signal_in_the_middle_of_a_write_cuts_no_line(sandbox: Sandbox, unbuffered: str) -> None:
    settings = settings_for(sandbox, page_size=250)
    with tap_process(settings, catalog=OFFERS, env={"PYTHONUNBUFFERED": unbuffered}) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        wait_until_the_pipe_is_full(sandbox)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        stdout, stderr = process.communicate(timeout=30)

    run = TapRun(process.returncode, b"{" + stdout, stderr.decode())
    assert run.code == 143
    assert run.messages[-1]["type"] == "STATE"
    written = {record["id"] for record in run.records["ats_offers"]}
    rest = run_tap(settings, state=run.state, catalog=OFFERS)
    truth = {record["id"] for record in sandbox.records("ats_offers")}
    assert written | set(rest.ids("ats_offers")) == truth


def test_what_is_written_before_the_kill_is_whole_lines_and_one_cut_at_most(
    sandbox: Sandbox,
) -> None:
    sandbox.fault(path="/ats/offers", delay=0.05)
    with tap_process(settings_for(sandbox, page_size=10), catalog=OFFERS) as process:
        time.sleep(1.6)
        process.kill()
        stdout, _ = process.communicate()

    for line in stdout.split(b"\n")[:-1]:
        json.loads(line)
