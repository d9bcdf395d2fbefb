"""How many histories are lived through: some in `make test`, many in `make soak`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis.stateful import run_state_machine_as_test

from kombo_sandbox import Sandbox
from tests.histories.history import History
from tests.warm_tap import WarmTap

SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))

USUAL = hypothesis.settings(
    max_examples=14,
    stateful_step_count=20,
    # A history takes a second or so, and where a run is slow, the machine is.
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    # What has failed becomes a test with a name, rather than a file on one machine.
    database=None,
    print_blob=True,
)
LONG = hypothesis.settings(USUAL, max_examples=6, stateful_step_count=50)

PATIENCE = pytest.mark.timeout(900 + 60 * SOAK_MINUTES)
"""A history that fails is made shorter, for five minutes at most, until it tells what matters."""

Live = Callable[[type[History]], None]


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    """Two integrations with a handful of records each; every history begins with a reset."""
    with Sandbox(integrations=2, offers=3, seed=23) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def tap() -> Iterator[WarmTap]:
    with WarmTap() as tap:
        yield tap


@pytest.fixture
def live(
    kombo: Sandbox, tap: WarmTap, record_property: Callable[[str, object], None]
) -> Iterator[Live]:
    """Live through random histories, for as long as it is set."""
    histories = 0

    def live(kind: type[History]) -> None:
        def begin() -> History:
            nonlocal histories
            histories += 1
            return kind(kombo, tap)

        # Any callable will do, whatever the annotation says.
        machine: Any = begin
        end = time.monotonic() + 60 * SOAK_MINUTES
        run_state_machine_as_test(machine, settings=LONG if SOAK_MINUTES else USUAL)
        while time.monotonic() < end:
            run_state_machine_as_test(machine, settings=LONG)

    yield live
    record_property("histories", histories)
    record_property("runs", tap.runs)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts = {"histories": 0, "runs": 0}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name in counts and report.when == "teardown":
                    counts[name] += value
    if counts["runs"]:
        terminalreporter.write_line(
            f"{counts['histories']} histories with {counts['runs']} runs of the tap."
        )
