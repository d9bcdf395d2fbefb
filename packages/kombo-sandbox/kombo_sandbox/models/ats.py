"""Applicant tracking: the models."""

from kombo_sandbox.filters import (
    Filter,
    among,
    date,
    kombo_ids,
    lowered,
    same,
    some_of,
    text,
)
from kombo_sandbox.models.row import UNDATED, Many, Model, One, Shape

_JOB_NAME: Shape = ("id", "remote_id", "name")
_STAGE: Shape = ("id", "remote_id", "name", "index", "status", "custom_fields")
_TAG: Shape = ("id", "remote_id", "name")
_CANDIDATE: Shape = ("id", "remote_id", "first_name", "last_name", "email_addresses")
_USER: Shape = ("id", "remote_id", "first_name", "last_name", "email")

_OF_APPLICATION = (
    among("candidate_ids", "r.own->>'candidate_id'", kombo_ids),
    among("application_ids", "r.own->>'application_id'", kombo_ids),
)

ROWS = (
    Model(
        id="ats_jobs",
        label="Jobs",
        customised=True,
        links={"contact": "ats_users"},
        changes=("description", "weekly_hours", "salary_amount_from", "salary_amount_to"),
        nested=(
            Many(
                "stages",
                model="ats_application_stages",
                link="job",
                shape=(
                    "id",
                    "remote_id",
                    "name",
                    "remote_data",
                    "index",
                    "status",
                    "custom_fields",
                ),
                added=True,
            ),
            Many(
                "screening_questions",
                model="ats_screening_questions",
                link="job",
                shape=(
                    "id",
                    "remote_id",
                    "title",
                    "description",
                    "format",
                    "category",
                    "index",
                    "required",
                    "precondition_question_id",
                    "precondition_options",
                ),
                added=True,
            ),
            Many(
                "job_postings",
                model="ats_job_postings",
                link="job",
                shape=(
                    "id",
                    "remote_id",
                    "title",
                    "description_html",
                    "status",
                    "visibility",
                    "url",
                    "remote_data",
                ),
                added=True,
                linked=True,
            ),
            Many(
                "hiring_team",
                model="ats_hiring_team_members",
                link="job",
                through="user",
                shape=("id", "remote_id", "first_name", "last_name", "email"),
                own=("hiring_team_roles", "job_roles"),
                added=True,
            ),
        ),
        filters=(
            among("job_codes", "r.own->>'job_code'"),
            Filter("post_url", "r.own->>'post_url' = :post_url", text),
            among("status", "r.own->>'status'", some_of("OPEN", "CLOSED", "DRAFT", "ARCHIVED")),
            among("statuses", "r.own->>'status'", some_of("OPEN", "CLOSED", "DRAFT", "ARCHIVED")),
            among(
                "employment_types",
                "r.own->>'employment_type'",
                some_of("FULL_TIME", "PART_TIME", "CONTRACT", "SEASONAL", "INTERNSHIP"),
            ),
            among(
                "visibilities",
                "r.own->>'visibility'",
                some_of("PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL"),
            ),
            Filter(
                "remote_created_after", "r.own->>'remote_created_at' >= :remote_created_after", date
            ),
            Filter(
                "name_contains", "instr(casefold(r.own->>'name'), casefold(:name_contains))", text
            ),
        ),
    ),
    Model(
        id="ats_candidates",
        label="Candidates",
        customised=True,
        changes=("last_name", "company", "title"),
        nested=(
            Many(
                "applications",
                model="ats_applications",
                link="candidate",
                shape=(
                    "id",
                    "remote_id",
                    "outcome",
                    "rejection_reason_name",
                    "rejected_at",
                    "remote_url",
                    "changed_at",
                    "remote_created_at",
                    "remote_updated_at",
                    One("current_stage", "stage", _STAGE),
                    One("job", "job", _JOB_NAME),
                ),
                added=True,
                linked=True,
            ),
            Many("tags", "ats_candidate_tags", "candidate", _TAG, through="tag", added=True),
        ),
        filters=(
            Filter(
                "email",
                "EXISTS (SELECT 1 FROM json_each(r.own, '$.email_addresses')"
                " WHERE casefold(value->>'email_address') = casefold(:email))",
                text,
            ),
            Filter(
                "job_ids",
                "EXISTS (SELECT 1 FROM ats_applications a WHERE a.candidate = r.seq"
                " AND a.own->>'job_id' IN (SELECT value FROM json_each(:job_ids)))",
                kombo_ids,
            ),
            same("first_name", "first_name"),
            same("last_name", "last_name"),
        ),
    ),
    Model(
        id="ats_applications",
        label="Applications",
        customised=True,
        links={
            "candidate": "ats_candidates",
            "job": "ats_jobs",
            "stage": "ats_application_stages",
        },
        changes=("outcome", "rejection_reason_name", "rejected_at"),
        nested=(
            One(
                "candidate",
                "candidate",
                (
                    "id",
                    "remote_id",
                    "first_name",
                    "last_name",
                    "email_addresses",
                    "phone_numbers",
                    "social_media",
                    "source",
                    "remote_url",
                    Many("tags", "ats_candidate_tags", "candidate", _TAG, through="tag"),
                ),
                counts=True,
            ),
            One("current_stage", "stage", _STAGE, counts=True),
            One("job", "job", _JOB_NAME),
            Many(
                "interviews",
                model="ats_interviews",
                link="application",
                shape=(
                    "id",
                    "remote_id",
                    "title",
                    "starting_at",
                    "ending_at",
                    "location",
                    "canceled",
                ),
                added=True,
                linked=True,
            ),
            Many(
                "offers",
                model="ats_offers",
                link="application",
                shape=("id", "remote_id", "status"),
                added=True,
                linked=True,
            ),
        ),
        filters=(
            among("outcome", "r.own->>'outcome'", some_of("PENDING", "HIRED", "DECLINED")),
            among("outcomes", "r.own->>'outcome'", some_of("PENDING", "HIRED", "DECLINED")),
            among("job_ids", "r.own->>'job_id'", kombo_ids),
            among(
                "job_remote_ids",
                "(SELECT j.own->>'remote_id' FROM ats_jobs j WHERE j.seq = r.job)",
            ),
            among("current_stage_ids", "r.own->>'current_stage_id'", kombo_ids),
            Filter(
                "remote_created_after", "r.own->>'remote_created_at' >= :remote_created_after", date
            ),
        ),
    ),
    Model(
        id="ats_offers",
        label="Offers",
        customised=True,
        links={"application": "ats_applications"},
        changes=("status", "employment_start_date"),
        nested=(
            One(
                "application",
                "application",
                (
                    One(
                        "candidate",
                        "candidate",
                        ("id", "remote_id", "first_name", "last_name", "email_addresses"),
                    ),
                    One("job", "job", _JOB_NAME),
                ),
                counts=True,
            ),
        ),
    ),
    Model(
        id="ats_application_stages",
        label="Application stages",
        links={"job": "ats_jobs"},
        changes=("name",),
        hidden=("index", *UNDATED),
    ),
    Model(
        id="ats_interviews",
        label="Interviews",
        links={"application": "ats_applications"},
        changes=("starting_at", "ending_at", "canceled"),
        hidden=("candidate_id",),
        nested=(
            Many("users", "ats_interviewers", "interview", _USER, through="user", added=True),
            One(
                "application",
                "application",
                (
                    "id",
                    "remote_id",
                    "outcome",
                    "rejection_reason_name",
                    One("candidate", "candidate", _CANDIDATE),
                    One("job", "job", _JOB_NAME),
                ),
                counts=True,
            ),
        ),
        filters=(
            among(
                "job_ids",
                "(SELECT a.own->>'job_id' FROM ats_applications a WHERE a.seq = r.application)",
                kombo_ids,
            ),
        ),
    ),
    Model(
        id="ats_attachments",
        label="Attachments",
        links={"application": "ats_applications"},
        changes=("file_name", "content_ref"),
        filters=_OF_APPLICATION,
    ),
    Model(
        id="ats_notes",
        label="Notes",
        links={"application": "ats_applications", "author": "ats_users"},
        changes=("content_html",),
        nested=(One("author", "author", _USER),),
        filters=_OF_APPLICATION,
    ),
    Model(
        id="ats_scorecards",
        label="Scorecards",
        links={"interview": "ats_interviews", "author": "ats_users"},
        changes=("responses",),
        nested=(One("author", "author", _USER),),
        filters=_OF_APPLICATION,
    ),
    Model(id="ats_rejection_reasons", label="Rejection reasons", changes=("name",), hidden=UNDATED),
    Model(
        id="ats_roles",
        label="Roles",
        changes=("remote_label",),
        hidden=UNDATED,
        filters=(among("scopes", "r.own->>'scope'", some_of("SYSTEM", "JOB")),),
    ),
    Model(id="ats_tags", label="Tags", changes=("name",), hidden=UNDATED),
    Model(
        id="ats_users",
        label="Users",
        changes=("first_name", "last_name", "email"),
        hidden=UNDATED,
        nested=(
            Many(
                "system_roles",
                model="ats_system_role_assignments",
                link="user",
                through="role",
                shape=("remote_id", "remote_label", "scope", "unified_type"),
                added=True,
                linked=True,
            ),
        ),
        filters=(among("emails", "casefold(r.own->>'email')", lowered),),
    ),
    # Kombo has no endpoints for the rest: they exist only inside other records.
    Model(
        id="ats_candidate_tags",
        label="Tags of candidates",
        links={"candidate": "ats_candidates", "tag": "ats_tags"},
        changes=(),
        served=False,
    ),
    Model(
        id="ats_system_role_assignments",
        label="System roles of users",
        links={"user": "ats_users", "role": "ats_roles"},
        changes=(),
        served=False,
    ),
    Model(
        id="ats_interviewers",
        label="Interviewers",
        links={"interview": "ats_interviews", "user": "ats_users"},
        changes=(),
        served=False,
    ),
    Model(
        id="ats_hiring_team_members",
        label="Members of hiring teams",
        links={"job": "ats_jobs", "user": "ats_users"},
        changes=("hiring_team_roles", "job_roles"),
        served=False,
    ),
    Model(
        id="ats_job_postings",
        label="Job postings",
        links={"job": "ats_jobs"},
        changes=("title", "status"),
        served=False,
    ),
    Model(
        id="ats_screening_questions",
        label="Screening questions",
        links={"job": "ats_jobs"},
        changes=("title", "required"),
        served=False,
    ),
)
