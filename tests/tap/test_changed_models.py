"""The setting `changed_models`: a run reads only the models of a `data-changed` webhook."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.tap import TapRun, catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox
from tap_kombo.streams import MODELS

INCREMENTAL = [model.name for model in MODELS if model.stream_class.replication_key]
PATHS = {model.name: model.path for model in MODELS}

SANDBOX_MODELS = {
    "hris_teams": "hris_groups",
    "hris_join_employees_teams": "hris_group_memberships",
    "hris_join_staffing_entities_groups": "hris_staffing_groups",
    "hris_join_staffing_entities_legal_entities": "hris_staffing_legal_entities",
    "hris_join_staffing_entities_locations": "hris_staffing_locations",
    "hris_join_staffing_entities_skills": "hris_staffing_skills",
    "ats_join_candidates_tags": "ats_candidate_tags",
    "ats_join_interviews_users": "ats_interviewers",
    "ats_join_jobs_users": "ats_hiring_team_members",
    "ats_join_user_job_role_assignments": "ats_hiring_team_members",
    "ats_join_users_roles": "ats_system_role_assignments",
}
"""Model in a webhook -> the sandbox's model, if they differ"""

NESTED = [
    *SANDBOX_MODELS,
    *("ats_application_stages", "ats_applications", "ats_candidates", "ats_interviews"),
    *("ats_job_postings", "ats_offers", "ats_roles", "ats_screening_questions", "ats_tags"),
    *("ats_users", "hris_absence_types", "hris_employees", "hris_employments"),
    *("hris_legal_entities", "hris_locations", "hris_payslip_line_items"),
    *("hris_performance_review_cycles", "hris_time_off_balances", "lms_course_revisions"),
]
"""The models whose changes `updated_after` tracks in other models, or that have no endpoint"""


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    """Two integrations of each category."""
    categories = ("ATS", "HRIS", "LMS")
    with Sandbox(integrations=2, offers=40, seed=21, categories=categories) as sandbox:
        yield sandbox


@pytest.fixture
def state(kombo: Sandbox) -> dict[str, Any]:
    """The state after a complete run; no earlier change is read again."""
    bookmark = kombo.advance(seconds=3600)
    kombo.advance(seconds=3600)
    kombo.clear_requests()
    category = {one["id"]: one["category"].lower() for one in kombo.records("integrations")}
    return {
        "bookmarks": {
            stream: {
                "partitions": [
                    {
                        "context": {"integration_id": integration_id},
                        "replication_key": "changed_at",
                        "replication_key_value": bookmark,
                    }
                    for integration_id in kombo.integration_ids
                    if stream.startswith(f"{category[integration_id]}_")
                ]
            }
            for stream in INCREMENTAL
        }
    }


def run_incremental(kombo: Sandbox, state: Any, **settings: Any) -> TapRun:
    """Read all incremental streams, or only those of `changed_models`."""
    return run_tap(
        settings_for(kombo, lookback_seconds=0, **settings),
        state=state,
        catalog=catalog_with(*INCREMENTAL),
    )


def integrations_with(kombo: Sandbox, category: str) -> list[str]:
    return [one["id"] for one in kombo.records("integrations") if one["category"] == category]


def records(run: TapRun) -> list[tuple[str, dict[str, Any]]]:
    return sorted(
        ((stream, record) for stream, found in run.records.items() for record in found),
        key=lambda found: (found[0], found[1]["id"]),
    )


def requested(kombo: Sandbox) -> set[tuple[str | None, str]]:
    """Return the integrations and paths of the requests for models."""
    return {(r.integration_id, r.path) for r in kombo.requests() if r.path in PATHS.values()}


@pytest.mark.parametrize("model", NESTED)
def test_a_run_of_changed_models_emits_everything_that_a_full_run_would(
    kombo: Sandbox, state: Any, model: str
) -> None:
    integration_id, _ = integrations_with(kombo, model.partition("_")[0].upper())
    sandbox_model = SANDBOX_MODELS.get(model, model)
    kombo.delete(sandbox_model, integration_id=integration_id)
    if "_join_" not in model:  # most links have no values that could change
        kombo.change(sandbox_model, integration_id=integration_id)

    scoped = run_incremental(kombo, state, changed_models={integration_id: [model]})
    full = run_incremental(kombo, state)

    assert scoped.code == 0
    assert records(scoped) == records(full) != []


