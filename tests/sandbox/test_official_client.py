"""Kombo's own client works against the sandbox as it works against Kombo."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import kombo
import pytest
from kombo.errors import KomboAtsError

from kombo_sandbox import Sandbox
from tests.sandbox.client import PATHS


def official(sandbox: Sandbox, integration_id: str) -> kombo.Kombo:
    return kombo.Kombo(
        api_key=sandbox.api_key, integration_id=integration_id, server_url=sandbox.url
    )


@pytest.mark.parametrize("model", PATHS)
def test_it_pages_through_exactly_what_the_sandbox_holds(sandbox: Sandbox, model: str) -> None:
    sandbox.change_nested(model)
    for integration_id in sandbox.integration_ids:
        with official(sandbox, integration_id) as client:
            page = getattr(client.ats, model.replace("ats_", "get_"))(page_size=25)
            records: list[Any] = []
            while page is not None:
                records += page.result.data.results
                page = page.next()
        held = sandbox.records(model, integration_id, include_deleted=False)
        assert [record.id for record in records] == [record["id"] for record in held]
        for record, truth in zip(records, held, strict=True):
            for name, value in record.model_dump(by_alias=True).items():
                assert equal(value, truth[name]), name


def equal(read: Any, truth: Any) -> bool:
    """Whether the client read the truth; it leaves out what it does not know."""
    if isinstance(read, dict) and isinstance(truth, dict):
        return all(equal(value, truth.get(name)) for name, value in read.items())
    if isinstance(read, list) and isinstance(truth, list):
        return len(read) == len(truth) and all(map(equal, read, truth))
    if isinstance(read, datetime):
        return read == datetime.fromisoformat(truth)
    if isinstance(read, date):
        return read.isoformat() == str(truth)
    return bool(read == truth)


def test_it_finds_changes_since_a_moment(sandbox: Sandbox) -> None:
    since = datetime.fromisoformat(sandbox.clock())
    [integration_id, *_] = sandbox.integration_ids
    changed = sandbox.change("ats_offers", count=3, integration_id=integration_id)
    with official(sandbox, integration_id) as client:
        page = client.ats.get_offers(updated_after=since)
        assert page is not None
        assert {offer.id for offer in page.result.data.results} == set(changed)


def test_it_reads_the_details_of_an_integration(sandbox: Sandbox) -> None:
    for integration_id in sandbox.integration_ids:
        with official(sandbox, integration_id) as client:
            details = client.general.get_integration_details(integration_id=integration_id).data
        assert details.id == integration_id
        assert details.tool.id == integration_id.partition(":")[0]
        assert details.category == "ATS"
        assert {model.id for model in details.read_models} > set(PATHS)


def test_it_proves_its_key(sandbox: Sandbox) -> None:
    with official(sandbox, sandbox.integration_ids[0]) as client:
        assert client.general.check_api_key().data.environment_id


def test_it_raises_its_own_error_with_the_code(sandbox: Sandbox) -> None:
    sandbox.fault("/ats/offers", code="INTEGRATION.PERMISSION_MISSING", count=1)
    with (
        official(sandbox, sandbox.integration_ids[0]) as client,
        pytest.raises(KomboAtsError) as caught,
    ):
        client.ats.get_offers()
    assert caught.value.data.error.code == "INTEGRATION.PERMISSION_MISSING"
