"""Records of an assessment tool: packages of tests, and orders for candidates."""

from collections.abc import Iterator

from kombo_sandbox.seeding.factory import NewRecord, RecordFactory
from kombo_sandbox.store import Record, Row

_PACKAGES = (
    ("TypeScript", "SKILLS_TEST"),
    ("Spreadsheets", "SKILLS_TEST"),
    ("Personality", "BEHAVIORAL"),
    ("First interview", "VIDEO_INTERVIEW"),
    ("Background", "BACKGROUND_CHECK"),
    ("References", "REFERENCE_CHECK"),
    ("Other", None),
)
_JOBS = ("Backend Engineer", "Accountant", "Werkstudent Logistik", "Recruiter")
_FIRST_ID = 1001


class AssessmentFactory(RecordFactory):
    """Records of an assessment tool; its size is the number of orders."""

    def records(self, size: int) -> Iterator[Row]:
        packages = [
            self.make("assessment_packages", {"id": str(number), "name": name, "type": kind})
            for number, (name, kind) in enumerate(_PACKAGES, _FIRST_ID)
        ]
        yield from packages
        for _ in range(size):
            yield self.make("assessment_orders", package=self.pick(packages))

    def assessment_packages(self, new: NewRecord) -> Record:
        name, kind = self.pick(_PACKAGES)
        return {
            # Higher than the seeded ids, which are the same in each integration.
            "id": str(_FIRST_ID + len(_PACKAGES) + new.seq),
            "name": name,
            "description": self.sentence(),
            "updated_at": new.updated_at if self.chance(0.8) else None,
            "type": kind,
        }

    def assessment_orders(self, new: NewRecord) -> Record:
        first, last, email = self.person()
        return {
            "status": self.pick(("OPEN", "COMPLETED", "COMPLETED", "CANCELLED", "REJECTED")),
            "candidate": {
                "remote_id": str(new.seq * 3) if self.chance(0.8) else None,
                "email": email,
                "first_name": first,
                "last_name": last,
                "phone": f"+49 30 9018{self.number(1000, 9999)}" if self.chance(0.5) else None,
            },
            "application": {"remote_id": str(new.seq * 5) if self.chance(0.8) else None},
            "job": self._job(new),
        }

    def _job(self, new: NewRecord) -> Record:
        first, last, email = self.person()
        member = {
            "remote_id": str(new.seq * 2) if self.chance(0.8) else None,
            "email": email,
            "first_name": first,
            "last_name": last,
            "hiring_team_roles": [self.pick(("RECRUITER", "HIRING_MANAGER"))],
        }
        return {
            "remote_id": str(new.seq * 7) if self.chance(0.8) else None,
            "name": self.pick(_JOBS),
            "job_code": f"J-{new.seq:04d}" if self.chance(0.5) else None,
            "description": self.sentence() if self.chance(0.5) else None,
            "location": self.address() if self.chance(0.7) else None,
            "hiring_team": [member] if self.chance(0.7) else [],
        }
