"""A sandbox as a process of its own, started and stopped from Python."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kombo_sandbox.handle import Handle, SandboxError

DEFAULT_KEY = "ks_sandbox_1"

_STOP_SECONDS = 10


class Sandbox(Handle):
    """Starts a sandbox on a free port; as a context manager it stops at the end of the block.

    Args:
        integrations: how many connections to tools there are.
        offers: how many offers each of them has, or one number for each; applications, candidates
            and jobs come with them.
        categories: so many connections are made to tools of each: ``ATS``, ``HRIS``, ``LMS``,
            ``ASSESSMENT``.
        employees: how many each HRIS tool has, and learners or orders each of the other tools
            without offers (default: as many as offers).
        seed: other seed, other people.
        api_key: the key that is valid.
        clock: what the sandbox's clock says at the start, such as ``2026-01-31T12:00:00.000Z``
            (default: the machine's time).
        latency: seconds that each request takes at least.
        rate_limit: requests in each window of ``rate_window`` seconds.
        cursor_lifetime: seconds on the sandbox's clock until a cursor expires.
        strict: ``updated_after`` means later than, instead of at that moment or later.
        gzip: compress answers for clients that accept it.
    """

    def __init__(
        self,
        *,
        integrations: int = 3,
        offers: int | Sequence[int] = 100,
        categories: Sequence[str] = ("ATS",),
        employees: int | None = None,
        seed: int = 1,
        api_key: str = DEFAULT_KEY,
        clock: str | None = None,
        latency: float = 0.0,
        rate_limit: int = 1_000_000,
        rate_window: float = 60.0,
        cursor_lifetime: float = 86400.0,
        strict: bool = False,
        gzip: bool = False,
    ) -> None:
        sizes = [offers] if isinstance(offers, int) else offers
        self._options = [
            f"--integrations={integrations}",
            f"--offers={','.join(map(str, sizes))}",
            f"--categories={','.join(categories)}",
            *([] if employees is None else [f"--employees={employees}"]),
            f"--seed={seed}",
            f"--key={api_key}",
            f"--latency={latency}",
            f"--rate-limit={rate_limit}",
            f"--rate-window={rate_window}",
            f"--cursor-lifetime={cursor_lifetime}",
            *([f"--clock={clock}"] if clock else []),
            *(["--strict"] if strict else []),
            *(["--gzip"] if gzip else []),
        ]
        self._directory = tempfile.TemporaryDirectory(prefix="kombo-sandbox-")
        try:
            super().__init__(self._start(port=0))
        except BaseException:
            self._directory.cleanup()
            raise

    @staticmethod
    def attach(url: str) -> Handle:
        """A handle on a sandbox that runs already."""
        return Handle(url)

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
        """Stop the server and remove its data."""
        self._terminate()
        self._directory.cleanup()

    def restart(self) -> None:
        """Stop the server and start it again on the same port and data: a real outage.

        Records, integrations, clock and cursors stay; faults, the request log and a rate limit
        that was set meanwhile do not.
        """
        self._terminate()
        self._start(self._address[1])

    def _start(self, port: int) -> str:
        """Start the server and wait until it is ready; returns its URL."""
        data = Path(self._directory.name, "data.sqlite")
        serve = ["serve", "--json", "--until-eof", f"--port={port}", f"--data={data}"]
        # The server stops at the end of its stdin: when this process is gone, however it went.
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "kombo_sandbox", *serve, *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            self._terminate()
            raise SandboxError("the sandbox did not start; its error is on stderr")
        url: str = json.loads(line)["url"]
        return url

    def _terminate(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
