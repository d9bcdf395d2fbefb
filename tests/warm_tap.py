"""The real tap, started in hundredths of a second: thousands of runs need that.

A process that has imported the tap waits for orders and forks for each: the fork is a process of
its own, with its own arguments, files, clock, zone, output and exit status, and it enters the tap
where the command `tap-kombo` does.
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
from tap_kombo.__main__ import main
from tap_kombo.client import KomboClient, RateBudget
from tap_kombo.errors import KomboError
from tests.tap_output import TapRun

LONGEST_RUN = 120.0
"""Seconds after which a run counts as hung."""

POLL = 0.01


@dataclass(frozen=True)
class Machine:
    """The machine that the tap runs on.

    Attributes:
        clock: What its clock says at the start, in seconds since 1970.
        zone: Its time zone, as in the variable TZ.
    """

    clock: float
    zone: str


@dataclass(frozen=True)
class Haste:
    """How a run saves time that it would only wait.

    Attributes:
        state_interval: Seconds between two STATE messages, at least.
        shorter: How many times shorter than in earnest the pauses between tries are.
    """

    state_interval: float = 1.0
    shorter: float = 1000.0


def arguments_for(
    folder: Path, settings: Mapping[str, Any], *args: str, state: Any = None, catalog: Any = None
) -> list[str]:
    """Write the files that a run is given, and build its arguments."""
    arguments = [*args]
    for name, content in (("config", settings), ("state", state), ("catalog", catalog)):
        if content is not None:
            path = folder / f"{name}.json"
            path.write_text(json.dumps(content))
            arguments += [f"--{name}", str(path)]
    return arguments


class WarmTap:
    """Starts runs, one after the other; as a context manager it ends with the block.

    Args:
        env: What their environment has beside this process'.
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
        timeout: float = LONGEST_RUN,
        machine: Machine | None = None,
        haste: Haste | None = None,
        stop_when: Callable[[], bool] | None = None,
    ) -> TapRun:
        """Run the tap to its end.

        Args:
            settings: The content of the settings file.
            args: More arguments.
            catalog: The content of the catalog file; None for none.
            state: The content of the state file; None for none.
            timeout: Seconds after which the run counts as hung.
            machine: Where the tap runs; None for here and now.
            haste: How it saves time; None for a run as in earnest.
            stop_when: Asked again and again; when it is true, the run gets SIGTERM.
        """
        self.runs += 1
        folder = Path(self._folder.name)
        order = {
            "arguments": arguments_for(folder, settings, *args, state=state, catalog=catalog),
            "folder": str(folder),
            "machine": machine and asdict(machine),
            "haste": haste and asdict(haste),
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()
        code = self._wait(int(self._answer()), stop_when, timeout)
        stderr = (folder / "stderr").read_text()
        assert code is not None, f"the run does not end:\n{stderr}"
        return TapRun(code, (folder / "stdout").read_bytes(), stderr)

    def _wait(self, pid: int, stop_when: Callable[[], bool] | None, timeout: float) -> int | None:
        """Wait for the exit status; None if the run hangs, and is killed therefore."""
        deadline = time.monotonic() + timeout
        assert self._process.stdout is not None
        answers = self._process.stdout.fileno()
        while not select.select([answers], [], [], POLL if stop_when else 1.0)[0]:
            if stop_when and stop_when():
                os.kill(pid, signal.SIGTERM)
                stop_when = None
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                self._answer()
                return None
        return int(self._answer())

    def _answer(self) -> bytes:
        assert self._process.stdout is not None
        # One byte after the other, so that nothing waits in a buffer where `select` cannot see it.
        answer = b""
        while not answer.endswith(b"\n"):
            byte = os.read(self._process.stdout.fileno(), 1)
            assert byte, "the warm tap is gone"
            answer += byte
        return answer


def serve() -> None:
    """Fork for each order on stdin; answer with the process' number, then with its status."""
    _warm_up()
    answers = os.dup(1)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            os.close(answers)
            _run(json.loads(line))
        os.write(answers, f"{child}\n".encode())
        _, status = os.waitpid(child, 0)
        os.write(answers, f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _warm_up() -> None:
    """Make what every run needs to import be imported, and read what it needs to read."""
    settings = {"api_key": "none", "integration_ids": ["none"]}
    tap = tap_kombo.tap.TapKombo(config=settings)
    for stream in tap.streams.values():
        _ = stream.schema
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # The forks share what there is now: no collection is to write into it.
    gc.freeze()


def _hurry(haste: Haste) -> None:
    tap_kombo.writer.STATE_INTERVAL = haste.state_interval
    sleep = KomboClient._sleep  # noqa: SLF001  # every pause goes through it
    close_for = RateBudget.close_for

    def shorter(client: KomboClient, seconds: float) -> None:
        sleep(client, seconds / haste.shorter)

    def close_shorter(budget: RateBudget, seconds: float, because: KomboError) -> None:
        close_for(budget, seconds / haste.shorter, because)

    RateBudget.close_for = close_shorter  # type: ignore[assignment,method-assign]
    KomboClient._sleep = shorter  # type: ignore[assignment,method-assign]  # noqa: SLF001


def _run(order: Mapping[str, Any]) -> NoReturn:
    """Be the command `tap-kombo`, but for Python's own end, which takes longer than the run."""
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
    if order["haste"]:
        _hurry(Haste(**order["haste"]))
    sys.argv = ["tap-kombo", *order["arguments"]]
    code = 1
    try:
        main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # as Python itself does
        traceback.print_exc()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
