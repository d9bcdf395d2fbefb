"""Run the tap without importing it for every run.

A process imports the tap once and forks for each run. A fork has its own arguments, files, clock,
time zone, output and exit status, and calls the same function as the command `tap-kombo`. Thousands
of runs take a few hundredths of a second each.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import time_machine

import tap_kombo.tap
import tap_kombo.writer
from tap_kombo import errors
from tap_kombo.__main__ import main
from tap_kombo.client import KomboClient, RateLimit
from tap_kombo.errors import KomboError
from tests.tap_output import TapRun

TIMEOUT = 120.0
"""Seconds after which a run counts as hung."""

POLL_INTERVAL = 0.01
"""Seconds between two calls of `stop_when`."""


@dataclass(frozen=True)
class Machine:
    """The machine that the tap runs on.

    Attributes:
        clock: Its time at the start of the run, in seconds since 1970.
        zone: Its time zone, as in the environment variable `TZ`.
    """

    clock: float
    zone: str


@dataclass(frozen=True)
class Speedup:
    """How much shorter than usual a run waits.

    Attributes:
        state_interval: Seconds between two STATE messages, at least.
        factor: The divisor of the pauses between retries and of the waits for a rate limit. The tap
            counts retries at their full length, so `max_wait_seconds` allows as many as usual.
    """

    state_interval: float = 1.0
    factor: float = 1000.0


def arguments_for(
    folder: Path, settings: Mapping[str, Any], *args: str, state: Any = None, catalog: Any = None
) -> list[str]:
    """Write the files of a run, and return its arguments."""
    arguments = [*args]
    for name, content in (("config", settings), ("state", state), ("catalog", catalog)):
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
    return arguments


class WarmTap:
    """Runs the tap in forks of one process, which ends with the `with` block.

    Args:
        env: Environment variables of the runs, in addition to those of this process.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-tap-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_tap"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[1],
            env={**os.environ, **(env or {})},
        )
        self.runs = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        with self._process:
            self._process.kill()
        self._folder.cleanup()

    def run(
        self,
        settings: Mapping[str, Any],
        *args: str,
        catalog: Any = None,
        state: Any = None,
        timeout: float = TIMEOUT,
        machine: Machine | None = None,
        speedup: Speedup | None = None,
        stop_when: Callable[[], bool] | None = None,
    ) -> TapRun:
        """Run the tap to its end.

        Args:
            settings: The content of the settings file.
            args: More arguments.
            catalog: The content of the catalog file, if there is one.
            state: The content of the state file, if there is one.
            timeout: Seconds after which the run counts as hung.
            machine: The machine that the tap seems to run on; by default, this one.
            speedup: How much shorter than usual the tap waits.
            stop_when: Called repeatedly; the run receives SIGTERM once it returns true.
        """
        self.runs += 1
        folder = Path(self._folder.name)
        order = {
            "arguments": arguments_for(folder, settings, *args, state=state, catalog=catalog),
            "folder": str(folder),
            "machine": machine and asdict(machine),
            "speedup": speedup and asdict(speedup),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        code = self._wait(self._read_number(), stop_when, timeout)
        stderr = (folder / "stderr").read_text()
        assert code is not None, f"the run does not end:\n{stderr}"
        return TapRun(code, (folder / "stdout").read_bytes(), stderr)

    def _wait(self, pid: int, stop_when: Callable[[], bool] | None, timeout: float) -> int | None:
        """Return the exit status of a run; kill it and return None if it hangs."""
        deadline = time.monotonic() + timeout
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while not select.select([pipe], [], [], POLL_INTERVAL if stop_when else 1.0)[0]:
            if stop_when and stop_when():
                os.kill(pid, signal.SIGTERM)
                stop_when = None
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                self._read_number()
                return None
        return self._read_number()

    def _read_number(self) -> int:
        assert self._process.stdout is not None
        # Byte by byte, because `select` does not see bytes that are already in a buffer.
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self._process.stdout.fileno(), 1)
            assert byte, "the process that forks has ended"
            line += byte
        return int(line)


def serve() -> None:
    """Fork for each order on stdin; write the ID of the process, then its exit status."""
    _load_everything()
    pipe = os.dup(1)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.close(pipe)
            _run(json.loads(line))
        os.write(pipe, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(pipe, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _load_everything() -> None:
    """Import all modules and read all files that every run needs."""
    settings = {"api_key": "none", "integration_ids": ["none"]}
    tap = tap_kombo.tap.TapKombo(config=settings)
    for stream in tap.streams.values():
        _ = stream.schema
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Forks share this memory until one of them writes to it, as garbage collection would.
    gc.freeze()


def _shorten_waits(speedup: Speedup) -> None:
    tap_kombo.writer.STATE_INTERVAL = speedup.state_interval
    sleep = KomboClient._sleep  # noqa: SLF001  # all waits use it
    close = RateLimit.close

    def sleep_shorter(client: KomboClient, seconds: float, error: KomboError) -> None:
        # Waits for the key's rate limit end when it opens, which `close_shorter` determines.
        is_shortened = error.rule is errors.KEY_LIMIT
        sleep(client, seconds if is_shortened else seconds / speedup.factor, error)

    def close_shorter(limit: RateLimit, seconds: float, error: KomboError) -> None:
        close(limit, seconds / speedup.factor, error)

    RateLimit.close = close_shorter  # type: ignore[assignment,method-assign]
    KomboClient._sleep = sleep_shorter  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _run(order: Mapping[str, Any]) -> NoReturn:
    """Run the command `tap-kombo`, and exit without Python's cleanup, which is slow."""
    os.chdir(order["folder"])
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        os.dup2(os.open(path, flags), number)
    if order["machine"]:
        machine = Machine(**order["machine"])
        os.environ["TZ"] = machine.zone
        time.tzset()
        time_machine.travel(machine.clock, tick=True).start()
    if order["speedup"]:
        _shorten_waits(Speedup(**order["speedup"]))
    sys.argv = ["tap-kombo", *order["arguments"]]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # like Python itself
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
