"""The marts agree with Kombo's records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from databases import DuckdbCopy, PostgresCopy

from harness.dbt import DbtProject
from harness.postgres import Postgres
from kombo_sandbox import Sandbox

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=["postgres", "duckdb"])
def marts(
    request: pytest.FixtureRequest,
    database: Postgres,
    messages: bytes,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[PostgresCopy | DuckdbCopy]:
    """A copy in which all models were built."""
    folder = tmp_path_factory.mktemp("marts")
    copy: PostgresCopy | DuckdbCopy = DuckdbCopy(folder)
    if request.param == "postgres":
        copy = PostgresCopy(database, folder, "marts")
    copy.load(messages)
    project = DbtProject(folder / "project", copy.profile, {"kombo_schema": copy.schema})
    run = project.run("run")
    assert run.code == 0, run.output
    yield copy
    if isinstance(copy, PostgresCopy):
        copy.drop()


def live(kombo: Sandbox, stream: str) -> list[dict[str, Any]]:
    return [
        record | {"integration_id": name}
        for name in kombo.integration_ids
        for record in kombo.records(stream, name, include_deleted=False)
    ]


def time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=None)


def day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text[:10])


def days_between(start: str | None, end: str | None) -> int | None:
    first, last = day(start), day(end)
    return (last - first).days if first and last else None


def months() -> Iterator[tuple[date, date]]:
    """Yield the first and the last day of this month and the 35 months before it."""
    first = datetime.now(UTC).date().replace(day=1)
    for _ in range(36):
        following = (first + timedelta(days=31)).replace(day=1)
        yield first, following - timedelta(days=1)
        first = (first - timedelta(days=1)).replace(day=1)


def test_applications_have_their_funnel(marts: PostgresCopy | DuckdbCopy, kombo: Sandbox) -> None:
    interviews = [r for r in live(kombo, "ats_interviews") if not r["canceled"]]
    offers = live(kombo, "ats_offers")
    stages = {stage["id"]: stage["name"] for stage in live(kombo, "ats_application_stages")}
    expected = {}
    for record in live(kombo, "ats_applications"):
        own_interviews = [
            r["starting_at"] for r in interviews if r["application_id"] == record["id"]
        ]
        own_offers = [r["remote_created_at"] for r in offers if r["application_id"] == record["id"]]
        step = "offer" if own_offers else "interview" if own_interviews else "applied"
        first_interview = min(own_interviews, default=None)
        expected[record["id"]] = {
            "candidate_id": record["candidate_id"],
            "job_id": record["job_id"],
            "current_stage_name": stages.get(record["current_stage_id"]),
            "furthest_step": "hired" if record["outcome"] == "HIRED" else step,
            "interviews": len(own_interviews),
            "offers": len(own_offers),
            "applied_at": time(record["remote_created_at"]),
            "first_interview_at": time(first_interview),
            "first_offer_at": time(min(own_offers, default=None)),
            "days_to_interview": days_between(record["remote_created_at"], first_interview),
            "days_to_rejection": days_between(record["remote_created_at"], record["rejected_at"]),
        }

    rows = {row["application_id"]: row for row in marts.models("kombo__applications")}

    assert len({row["furthest_step"] for row in expected.values()}) > 2
    assert {
        id_: {name: row[name] for name in expected[id_]} for id_, row in rows.items()
    } == expected


def test_offers_have_their_candidate_and_job(
    marts: PostgresCopy | DuckdbCopy, kombo: Sandbox
) -> None:
    applications = {record["id"]: record for record in live(kombo, "ats_applications")}
    candidates = {record["id"]: record for record in live(kombo, "ats_candidates")}
    jobs = {record["id"]: record for record in live(kombo, "ats_jobs")}
    customers = {r["id"]: r["end_user"]["origin_id"] for r in live(kombo, "integrations")}
    expected = set()
    for offer in live(kombo, "ats_offers"):
        application = applications.get(offer["application_id"], {})
        candidate = candidates.get(application.get("candidate_id"), {})
        job = jobs.get(application.get("job_id"), {})
        expected.add(
            (
                offer["id"],
                customers[offer["integration_id"]],
                offer["integration_id"].split(":")[0],
                candidate.get("last_name"),
                job.get("name"),
            )
        )

    rows = marts.models("kombo__offers")

    columns = ("offer_id", "origin_id", "tool", "last_name", "job_name")
    assert {tuple(row[name] for name in columns) for row in rows} == expected


def test_headcount_is_of_the_last_day_of_each_month(
    marts: PostgresCopy | DuckdbCopy, kombo: Sandbox
) -> None:
    employments = live(kombo, "hris_employments")
    expected: Counter[tuple[Any, ...]] = Counter()
    for employee in live(kombo, "hris_employees"):
        own = [e for e in employments if e["employee_id"] == employee["id"] and e["effective_date"]]
        dated = sorted(own, key=lambda e: (e["effective_date"], e["changed_at"]))
        start = day(employee["start_date"]) or (day(dated[0]["effective_date"]) if dated else None)
        end = day(employee["termination_date"])
        for month, last_day in months():
            if start and start <= last_day and (end is None or end >= last_day):
                current = [e for e in dated if (day(e["effective_date"]) or month) <= last_day]
                kind = (current[-1]["employment_type"] if current else None) or employee[
                    "employment_type"
                ]
                expected[employee["integration_id"], month, kind] += 1

    rows = marts.models("kombo__headcount_by_month")

    found = {(r["integration_id"], r["month"], r["employment_type"]): r["headcount"] for r in rows}
    assert found == expected
    assert len(set(expected.values())) > 1


def test_absences_are_divided_among_months(
    marts: PostgresCopy | DuckdbCopy, kombo: Sandbox
) -> None:
    types = {record["id"]: record["name"] for record in live(kombo, "hris_absence_types")}
    number: Counter[tuple[Any, ...]] = Counter()
    amounts: dict[tuple[Any, ...], Decimal] = {}
    for absence in live(kombo, "hris_absences"):
        start, end = day(absence["start_date"]), day(absence["end_date"] or absence["start_date"])
        if not start or not end:
            continue
        for month, last_day in months():
            part = (min(end, last_day) - max(start, month)).days + 1
            if part > 0:
                key = (
                    absence["integration_id"],
                    month,
                    types.get(absence["type_id"]),
                    absence["status"],
                    absence["unit"],
                )
                number[key] += 1
                amount = Decimal(str(absence["amount"] or 0)) * part / ((end - start).days + 1)
                amounts[key] = amounts.get(key, Decimal(0)) + amount

    this_month = next(months())[0]
    rows = [r for r in marts.models("kombo__absences_by_month") if r["month"] <= this_month]

    columns = ("integration_id", "month", "type_name", "status", "unit")
    found = {tuple(row[name] for name in columns): row for row in rows}
    assert {key: row["absences"] for key, row in found.items()} == number
    for key, amount in amounts.items():
        assert abs(Decimal(str(found[key]["amount"] or 0)) - amount) <= Decimal("0.01"), key
