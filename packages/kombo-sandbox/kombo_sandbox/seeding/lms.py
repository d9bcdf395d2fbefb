"""Records of a learning management system: courses, revisions, skills and progress."""

from collections.abc import Iterator

from kombo_sandbox.seeding.factory import NewRecord, RecordFactory
from kombo_sandbox.store import Record, Row

_SKILLS = ("Negotiation", "First aid", "Data protection", "Python", "Leadership", "Arbeitsschutz")
_PROVIDERS = ("Acme Academy", "Lernwerk", "École du Soir")
_TOPICS = ("Fire safety", "GDPR for everyone", "Advanced SQL", "Feedback", "Forklift license")


class LmsFactory(RecordFactory):
    """Records of an LMS; its size is the number of users."""

    def records(self, size: int) -> Iterator[Row]:
        skills = [self.make("lms_skills", {"name": name}) for name in _SKILLS]
        providers = [self.make("lms_course_providers", {"name": name}) for name in _PROVIDERS]
        yield from (*skills, *providers)
        revisions = []
        for _ in range(5 + min(size // 10, 200)):
            provider = self.pick(providers) if self.chance(0.9) else None
            course = self.make("lms_courses", provider=provider)
            yield course
            for _ in range(self.number(1, 4)):
                revision = self.make("lms_course_revisions", course=course)
                revisions.append(revision)
                yield revision
                for skill in self.rng.sample(skills, k=self.number(0, 3)):
                    yield self.make("lms_skill_assignments", revision=revision, skill=skill)
        for _ in range(size):
            user = self.make("lms_users")
            yield user
            for revision in self.rng.sample(revisions, k=self.number(0, 4)):
                yield self.make("lms_course_progressions", user=user, course_revision=revision)

    def lms_users(self, _new: NewRecord) -> Record:
        first, last, email = self.person()
        return {
            "first_name": first,
            "last_name": last,
            "work_email": email,
            "status": self.pick(("ACTIVE", "ACTIVE", "ACTIVE", "INACTIVE", "Gesperrt")),
        }

    def lms_courses(self, _new: NewRecord) -> Record:
        return {"origin_id": f"course-{self.number(1, 100_000)}"}

    def lms_course_revisions(self, new: NewRecord) -> Record:
        return {
            "title": f"{self.pick(_TOPICS)} {self.number(2018, 2027)}",
            "description": self.sentence(),
            "remote_url": self.url("courses", new),
            "status": self.pick(("ACTIVE", "ACTIVE", "INACTIVE")),
        }

    def lms_course_progressions(self, new: NewRecord) -> Record:
        status = self.pick(("ENROLLED", "IN_PROGRESS", "COMPLETED", "COMPLETED", "DROPPED"))
        return {
            "status": status,
            "enrolled_at": new.created_at,
            "completed_at": new.updated_at if status == "COMPLETED" else None,
        }

    def lms_skills(self, _new: NewRecord) -> Record:
        return {"name": self.named(_SKILLS)}

    def lms_course_providers(self, _new: NewRecord) -> Record:
        return {"name": self.named(_PROVIDERS)}
