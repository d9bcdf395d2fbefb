"""Applicant tracking: jobs with stages and teams, candidates who apply, interviews, offers."""

from collections.abc import Iterator, Mapping

from kombo_sandbox.clock import day, iso
from kombo_sandbox.store import Record, Row
from kombo_sandbox.tenant import CITIES, HOUR, MAIL_DOMAINS, Maker, Tenant, membership

_FEWEST_CANDIDATES = 5
_DEPARTMENTS = (
    ("Engineering", ("Backend Engineer", "Data Engineer", "Site Reliability Engineer")),
    ("Sales", ("Account Executive", "Sales Engineer", "Head of Sales")),
    ("People", ("Recruiter", "People Partner", "Payroll Specialist")),
    ("Finance", ("Controller", "Accountant", "Treasury Analyst")),
    ("Operations", ("Office Manager", "Werkstudent Logistik", "Plant Manager")),
)
# Kombo lets a tool's own word through where it cannot map it.
_EMPLOYMENT_TYPES = ("FULL_TIME", "FULL_TIME", "PART_TIME", "CONTRACT", "INTERNSHIP", "Werkvertrag")
_JOB_STATUSES = ("OPEN", "OPEN", "OPEN", "DRAFT", "ARCHIVED", "On hold")
_OFFER_STATUSES = ("ACCEPTED", "DECLINED", "SENT", "APPROVED", "DRAFT", "ABANDONED")
_STAGES = ("Applied", "Screening", "Interview", "Assessment", "Offer")
_VERDICTS = ("Strong no", "No", "Yes", "Strong yes")
_SOURCES = ("Employee referral", "Career site", "Job board", "Agency", None)
_REJECTIONS = ("Lacks experience", "Salary expectation", "Withdrew", "Position filled")
# As the members of hiring teams have them, and those of the whole tool.
_ROLES = (
    ("JOB", "Recruiter", "RECRUITER"),
    ("JOB", "Hiring Manager", "HIRING_MANAGER"),
    ("JOB", "Coordinator", "COORDINATOR"),
    ("JOB", "Sourcer", "SOURCER"),
    ("JOB", "Interviewer", "INTERVIEWER"),
    ("SYSTEM", "Administrator", "ADMIN"),
    ("SYSTEM", "Talent Partner", "RECRUITER"),
    ("SYSTEM", "Read only", None),
)
_TAGS = ("High potential", "Silver medalist", "Relocates", "Speaks German")


