"""A read stops soon after a signal or a closed pipe, and the next read resumes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.source import COMMAND, SourceRun, configured, run_source, source_process
from harness.tap import arguments_for, settings_for
from kombo_sandbox import Sandbox
from tests.source.platform import Platform, check_messages

OFFERS = "ats_offers"
CATALOG = configured(OFFERS)
BOTH_SIGNALS = pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])


def read_until(settings: dict[str, Any], marker: bytes, signum: signal.Signals) -> SourceRun:
    """Send a signal once a line contains a marker."""
    with source_process("read", settings=settings, catalog=CATALOG) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while marker not in lines[-1]:
            lines.append(process.stdout.readline())
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=20)
    return SourceRun(process.returncode, b"".join(lines) + stdout, stderr.decode(), {})


@BOTH_SIGNALS
def test_a_signal_ends_the_process_after_last_states(
    sandbox: Sandbox, signum: signal.Signals
) -> None:
    sandbox.fault(path="/ats/offers", delay=0.3)
    settings = settings_for(sandbox, page_size=20)

    run = read_until(settings, b'"RECORD"', signum)

    assert run.code == -signum
    Platform(CATALOG).replay(run)
    assert run.statuses == {OFFERS: "INCOMPLETE"}
    sandbox.clear_faults()
    rest = run_source("read", settings, catalog=CATALOG, state=run.stream_states)
    expected = {record["id"] for record in sandbox.records(OFFERS)}
    assert {*run.ids(OFFERS), *rest.ids(OFFERS)} == expected


@pytest.mark.parametrize("command", ["check", "read"])
def test_a_signal_before_the_first_record_ends_the_process(sandbox: Sandbox, command: str) -> None:
    sandbox.fault(path="/check-api-key", hang=True)
    catalog = CATALOG if command == "read" else None
    with source_process(command, settings=settings_for(sandbox), catalog=catalog) as process:
        while not sandbox.requests():
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=20)

    assert process.returncode == -signal.SIGTERM
    check_messages(SourceRun(process.returncode, stdout, stderr.decode(), {}))


def test_a_signal_during_startup_ends_the_process() -> None:
    # Python logs each import, so the signal is sent at a known moment.
    with source_process("spec", env={"PYTHONPROFILEIMPORTTIME": "1"}) as process:
        assert process.stderr is not None
        while not next(process.stderr).rstrip().endswith(b" argparse"):
            pass
        process.send_signal(signal.SIGTERM)
        stdout, stderr = process.communicate(timeout=20)

    assert process.returncode == -signal.SIGTERM
    assert stdout == b""
    assert b"Traceback" not in stderr


def test_a_process_that_survives_its_signal_exits_with_128_plus_its_number() -> None:
    # Process 1 of a container ignores the signal. Here, it is blocked instead.
    code = "from source_kombo.signals import end_by_signal; end_by_signal(15)"
    blocked = "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [15]); " + code

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -15
    assert subprocess.run([sys.executable, "-c", blocked], check=False).returncode == 143


def test_a_closed_pipe_ends_the_read(sandbox: Sandbox) -> None:
    sandbox.fault(path="/ats/offers", delay=0.2)
    settings = settings_for(sandbox, page_size=5)
    with source_process("read", settings=settings, catalog=CATALOG) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        _, stderr = process.communicate(timeout=20)

    assert (process.returncode, stderr) == (1, b"")


@pytest.mark.parametrize("command", ["spec", "check", "discover", "read"])
def test_a_full_disk_ends_the_command(sandbox: Sandbox, command: str) -> None:
    settings = None if command == "spec" else settings_for(sandbox)
    catalog = CATALOG if command == "read" else None
    with (
        Path("/dev/full").open("wb") as full,
        source_process(
            command, settings=settings, catalog=catalog, stdout=full.fileno()
        ) as process,
    ):
        _, stderr = process.communicate(timeout=30)

    assert (process.returncode, stderr) == (1, b"")


def test_a_closed_stdout_ends_the_read(sandbox: Sandbox, tmp_path: Path) -> None:
    arguments = arguments_for(tmp_path, settings_for(sandbox), "read", catalog=CATALOG)

    done = subprocess.run(
        ["sh", "-c", 'exec "$0" "$@" >&-', *COMMAND, *arguments],
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        timeout=30,
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, b"")
    assert sandbox.requests() == []


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
def test_lines_of_threads_do_not_interleave(sandbox: Sandbox, unbuffered: str) -> None:
    settings = settings_for(sandbox, page_size=40, concurrency=8)
    env = {"PYTHONUNBUFFERED": unbuffered}
    with source_process("read", "--debug", settings=settings, catalog=configured(), env=env) as p:
        stdout, stderr = p.communicate(timeout=60)

    run = SourceRun(p.returncode, stdout, stderr.decode(), {})
    assert run.code == 0
    check_messages(run)
    assert any(log["level"] == "DEBUG" for log in run.of_type("LOG"))


def test_a_killed_read_leaves_complete_lines_except_for_the_last(sandbox: Sandbox) -> None:
    sandbox.fault(path="/ats/offers", delay=0.05)
    settings = settings_for(sandbox, page_size=10)
    with source_process("read", settings=settings, catalog=CATALOG) as process:
        time.sleep(1.6)
        process.kill()
        stdout, _ = process.communicate()

    for line in stdout.split(b"\n")[:-1]:
        json.loads(line)
