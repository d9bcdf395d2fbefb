"""The models of learning management systems."""

from kombo_sandbox.filters import among, by_ids, kombo_ids, lowered, own
from kombo_sandbox.models.model import ALL_EXTRAS, Model, NestedList, NestedObject

_NAME = "id remote_id name"
_UPDATED = ("remote_updated_at",)

MODELS = (
    Model(
        id="lms_users",
        changes=("first_name", "last_name", "work_email"),
        hidden=_UPDATED,
        filters=(among("work_emails", f"casefold({own('work_email')})", lowered),),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="lms_courses",
        links={"provider": "lms_course_providers"},
        changes=("origin_id",),
        hidden=_UPDATED,
        nested=(
            NestedObject("provider", _NAME),
            NestedList(
                "revisions",
                "lms_course_revisions",
                "course",
                "id remote_id course_id title description remote_url status"
                " remote_created_at remote_deleted_at changed_at custom_fields"
                " integration_fields remote_data",
                nested=(
                    NestedList(
                        "skill_assignments",
                        "lms_skill_assignments",
                        "revision",
                        "",
                        nested=(NestedObject("skill", _NAME),),
                    ),
                ),
                tracks_members=True,
                tracks_changes=True,
            ),
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="lms_course_progressions",
        links={"user": "lms_users", "course_revision": "lms_course_revisions"},
        changes=("status", "enrolled_at", "completed_at"),
        hidden=("remote_created_at", *_UPDATED),
        nested=(
            NestedObject("user", "id remote_id first_name last_name work_email"),
            NestedObject(
                "course_revision",
                "id remote_id title",
                nested=(NestedObject("course", "id remote_id"),),
            ),
        ),
        filters=(
            by_ids("user_ids"),
            among(
                "course_ids",
                "(SELECT v.own->>'course_id' FROM lms_course_revisions v"
                " WHERE v.seq = r.course_revision)",
                kombo_ids,
            ),
        ),
        seeded_deleted=True,
    ),
    Model(id="lms_skills", changes=("name",), hidden=_UPDATED, extras=ALL_EXTRAS),
    # Kombo has no endpoints for the rest: they are only nested.
    Model(id="lms_course_providers", changes=("name",), served=False),
    Model(
        id="lms_course_revisions",
        links={"course": "lms_courses"},
        changes=("title", "description"),
        extras=ALL_EXTRAS,
        served=False,
    ),
    Model(
        id="lms_skill_assignments",
        links={"revision": "lms_course_revisions", "skill": "lms_skills"},
        served=False,
    ),
)
