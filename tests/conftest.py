from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from harness.tap import quick_retries
from kombo_sandbox import Sandbox


def pytest_xdist_auto_num_workers() -> int:
    """Start two workers more than there are cores: many tests mostly wait."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest folders first, so that they do not finish last."""
    items.sort(key=lambda item: not item.nodeid.startswith(("tests/end_to_end", "tests/histories")))


@pytest.fixture(name="quick_retries")
def quick_retries_fixture() -> Iterator[None]:
    """Shorten the pauses between retries."""
    with quick_retries():
        yield


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox(integrations=3, offers=400, seed=11) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """A sandbox with three integrations; tests may change its records."""
    shared_sandbox.clear_faults()
    shared_sandbox.clear_requests()
    # Keep the changes of earlier tests out of the lookback.
    shared_sandbox.advance(seconds=3600)
    return shared_sandbox
