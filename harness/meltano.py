"""Run `meltano run` in this project, isolated from the user's own runs.

Only the installed plugins are shared. Each pipeline has its own folder for state, run files and
logs, and the user's settings and `.env` are ignored. Pipelines can therefore run at the same time,
which Meltano otherwise does not allow.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from harness import PROJECT
from harness.processes import run
from kombo_sandbox import Sandbox

PLUGINS = PROJECT / ".meltano"
TAP = PLUGINS / "extractors/tap-kombo/venv/bin/tap-kombo"
MELTANO = Path(sys.executable).with_name("meltano")

IGNORED = ("MELTANO_", "TAP_KOMBO_", "TARGET_", "UV_CONSTRAINT")
"""Prefixes of environment variables that belong to the user or to make"""


class PipelineError(Exception):
    """A Meltano command failed.

    Args:
        message: The failure, without a period.
        log: The file with the complete output.
    """

    def __init__(self, message: str, log: Path) -> None:
        super().__init__(f"{message}. The complete log: {log}")


@dataclass(frozen=True)
class Pipeline:
    """The tap and a target, with their own state.

    Attributes:
        folder: For Meltano's database and run files. It must be private, because a run writes the
            API key.
        settings: Environment variables `TAP_KOMBO_...` and `TARGET_...`.
        log: The file to which all output is appended.
    """

    folder: Path
    settings: Mapping[str, str]
    log: Path

    def install(self, on_line: Callable[[str], object] = lambda _: None) -> None:
        """Install all plugins of `meltano.yml`.

        Raises:
            PipelineError: The plugins cannot be installed.
        """
        if self._meltano("install", "--clean", on_line=on_line):
            raise PipelineError("The plugins could not be installed", self.log)

    def run(self, target: str, on_line: Callable[[str], object] = lambda _: None) -> None:
        """Run `meltano run tap-kombo TARGET` with the state of the last run.

        Raises:
            PipelineError: The run failed.
        """
        if code := self._meltano("run", "tap-kombo", target, on_line=on_line):
            raise PipelineError(f"meltano run failed with exit status {code}", self.log)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of Meltano's commands."""
        own = {name: text for name, text in os.environ.items() if not name.startswith(IGNORED)}
        isolated = {
            "MELTANO_SYS_DIR_ROOT": str(self._sys_dir()),
            "MELTANO_AUTO_INSTALL": "false",
            "MELTANO_PROJECT_READONLY": "true",
            "MELTANO_CLI_DISABLE_VERSION_CHECK": "true",
            "MELTANO_CLI_LOG_FORMAT": "uncolored",
            "XDG_STATE_HOME": str(self.folder / "state"),
            "NO_COLOR": "1",
        }
        return {**own, **isolated, **self.settings}

    def _meltano(self, *args: str, on_line: Callable[[str], object]) -> int:
        command = [str(MELTANO), "--env-file", os.devnull, "--environment", "dev", *args]
        return run(command, env=self.environment, cwd=PROJECT, log=self.log, on_line=on_line)

    def _sys_dir(self) -> Path:
        sys_dir = self.folder / "meltano"
        sys_dir.mkdir(parents=True, exist_ok=True)
        for name in ("extractors", "loaders"):
            (PLUGINS / name).mkdir(parents=True, exist_ok=True)
            if not (sys_dir / name).exists():
                (sys_dir / name).symlink_to(PLUGINS / name)
        return sys_dir


def sandbox_settings(sandbox: Sandbox) -> dict[str, str]:
    """Return the tap's environment variables for a sandbox."""
    return {
        "TAP_KOMBO_API_URL": sandbox.url,
        "TAP_KOMBO_API_KEY": sandbox.api_key,
        "TAP_KOMBO_INTEGRATION_IDS": json.dumps(sandbox.integration_ids),
        # Otherwise, some runs would be full refreshes.
        "TAP_KOMBO_FULL_REFRESH_INTERVAL_DAYS": "0",
    }


@contextlib.contextmanager
def installed_plugins(
    install: Callable[[], object], on_wait: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Keep the plugins installed and unchanged during the block.

    Runs hold a shared lock, and an installation an exclusive one.

    Args:
        install: Installs the plugins; called only if those in meltano.yml are not installed.
        on_wait: Called before waiting for another process.
    """
    PLUGINS.mkdir(exist_ok=True)
    with (PLUGINS / "plugins.lock").open("a+", encoding="utf-8") as lock:
        while _lock(lock, fcntl.LOCK_SH, on_wait) != _fingerprint():
            if _lock(lock, fcntl.LOCK_EX, on_wait) != _fingerprint():
                lock.truncate(0)
                install()
                lock.write(_fingerprint())
                lock.flush()
        yield


def _lock(lock: TextIO, kind: int, on_wait: Callable[[], object]) -> str:
    """Acquire the lock, and return the fingerprint of the installed plugins, if any."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        on_wait()
        fcntl.flock(lock, kind)
    lock.seek(0)
    return lock.read() if TAP.exists() else ""


def _fingerprint() -> str:
    """Return a hash of everything that determines the installed plugins and their location."""
    files = (PROJECT / name for name in ("meltano.yml", "pyproject.toml", "constraints.txt"))
    location = f"{PROJECT}\n{sys.version}\n{sys.base_prefix}\n".encode()
    return hashlib.sha256(location + b"".join(path.read_bytes() for path in files)).hexdigest()
