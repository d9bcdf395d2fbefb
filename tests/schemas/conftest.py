from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.update_schemas import (
    Endpoint,
    Kombo,
    client_endpoints,
    document_endpoints,
    load_document,
)


@pytest.fixture(scope="session")
def client() -> Mapping[str, Endpoint]:
    return client_endpoints()


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """Return Kombo's document, which is not part of this repository.

    KOMBO_OPENAPI is its path or URL; the default is a folder beside the checkout.
    """
    beside = Path(__file__).parents[3] / "shared" / "kombo-openapi.json"
    source = os.environ.get("KOMBO_OPENAPI") or (str(beside) if beside.exists() else None)
    if not source:
        pytest.skip("KOMBO_OPENAPI does not name Kombo's OpenAPI document")
    return load_document(source)


@pytest.fixture(scope="session")
def kombo(document: dict[str, Any], client: Mapping[str, Endpoint]) -> Kombo:
    """Return both sources: Kombo's document and its official client."""
    return Kombo(document_endpoints(document), client)
