from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.tap import quick_retries
from kombo_sandbox import Sandbox


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores, because many tests mostly wait."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the slowest folders, so that no worker is left alone with one of them."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/end_to_end", "tests/histories")))


@pytest.fixture(name="quick_retries")
def quick_retries_fixture() -> Iterator[None]:
    """Pauses between retries are short."""
    with quick_retries():
        yield


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox(integrations=3, offers=400, seed=11) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """A sandbox with three integrations, without faults; tests may change its records."""
    shared_sandbox.clear_faults()
    shared_sandbox.clear_requests()
    # A lookback does not reach the changes of earlier tests.
    shared_sandbox.advance(seconds=3600)
    return shared_sandbox
