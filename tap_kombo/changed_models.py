"""The setting `changed_models`: the models in a `data-changed` webhook become streams to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tap_kombo.responses import is_model, stream_name
from tap_kombo.streams import MODELS

NESTED_IN: dict[str, tuple[str, ...]] = {
    "ats_application_stages": ("ats_applications", "ats_jobs"),
    "ats_applications": ("ats_candidates", "ats_interviews", "ats_offers"),
    "ats_candidates": ("ats_applications",),
    "ats_interviews": ("ats_applications",),
    "ats_job_postings": ("ats_jobs",),
    "ats_join_candidates_tags": ("ats_candidates",),
    "ats_join_interviews_users": ("ats_interviews",),
    "ats_join_jobs_application_stages": ("ats_jobs",),
    "ats_join_jobs_screening_questions": ("ats_jobs",),
    "ats_join_jobs_users": ("ats_jobs",),
    "ats_join_user_job_role_assignments": ("ats_jobs", "ats_users"),
    "ats_join_users_roles": ("ats_jobs", "ats_users"),
    "ats_offers": ("ats_applications",),
    "ats_roles": ("ats_users",),
    "ats_screening_questions": ("ats_applications", "ats_jobs"),
    "ats_tags": ("ats_candidates",),
    "ats_users": ("ats_interviews", "ats_jobs"),
    "hris_absence_types": ("hris_absences", "hris_time_off_balances"),
    "hris_employee_skill_proficiency_ratings": ("hris_employee_skill_assignments", "hris_skills"),
    "hris_employees": ("hris_performance_reviews",),
    "hris_employments": ("hris_employees",),
    "hris_groups": ("hris_employees", "hris_staffing_entities"),
    "hris_join_employees_teams": ("hris_employees",),
    "hris_join_staffing_entities_groups": ("hris_staffing_entities",),
    "hris_join_staffing_entities_legal_entities": ("hris_staffing_entities",),
    "hris_join_staffing_entities_locations": ("hris_staffing_entities",),
    "hris_join_staffing_entities_skills": ("hris_staffing_entities",),
    "hris_legal_entities": ("hris_employees", "hris_staffing_entities"),
    "hris_locations": ("hris_employees", "hris_staffing_entities"),
    "hris_payslip_line_items": ("hris_payslips",),
    "hris_performance_review_cycles": ("hris_performance_reviews",),
    "hris_salary_types": ("hris_payslips",),
    "hris_skill_proficiency_scales": ("hris_employee_skill_assignments", "hris_skills"),
    "hris_skill_rating_providers": ("hris_employee_skill_assignments", "hris_skills"),
    "hris_skills": ("hris_staffing_entities",),
    "hris_time_off_balances": ("hris_employees",),
    "lms_course_providers": ("lms_courses",),
    "lms_course_revisions": ("lms_courses",),
    "lms_join_revisions_skills": ("lms_courses",),
}
"""Model -> the streams, besides its own, whose records it is nested in

These are the nested records that `updated_after` tracks, by the description of each endpoint, and
models that have no endpoint.
"""

STREAMS = frozenset(model.name for model in MODELS if is_model(model.name))
"""The streams that a webhook can concern."""


def known_streams(model: str) -> set[str]:
    """Return the streams that a model's changes appear in; none if the model is not known."""
    name = stream_name(model)
    return {name, *NESTED_IN.get(name, ())} & STREAMS


def streams_of(model: str) -> set[str]:
    """Return the streams to read after a change of a model.

    Args:
        model: Kombo's name of the model. One that is not known means its category: `ats_...`.
    """
    category = model.partition("_")[0]
    return known_streams(model) or {s for s in STREAMS if s.partition("_")[0] == category}


def reads(config: Mapping[str, Any], selected: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return the streams to read of each integration.

    Args:
        config: The settings.
        selected: The names of the selected streams.
    """
    integration_ids = config["integration_ids"]
    changed = config.get("changed_models")
    if changed is None:
        return dict.fromkeys(integration_ids, selected)
    found: dict[str, Sequence[str]] = {}
    for integration_id in integration_ids:
        streams = {s for model in changed.get(integration_id, ()) for s in streams_of(model)}
        if names := [name for name in selected if name in streams]:
            found[integration_id] = names
    return found


def warnings(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence about unknown integrations, and one about unknown models."""
    changed = config.get("changed_models", {})
    if integration_ids := sorted(changed.keys() - set(config["integration_ids"])):
        yield (
            f"`changed_models`: not in `integration_ids`: {', '.join(integration_ids)}; ignored."
        )
    models = {model for names in changed.values() for model in names}
    if unknown := sorted(model for model in models if not known_streams(model)):
        yield (
            f"`changed_models`: no such model: {', '.join(unknown)}; all streams of the category "
            "are read."
        )