def family(tenant: Tenant, offers: int) -> Iterator[Row]:
    """All records of an integration with exactly so many offers.

    They come one after the other, so that a million of them need no memory.
    """
    tags = [tenant.make("ats_tags") for _ in range(8)]
    users = [tenant.make("ats_users") for _ in range(5 + min(offers // 20, 200))]
    yield from (*tags, *users)
    for name in _REJECTIONS:
        reason = tenant.make("ats_rejection_reasons")
        reason.own["name"] = name
        yield reason
    roles = [_role(tenant, *role) for role in _ROLES]
    yield from roles
    system = [role for role in roles if role.own["scope"] == "SYSTEM"]
    for user in users:
        yield tenant.make("ats_system_role_assignments", user=user, role=tenant.pick(system))
    jobs = []
    for _ in range(5 + min(offers // 20, 1000)):
        job, *others = _job(tenant, users)
        jobs.append((job, [row for row in others if row.model.id == "ats_application_stages"]))
        yield from (job, *others)
    people = 0
    while offers or people < _FEWEST_CANDIDATES:
        people += 1
        for row in _candidacy(tenant, tags, users, jobs, offers):
            offers -= row.model.id == "ats_offers"
            yield row


def _job(tenant: Tenant, users: list[Row]) -> Iterator[Row]:
    job = tenant.make("ats_jobs", contact=tenant.pick(users))
    yield job
    for index, name in enumerate(_STAGES):
        stage = tenant.make("ats_application_stages", job=job)
        stage.own |= {"index": index, "name": name}
        yield stage
    yield tenant.make("ats_job_postings", job=job)
    before = None
    for _ in range(tenant.number(0, 3)):
        question = tenant.make("ats_screening_questions", job=job)
        if before:
            question.own["precondition_question_id"] = before.id
            question.own["precondition_options"] = [True]
        before = question
        yield question
    for user in tenant.rng.sample(users, k=tenant.number(1, 4)):
        yield tenant.make("ats_hiring_team_members", job=job, user=user)


def _role(tenant: Tenant, scope: str, label: str, unified_type: str | None) -> Row:
    role = tenant.make("ats_roles")
    role.own |= {
        "remote_id": _role_id(label),
        "remote_label": label,
        "scope": scope,
        "unified_type": unified_type,
    }
    return role


def _role_id(label: str) -> str:
    return label[:3]


def _candidacy(
    tenant: Tenant,
    tags: list[Row],
    users: list[Row],
    jobs: list[tuple[Row, list[Row]]],
    most_offers: int,
) -> Iterator[Row]:
    candidate = tenant.make("ats_candidates")
    yield candidate
    if tenant.chance(0.15):
        for tag in tenant.rng.sample(tags, k=tenant.number(1, 3)):
            yield tenant.make("ats_candidate_tags", candidate=candidate, tag=tag)
    for _ in range(tenant.pick((1, 1, 1, 1, 2, 3))):
        job, stages = tenant.pick(jobs)
        stage = tenant.pick(stages)
        application = tenant.make("ats_applications", candidate=candidate, job=job, stage=stage)
        yield application
        if tenant.chance(0.15):
            yield from _interview(tenant, application, users)
        if tenant.chance(0.3):
            yield tenant.make("ats_attachments", application=application)
        if tenant.chance(0.15):
            yield tenant.make("ats_notes", application=application, author=tenant.pick(users))
        for _ in range(min(most_offers, tenant.pick((0, 1, 1, 1, 1, 1, 1, 1, 2, 2)))):
            most_offers -= 1
            yield tenant.make("ats_offers", application=application)


def _interview(tenant: Tenant, application: Row, users: list[Row]) -> Iterator[Row]:
    interview = tenant.make("ats_interviews", application=application)
    yield interview
    for user in tenant.rng.sample(users, k=tenant.number(1, 3)):
        yield tenant.make("ats_interviewers", interview=interview, user=user)
        if tenant.chance(0.7):
            yield tenant.make("ats_scorecards", interview=interview, author=user)


def _ats_jobs(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    department, titles = tenant.pick(_DEPARTMENTS)
    title = tenant.pick(titles)
    identity = tenant.identity(seq)
    history = tenant.history()
    extras = tenant.extras("ats_jobs")
    salary = tenant.number(30, 110) * 1000
    ranged = tenant.chance(0.5)
    closed = tenant.chance(0.3)
    return {
        **identity,
        "name": title,
        "job_code": f"{department[:2].upper()}-{seq:04d}",
        "description": f"<p>{tenant.pick(tenant.people.sentences)}</p>",
        "confidential": tenant.chance(0.05),
        "weekly_hours": tenant.pick((40, 40, 38.5, 37.5, 20, None)),
        "employment_type": tenant.pick(_EMPLOYMENT_TYPES),
        "status": "CLOSED" if closed else tenant.pick(_JOB_STATUSES),
        "visibility": tenant.pick(("PUBLIC", "PUBLIC", "INTERNAL", "UNLISTED", "CONFIDENTIAL")),
        "category": tenant.pick(("Technical", "Commercial", None)),
        "department": department,
        "post_url": f"https://jobs.example.com/{identity['remote_id']}",
        "experience_level": tenant.pick(("Entry", "Mid-Senior", "Director", None)),
        "remote_work_status": tenant.pick(("REMOTE", "HYBRID", "TEMPORARY", "ON_SITE", "Flexible")),
        "salary_amount": None if ranged else salary,
        "salary_amount_from": salary if ranged else None,
        "salary_amount_to": salary * 1.25 if ranged else None,
        "salary_currency": tenant.pick(("EUR", "GBP", "USD")),
        "salary_period": "YEAR",
        "location": tenant.address() if tenant.chance(0.9) else None,
        "custom_fields": extras["custom_fields"],
        "integration_fields": extras["integration_fields"],
        "remote_url": tenant.link("jobs", identity["remote_id"]),
        "opened_at": history["remote_created_at"],
        "closed_at": history["remote_updated_at"] if closed else None,
        "contact_id": linked["contact"]["id"],
        **history,
        "remote_data": extras["remote_data"],
    }


def _ats_candidates(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    identity = tenant.identity(seq)
    first, last, email = tenant.person()
    extras = tenant.extras("ats_candidates")
    _, titles = tenant.pick(_DEPARTMENTS)
    emails = [{"email_address": email, "type": tenant.pick(("PRIVATE", "WORK", None))}]
    if tenant.chance(0.1):
        emails.append({"email_address": f"{seq}@{tenant.pick(MAIL_DOMAINS)}", "type": "WORK"})
    phone = f"+44 20 7946 0{tenant.number(100, 999)}"
    return {
        **identity,
        "first_name": first,
        "last_name": last,
        "company": tenant.pick(tenant.people.companies) if tenant.chance(0.7) else None,
        "title": tenant.pick(titles),
        "confidential": tenant.chance(0.05),
        "source": tenant.pick(_SOURCES),
        "phone_numbers": [{"phone_number": phone, "type": "HOME"}] if tenant.chance(0.6) else [],
        "email_addresses": emails,
        "social_media": [
            {"link": f"https://social.example/{seq}", "type": "LINKEDIN", "username": f"c{seq}"}
        ]
        if tenant.chance(0.2)
        else [],
        "location": tenant.address() if tenant.chance(0.7) else None,
        "custom_fields": extras["custom_fields"],
        "integration_fields": extras["integration_fields"],
        "remote_url": tenant.link("people", identity["remote_id"]),
        **tenant.history(),
        "remote_data": extras["remote_data"],
    }


def _ats_applications(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    identity = tenant.identity(seq)
    candidate, job, stage = linked["candidate"], linked["job"], linked["stage"]
    history = tenant.history(candidate, job)
    extras = tenant.extras("ats_applications")
    outcome = tenant.pick(("PENDING", "PENDING", "HIRED", "DECLINED", None))
    declined = outcome == "DECLINED"
    return {
        **identity,
        "outcome": outcome,
        "rejection_reason_name": tenant.pick(_REJECTIONS) if declined else None,
        "rejected_at": history["remote_updated_at"] if declined else None,
        "current_stage_id": stage["id"],
        "job_id": job["id"],
        "candidate_id": candidate["id"],
        "screening_question_answers": _answers(tenant) if tenant.chance(0.2) else [],
        "custom_fields": extras["custom_fields"],
        "integration_fields": extras["integration_fields"],
        "remote_url": tenant.link("applications", identity["remote_id"]),
        **history,
        "remote_data": extras["remote_data"],
    }


def _answers(tenant: Tenant) -> list[Record]:
    answers: tuple[tuple[str, str, Record], ...] = (
        ("TEXT", "Why do you apply?", {"content": tenant.pick(tenant.people.sentences)}),
        ("SINGLE_SELECT", "Which office do you prefer?", {"choice": tenant.pick(CITIES)[0]}),
        ("MULTI_SELECT", "Which languages do you speak?", {"choices": ["English", "Français"]}),
        ("BOOLEAN", "Do you need a visa?", {"checked": tenant.chance(0.3)}),
        ("NUMBER", "Years of experience?", {"number": tenant.number(0, 30) / 2}),
        ("DATE", "When can you start?", {"date": iso(tenant.soon())}),
        ("UNKNOWN", "Anything else?", {"raw": {"rows": ["A", "B"]}}),
    )
    return [
        {
            "answer": answer,
            "question": {"remote_id": str(number), "title": title, "type": kind},
        }
        for number, (kind, title, answer) in enumerate(answers)
        if tenant.chance(0.5)
    ]


def _ats_offers(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    application = linked["application"]
    extras = tenant.extras("ats_offers")
    return {
        **tenant.identity(seq),
        "status": tenant.pick(_OFFER_STATUSES),
        "employment_start_date": iso(tenant.soon()) if tenant.chance(0.8) else None,
        "application_id": application["id"],
        "custom_fields": extras["custom_fields"],
        "integration_fields": extras["integration_fields"],
        **tenant.history(application),
        "remote_data": extras["remote_data"],
    }


def _ats_application_stages(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "name": tenant.pick(_STAGES),
        "index": tenant.number(0, 5),
        "status": "ACTIVE",
        "custom_fields": tenant.extras("ats_application_stages")["custom_fields"],
        **tenant.steady_history(),
        "remote_data": tenant.remote_data(seq),
    }


def _ats_interviews(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    application = linked["application"]
    starts = tenant.soon() + tenant.number(8, 18) * HOUR
    return {
        **tenant.identity(seq),
        "title": f"Interview with {tenant.pick(tenant.people.first_names)}",
        "starting_at": iso(starts),
        "ending_at": iso(starts + HOUR),
        "location": tenant.address() if tenant.chance(0.3) else None,
        "video_conferencing_url": f"https://meet.example/{seq}",
        "application_id": application["id"],
        "candidate_id": application.get("candidate_id"),
        "stage_id": application.get("current_stage_id"),
        "canceled": tenant.chance(0.1),
        **tenant.history(application),
        "remote_data": tenant.remote_data(seq),
    }


def _ats_attachments(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    application = linked["application"]
    kind, name = tenant.pick(
        (("CV", "CV.pdf"), ("COVER_LETTER", "Anschreiben.docx"), ("OTHER", "Zeugnis.pdf"))
    )
    key = f"attachments/{tenant.kombo_id()}"
    stored = {"bucket": "customer-documents", "key": key, "type": "s3"}
    return {
        **tenant.identity(seq),
        "candidate_id": application["candidate_id"],
        "application_id": application["id"],
        "type": kind,
        "file_name": f"{tenant.pick(tenant.people.last_names)} {name}",
        **tenant.history(application),
        "content_ref": stored if tenant.chance(0.5) else None,
    }


def _ats_notes(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    application = linked["application"]
    return {
        **tenant.identity(seq),
        "candidate_id": application["candidate_id"],
        "application_id": application["id"],
        "author_id": linked["author"]["id"],
        "title": tenant.pick(("Phone call", "Feedback", None)),
        "content_html": f"<p>{tenant.pick(tenant.people.sentences)}</p>",
        "is_private": tenant.chance(0.2),
        **tenant.history(application),
    }


def _ats_scorecards(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    interview = linked["interview"]
    return {
        **tenant.identity(seq),
        "candidate_id": interview["candidate_id"],
        "application_id": interview["application_id"],
        "interview_id": interview["id"],
        "author_id": linked["author"]["id"],
        "responses": _responses(tenant),
        **tenant.history(interview),
    }


def _responses(tenant: Tenant) -> list[Record]:
    verdicts = [{"remote_id": str(number), "label": one} for number, one in enumerate(_VERDICTS)]
    skills = [{"remote_id": skill.lower(), "label": skill} for skill in ("Python", "SQL", "Excel")]
    responses: tuple[Record, ...] = (
        {"label": "Verdict", "type": "SINGLE_SELECT", "answer": tenant.pick(verdicts)}
        | {"options": verdicts},
        {"label": "Skills", "type": "MULTI_SELECT", "answer": skills[: tenant.number(0, 3)]}
        | {"options": skills},
        {"label": "Summary", "type": "TEXT", "answer": tenant.pick(tenant.people.sentences)},
        {"label": "Points", "type": "NUMBER", "answer": tenant.number(2, 11) / 2},
        {"label": "Would hire", "type": "BOOLEAN", "answer": tenant.chance(0.5)},
        {"label": "Can start", "type": "DATE", "answer": day(tenant.soon())},
    )
    return [
        {
            "remote_id": str(number) if number else None,
            "description": "How sure are you?" if number % 2 else None,
            "required": number == 0,
            **response,
        }
        for number, response in enumerate(responses)
        if number == 0 or tenant.chance(0.5)
    ]


def _ats_rejection_reasons(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "name": f"{tenant.pick(_REJECTIONS)} {seq}",
        **tenant.steady_history(),
        "remote_data": tenant.remote_data(seq),
    }


def _ats_roles(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    scope, label, unified_type = tenant.pick(_ROLES)
    return {
        **tenant.identity(seq),
        "remote_label": f"{label} {tenant.number(1, 100)}",
        "scope": scope,
        "unified_type": unified_type,
        **tenant.steady_history(),
        "remote_data": tenant.remote_data(seq),
    }


def _ats_tags(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "name": f"{tenant.pick(_TAGS)} {seq}",
        **tenant.steady_history(),
        "remote_data": tenant.remote_data(seq),
    }


def _ats_users(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    first, last, email = tenant.person()
    return {
        **tenant.identity(seq),
        "first_name": first,
        "last_name": last,
        "email": email,
        "status": tenant.pick(("ACTIVE", "ACTIVE", "INACTIVE")),
        **tenant.steady_history(),
        "remote_data": tenant.remote_data(seq),
    }


def _ats_hiring_team_members(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    role = tenant.pick(("RECRUITER", "HIRING_MANAGER", "COORDINATOR", "SOURCER", "INTERVIEWER"))
    label = role.replace("_", " ").title()
    return {
        **membership(tenant, seq, linked),
        "hiring_team_roles": [role],
        "job_roles": [
            {
                "remote_id": _role_id(label),
                "remote_label": label,
                "scope": "JOB",
                "unified_type": role,
            }
        ],
    }


def _ats_job_postings(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    name = linked["job"].get("name")
    return {
        **tenant.identity(seq),
        "title": f"{name} ({tenant.pick(CITIES)[0]})",
        "description_html": f"<p>{tenant.pick(tenant.people.sentences)}</p>",
        "status": tenant.pick(("ACTIVE", "INACTIVE", "DRAFT")),
        "visibility": tenant.pick(("PUBLIC", "INTERNAL", "UNLISTED")),
        "url": linked["job"].get("post_url"),
        **tenant.steady_history(),
        "remote_data": tenant.remote_data(seq),
    }


def _ats_screening_questions(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    option = {"id": tenant.kombo_id(), "remote_id": "1", "name": "English"}
    formats: tuple[Record, ...] = (
        {"display_type": "SINGLE_LINE", "max_length": 200, "type": "TEXT"},
        {"display_type": "FIELD", "max": 40.5, "min": 0, "type": "NUMBER"},
        {
            "accepted_mime_types": ["application/pdf"],
            "max_file_size_bytes": 5_000_000,
            "type": "FILE",
        },
        {"display_type": "RADIO", "options": [option], "type": "SINGLE_SELECT"},
        {"options": [option], "type": "MULTI_SELECT"},
        {"type": "BOOLEAN"},
        {"type": "DATE"},
        {"type": "INFORMATION"},
        {"raw_question": {"kind": "matrix"}, "type": "UNKNOWN"},
    )
    return {
        **tenant.identity(seq),
        "title": tenant.pick(("Which languages do you speak?", "When can you start?", "Résumé")),
        "description": tenant.pick(tenant.people.sentences),
        "format": tenant.pick(formats),
        "category": tenant.pick((None, None, "EEO", "DEMOGRAPHIC")),
        "index": tenant.number(0, 9),
        "required": tenant.chance(0.5),
        "precondition_question_id": None,
        "precondition_options": None,
        **tenant.steady_history(),
    }


MAKERS: dict[str, Maker] = {
    "ats_jobs": _ats_jobs,
    "ats_candidates": _ats_candidates,
    "ats_applications": _ats_applications,
    "ats_offers": _ats_offers,
    "ats_application_stages": _ats_application_stages,
    "ats_interviews": _ats_interviews,
    "ats_attachments": _ats_attachments,
    "ats_notes": _ats_notes,
    "ats_scorecards": _ats_scorecards,
    "ats_rejection_reasons": _ats_rejection_reasons,
    "ats_roles": _ats_roles,
    "ats_tags": _ats_tags,
    "ats_users": _ats_users,
    "ats_candidate_tags": membership,
    "ats_system_role_assignments": membership,
    "ats_interviewers": membership,
    "ats_hiring_team_members": _ats_hiring_team_members,
    "ats_job_postings": _ats_job_postings,
    "ats_screening_questions": _ats_screening_questions,
}
