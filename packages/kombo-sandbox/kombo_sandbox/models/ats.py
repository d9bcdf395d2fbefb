"""The models of applicant tracking systems."""

from kombo_sandbox.filters import (
    NAME_CONTAINS,
    Filter,
    among,
    by_enum,
    by_ids,
    equals,
    kombo_ids,
    lowered,
    own,
    since,
)
from kombo_sandbox.models.model import ALL_EXTRAS, UNDATED, Model, NestedList, NestedObject

_NAME = "id remote_id name"
_STAGE = "id remote_id name index status custom_fields"
_CANDIDATE = "id remote_id first_name last_name email_addresses"
_USER = "id remote_id first_name last_name email"

_OUTCOMES = "PENDING HIRED DECLINED"
_JOB_STATUSES = "OPEN CLOSED DRAFT ARCHIVED"
_OF_APPLICATION = (by_ids("candidate_ids"), by_ids("application_ids"))

MODELS = (
    Model(
        id="ats_jobs",
        links={"contact": "ats_users"},
        changes=("description", "weekly_hours", "salary_amount_from", "salary_amount_to"),
        nested=(
            NestedList(
                "stages",
                "ats_application_stages",
                "job",
                f"{_STAGE} remote_data",
                tracks_members=True,
            ),
            NestedList(
                "screening_questions",
                "ats_screening_questions",
                "job",
                "id remote_id title description format category index required"
                " precondition_question_id precondition_options",
                tracks_members=True,
            ),
            NestedList(
                "job_postings",
                "ats_job_postings",
                "job",
                "id remote_id title description_html status visibility url remote_data",
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedList(
                "hiring_team",
                "ats_hiring_team_members",
                "job",
                _USER,
                through="user",
                own="hiring_team_roles job_roles",
                tracks_members=True,
            ),
        ),
        filters=(
            among("job_codes", own("job_code")),
            Filter("post_url", f"{own('post_url')} = :post_url"),
            by_enum("status", "status", _JOB_STATUSES),
            by_enum("statuses", "status", _JOB_STATUSES),
            by_enum(
                "employment_types",
                "employment_type",
                "FULL_TIME PART_TIME CONTRACT SEASONAL INTERNSHIP",
            ),
            by_enum("visibilities", "visibility", "PUBLIC INTERNAL UNLISTED CONFIDENTIAL"),
            since("remote_created_after", "remote_created_at"),
            NAME_CONTAINS,
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="ats_candidates",
        changes=("last_name", "company", "title"),
        nested=(
            NestedList(
                "applications",
                "ats_applications",
                "candidate",
                "id remote_id outcome rejection_reason_name rejected_at remote_url"
                " changed_at remote_created_at remote_updated_at",
                nested=(
                    NestedObject("current_stage", _STAGE),
                    NestedObject("job", _NAME),
                ),
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedList(
                "tags", "ats_candidate_tags", "candidate", _NAME, through="tag", tracks_members=True
            ),
        ),
        filters=(
            Filter(
                "email",
                "EXISTS (SELECT 1 FROM json_each(r.own, '$.email_addresses')"
                " WHERE casefold(value->>'email_address') = casefold(:email))",
            ),
            Filter(
                "job_ids",
                "EXISTS (SELECT 1 FROM ats_applications a WHERE a.candidate = r.seq"
                " AND a.own->>'job_id' IN (SELECT value FROM json_each(:job_ids)))",
                kombo_ids,
            ),
            equals("first_name"),
            equals("last_name"),
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="ats_applications",
        links={
            "candidate": "ats_candidates",
            "job": "ats_jobs",
            "current_stage": "ats_application_stages",
        },
        changes=("outcome", "rejection_reason_name", "rejected_at"),
        nested=(
            NestedObject(
                "candidate",
                f"{_CANDIDATE} phone_numbers social_media source remote_url",
                nested=(
                    NestedList("tags", "ats_candidate_tags", "candidate", _NAME, through="tag"),
                ),
                tracks_changes=True,
            ),
            NestedObject("current_stage", _STAGE, tracks_changes=True),
            NestedObject("job", _NAME),
            NestedList(
                "interviews",
                "ats_interviews",
                "application",
                "id remote_id title starting_at ending_at location canceled",
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedList(
                "offers",
                "ats_offers",
                "application",
                "id remote_id status",
                tracks_members=True,
                tracks_changes=True,
            ),
        ),
        filters=(
            by_enum("outcome", "outcome", _OUTCOMES),
            by_enum("outcomes", "outcome", _OUTCOMES),
            by_ids("job_ids"),
            among(
                "job_remote_ids",
                "(SELECT j.own->>'remote_id' FROM ats_jobs j WHERE j.seq = r.job)",
            ),
            by_ids("current_stage_ids"),
            since("remote_created_after", "remote_created_at"),
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="ats_offers",
        links={"application": "ats_applications"},
        changes=("status", "employment_start_date"),
        nested=(
            NestedObject(
                "application",
                "",
                nested=(
                    NestedObject("candidate", _CANDIDATE),
                    NestedObject("job", _NAME),
                ),
                tracks_changes=True,
            ),
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="ats_application_stages",
        links={"job": "ats_jobs"},
        changes=("name",),
        hidden=("job_id", "index", *UNDATED),
        extras=("custom_fields", "remote_data"),
    ),
    Model(
        id="ats_interviews",
        links={"application": "ats_applications"},
        changes=("starting_at", "ending_at", "canceled"),
        hidden=("candidate_id",),
        nested=(
            NestedList(
                "users", "ats_interviewers", "interview", _USER, through="user", tracks_members=True
            ),
            NestedObject(
                "application",
                "id remote_id outcome rejection_reason_name",
                nested=(
                    NestedObject("candidate", _CANDIDATE),
                    NestedObject("job", _NAME),
                ),
                tracks_changes=True,
            ),
        ),
        filters=(
            among(
                "job_ids",
                "(SELECT a.own->>'job_id' FROM ats_applications a WHERE a.seq = r.application)",
                kombo_ids,
            ),
        ),
        seeded_deleted=True,
    ),
    Model(
        id="ats_attachments",
        links={"application": "ats_applications"},
        changes=("file_name", "content_ref"),
        filters=_OF_APPLICATION,
        extras=(),
        seeded_deleted=True,
    ),
    Model(
        id="ats_notes",
        links={"application": "ats_applications", "author": "ats_users"},
        changes=("content_html",),
        nested=(NestedObject("author", _USER),),
        filters=_OF_APPLICATION,
        extras=(),
        seeded_deleted=True,
    ),
    Model(
        id="ats_scorecards",
        links={"interview": "ats_interviews", "author": "ats_users"},
        changes=("responses",),
        nested=(NestedObject("author", _USER),),
        filters=_OF_APPLICATION,
        extras=(),
        seeded_deleted=True,
    ),
    Model(id="ats_rejection_reasons", changes=("name",), hidden=UNDATED),
    Model(
        id="ats_roles",
        changes=("remote_label",),
        hidden=UNDATED,
        filters=(by_enum("scopes", "scope", "SYSTEM JOB"),),
    ),
    Model(id="ats_tags", changes=("name",), hidden=UNDATED),
    Model(
        id="ats_users",
        changes=("first_name", "last_name", "email"),
        hidden=UNDATED,
        nested=(
            NestedList(
                "system_roles",
                "ats_system_role_assignments",
                "user",
                "remote_id remote_label scope unified_type",
                through="role",
                tracks_members=True,
                tracks_changes=True,
            ),
        ),
        filters=(among("emails", f"casefold({own('email')})", lowered),),
    ),
    # Kombo has no endpoints for the rest: they are only nested.
    Model(
        id="ats_candidate_tags",
        links={"candidate": "ats_candidates", "tag": "ats_tags"},
        served=False,
    ),
    Model(
        id="ats_system_role_assignments",
        links={"user": "ats_users", "role": "ats_roles"},
        served=False,
    ),
    Model(
        id="ats_interviewers",
        links={"interview": "ats_interviews", "user": "ats_users"},
        served=False,
    ),
    Model(
        id="ats_hiring_team_members",
        links={"job": "ats_jobs", "user": "ats_users"},
        changes=("hiring_team_roles", "job_roles"),
        served=False,
    ),
    Model(
        id="ats_job_postings",
        links={"job": "ats_jobs"},
        changes=("title", "status"),
        served=False,
    ),
    Model(
        id="ats_screening_questions",
        links={"job": "ats_jobs"},
        changes=("title", "required"),
        served=False,
    ),
)
