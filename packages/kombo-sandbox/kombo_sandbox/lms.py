"""Learning: courses in revisions that teach skills, and how far users got in them."""

from collections.abc import Iterator, Mapping

from kombo_sandbox.store import Record, Row
from kombo_sandbox.tenant import Maker, Tenant, membership

_SKILLS = ("Negotiation", "First aid", "Data protection", "Python", "Leadership", "Arbeitsschutz")
_PROVIDERS = ("Acme Academy", "Lernwerk", "École du Soir")
_TOPICS = ("Fire safety", "GDPR for everyone", "Advanced SQL", "Feedback", "Forklift licence")


def family(tenant: Tenant, users: int) -> Iterator[Row]:
    """All records of an integration with exactly so many users."""
    skills = []
    for name in _SKILLS:
        skill = tenant.make("lms_skills")
        skill.own["name"] = name
        skills.append(skill)
    yield from skills
    providers = [tenant.make("lms_course_providers") for _ in _PROVIDERS]
    yield from providers
    revisions = []
    for _ in range(5 + min(users // 10, 200)):
        provider = tenant.pick(providers) if tenant.chance(0.9) else None
        course = tenant.make("lms_courses", provider=provider)
        yield course
        for _ in range(tenant.number(1, 4)):
            revision = tenant.make("lms_course_revisions", course=course)
            revisions.append(revision)
            yield revision
            for skill in tenant.rng.sample(skills, k=tenant.number(0, 3)):
                yield tenant.make("lms_skill_assignments", revision=revision, skill=skill)
    for _ in range(users):
        user = tenant.make("lms_users")
        yield user
        for revision in tenant.rng.sample(revisions, k=tenant.number(0, 4)):
            yield tenant.make("lms_course_progressions", user=user, course_revision=revision)


def _lms_users(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    first, last, email = tenant.person()
    return {
        **tenant.identity(seq),
        "first_name": first,
        "last_name": last,
        "work_email": email,
        "status": tenant.pick(("ACTIVE", "ACTIVE", "ACTIVE", "INACTIVE", "Gesperrt")),
        **tenant.history(),
        **tenant.customised("lms_users"),
    }


def _lms_courses(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "provider_id": linked.get("provider", {}).get("id"),
        "origin_id": f"course-{tenant.number(1, 100_000)}",
        **tenant.history(),
        **tenant.customised("lms_courses"),
    }


def _lms_course_revisions(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    course = linked["course"]
    identity = tenant.identity(seq)
    return {
        **identity,
        "course_id": course["id"],
        "title": f"{tenant.pick(_TOPICS)} {tenant.number(2018, 2027)}",
        "description": tenant.pick(tenant.people.sentences),
        "remote_url": tenant.link("courses", identity["remote_id"]),
        "status": tenant.pick(("ACTIVE", "ACTIVE", "INACTIVE")),
        **tenant.history(course),
        "remote_deleted_at": None,
        **tenant.customised("lms_courses"),
    }


def _lms_course_progressions(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    user, revision = linked["user"], linked["course_revision"]
    history = tenant.history(user, revision)
    status = tenant.pick(("ENROLLED", "IN_PROGRESS", "COMPLETED", "COMPLETED", "DROPPED"))
    return {
        **tenant.identity(seq),
        "user_id": user["id"],
        "course_revision_id": revision["id"],
        "status": status,
        "enrolled_at": history["remote_created_at"],
        "completed_at": history["remote_updated_at"] if status == "COMPLETED" else None,
        **history,
        "remote_data": tenant.remote_data(seq),
    }


def _lms_skills(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "name": f"{tenant.pick(_SKILLS)} {tenant.number(1, 100)}",
        **tenant.steady_history(),
        **tenant.customised("lms_skills"),
        "remote_data": tenant.remote_data(seq),
    }


def _lms_course_providers(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "name": tenant.pick(_PROVIDERS),
        **tenant.steady_history(),
    }


MAKERS: dict[str, Maker] = {
    "lms_users": _lms_users,
    "lms_courses": _lms_courses,
    "lms_course_progressions": _lms_course_progressions,
    "lms_skills": _lms_skills,
    "lms_course_providers": _lms_course_providers,
    "lms_course_revisions": _lms_course_revisions,
    "lms_skill_assignments": membership,
}
