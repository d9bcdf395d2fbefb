"""Kombo's official client works with the sandbox as with Kombo."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

import kombo
import pytest
from kombo.errors import KomboAtsError
from sandbox_client import Categories, Client, Record

from kombo_sandbox import Handle
from kombo_sandbox.models import SERVED

# Methods that are not named `get_` and the end of the model's name.
METHODS = {
    "ats_attachments": "get_ats_attachments",
    "ats_scorecards": "get_ats_scorecards",
    "hris_pay_runs": "get_hris_pay_runs",
    "hris_payslips": "get_hris_payslips",
    "assessment_orders": "get_assessment_orders",
}
# The client does not support the LMS and these models; packages have no pages.
UNSUPPORTED = {"hris_skills", "hris_employee_skill_assignments", "assessment_packages"}
PAGED = [
    model.id
    for model in SERVED
    if model.category not in {"LMS", None} and model.id not in UNSUPPORTED
]


def official(sandbox: Handle, integration_id: str) -> kombo.Kombo:
    return kombo.Kombo(
        api_key=sandbox.api_key, integration_id=integration_id, server_url=sandbox.url
    )


def pages(page: Any) -> Iterator[Any]:
    while page is not None:
        yield from page.result.data.results
        page = page.next()


def equal(read: Any, sent: Any) -> bool:
    """Compare a value of the client with the JSON, without properties unknown to the client."""
    if isinstance(read, dict) and isinstance(sent, dict):
        return all(equal(value, sent.get(name)) for name, value in read.items())
    if isinstance(read, list) and isinstance(sent, list):
        return len(read) == len(sent) and all(map(equal, read, sent))
    if isinstance(read, datetime):
        return read == datetime.fromisoformat(sent)
    if isinstance(read, date):
        return read.isoformat() == str(sent)
    return bool(read == sent)


def assert_equal(read: list[Any], sent: list[Record]) -> None:
    assert [record.id for record in read] == [record["id"] for record in sent]
    for record, truth in zip(read, sent, strict=True):
        for name, value in record.model_dump(by_alias=True).items():
            assert equal(value, truth[name]), name


@pytest.mark.parametrize("model", PAGED)
def test_the_official_client_pages_through_a_list(categories: Categories, model: str) -> None:
    category, _, name = model.partition("_")
    client = categories.clients[category.upper()]
    with official(categories.sandbox, client.integration_id) as api:
        method = getattr(getattr(api, category), METHODS.get(model, f"get_{name}"))
        read = list(pages(method(page_size=40)))
    assert read
    assert_equal(read, client.stored(model, include_deleted=False))


def test_the_official_client_reads_packages(categories: Categories) -> None:
    client = categories.clients["ASSESSMENT"]
    with official(categories.sandbox, client.integration_id) as api:
        read = api.assessment.get_packages().data.packages
    assert_equal(read, client.stored("assessment_packages"))


@pytest.mark.parametrize("model", ["custom_fields", "integration_fields"])
def test_the_official_client_reads_the_fields_of_an_integration(
    categories: Categories, model: str
) -> None:
    client = categories.clients["HRIS"]
    with official(categories.sandbox, client.integration_id) as api:
        method = getattr(api.general, f"get_{model}")
        read = list(pages(method(integration_id=client.integration_id, page_size=20)))
    assert_equal(read, client.stored(model))


def test_the_official_client_reads_the_details_of_an_integration(categories: Categories) -> None:
    for integration_id in categories.sandbox.integration_ids:
        with official(categories.sandbox, integration_id) as api:
            details = api.general.get_integration_details(integration_id=integration_id).data
        assert details.id == integration_id
        assert details.tool.id == integration_id.partition(":")[0]
        models = categories.sandbox.records("integration_models", integration_id)
        assert [(one.id, one.is_available) for one in details.read_models] == [
            (one["id"], one["is_available"]) for one in models
        ]


def test_the_official_client_finds_changes_since_a_moment(client: Client) -> None:
    since = datetime.fromisoformat(client.sandbox.clock())
    changed = client.sandbox.change("ats_offers", count=3, integration_id=client.integration_id)
    with official(client.sandbox, client.integration_id) as api:
        assert {one.id for one in pages(api.ats.get_offers(updated_after=since))} == set(changed)


def test_the_official_client_checks_its_api_key(client: Client) -> None:
    with official(client.sandbox, client.integration_id) as api:
        assert api.general.check_api_key().data.environment_id


def test_the_official_client_raises_its_own_error_with_the_code(client: Client) -> None:
    client.sandbox.fault("/ats/offers", code="INTEGRATION.PERMISSION_MISSING", count=1)
    with (
        official(client.sandbox, client.integration_id) as api,
        pytest.raises(KomboAtsError) as caught,
    ):
        api.ats.get_offers()
    assert caught.value.data.error.code == "INTEGRATION.PERMISSION_MISSING"
