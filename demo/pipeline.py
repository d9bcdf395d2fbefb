"""Runs of `meltano run`, from this project's meltano.yml, that touch nothing of the user's.

Only the installed plugins are shared with the user's own runs: state, run files and logs are in a
folder of the pipeline's own, and neither the user's settings nor `.env` are looked at. So many
pipelines can run side by side, which Meltano otherwise does not allow in one project.
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
from typing import Any, TextIO

from demo.processes import run

PROJECT = Path(__file__).parents[1]
PLUGINS = PROJECT / ".meltano"
TAP = PLUGINS / "extractors/tap-kombo/venv/bin/tap-kombo"
MELTANO = Path(sys.executable).with_name("meltano")

FOREIGN = ("MELTANO_", "TAP_KOMBO_", "TARGET_", "UV_CONSTRAINT")
"""The environment variables with these beginnings are the user's, or make's."""


class PipelineError(Exception):
    """Something of Meltano's failed.

    Args:
        sentence: What.
        log: Where all of its output is.
    """

    def __init__(self, sentence: str, log: Path) -> None:
        super().__init__(f"{sentence}. The whole log: {log}")


@dataclass(frozen=True)
class Pipeline:
    """A way from a tap to a target, with a state of its own.

    Attributes:
        folder: For Meltano's database and run files; private, because a run writes the API key.
        settings: Environment variables: TAP_KOMBO_..., TARGET_..., without anything of the user's.
        log: What all of its output is appended to.
    """

    folder: Path
    settings: Mapping[str, str]
    log: Path

    def install(self, on_line: Callable[[str], object] = lambda _: None) -> None:
        """Install the plugins, all that meltano.yml has.

        Raises:
            PipelineError: They cannot be installed.
        """
        if self._meltano("install", "--clean", on_line=on_line):
            raise PipelineError("The plugins could not be installed", self.log)

    def run(self, target: str, on_line: Callable[[str], object] = lambda _: None) -> None:
        """Run `meltano run tap-kombo TARGET`, from where the last such run came to.

        Raises:
            PipelineError: It failed.
        """
        if code := self._meltano("run", "tap-kombo", target, on_line=on_line):
            raise PipelineError(f"meltano run has failed with exit status {code}", self.log)

    def state(self, target: str) -> dict[str, Any]:
        """Ask Meltano for the state that it keeps.

        Raises:
            PipelineError: It does not say.
        """
        lines: list[str] = []
        if self._meltano("state", "get", f"dev:tap-kombo-to-{target}", on_line=lines.append):
            raise PipelineError("meltano state has failed", self.log)
        answer = next(line for line in reversed(lines) if line.startswith("{"))
        state: dict[str, Any] = json.loads(answer)["singer_state"]
        return state

    @property
    def environment(self) -> dict[str, str]:
        """All that Meltano is to know, for whoever runs another of its commands."""
        own = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
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
        command: list[str | Path] = [
            MELTANO,
            "--env-file",
            os.devnull,
            "--environment",
            "dev",
            *args,
        ]
        return run(command, env=self.environment, cwd=PROJECT, log=self.log, on_line=on_line)

    def _sys_dir(self) -> Path:
        sys_dir = self.folder / "meltano"
        sys_dir.mkdir(parents=True, exist_ok=True)
        for name in ("extractors", "loaders"):
            (PLUGINS / name).mkdir(parents=True, exist_ok=True)
            if not (sys_dir / name).exists():
                (sys_dir / name).symlink_to(PLUGINS / name)
        return sys_dir


@contextlib.contextmanager
def plugins(
    install: Callable[[], object], waiting: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Have the plugins installed and left alone during the block.

    Whoever runs them holds the lock together with others; who installs them holds it alone.

    Args:
        install: Installs them; called only if they are not there, or not those of meltano.yml.
        waiting: Called if others must end first.
    """
    PLUGINS.mkdir(exist_ok=True)
    with (PLUGINS / "plugins.lock").open("a+", encoding="utf-8") as lock:
        while _lock(lock, fcntl.LOCK_SH, waiting) != _fingerprint():
            if _lock(lock, fcntl.LOCK_EX, waiting) != _fingerprint():
                lock.truncate(0)
                install()
                lock.write(_fingerprint())
                lock.flush()
        yield


def _lock(lock: TextIO, kind: int, waiting: Callable[[], object]) -> str:
    """Take the lock, and read what it says about the plugins, if they are still there."""
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        waiting()
        fcntl.flock(lock, kind)
    lock.seek(0)
    return lock.read() if TAP.exists() else ""


def _fingerprint() -> str:
    """Everything that decides what is installed, and where: another one makes a new install."""
    files = (PROJECT / name for name in ("meltano.yml", "pyproject.toml", "constraints.txt"))
    place = f"{PROJECT}\n{sys.version}\n{sys.base_prefix}\n".encode()
    return hashlib.sha256(place + b"".join(path.read_bytes() for path in files)).hexdigest()
