from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kombo_sandbox import Sandbox


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores, because many tests mostly wait."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take minutes: one of them at the end would keep the rest waiting.

    Else the order is the random one.
    """
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/end_to_end", "tests/histories")))


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
