"""A run stops soon after a signal or the exit of its target, and the next run resumes."""

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

from harness.tap import (
    TAP,
    TapRun,
    arguments_for,
    catalog_with,
    run_tap,
    settings_for,
    tap_process,
)
from kombo_sandbox import Sandbox

OFFERS = catalog_with("ats_offers")
BOTH_SIGNALS = pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["SIGTERM", "SIGINT"]
)


def stop_after_first_record(settings: dict[str, Any], signum: signal.Signals) -> TapRun:
    with tap_process(settings, catalog=OFFERS) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=10)
    return TapRun(process.returncode, b"".join(lines) + stdout, stderr.decode())


def wait_for_full_pipe(sandbox: Sandbox) -> int:
    """Wait until a tap whose target does not read sends no more requests; return their number."""
    requests = -1
    while requests < 3 or requests != len(sandbox.requests()):
        requests = len(sandbox.requests())
        time.sleep(1.0)
    return requests


@BOTH_SIGNALS
def test_a_signal_stops_the_run_after_a_last_state(
    sandbox: Sandbox, signum: signal.Signals, code: int
) -> None:
    sandbox.fault(path="/ats/offers", delay=0.3)
    settings = settings_for(sandbox, page_size=20)

    run = stop_after_first_record(settings, signum)

    assert run.code == code
    assert run.messages[-1]["type"] == "STATE"
    assert "Traceback" not in run.stderr
    assert any(signum.name in warning for warning in run.warnings)
    sandbox.clear_faults()
    rest = run_tap(settings, state=run.state, catalog=OFFERS)
    expected = {record["id"] for record in sandbox.records("ats_offers")}
    assert set(run.ids("ats_offers")) | set(rest.ids("ats_offers")) == expected


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"hang": True}, id="a request without a response"),
        pytest.param({"status": 429, "headers": {"ratelimit-reset": "200"}}, id="a rate limit"),
        pytest.param({"status": 503}, id="a backoff"),
    ],
)
def test_a_signal_interrupts_waits(sandbox: Sandbox, fault: dict[str, Any]) -> None:
    sandbox.fault(path="/ats/offers", skip=3, **fault)

    run = stop_after_first_record(settings_for(sandbox, page_size=20), signal.SIGTERM)

    assert run.code == 143
    assert run.messages[-1]["type"] == "STATE"


@BOTH_SIGNALS
def test_a_signal_during_startup_stops_the_command(signum: signal.Signals, code: int) -> None:
    # Python logs each import, so the signal is sent at a known moment.
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


