from __future__ import annotations

from collections.abc import Iterator

import pytest

from kombo_sandbox import Sandbox
from tests.sandbox.client import Client


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox(integrations=3, offers=60, seed=5) as sandbox:
        yield sandbox
        sandbox.clear_faults()


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """Three integrations of different tools, in good health."""
    running.clear_faults()
    running.clear_requests()
    running.rate_limit(limit=1_000_000, window_seconds=60)
    # What other tests did lies in the past.
    running.advance(60)
    return running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """Asks for an integration of its own."""
    integration_id = sandbox.add_integration(offers=80)
    yield Client(sandbox, integration_id)
    sandbox.remove_integration(integration_id)
