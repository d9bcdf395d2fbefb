"""Records of an applicant tracking system: jobs, candidates, applications, interviews, offers."""

from collections.abc import Iterator

from kombo_sandbox.clock import day, iso
from kombo_sandbox.seeding.factory import HOUR, NewRecord, RecordFactory
from kombo_sandbox.seeding.names import CITIES, COMPANIES, FIRST_NAMES, LAST_NAMES, MAIL_DOMAINS
from kombo_sandbox.store import Record, Row

_MIN_CANDIDATES = 5
_DEPARTMENTS = (
    ("Engineering", ("Backend Engineer", "Data Engineer", "Site Reliability Engineer")),
    ("Sales", ("Account Executive", "Sales Engineer", "Head of Sales")),
    ("People", ("Recruiter", "People Partner", "Payroll Specialist")),
    ("Finance", ("Controller", "Accountant", "Treasury Analyst")),
    ("Operations", ("Office Manager", "Werkstudent Logistik", "Plant Manager")),
)
# Kombo returns a value of the tool unchanged if it cannot map it.
_EMPLOYMENT_TYPES = ("FULL_TIME", "FULL_TIME", "PART_TIME", "CONTRACT", "INTERNSHIP", "Werkvertrag")
_JOB_STATUSES = ("OPEN", "OPEN", "OPEN", "DRAFT", "ARCHIVED", "On hold")
_OFFER_STATUSES = ("ACCEPTED", "DECLINED", "SENT", "APPROVED", "DRAFT", "ABANDONED")
_STAGES = ("Applied", "Screening", "Interview", "Assessment", "Offer")
_VERDICTS = ("Strong no", "No", "Yes", "Strong yes")
_SOURCES = ("Employee referral", "Career site", "Job board", "Agency", None)
_REJECTIONS = ("Lacks experience", "Salary expectation", "Withdrew", "Position filled")
_JOB_ROLES = ("RECRUITER", "HIRING_MANAGER", "COORDINATOR", "SOURCER", "INTERVIEWER")
_SYSTEM_ROLES = (("Administrator", "ADMIN"), ("Talent Partner", "RECRUITER"), ("Read only", None))
_TAGS = ("High potential", "Silver medalist", "Relocates", "Speaks German")


