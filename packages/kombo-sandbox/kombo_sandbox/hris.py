"""Human resources: employees in groups, what they earn, when they are away, how they are rated."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kombo_sandbox.clock import day, iso
from kombo_sandbox.store import Record, Row
from kombo_sandbox.tenant import CITIES, DAY, HOUR, MAIL_DOMAINS, Maker, Tenant, membership

_LEGAL_ENTITIES = ("GmbH", "Ltd", "SARL")
_DEPARTMENTS = (
    ("Engineering", ("Backend Engineer", "Data Engineer", "Engineering Manager")),
    ("Sales", ("Account Executive", "Sales Engineer", "Head of Sales")),
    ("People", ("Recruiter", "People Partner", "Payroll Specialist")),
    ("Operations", ("Office Manager", "Werkstudent Logistik", "Plant Manager")),
)
_TITLES = tuple(title for _, titles in _DEPARTMENTS for title in titles)
_TEAMS = ("Platform", "Growth", "Field", "Warehouse")
_ABSENCE_TYPES = (
    ("Vacation", "DAYS", True, False),
    ("Sick leave", "DAYS", True, False),
    ("Überstundenabbau", "HOURS", False, True),
    ("Parental leave", "DAYS", False, False),
    ("Sabbatical", None, None, None),
)
_DOCUMENT_CATEGORIES = ("Contracts", "Certificates", "Payslips", "Zeugnisse")
_CYCLES = ("2024 annual review", "2025 annual review", "2026 half-year review")
_SKILLS = ("TypeScript", "Bookkeeping", "Negotiation", "First aid", "Forklift", "Französisch")
_LEVELS = ("Beginner", "Advanced", "Expert")
_RATINGS = ("Below expectations", "Meets expectations", "Exceeds expectations")
# Kombo lets a tool's own word through where it cannot map it.
_EMPLOYMENT_TYPES = ("FULL_TIME", "FULL_TIME", "PART_TIME", "INTERNSHIP", "WORKING_STUDENT", "ANÜ")
_LINE_ITEMS = (("Base salary", 1.0), ("Bonus", 0.1), ("Income tax", -0.3))

_MOST_MANAGERS = 200
_YEARS = 15 * 365


@dataclass
class _Company:
    """What the employees of an integration have to do with."""

    managers: list[Row] = field(default_factory=list)
    legal_entities: list[Row] = field(default_factory=list)
    locations: list[Row] = field(default_factory=list)
    groups: list[Row] = field(default_factory=list)
    absence_types: list[Row] = field(default_factory=list)
    cycles: list[Row] = field(default_factory=list)
    pay_runs: list[Row] = field(default_factory=list)
    skills: list[Row] = field(default_factory=list)


def family(tenant: Tenant, employees: int) -> Iterator[Row]:
    """All records of an integration with exactly so many employees."""
    company = _company(tenant)
    yield from company.legal_entities
    yield from company.locations
    yield from company.groups
    yield from company.absence_types
    yield from company.cycles
    yield from company.pay_runs
    yield from company.skills
    for name in _DOCUMENT_CATEGORIES:
        yield _named(tenant, "hris_employee_document_categories", name)
    parent = None
    for _ in range(3 + min(employees // 10, 500)):
        entity = tenant.make("hris_staffing_entities", parent=parent)
        parent = entity if tenant.chance(0.5) else None
        yield from _staffing(tenant, company, entity)
    for _ in range(employees):
        yield from _employee(tenant, company)


def _company(tenant: Tenant) -> _Company:
    company = _Company()
    company.legal_entities = [tenant.make("hris_legal_entities") for _ in _LEGAL_ENTITIES]
    company.locations = [tenant.make("hris_locations") for _ in CITIES]
    departments = [
        _named(tenant, "hris_groups", name, type="DEPARTMENT") for name, _ in _DEPARTMENTS
    ]
    teams = []
    for name in _TEAMS:
        team = tenant.make("hris_groups", parent=tenant.pick(departments))
        team.own |= {"name": name, "type": "TEAM"}
        teams.append(team)
    others = [
        _named(tenant, "hris_groups", name, type=kind)
        for name, kind in (("CC-4711", "COST_CENTER"), ("Betriebsrat", None))
    ]
    company.groups = [*departments, *teams, *others]
    company.absence_types = [
        _named(
            tenant,
            "hris_absence_types",
            name,
            unit=unit,
            half_days_supported=halves,
            exact_times_supported=exact,
        )
        for name, unit, halves, exact in _ABSENCE_TYPES
    ]
    company.cycles = [_named(tenant, "hris_performance_review_cycles", name) for name in _CYCLES]
    company.pay_runs = [
        tenant.make("hris_pay_runs", legal_entity=entity)
        for entity in company.legal_entities
        for _ in range(4)
    ]
    company.skills = [_named(tenant, "hris_skills", name) for name in _SKILLS]
    return company


def _named(tenant: Tenant, model: str, name: str, **own: object) -> Row:
    row = tenant.make(model)
    row.own |= {"name": name, **own}
    return row


def _staffing(tenant: Tenant, company: _Company, entity: Row) -> Iterator[Row]:
    yield entity
    pick = tenant.pick
    yield tenant.make("hris_staffing_locations", entity=entity, location=pick(company.locations))
    yield tenant.make("hris_staffing_groups", entity=entity, to_group=pick(company.groups))
    yield tenant.make("hris_staffing_skills", entity=entity, skill=pick(company.skills))
    employer = pick(company.legal_entities)
    yield tenant.make("hris_staffing_legal_entities", entity=entity, legal_entity=employer)


def _employee(tenant: Tenant, company: _Company) -> Iterator[Row]:
    pick = tenant.pick
    manager = pick(company.managers) if company.managers else None
    employee = tenant.make(
        "hris_employees",
        manager=manager,
        legal_entity=pick(company.legal_entities),
        work_location=pick(company.locations) if tenant.chance(0.9) else None,
    )
    if len(company.managers) < _MOST_MANAGERS and (manager is None or tenant.chance(0.2)):
        company.managers.append(employee)
    yield employee
    for _ in range(pick((1, 1, 1, 2))):
        yield tenant.make("hris_employments", employee=employee)
    for group in tenant.rng.sample(company.groups, k=tenant.number(1, 4)):
        yield tenant.make("hris_group_memberships", employee=employee, to_group=group)
    for kind in company.absence_types[: tenant.number(1, 4)]:
        yield tenant.make("hris_time_off_balances", employee=employee, type=kind)
    for _ in range(tenant.number(0, 4)):
        kind = pick(company.absence_types)
        yield tenant.make("hris_absences", employee=employee, approver=manager, type=kind)
    for _ in range(tenant.number(0, 4)):
        yield tenant.make("hris_timesheets", employee=employee)
    for skill in tenant.rng.sample(company.skills, k=tenant.number(0, 3)):
        yield tenant.make("hris_employee_skill_assignments", employee=employee, skill=skill)
    yield from _reviews(tenant, company, employee, manager)
    yield from _payslips(tenant, company, employee)


def _reviews(
    tenant: Tenant, company: _Company, employee: Row, manager: Row | None
) -> Iterator[Row]:
    for reviewer in (manager, employee):
        if reviewer and tenant.chance(0.5):
            yield tenant.make(
                "hris_performance_reviews",
                reviewee=employee,
                reviewer=reviewer,
                review_cycle=tenant.pick(company.cycles),
            )


def _payslips(tenant: Tenant, company: _Company, employee: Row) -> Iterator[Row]:
    employer = employee.links["legal_entity"]
    for run in company.pay_runs:
        if run.links["legal_entity"] == employer and tenant.chance(0.5):
            payslip = tenant.make("hris_payslips", employee=employee, pay_run=run)
            yield payslip
            yield from _line_items(tenant, payslip)


def _line_items(tenant: Tenant, payslip: Row) -> Iterator[Row]:
    gross = payslip.own["totals"]["gross_pay"]
    for name, share in _LINE_ITEMS:
        item = tenant.make("hris_payslip_line_items", payslip=payslip)
        amount = gross and {**gross, "value": round(gross["value"] * share, 2)}
        item.own |= {"name": name, "amount": amount}
        yield item


def _id(linked: Mapping[str, Record], link: str) -> str | None:
    return linked[link]["id"] if link in linked else None


def _hris_employees(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    first, last, email = tenant.person()
    chance, pick, number = tenant.chance, tenant.pick, tenant.number
    status = pick(("ACTIVE", "ACTIVE", "ACTIVE", "ACTIVE", "INACTIVE", "LEAVE", "PENDING"))
    started = tenant.ago(_YEARS)
    history = tenant.history(*linked.values())
    return {
        **tenant.identity(seq),
        "employee_number": f"{10_000 + seq}",
        "first_name": first,
        "last_name": last,
        "nationality": pick(("German", "British", "French", "Swiss", None)),
        "display_full_name": f"{first} {last}",
        "job_title": pick(_TITLES),
        "work_email": email,
        "personal_email": f"{number(1, 10**6)}@{pick(MAIL_DOMAINS)}" if chance(0.7) else None,
        "mobile_phone_number": f"+44 7700 900{number(100, 999)}" if chance(0.7) else None,
        "ssn": f"000-{number(10, 99)}-{number(1000, 9999)}" if chance(0.5) else None,
        "tax_id": f"{number(10**9, 10**10)}" if chance(0.5) else None,
        "gender": pick(("MALE", "FEMALE", "NON_BINARY", "NOT_SPECIFIED", "Divers", None)),
        "ethnicity": pick(("WHITE", "ASIAN", "HISPANIC_LATINO", "DECLINE_TO_SPECIFY", None)),
        "marital_status": pick(("SINGLE", "MARRIED", "DIVORCED", "Verpartnert", None)),
        "employment_status": status,
        "employment_type": pick(_EMPLOYMENT_TYPES),
        "weekly_hours": pick((40, 40, 38.5, 20, None)),
        "avatar": f"https://img.example/{seq}.png" if chance(0.3) else None,
        "work_location_id": _id(linked, "work_location"),
        "legal_entity_id": _id(linked, "legal_entity"),
        "manager_id": _id(linked, "manager"),
        "home_address": tenant.address() if chance(0.8) else None,
        "bank_accounts": [_bank_account(tenant, f"{first} {last}")] if chance(0.6) else [],
        "date_of_birth": iso(tenant.ago(_YEARS) - 20 * 365 * DAY) if chance(0.8) else None,
        "start_date": iso(started),
        "termination_date": iso(started + 90 * DAY) if status == "INACTIVE" else None,
        **history,
        **tenant.customised("hris_employees"),
    }


def _bank_account(tenant: Tenant, holder: str) -> Record:
    if tenant.chance(0.5):
        return {
            "iban": f"DE00{tenant.number(10**17, 10**18)}",
            "bic": "EXMPDEFFXXX",
            "account_number": None,
            "holder_name": holder,
            "bank_name": "Beispielbank",
            "domestic_bank_routing": None,
        }
    return {
        "iban": None,
        "bic": None,
        "account_number": str(tenant.number(10**7, 10**8)),
        "holder_name": holder,
        "bank_name": None,
        "domestic_bank_routing": {"number": "000000", "type": "GB_SORT_CODE"},
    }


def _hris_employments(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    employee = linked["employee"]
    yearly = tenant.chance(0.8)
    return {
        **tenant.identity(seq),
        "employee_id": employee["id"],
        "job_title": tenant.pick(_TITLES),
        "pay_rate": tenant.number(30, 150) * 1000 if yearly else tenant.number(50, 160) / 4,
        "pay_period": "YEAR" if yearly else "HOUR",
        "pay_frequency": tenant.pick(("MONTHLY", "SEMIMONTHLY", "BIWEEKLY", None)),
        "employment_type": tenant.pick(_EMPLOYMENT_TYPES),
        "pay_currency": tenant.pick(("EUR", "GBP", "USD")),
        "effective_date": iso(tenant.ago(_YEARS)),
        **tenant.history(employee),
        **tenant.customised("hris_employments"),
    }


def _steady(tenant: Tenant, seq: int) -> Record:
    return {**tenant.steady_history(), "remote_data": tenant.remote_data(seq)}


def _hris_groups(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "name": f"{tenant.pick(_TEAMS)} {tenant.number(1, 100)}",
        "type": tenant.pick(("DEPARTMENT", "TEAM", "COST_CENTER", None)),
        "parent_id": _id(linked, "parent"),
        **_steady(tenant, seq),
    }


def _hris_legal_entities(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    return {
        **tenant.identity(seq),
        "name": f"{tenant.pick(tenant.people.companies)} {tenant.pick(_LEGAL_ENTITIES)}",
        "address": tenant.address(),
        **_steady(tenant, seq),
    }


def _hris_locations(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    address = tenant.address()
    return {
        **tenant.identity(seq),
        "name": f"{address['city']} {tenant.number(1, 100)}",
        "address": address,
        "type": tenant.pick(("OFFICE", "WAREHOUSE", "HOME", None)),
        **_steady(tenant, seq),
    }


def _hris_absence_types(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    name, unit, half_days, exact_times = tenant.pick(_ABSENCE_TYPES)
    return {
        **tenant.identity(seq),
        "name": f"{name} {tenant.number(1, 100)}",
        "unit": unit,
        "half_days_supported": half_days,
        "exact_times_supported": exact_times,
        "custom_fields": tenant.extras("hris_absence_types")["custom_fields"],
        **_steady(tenant, seq),
    }


def _hris_absences(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    employee, kind = linked["employee"], linked["type"]
    starts = tenant.ago(700) + 60 * DAY
    exact = bool(kind["exact_times_supported"])
    days = 1 if exact else tenant.number(1, 15)
    half = bool(kind["half_days_supported"]) and tenant.chance(0.3)
    hours = tenant.number(1, 9)
    return {
        **tenant.identity(seq),
        "employee_id": employee["id"],
        "approver_id": _id(linked, "approver"),
        "start_date": day(starts),
        "end_date": day(starts + (days - 1) * DAY),
        "start_half_day": half if kind["half_days_supported"] else None,
        "end_half_day": False if kind["half_days_supported"] else None,
        "start_time": "08:30:00" if exact else None,
        "end_time": f"{8 + hours:02d}:30:00" if exact else None,
        "amount": hours if exact else days - half / 2,
        "unit": kind["unit"],
        "status": tenant.pick(("APPROVED", "APPROVED", "REQUESTED", "DECLINED", "CANCELLED")),
        "employee_note": tenant.pick(tenant.people.sentences) if tenant.chance(0.3) else None,
        "type_id": kind["id"],
        **tenant.history(employee),
        "remote_data": tenant.remote_data(seq),
    }


def _hris_time_off_balances(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    kind = linked["type"]
    return {
        **tenant.identity(seq),
        "employee_id": linked["employee"]["id"],
        "type_id": kind["id"],
        "balance": tenant.number(0, 60) / 2,
        "balance_unit": kind["unit"],
        "used": tenant.number(0, 60) / 2,
        "used_unit": kind["unit"],
        **_steady(tenant, seq),
    }


def _hris_employee_document_categories(
    tenant: Tenant, seq: int, _linked: Mapping[str, Record]
) -> Record:
    return {
        **tenant.identity(seq),
        "name": f"{tenant.pick(_DOCUMENT_CATEGORIES)} {tenant.number(1, 100)}",
        **_steady(tenant, seq),
    }


def _hris_timesheets(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    started = tenant.ago(365) - DAY + tenant.number(12, 40) * HOUR // 2
    hours = tenant.number(8, 20) / 2
    ended = started + int((hours + 0.5) * HOUR)
    pause = started + 3 * HOUR
    approved = tenant.chance(0.6)
    return {
        **tenant.identity(seq),
        "employee_id": linked["employee"]["id"],
        "started_at": iso(started),
        "ended_at": iso(ended),
        "timezone": tenant.pick(("+01:00", "+02:00", "-04:00", None)),
        "payable_hours": hours,
        "unpaid_break_minutes": 30,
        "breaks": [{"started_at": iso(pause), "ended_at": iso(pause + HOUR // 2), "paid": False}],
        "approval_status": "APPROVED" if approved else "PENDING",
        "approved_at": iso(ended + HOUR) if approved else None,
        "comment": tenant.pick(tenant.people.sentences) if tenant.chance(0.3) else None,
        **tenant.history(),
        **tenant.customised("hris_timesheets"),
    }


def _hris_performance_review_cycles(
    tenant: Tenant, seq: int, _linked: Mapping[str, Record]
) -> Record:
    return {
        **tenant.identity(seq),
        "name": f"{tenant.pick(_CYCLES)} {tenant.number(1, 100)}",
        "review_period_start_date": iso(tenant.ago(365)),
        **_steady(tenant, seq),
    }


def _hris_performance_reviews(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    reviewee, reviewer = linked["reviewee"], linked["reviewer"]
    kind = tenant.pick(("PEER", "DIRECT_REPORT"))
    if reviewer["id"] in {reviewee["id"], reviewee["manager_id"]}:
        kind = "SELF" if reviewer["id"] == reviewee["id"] else "MANAGER"
    rating: Record = {
        "type": "SINGLE_SELECT",
        "ordered_options": list(_RATINGS),
        "value": tenant.pick(_RATINGS),
    }
    if tenant.chance(0.5):
        rating = {"type": "NUMERIC", "min": 1, "max": 5, "value": tenant.number(2, 11) / 2}
    return {
        **tenant.identity(seq),
        "type": kind,
        "summary_comment": tenant.pick(tenant.people.sentences),
        "summary_rating": rating if tenant.chance(0.9) else None,
        **tenant.history(reviewee, reviewer),
        "remote_data": tenant.remote_data(seq),
    }


def _hris_skills(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    identity = tenant.identity(seq)
    scale = {"id": tenant.kombo_id(), "remote_id": f"scale-{seq}"}
    options = [
        {"id": tenant.kombo_id(), "remote_id": str(number), "name": level}
        for number, level in enumerate(_LEVELS)
    ]
    numeric = {"type": "NUMERIC", "min": 1, "max": 5, "step": 0.5}
    return {
        **identity,
        "name": f"{tenant.pick(_SKILLS)} {tenant.number(1, 100)}",
        "description": tenant.pick(tenant.people.sentences),
        "ordered_levels": list(_LEVELS),
        "proficiency_scale": scale
        | ({"type": "SINGLE_SELECT", "ordered_options": options} if seq % 2 else numeric),
        **_steady(tenant, seq),
    }


def _hris_employee_skill_assignments(
    tenant: Tenant, seq: int, linked: Mapping[str, Record]
) -> Record:
    return {
        **tenant.identity(seq),
        "employee_id": linked["employee"]["id"],
        "skill_id": linked["skill"]["id"],
        "current_level": tenant.pick((*_LEVELS, None)),
        **tenant.steady_history(),
    }


def _hris_staffing_entities(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    identity = tenant.identity(seq)
    limited = tenant.chance(0.5)
    return {
        **identity,
        "name": f"{tenant.pick(_TITLES)} {tenant.number(1, 100)}",
        "model_type": tenant.pick(("JOB", "POSITION", "REQUISITION")),
        "description": tenant.pick(tenant.people.sentences),
        "status": "OPEN_LIMITED"
        if limited
        else tenant.pick(("OPEN_UNLIMITED", "FILLED", "FROZEN")),
        "employment_types": [{"remote_label": "Vollzeit", "unified_type": "FULL_TIME"}],
        "number_of_openings": tenant.number(1, 10) if limited else None,
        "parent_id": _id(linked, "parent"),
        "remote_url": tenant.link("positions", identity["remote_id"]),
        **tenant.history(*linked.values()),
        **tenant.customised("hris_staffing_entities"),
    }


def _hris_staffing_skills(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    skill = linked["skill"]
    scale = skill["proficiency_scale"] or {}
    expected: Record = {"type": "NUMERIC", "value": tenant.number(2, 11) / 2}
    if scale.get("type") == "SINGLE_SELECT":
        option = tenant.pick(scale["ordered_options"])
        expected = {"type": "SINGLE_SELECT", "selected_option_id": option["id"]}
    return {
        **membership(tenant, seq, linked),
        "skill_id": skill["id"],
        "expected_proficiency": expected,
    }


def _totals(gross: int, currency: str) -> Record:
    return {
        name: {"currency": currency, "value": round(gross * share, 2)}
        for name, share in (("gross_pay", 1.0), ("net_pay", 0.68), ("paid_amount", 0.6))
    }


def _hris_pay_runs(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    starts = tenant.ago(365) - 60 * DAY
    return {
        **tenant.identity(seq),
        "start_date": day(starts),
        "end_date": day(starts + 30 * DAY),
        "legal_entity_id": _id(linked, "legal_entity"),
        **tenant.steady_history(),
        "totals": _totals(tenant.number(100, 900) * 1000, tenant.pick(("EUR", "GBP"))),
    }


def _hris_payslips(tenant: Tenant, seq: int, linked: Mapping[str, Record]) -> Record:
    # An anonymized pay run has none.
    paid = linked["pay_run"]["totals"] or _totals(0, "EUR")
    return {
        **tenant.identity(seq),
        **tenant.history(linked["employee"]),
        "totals": _totals(tenant.number(2500, 9000), paid["gross_pay"]["currency"]),
    }


def _hris_payslip_line_items(tenant: Tenant, seq: int, _linked: Mapping[str, Record]) -> Record:
    name, _ = tenant.pick(_LINE_ITEMS)
    return {
        **tenant.identity(seq),
        "name": name,
        "amount": {"currency": "EUR", "value": tenant.number(-3000, 9000) / 4},
        **tenant.steady_history(),
    }


MAKERS: dict[str, Maker] = {
    "hris_employees": _hris_employees,
    "hris_employments": _hris_employments,
    "hris_groups": _hris_groups,
    "hris_legal_entities": _hris_legal_entities,
    "hris_locations": _hris_locations,
    "hris_absence_types": _hris_absence_types,
    "hris_absences": _hris_absences,
    "hris_time_off_balances": _hris_time_off_balances,
    "hris_employee_document_categories": _hris_employee_document_categories,
    "hris_timesheets": _hris_timesheets,
    "hris_performance_review_cycles": _hris_performance_review_cycles,
    "hris_performance_reviews": _hris_performance_reviews,
    "hris_skills": _hris_skills,
    "hris_employee_skill_assignments": _hris_employee_skill_assignments,
    "hris_staffing_entities": _hris_staffing_entities,
    "hris_pay_runs": _hris_pay_runs,
    "hris_payslips": _hris_payslips,
    "hris_group_memberships": membership,
    "hris_payslip_line_items": _hris_payslip_line_items,
    "hris_staffing_locations": membership,
    "hris_staffing_legal_entities": membership,
    "hris_staffing_groups": membership,
    "hris_staffing_skills": _hris_staffing_skills,
}
