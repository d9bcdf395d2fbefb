from __future__ import annotations

import os
from typing import Any

import pytest

from scripts.update_schemas import Endpoint, Kombo, document_at, in_client, in_document


@pytest.fixture(scope="session")
def client() -> dict[str, Endpoint]:
    return in_client()


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """Return Kombo's document, which is not ours to publish: a path or URL in KOMBO_OPENAPI."""
    source = os.environ.get("KOMBO_OPENAPI")
    if not source:
        pytest.skip("KOMBO_OPENAPI names no file or URL of Kombo's OpenAPI document")
    return document_at(source)


@pytest.fixture(scope="session")
def kombo(document: dict[str, Any], client: dict[str, Endpoint]) -> Kombo:
    """Return both sources: Kombo's document and its official client."""
    return Kombo(in_document(document), client)
