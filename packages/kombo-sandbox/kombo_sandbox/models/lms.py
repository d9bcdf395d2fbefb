"""Learning: the models."""

from kombo_sandbox.filters import among, kombo_ids, lowered
from kombo_sandbox.models.row import Many, Model, One, Shape

_NAME: Shape = ("id", "remote_id", "name")
_UPDATED = ("remote_updated_at",)

ROWS = (
    Model(
        id="lms_users",
        label="Users",
        customised=True,
        changes=("first_name", "last_name", "work_email"),
        hidden=_UPDATED,
        filters=(among("work_emails", "casefold(r.own->>'work_email')", lowered),),
    ),
    Model(
        id="lms_courses",
        label="Courses",
        customised=True,
        links={"provider": "lms_course_providers"},
        changes=("origin_id",),
        hidden=_UPDATED,
        nested=(
            One("provider", "provider", _NAME),
            Many(
                "revisions",
                model="lms_course_revisions",
                link="course",
                shape=(
                    "id",
                    "remote_id",
                    "course_id",
                    "title",
                    "description",
                    "remote_url",
                    "status",
                    "remote_created_at",
                    "remote_deleted_at",
                    "changed_at",
                    "remote_data",
                    "custom_fields",
                    "integration_fields",
                    Many(
                        "skill_assignments",
                        model="lms_skill_assignments",
                        link="revision",
                        shape=(One("skill", "skill", _NAME),),
                    ),
                ),
                added=True,
                linked=True,
            ),
        ),
    ),
    Model(
        id="lms_course_progressions",
        label="Course progressions",
        links={"user": "lms_users", "course_revision": "lms_course_revisions"},
        changes=("status", "enrolled_at", "completed_at"),
        hidden=("remote_created_at", *_UPDATED),
        nested=(
            One("user", "user", ("id", "remote_id", "first_name", "last_name", "work_email")),
            One(
                "course_revision",
                "course_revision",
                ("id", "remote_id", "title", One("course", "course", ("id", "remote_id"))),
            ),
        ),
        filters=(
            among("user_ids", "r.own->>'user_id'", kombo_ids),
            among(
                "course_ids",
                "(SELECT v.own->>'course_id' FROM lms_course_revisions v"
                " WHERE v.seq = r.course_revision)",
                kombo_ids,
            ),
        ),
    ),
    Model(
        id="lms_skills",
        label="Skills",
        customised=True,
        changes=("name",),
        hidden=_UPDATED,
    ),
    # Kombo has no endpoints for the rest: they exist only inside other records.
    Model(id="lms_course_providers", label="Course providers", changes=("name",), served=False),
    Model(
        id="lms_course_revisions",
        label="Course revisions",
        links={"course": "lms_courses"},
        changes=("title", "description"),
        served=False,
    ),
    Model(
        id="lms_skill_assignments",
        label="Skills of course revisions",
        links={"revision": "lms_course_revisions", "skill": "lms_skills"},
        changes=(),
        served=False,
    ),
)
