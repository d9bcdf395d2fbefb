from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kombo_sandbox import Sandbox


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, because many tests mostly wait."""
    return (os.cpu_count() or 1) + 1


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox(integrations=3, offers=600, seed=11) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """A Kombo with three integrations, in good health; tests may change what it holds."""
    shared_sandbox.clear_faults()
    shared_sandbox.clear_requests()
    # What earlier tests changed is out of reach of a lookback.
    shared_sandbox.advance(seconds=3600)
    return shared_sandbox