def test_only_the_streams_of_the_changed_models_are_requested(kombo: Sandbox, state: Any) -> None:
    first, second = integrations_with(kombo, "HRIS")

    run = run_incremental(
        kombo,
        state,
        changed_models={first: ["hris_employments", "hris_teams"], second: ["hris_absences"]},
    )

    assert run.code == 0
    assert requested(kombo) == {
        (first, "/hris/employees"),
        (first, "/hris/employments"),
        (first, "/hris/groups"),
        (first, "/hris/staffing-entities"),
        (second, "/hris/absences"),
    }
    assert {r.path for r in kombo.requests()} - set(PATHS.values()) == {
        "/check-api-key",
        f"/integrations/{first}",
        f"/integrations/{second}",
    }


def test_the_state_of_other_streams_and_integrations_stays(kombo: Sandbox, state: Any) -> None:
    integration_id, _ = integrations_with(kombo, "ATS")

    run = run_incremental(kombo, state, changed_models={integration_id: ["ats_tags"]})

    moved = {
        (stream, partition["context"]["integration_id"])
        for stream, value in state["bookmarks"].items()
        for partition in value["partitions"]
        if run.partition(stream, partition["context"]["integration_id"]) != partition
    }
    assert moved == {("ats_tags", integration_id), ("ats_candidates", integration_id)}


def test_a_run_without_changed_models_sends_no_requests_and_keeps_the_state(
    kombo: Sandbox, state: Any
) -> None:
    run = run_incremental(kombo, state, changed_models={})

    assert run.code == 0
    assert run.warnings == []
    assert run.records == {}
    assert run.state == state
    assert kombo.requests() == []
    assert any("`changed_models`: " in line and "nothing is read" in line for line in run.log)


def test_an_unknown_model_reads_its_category_with_one_warning(kombo: Sandbox, state: Any) -> None:
    integration_id, _ = integrations_with(kombo, "LMS")

    run = run_incremental(kombo, state, changed_models={integration_id: ["lms_badges"]})

    [warning] = run.warnings
    assert "lms_badges" in warning
    assert requested(kombo) == {
        (integration_id, path) for name, path in PATHS.items() if name.startswith("lms_")
    }


def test_an_unknown_integration_is_ignored_with_one_warning(kombo: Sandbox, state: Any) -> None:
    integration_id, _ = integrations_with(kombo, "LMS")
    changed = {"lever:unknown": ["ats_jobs"], integration_id: ["lms_users"]}

    run = run_incremental(kombo, state, changed_models=changed)

    assert run.code == 0
    [warning] = run.warnings
    assert "lever:unknown" in warning
    assert requested(kombo) == {(integration_id, "/lms/users")}


def test_streams_without_a_webhook_are_not_read(kombo: Sandbox) -> None:
    integration_id, _ = integrations_with(kombo, "HRIS")

    run = run_tap(settings_for(kombo, changed_models={integration_id: ["hris_skills"]}))

    assert set(run.records) == {"hris_skills", "hris_staffing_entities", "sync_status"}


def test_a_full_run_after_runs_of_changed_models_emits_nothing_twice(
    kombo: Sandbox, state: Any
) -> None:
    """`updated_after` is inclusive, so time has to pass between a change and a run."""
    integration_id, _ = integrations_with(kombo, "ATS")
    emitted = []
    for model in ("ats_jobs", "ats_offers", "ats_candidates"):
        kombo.change(model, integration_id=integration_id)
        kombo.advance(seconds=60)
        run = run_incremental(kombo, state, changed_models={integration_id: [model]})
        emitted += records(run)
        state = run.state
        kombo.advance(seconds=60)
    kombo.change("ats_tags", integration_id=integration_id)
    kombo.advance(seconds=60)

    full = run_incremental(kombo, state)

    assert {stream for stream, _ in emitted} >= {"ats_jobs", "ats_offers", "ats_candidates"}
    assert [stream for stream, _ in records(full)] == ["ats_tags"]
