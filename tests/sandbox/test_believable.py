"""The seeded data looks like what customers have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from kombo_sandbox import Sandbox
from tests.sandbox.client import PATHS, Record

KOMBO_ID = re.compile(r"[1-9A-HJ-NP-Za-km-z]{24}")


@pytest.fixture(scope="module")
def fresh() -> Iterator[Sandbox]:
    """A sandbox that nobody drives."""
    with Sandbox(integrations=3, offers=[400, 0, 30], seed=1) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def held(fresh: Sandbox) -> dict[str, list[Record]]:
    return {model: fresh.records(model) for model in PATHS}


def test_an_integration_has_exactly_the_offers_that_were_asked_for(fresh: Sandbox) -> None:
    sizes = [len(fresh.records("ats_offers", one)) for one in fresh.integration_ids]
    assert sizes == [400, 0, 30]


@pytest.mark.parametrize("model", PATHS)
def test_ids_are_kombos_and_unique(held: dict[str, list[Record]], model: str) -> None:
    ids = [record["id"] for record in held[model]]
    assert all(KOMBO_ID.fullmatch(id_) for id_ in ids)
    assert len(set(ids)) == len(ids)
    assert all(record["remote_id"] for record in held[model])


@pytest.mark.parametrize("model", PATHS)
def test_all_records_have_the_same_fields_and_each_is_filled_somewhere(
    held: dict[str, list[Record]], model: str
) -> None:
    assert len({tuple(record) for record in held[model]}) == 1
    for name in held[model][0].keys() - {"remote_deleted_at"}:
        assert any(record[name] not in (None, [], {}) for record in held[model]), name


def test_offers_belong_to_applications_of_candidates_for_jobs(
    held: dict[str, list[Record]],
) -> None:
    by_id = {model: {record["id"]: record for record in held[model]} for model in PATHS}
    for offer in held["ats_offers"]:
        application = by_id["ats_applications"][offer["application_id"]]
        assert offer["application"]["candidate"]["id"] == application["candidate_id"]
        assert offer["application"]["job"]["id"] == application["job_id"]
        assert application["candidate_id"] in by_id["ats_candidates"]
        stages = by_id["ats_jobs"][application["job_id"]]["stages"]
        assert application["current_stage"]["id"] in {stage["id"] for stage in stages}
        assert offer["remote_created_at"] >= application["remote_created_at"]


def test_a_few_records_are_deleted(held: dict[str, list[Record]]) -> None:
    deleted = [record for record in held["ats_offers"] if record["remote_deleted_at"]]
    assert 0 < len(deleted) < len(held["ats_offers"]) / 5


def test_what_happened_lies_in_the_past_two_years(
    held: dict[str, list[Record]], fresh: Sandbox
) -> None:
    now = datetime.fromisoformat(fresh.clock())
    for record in (record for model in PATHS for record in held[model]):
        created, changed = (
            datetime.fromisoformat(record[name]) for name in ("remote_created_at", "changed_at")
        )
        assert now - timedelta(days=750) < created <= changed <= now


def test_people_have_addresses_only_at_example_domains(held: dict[str, list[Record]]) -> None:
    for candidate in held["ats_candidates"]:
        for address in candidate["email_addresses"]:
            assert re.fullmatch(r"[a-z0-9.]+@example\.(com|net|org)", address["email_address"])


def test_integration_fields_hold_values_of_every_kind(held: dict[str, list[Record]]) -> None:
    values = [
        field["value"] for offer in held["ats_offers"] for field in offer["integration_fields"]
    ]
    kinds = {type(value) for value in values}
    assert kinds >= {str, int, float, bool, dict, type(None)}


def test_some_enums_let_the_word_of_the_tool_through(held: dict[str, list[Record]]) -> None:
    known = {"FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP"}
    assert {job["employment_type"] for job in held["ats_jobs"]} - known


def test_the_same_seed_gives_the_same_data_and_the_same_changes() -> None:
    def run(seed: int) -> tuple[list[str], list[Record], list[str]]:
        with Sandbox(integrations=1, offers=20, seed=seed) as sandbox:
            seeded = [
                {
                    name: value
                    for name, value in record.items()
                    if not name.endswith(("_at", "date"))
                }
                for record in sandbox.records("ats_offers")
            ]
            return sandbox.integration_ids, seeded, sandbox.change("ats_offers", count=2)

    first, again, other = run(seed=1), run(seed=1), run(seed=2)
    assert first == again
    assert all(one != another for one, another in zip(first, other, strict=True))
