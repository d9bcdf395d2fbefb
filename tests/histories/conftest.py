"""Random histories: a few in `make test`, and for SOAK_MINUTES in `make soak`."""

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

SOAK_MINUTES = float(os.environ.get("SOAK_MINUTES", "0"))

FEW = hypothesis.settings(
    max_examples=6,
    stateful_step_count=20,
    deadline=None,  # a sync takes as long as the machine needs
    suppress_health_check=[HealthCheck.too_slow],
    database=None,  # a history that fails becomes a test in test_short_histories.py
    print_blob=True,
)
MANY = hypothesis.settings(FEW, max_examples=6, stateful_step_count=50)

TIMEOUT = pytest.mark.timeout(900 + 60 * SOAK_MINUTES)
"""Hypothesis takes up to five minutes to shorten a history that fails"""

RunHistories = Callable[[type[History]], None]


@pytest.fixture(scope="module")
def small_sandbox() -> Iterator[Sandbox]:
    """A sandbox with a few records; each history resets it."""
    with Sandbox(integrations=2, offers=3, seed=23) as sandbox:
        yield sandbox


@pytest.fixture
def run_histories(small_sandbox: Sandbox) -> RunHistories:
    def run(kind: type[History]) -> None:
        # Hypothesis accepts any function that returns a state machine, unlike its annotation.
        new_history: Any = lambda: kind(small_sandbox)  # noqa: E731
        deadline = time.monotonic() + 60 * SOAK_MINUTES
        run_state_machine_as_test(new_history, settings=FEW)
        while time.monotonic() < deadline:
            run_state_machine_as_test(new_history, settings=MANY)

    return run
