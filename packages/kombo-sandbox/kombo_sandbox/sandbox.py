"""A sandbox in its own process."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypedDict, Unpack

from kombo_sandbox.handle import Handle, SandboxError

_STOP_SECONDS = 10


class SandboxOptions(TypedDict, total=False):
    """Options of a sandbox; `kombo-sandbox serve --help` shows the defaults.

    Attributes:
        integrations: Number of integrations of each category.
        offers: Number of offers per integration, or a number for each. It determines the number
            of applications, candidates and jobs.
        categories: `ATS`, `HRIS`, `LMS`, `ASSESSMENT`.
        employees: Number of employees, learners or orders per integration that is not an ATS; by
            default the number of offers.
        seed: Seed of the generated data.
        api_key: The valid API key.
        clock: Initial time of the clock, such as `2026-01-31T12:00:00.000Z`.
        latency: Minimum seconds per request.
        rate_limit: Requests per window.
        rate_window: Seconds of a window.
        cursor_lifetime: Seconds until a cursor expires, by the sandbox's clock.
        strict: `updated_after` is exclusive.
        gzip: Compress responses for clients that accept it.
        webhook_url: URL to which webhooks are sent.
        webhook_secret: Secret with which webhooks are signed.
    """

    integrations: int
    offers: int | Sequence[int]
    categories: Sequence[str]
    employees: int | None
    seed: int
    api_key: str
    clock: str | None
    latency: float
    rate_limit: int
    rate_window: float
    cursor_lifetime: float
    strict: bool
    gzip: bool
    webhook_url: str | None
    webhook_secret: str


class Sandbox(Handle):
    """A sandbox on a free port; as a context manager it stops at the end of the block."""

    def __init__(self, **options: Unpack[SandboxOptions]) -> None:
        self._options = [
            argument for name, value in options.items() for argument in _arguments(name, value)
        ]
        self._directory = tempfile.TemporaryDirectory(prefix="kombo-sandbox-")
        try:
            super().__init__(self._start(port=0))
        except BaseException:
            self._directory.cleanup()
            raise

    @staticmethod
    def attach(url: str) -> Handle:
        """Return a handle for a running sandbox."""
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
        """Stop the server, and start it again on the same port.

        Records, integrations, clock and cursors are kept. Faults, the request log and options set
        after the start are lost.
        """
        self._terminate()
        self._start(self._address[1])

    def _start(self, port: int) -> str:
        """Start the server, and return its URL once it is ready."""
        data = Path(self._directory.name, "data.sqlite")
        serve = ["serve", "--json", "--until-eof", f"--port={port}", f"--data={data}"]
        # stdin closes when this process ends for any reason, and then the server stops.
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


def _arguments(name: str, value: Any) -> list[str]:
    """Return an option as arguments of the command."""
    option = f"--{name.replace('_', '-')}"
    if value is None or value is False:
        return []
    if value is True:
        return [option]
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = ",".join(map(str, value))
    return [f"{option}={value}"]
