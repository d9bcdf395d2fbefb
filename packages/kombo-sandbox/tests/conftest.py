from __future__ import annotations

from collections.abc import Iterator

import pytest
from sandbox_client import Categories, Client

from kombo_sandbox import Sandbox
from kombo_sandbox.models import CATEGORIES, SERVED

DETAIL_MODELS = ("integrations", "integration_models")


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Sandbox]:
    with Sandbox(integrations=2, offers=50, seed=5) as sandbox:
        yield sandbox
        sandbox.clear_faults()


@pytest.fixture
def sandbox(shared_sandbox: Sandbox) -> Sandbox:
    """A sandbox with two integrations of an ATS, without faults."""
    shared_sandbox.clear_faults()
    shared_sandbox.clear_requests()
    shared_sandbox.clear_schedule()
    shared_sandbox.set_listing(strict=False, order="oldest first", sparse=False)
    shared_sandbox.rate_limit(limit=1_000_000, window_seconds=60)
    # Changes of this test are later than those of other tests.
    shared_sandbox.advance(60)
    return shared_sandbox


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """A client of an integration that no other test uses."""
    integration_id = sandbox.add_integration("personio", offers=50)
    client = Client(sandbox, integration_id)
    yield client
    client.session.close()
    sandbox.remove_integration(integration_id)


@pytest.fixture(scope="session")
def shared_categories() -> Iterator[Categories]:
    with Sandbox(integrations=2, offers=120, categories=CATEGORIES, seed=3) as sandbox:
        models = (*(model.id for model in SERVED), *DETAIL_MODELS)
        seeded = {model: sandbox.records(model) for model in models}
        clients: dict[str | None, Client] = {}
        for record in seeded["integrations"]:
            clients.setdefault(record["category"], Client(sandbox, record["id"]))
        # Models without a category are tested with the records of an HRIS.
        clients[None] = clients["HRIS"]
        yield Categories(sandbox, seeded, clients)
        for client in clients.values():
            client.session.close()


@pytest.fixture
def categories(shared_categories: Categories) -> Categories:
    shared_categories.sandbox.advance(60)
    return shared_categories
