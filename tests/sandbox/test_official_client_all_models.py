"""Kombo's own client reads every list that it knows, without a validation error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import kombo
import pytest

from kombo_sandbox import Sandbox
from kombo_sandbox.models import CATEGORIES, SERVED
from tests.sandbox.test_official_client import equal, official

# What it calls otherwise than `get_` and the end of the model's name.
METHODS = {
    "ats_attachments": "get_ats_attachments",
    "ats_scorecards": "get_ats_scorecards",
    "hris_pay_runs": "get_hris_pay_runs",
    "hris_payslips": "get_hris_payslips",
    "assessment_orders": "get_assessment_orders",
}
# It has no LMS, and of HRIS not these.
UNKNOWN = {"hris_skills", "hris_employee_skill_assignments"}
KNOWN = [
    model.id
    for model in SERVED
    if model.category not in {"LMS", None} and model.id not in UNKNOWN | {"assessment_packages"}
]
ABOUT_FIELDS = {"integration_fields", "custom_fields"}


@pytest.fixture(scope="module")
def whole() -> Iterator[Sandbox]:
    with Sandbox(integrations=2, offers=120, categories=CATEGORIES, seed=6) as sandbox:
        yield sandbox


def clients_for(sandbox: Sandbox, model: str) -> Iterator[kombo.Kombo]:
    for integration in sandbox.records("integrations"):
        models = sandbox.records("integration_models", integration["id"])
        if any(one["id"] == model and one["is_available"] for one in models):
            with official(sandbox, integration["id"]) as client:
                yield client


def all_pages(page: Any) -> list[Any]:
    records: list[Any] = []
    while page is not None:
        records += page.result.data.results
        page = page.next()
    return records


def assert_read(read: list[Any], held: list[Any]) -> None:
    assert [record.id for record in read] == [record["id"] for record in held]
    for record, truth in zip(read, held, strict=True):
        for name, value in record.model_dump(by_alias=True, mode="python").items():
            assert equal(value, truth[name]), name


@pytest.mark.parametrize("model", KNOWN)
def test_it_pages_through_a_list(whole: Sandbox, model: str) -> None:
    category, _, name = model.partition("_")
    read: list[Any] = []
    for client in clients_for(whole, model):
        method = getattr(getattr(client, category), METHODS.get(model, f"get_{name}"))
        read += all_pages(method(page_size=20))
    assert read
    assert_read(read, whole.records(model, include_deleted=False))


def test_it_reads_the_packages(whole: Sandbox) -> None:
    read: list[Any] = []
    for client in clients_for(whole, "assessment_packages"):
        read += client.assessment.get_packages().data.packages
    assert_read(read, whole.records("assessment_packages"))


@pytest.mark.parametrize("model", sorted(ABOUT_FIELDS))
def test_it_reads_the_fields_of_an_integration(whole: Sandbox, model: str) -> None:
    for integration_id in whole.integration_ids:
        with official(whole, integration_id) as client:
            method = getattr(client.general, f"get_{model}")
            read = all_pages(method(integration_id=integration_id, page_size=20))
        assert_read(read, whole.records(model, integration_id))


def test_it_reads_the_details_of_integrations_of_each_category(whole: Sandbox) -> None:
    for integration_id in whole.integration_ids:
        with official(whole, integration_id) as client:
            details = client.general.get_integration_details(integration_id=integration_id).data
        truth = whole.records("integration_models", integration_id)
        assert [model.id for model in details.read_models] == [model["id"] for model in truth]
        assert [model.is_available for model in details.read_models] == [
            model["is_available"] for model in truth
        ]