class AtsFactory(RecordFactory):
    """Records of an ATS; its size is the number of offers."""

    def records(self, size: int) -> Iterator[Row]:
        tags = [self.make("ats_tags") for _ in range(8)]
        users = [self.make("ats_users") for _ in range(5 + min(size // 20, 200))]
        system_roles = [
            self.make("ats_roles", _role("SYSTEM", label, role)) for label, role in _SYSTEM_ROLES
        ]
        yield from (*tags, *users, *system_roles)
        for role in _JOB_ROLES:
            yield self.make("ats_roles", _job_role(role))
        for name in _REJECTIONS:
            yield self.make("ats_rejection_reasons", {"name": name})
        for user in users:
            yield self.make("ats_system_role_assignments", user=user, role=self.pick(system_roles))
        jobs = []
        for _ in range(5 + min(size // 20, 1000)):
            job, *others = self._job(users)
            jobs.append((job, [row for row in others if row.model.id == "ats_application_stages"]))
            yield from (job, *others)
        candidates = 0
        while size or candidates < _MIN_CANDIDATES:
            candidates += 1
            for row in self._candidate(tags, users, jobs, size):
                size -= row.model.id == "ats_offers"
                yield row

    def _job(self, users: list[Row]) -> Iterator[Row]:
        job = self.make("ats_jobs", contact=self.pick(users))
        yield job
        for index, name in enumerate(_STAGES):
            yield self.make("ats_application_stages", {"index": index, "name": name}, job=job)
        yield self.make("ats_job_postings", job=job)
        precondition: Record = {}
        for _ in range(self.number(0, 3)):
            question = self.make("ats_screening_questions", precondition, job=job)
            precondition = {
                "precondition_question_id": question.id,
                "precondition_options": [True],
            }
            yield question
        for user in self.rng.sample(users, k=self.number(1, 4)):
            yield self.make("ats_hiring_team_members", job=job, user=user)

    def _candidate(
        self,
        tags: list[Row],
        users: list[Row],
        jobs: list[tuple[Row, list[Row]]],
        max_offers: int,
    ) -> Iterator[Row]:
        candidate = self.make("ats_candidates")
        yield candidate
        if self.chance(0.15):
            for tag in self.rng.sample(tags, k=self.number(1, 3)):
                yield self.make("ats_candidate_tags", candidate=candidate, tag=tag)
        for _ in range(self.pick((1, 1, 1, 1, 2, 3))):
            job, stages = self.pick(jobs)
            application = self.make(
                "ats_applications", candidate=candidate, job=job, current_stage=self.pick(stages)
            )
            yield application
            if self.chance(0.15):
                yield from self._interview(application, users)
            if self.chance(0.3):
                yield self.make("ats_attachments", application=application)
            if self.chance(0.15):
                yield self.make("ats_notes", application=application, author=self.pick(users))
            for _ in range(min(max_offers, self.pick((0, 1, 1, 1, 1, 1, 1, 1, 2, 2)))):
                max_offers -= 1
                yield self.make("ats_offers", application=application)

    def _interview(self, application: Row, users: list[Row]) -> Iterator[Row]:
        interview = self.make("ats_interviews", application=application)
        yield interview
        for user in self.rng.sample(users, k=self.number(1, 3)):
            yield self.make("ats_interviewers", interview=interview, user=user)
            if self.chance(0.7):
                yield self.make("ats_scorecards", interview=interview, author=user)

    def ats_jobs(self, new: NewRecord) -> Record:
        department, titles = self.pick(_DEPARTMENTS)
        salary = self.number(30, 110) * 1000
        is_range = self.chance(0.5)
        is_closed = self.chance(0.3)
        return {
            "name": self.pick(titles),
            "job_code": f"{department[:2].upper()}-{new.seq:04d}",
            "description": f"<p>{self.sentence()}</p>",
            "confidential": self.chance(0.05),
            "weekly_hours": self.pick((40, 40, 38.5, 37.5, 20, None)),
            "employment_type": self.pick(_EMPLOYMENT_TYPES),
            "status": "CLOSED" if is_closed else self.pick(_JOB_STATUSES),
            "visibility": self.pick(("PUBLIC", "PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL")),
            "category": self.pick(("Technical", "Commercial", None)),
            "department": department,
            "post_url": f"https://jobs.example.com/{new.seq}",
            "experience_level": self.pick(("Entry", "Mid-Senior", "Director", None)),
            "remote_work_status": self.pick(("REMOTE", "HYBRID", "TEMPORARY", "ON_SITE", "Mixed")),
            "salary_amount": None if is_range else salary,
            "salary_amount_from": salary if is_range else None,
            "salary_amount_to": salary * 1.25 if is_range else None,
            "salary_currency": self.pick(("EUR", "GBP", "USD")),
            "salary_period": "YEAR",
            "location": self.address() if self.chance(0.9) else None,
            "remote_url": self.url("jobs", new),
            "opened_at": new.created_at,
            "closed_at": new.updated_at if is_closed else None,
        }

    def ats_candidates(self, new: NewRecord) -> Record:
        first, last, email = self.person()
        _, titles = self.pick(_DEPARTMENTS)
        emails = [{"email_address": email, "type": self.pick(("PRIVATE", "WORK", None))}]
        if self.chance(0.1):
            work = f"{new.seq}@{self.pick(MAIL_DOMAINS)}"
            emails.append({"email_address": work, "type": "WORK"})
        phone = {"phone_number": f"+44 20 7946 0{self.number(100, 999)}", "type": "HOME"}
        profile = {
            "link": f"https://social.example/{new.seq}",
            "type": "LINKEDIN",
            "username": f"c{new.seq}",
        }
        return {
            "first_name": first,
            "last_name": last,
            "company": self.pick(COMPANIES) if self.chance(0.7) else None,
            "title": self.pick(titles),
            "confidential": self.chance(0.05),
            "source": self.pick(_SOURCES),
            "phone_numbers": [phone] if self.chance(0.6) else [],
            "email_addresses": emails,
            "social_media": [profile] if self.chance(0.2) else [],
            "location": self.address() if self.chance(0.7) else None,
            "remote_url": self.url("people", new),
        }

    def ats_applications(self, new: NewRecord) -> Record:
        outcome = self.pick(("PENDING", "PENDING", "HIRED", "DECLINED", None))
        is_declined = outcome == "DECLINED"
        return {
            "outcome": outcome,
            "rejection_reason_name": self.pick(_REJECTIONS) if is_declined else None,
            "rejected_at": new.updated_at if is_declined else None,
            "screening_question_answers": self._answers() if self.chance(0.2) else [],
            "remote_url": self.url("applications", new),
        }

    def _answers(self) -> list[Record]:
        answers: tuple[tuple[str, str, Record], ...] = (
            ("TEXT", "Why do you apply?", {"content": self.sentence()}),
            ("SINGLE_SELECT", "Which office do you prefer?", {"choice": self.pick(CITIES)[0]}),
            ("MULTI_SELECT", "Which languages do you speak?", {"choices": ["English", "Français"]}),
            ("BOOLEAN", "Do you need a visa?", {"checked": self.chance(0.3)}),
            ("NUMBER", "Years of experience?", {"number": self.number(0, 30) / 2}),
            ("DATE", "When can you start?", {"date": iso(self.soon())}),
            ("UNKNOWN", "Anything else?", {"raw": {"rows": ["A", "B"]}}),
        )
        return [
            {
                "answer": answer,
                "question": {"remote_id": str(number), "title": title, "type": kind},
            }
            for number, (kind, title, answer) in enumerate(answers)
            if self.chance(0.5)
        ]

    def ats_offers(self, _new: NewRecord) -> Record:
        return {
            "status": self.pick(_OFFER_STATUSES),
            "employment_start_date": iso(self.soon()) if self.chance(0.8) else None,
        }

    def ats_application_stages(self, _new: NewRecord) -> Record:
        return {"name": self.named(_STAGES), "index": self.number(0, 5), "status": "ACTIVE"}

    def ats_interviews(self, new: NewRecord) -> Record:
        application = new.linked["application"]
        starts = self.soon() + self.number(8, 18) * HOUR
        return {
            "title": f"Interview with {self.pick(FIRST_NAMES)}",
            "starting_at": iso(starts),
            "ending_at": iso(starts + HOUR),
            "location": self.address() if self.chance(0.3) else None,
            "video_conferencing_url": f"https://meet.example/{new.seq}",
            "candidate_id": application.get("candidate_id"),
            "stage_id": application.get("current_stage_id"),
            "canceled": self.chance(0.1),
        }

    def ats_attachments(self, new: NewRecord) -> Record:
        kind, name = self.pick(
            (("CV", "CV.pdf"), ("COVER_LETTER", "Anschreiben.docx"), ("OTHER", "Zeugnis.pdf"))
        )
        key = f"attachments/{self.kombo_id()}"
        stored = {"bucket": "customer-documents", "key": key, "type": "s3"}
        return {
            "candidate_id": new.linked["application"].get("candidate_id"),
            "type": kind,
            "file_name": f"{self.pick(LAST_NAMES)} {name}",
            "content_ref": stored if self.chance(0.5) else None,
        }

    def ats_notes(self, new: NewRecord) -> Record:
        return {
            "candidate_id": new.linked["application"].get("candidate_id"),
            "title": self.pick(("Phone call", "Feedback", None)),
            "content_html": f"<p>{self.sentence()}</p>",
            "is_private": self.chance(0.2),
        }

    def ats_scorecards(self, new: NewRecord) -> Record:
        interview = new.linked["interview"]
        return {
            "candidate_id": interview.get("candidate_id"),
            "application_id": interview.get("application_id"),
            "responses": self._responses(),
        }

    def _responses(self) -> list[Record]:
        verdicts = [
            {"remote_id": str(number), "label": one} for number, one in enumerate(_VERDICTS)
        ]
        skills = [{"remote_id": name.lower(), "label": name} for name in ("Python", "SQL", "Excel")]
        verdict, some_skills = self.pick(verdicts), skills[: self.number(0, 3)]
        responses: tuple[Record, ...] = (
            {"label": "Verdict", "type": "SINGLE_SELECT", "answer": verdict, "options": verdicts},
            {"label": "Skills", "type": "MULTI_SELECT", "answer": some_skills, "options": skills},
            {"label": "Summary", "type": "TEXT", "answer": self.sentence()},
            {"label": "Points", "type": "NUMBER", "answer": self.number(2, 11) / 2},
            {"label": "Would hire", "type": "BOOLEAN", "answer": self.chance(0.5)},
            {"label": "Can start", "type": "DATE", "answer": day(self.soon())},
        )
        return [
            {
                "remote_id": str(number) if number else None,
                "description": "How sure are you?" if number % 2 else None,
                "required": number == 0,
                **response,
            }
            for number, response in enumerate(responses)
            if number == 0 or self.chance(0.5)
        ]

    def ats_rejection_reasons(self, _new: NewRecord) -> Record:
        return {"name": self.named(_REJECTIONS)}

    def ats_roles(self, _new: NewRecord) -> Record:
        role = _job_role(self.pick(_JOB_ROLES))
        return {**role, "remote_label": f"{role['remote_label']} {self.number(1, 100)}"}

    def ats_tags(self, _new: NewRecord) -> Record:
        return {"name": self.named(_TAGS)}

    def ats_users(self, _new: NewRecord) -> Record:
        first, last, email = self.person()
        return {
            "first_name": first,
            "last_name": last,
            "email": email,
            "status": self.pick(("ACTIVE", "ACTIVE", "INACTIVE")),
        }

    def ats_hiring_team_members(self, _new: NewRecord) -> Record:
        role = self.pick(_JOB_ROLES)
        return {"hiring_team_roles": [role], "job_roles": [_job_role(role)]}

    def ats_job_postings(self, new: NewRecord) -> Record:
        job = new.linked["job"]
        return {
            "title": f"{job.get('name')} ({self.pick(CITIES)[0]})",
            "description_html": f"<p>{self.sentence()}</p>",
            "status": self.pick(("ACTIVE", "INACTIVE", "DRAFT")),
            "visibility": self.pick(("PUBLIC", "INTERNAL", "UNLISTED")),
            "url": job.get("post_url"),
        }

    def ats_screening_questions(self, _new: NewRecord) -> Record:
        option = {"id": self.kombo_id(), "remote_id": "1", "name": "English"}
        formats: tuple[Record, ...] = (
            {"type": "TEXT", "display_type": "SINGLE_LINE", "max_length": 200},
            {"type": "NUMBER", "display_type": "FIELD", "max": 40.5, "min": 0},
            {
                "type": "FILE",
                "accepted_mime_types": ["application/pdf"],
                "max_file_size_bytes": 5_000_000,
            },
            {"type": "SINGLE_SELECT", "display_type": "RADIO", "options": [option]},
            {"type": "MULTI_SELECT", "options": [option]},
            {"type": "BOOLEAN"},
            {"type": "DATE"},
            {"type": "INFORMATION"},
            {"type": "UNKNOWN", "raw_question": {"kind": "matrix"}},
        )
        return {
            "title": self.pick(("Which languages do you speak?", "When can you start?", "Résumé")),
            "description": self.sentence(),
            "format": self.pick(formats),
            "category": self.pick((None, None, "EEO", "DEMOGRAPHIC")),
            "index": self.number(0, 9),
            "required": self.chance(0.5),
            "precondition_question_id": None,
            "precondition_options": None,
        }


def _role(scope: str, label: str, unified_type: str | None) -> Record:
    return {
        "remote_id": label[:3],
        "remote_label": label,
        "scope": scope,
        "unified_type": unified_type,
    }


def _job_role(unified_type: str) -> Record:
    return _role("JOB", unified_type.replace("_", " ").title(), unified_type)