def test_a_closed_pipe_stops_the_run_with_one_error(sandbox: Sandbox) -> None:
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
    requests = len(sandbox.requests())
    time.sleep(0.5)
    assert len(sandbox.requests()) == requests


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"hang": True}, id="a request without a response"),
        pytest.param({"status": 429, "headers": {"ratelimit-reset": "200"}}, id="a rate limit"),
    ],
)
def test_a_pipe_closed_while_the_tap_waits_stops_the_run(
    sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    sandbox.fault(path="/ats/offers", skip=3, **fault)
    # The few records in the pipe do not fill it, so the tap is not writing.
    with tap_process(settings_for(sandbox, page_size=1), catalog=OFFERS) as process:
        assert process.stdout is not None
        process.stdout.readline()
        wait_for_idle_tap(sandbox)
        process.stdout.close()
        process.stdout = None
        assert_stops_without_target(process)


def wait_for_idle_tap(sandbox: Sandbox) -> None:
    """Wait until the tap has read three pages, and has written its state."""
    while len(sandbox.requests()) < 1 + len(sandbox.integration_ids) + 4:
        time.sleep(0.05)
    time.sleep(2.5)


def assert_stops_without_target(process: subprocess.Popen[bytes]) -> None:
    _, stderr = process.communicate(timeout=10)
    run = TapRun(process.returncode, b"", stderr.decode())
    assert run.code == 1
    [error] = run.errors
    assert "closed the pipe" in error


def test_a_pipe_closed_while_all_reads_fail_stops_the_run() -> None:
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


def test_a_socket_closed_while_the_tap_waits_stops_the_run(sandbox: Sandbox) -> None:
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
        wait_for_idle_tap(sandbox)
        with contextlib.suppress(BlockingIOError):
            while ours.recv(1 << 16, socket.MSG_DONTWAIT):
                pass
        ours.close()
        assert_stops_without_target(process)


def test_a_signal_to_both_tap_and_target_is_reported_by_the_exit_status(
    sandbox: Sandbox,
) -> None:
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


@pytest.mark.parametrize("option", [(), ("--discover",), ("--about",)], ids=repr)
def test_a_full_disk_stops_the_run_with_one_error(
    sandbox: Sandbox, option: tuple[str, ...]
) -> None:
    settings = settings_for(sandbox)
    with (
        Path("/dev/full").open("wb") as full,
        tap_process(settings, *option, catalog=OFFERS, stdout=full.fileno()) as process,
    ):
        _, stderr = process.communicate(timeout=30)

    run = TapRun(process.returncode, b"", stderr.decode())
    assert run.code == 1
    [error] = run.errors
    assert "No space left" in error
    assert "Traceback" not in run.stderr


def test_nothing_is_written_after_a_partly_written_message(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """Otherwise, a STATE would be appended to half a record."""
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "from tap_kombo.writer import Writer\n"
        "write_state = Writer.write_state\n"
        "def write_last_state(writer, *, at_once=False):\n"
        "    if at_once:\n"
        "        os.set_blocking(1, True)\n"
        "        print('the last STATE', file=sys.stderr, flush=True)\n"
        "    write_state(writer, at_once=at_once)\n"
        "Writer.write_state = write_last_state\n"
    )
    env = {"PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": ""}
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    with (
        os.fdopen(read_end, "rb") as pipe,
        tap_process(settings_for(sandbox), catalog=OFFERS, env=env, stdout=write_end) as process,
    ):
        os.close(write_end)
        assert process.stderr is not None
        for line in process.stderr:
            if line == b"the last STATE\n":
                break
        stdout = pipe.read()
        assert process.wait(timeout=30) == 1

    *lines, partial = stdout.split(b"\n")
    assert partial
    for line in lines:
        json.loads(line)


def test_a_closed_stdout_is_an_error(sandbox: Sandbox, tmp_path: Path) -> None:
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
    assert error.startswith("Standard output is closed")
    assert sandbox.requests() == []


def test_a_signal_stops_the_run_even_if_the_target_does_not_read(sandbox: Sandbox) -> None:
    with tap_process(settings_for(sandbox), catalog=OFFERS) as process:
        wait_for_full_pipe(sandbox)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 143


def test_a_second_signal_stops_the_run_at_once(sandbox: Sandbox) -> None:
    with tap_process(settings_for(sandbox), catalog=OFFERS) as process:
        wait_for_full_pipe(sandbox)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=4) == 143


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_a_signal_during_a_write_does_not_cut_a_line(sandbox: Sandbox, unbuffered: str) -> None:
    settings = settings_for(sandbox, page_size=250)
    with tap_process(settings, catalog=OFFERS, env={"PYTHONUNBUFFERED": unbuffered}) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        wait_for_full_pipe(sandbox)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        stdout, stderr = process.communicate(timeout=30)

    run = TapRun(process.returncode, b"{" + stdout, stderr.decode())
    assert run.code == 143
    assert run.messages[-1]["type"] == "STATE"
    written = {record["id"] for record in run.records["ats_offers"]}
    rest = run_tap(settings, state=run.state, catalog=OFFERS)
    expected = {record["id"] for record in sandbox.records("ats_offers")}
    assert written | set(rest.ids("ats_offers")) == expected


def test_a_killed_run_leaves_complete_lines_except_for_the_last(sandbox: Sandbox) -> None:
    sandbox.fault(path="/ats/offers", delay=0.05)
    with tap_process(settings_for(sandbox, page_size=10), catalog=OFFERS) as process:
        time.sleep(1.6)
        process.kill()
        stdout, _ = process.communicate()

    for line in stdout.split(b"\n")[:-1]:
        json.loads(line)
