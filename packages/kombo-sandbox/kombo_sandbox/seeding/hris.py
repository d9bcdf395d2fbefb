"""Records of an HR information system: employees, pay, absences, reviews and skills."""

from collections.abc import Iterator

from kombo_sandbox.clock import day, iso
from kombo_sandbox.seeding.factory import DAY, HOUR, NewRecord, RecordFactory
from kombo_sandbox.seeding.names import CITIES, COMPANIES, MAIL_DOMAINS
from kombo_sandbox.store import Record, Row

_LEGAL_FORMS = ("GmbH", "Ltd", "SARL")
_TITLES = (
    "Backend Engineer",
    "Engineering Manager",
    "Account Executive",
    "Head of Sales",
    "Recruiter",
    "Payroll Specialist",
    "Office Manager",
    "Werkstudent Logistik",
)
_DEPARTMENTS = ("Engineering", "Sales", "People", "Operations")
_TEAMS = ("Platform", "Growth", "Field", "Warehouse")
_OTHER_GROUPS = (("CC-4711", "COST_CENTER"), ("Betriebsrat", None))
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
# Kombo returns a value of the tool unchanged if it cannot map it.
_EMPLOYMENT_TYPES = ("FULL_TIME", "FULL_TIME", "PART_TIME", "INTERNSHIP", "WORKING_STUDENT", "ANÜ")
_LINE_ITEMS = (("Base salary", 1.0), ("Bonus", 0.1), ("Income tax", -0.3))

_MAX_MANAGERS = 200
_YEARS = 15 * 365


class HrisFactory(RecordFactory):
    """Records of an HRIS; its size is the number of employees."""

    def records(self, size: int) -> Iterator[Row]:
        self._managers: list[Row] = []
        self._legal_entities = [self.make("hris_legal_entities") for _ in _LEGAL_FORMS]
        self._locations = [self.make("hris_locations") for _ in CITIES]
        self._groups = list(self._make_groups())
        self._absence_types = [
            self.make("hris_absence_types", _absence_type(*row)) for row in _ABSENCE_TYPES
        ]
        self._cycles = [
            self.make("hris_performance_review_cycles", {"name": name}) for name in _CYCLES
        ]
        self._pay_runs = [
            self.make("hris_pay_runs", legal_entity=entity)
            for entity in self._legal_entities
            for _ in range(4)
        ]
        self._skills = [self.make("hris_skills", {"name": name}) for name in _SKILLS]
        yield from (
            *self._legal_entities,
            *self._locations,
            *self._groups,
            *self._absence_types,
            *self._cycles,
            *self._pay_runs,
            *self._skills,
        )
        for name in _DOCUMENT_CATEGORIES:
            yield self.make("hris_employee_document_categories", {"name": name})
        parent = None
        for _ in range(3 + min(size // 10, 500)):
            entity = self.make("hris_staffing_entities", parent=parent)
            parent = entity if self.chance(0.5) else None
            yield from self._staffing(entity)
        for _ in range(size):
            yield from self._employee()

    def _make_groups(self) -> Iterator[Row]:
        departments = [
            self.make("hris_groups", {"name": name, "type": "DEPARTMENT"}) for name in _DEPARTMENTS
        ]
        yield from departments
        for name in _TEAMS:
            team = {"name": name, "type": "TEAM"}
            yield self.make("hris_groups", team, parent=self.pick(departments))
        for name, kind in _OTHER_GROUPS:
            yield self.make("hris_groups", {"name": name, "type": kind})

    def _staffing(self, entity: Row) -> Iterator[Row]:
        yield entity
        for model, link, rows in (
            ("hris_staffing_locations", "location", self._locations),
            ("hris_staffing_groups", "to_group", self._groups),
            ("hris_staffing_skills", "skill", self._skills),
            ("hris_staffing_legal_entities", "legal_entity", self._legal_entities),
        ):
            yield self.make(model, entity=entity, **{link: self.pick(rows)})

    def _employee(self) -> Iterator[Row]:
        pick = self.pick
        manager = pick(self._managers) if self._managers else None
        employee = self.make(
            "hris_employees",
            manager=manager,
            legal_entity=pick(self._legal_entities),
            work_location=pick(self._locations) if self.chance(0.9) else None,
        )
        if len(self._managers) < _MAX_MANAGERS and (manager is None or self.chance(0.2)):
            self._managers.append(employee)
        yield employee
        for _ in range(pick((1, 1, 1, 2))):
            yield self.make("hris_employments", employee=employee)
        for group in self.rng.sample(self._groups, k=self.number(1, 4)):
            yield self.make("hris_group_memberships", employee=employee, to_group=group)
        for kind in self._absence_types[: self.number(1, 4)]:
            yield self.make("hris_time_off_balances", employee=employee, type=kind)
        for _ in range(self.number(0, 4)):
            kind = pick(self._absence_types)
            yield self.make("hris_absences", employee=employee, approver=manager, type=kind)
        for _ in range(self.number(0, 4)):
            yield self.make("hris_timesheets", employee=employee)
        for skill in self.rng.sample(self._skills, k=self.number(0, 3)):
            yield self.make("hris_employee_skill_assignments", employee=employee, skill=skill)
        yield from self._reviews_and_payslips(employee, manager)

    def _reviews_and_payslips(self, employee: Row, manager: Row | None) -> Iterator[Row]:
        for reviewer in (manager, employee):
            if reviewer and self.chance(0.5):
                yield self.make(
                    "hris_performance_reviews",
                    reviewee=employee,
                    reviewer=reviewer,
                    review_cycle=self.pick(self._cycles),
                )
        for run in self._pay_runs:
            if run.links["legal_entity"] == employee.links["legal_entity"] and self.chance(0.5):
                yield from self._payslip(employee, run)

    def _payslip(self, employee: Row, run: Row) -> Iterator[Row]:
        payslip = self.make("hris_payslips", employee=employee, pay_run=run)
        yield payslip
        gross = payslip.own["totals"]["gross_pay"]
        for name, share in _LINE_ITEMS:
            item = {"name": name, "amount": {**gross, "value": round(gross["value"] * share, 2)}}
            yield self.make("hris_payslip_line_items", item, payslip=payslip)

    def hris_employees(self, new: NewRecord) -> Record:
        first, last, email = self.person()
        chance, pick, number = self.chance, self.pick, self.number
        status = pick(("ACTIVE", "ACTIVE", "ACTIVE", "ACTIVE", "INACTIVE", "LEAVE", "PENDING"))
        started = self.ago(_YEARS)
        return {
            "employee_number": f"{10_000 + new.seq}",
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
            "avatar": f"https://img.example/{new.seq}.png" if chance(0.3) else None,
            "home_address": self.address() if chance(0.8) else None,
            "bank_accounts": [self._bank_account(f"{first} {last}")] if chance(0.6) else [],
            "date_of_birth": iso(self.ago(_YEARS) - 20 * 365 * DAY) if chance(0.8) else None,
            "start_date": iso(started),
            "termination_date": iso(started + 90 * DAY) if status == "INACTIVE" else None,
        }

    def _bank_account(self, holder: str) -> Record:
        account = dict.fromkeys(
            ("iban", "bic", "account_number", "bank_name", "domestic_bank_routing")
        )
        if self.chance(0.5):
            iban = f"DE00{self.number(10**17, 10**18)}"
            values: Record = {"iban": iban, "bic": "EXMPDEFFXXX", "bank_name": "Beispielbank"}
        else:
            routing = {"number": "000000", "type": "GB_SORT_CODE"}
            number = str(self.number(10**7, 10**8))
            values = {"account_number": number, "domestic_bank_routing": routing}
        return {"holder_name": holder, **account, **values}

    def hris_employments(self, _new: NewRecord) -> Record:
        is_yearly = self.chance(0.8)
        return {
            "job_title": self.pick(_TITLES),
            "pay_rate": self.number(30, 150) * 1000 if is_yearly else self.number(50, 160) / 4,
            "pay_period": "YEAR" if is_yearly else "HOUR",
            "pay_frequency": self.pick(("MONTHLY", "SEMIMONTHLY", "BIWEEKLY", None)),
            "employment_type": self.pick(_EMPLOYMENT_TYPES),
            "pay_currency": self.pick(("EUR", "GBP", "USD")),
            "effective_date": iso(self.ago(_YEARS)),
        }

    def hris_groups(self, _new: NewRecord) -> Record:
        return {
            "name": self.named(_TEAMS),
            "type": self.pick(("DEPARTMENT", "TEAM", "COST_CENTER", None)),
        }

    def hris_legal_entities(self, _new: NewRecord) -> Record:
        return {
            "name": f"{self.pick(COMPANIES)} {self.pick(_LEGAL_FORMS)}",
            "address": self.address(),
        }

    def hris_locations(self, _new: NewRecord) -> Record:
        address = self.address()
        return {
            "name": self.named([address["city"]]),
            "address": address,
            "type": self.pick(("OFFICE", "WAREHOUSE", "HOME", None)),
        }

    def hris_absence_types(self, _new: NewRecord) -> Record:
        kind = _absence_type(*self.pick(_ABSENCE_TYPES))
        return {**kind, "name": self.named([kind["name"]])}

    def hris_absences(self, new: NewRecord) -> Record:
        kind = new.linked["type"]
        starts = self.ago(700) + 60 * DAY
        has_times = bool(kind["exact_times_supported"])
        has_halves = bool(kind["half_days_supported"])
        days = 1 if has_times else self.number(1, 15)
        is_half = has_halves and self.chance(0.3)
        hours = self.number(1, 9)
        return {
            "start_date": day(starts),
            "end_date": day(starts + (days - 1) * DAY),
            "start_half_day": is_half if has_halves else None,
            "end_half_day": False if has_halves else None,
            "start_time": "08:30:00" if has_times else None,
            "end_time": f"{8 + hours:02d}:30:00" if has_times else None,
            "amount": hours if has_times else days - is_half / 2,
            "unit": kind["unit"],
            "status": self.pick(("APPROVED", "APPROVED", "REQUESTED", "DECLINED", "CANCELLED")),
            "employee_note": self.sentence() if self.chance(0.3) else None,
        }

    def hris_time_off_balances(self, new: NewRecord) -> Record:
        unit = new.linked["type"]["unit"]
        return {
            "balance": self.number(0, 60) / 2,
            "balance_unit": unit,
            "used": self.number(0, 60) / 2,
            "used_unit": unit,
        }

    def hris_employee_document_categories(self, _new: NewRecord) -> Record:
        return {"name": self.named(_DOCUMENT_CATEGORIES)}

    def hris_timesheets(self, _new: NewRecord) -> Record:
        started = self.ago(365) - DAY + self.number(12, 40) * HOUR // 2
        hours = self.number(8, 20) / 2
        ended = started + int((hours + 0.5) * HOUR)
        pause = started + 3 * HOUR
        is_approved = self.chance(0.6)
        return {
            "started_at": iso(started),
            "ended_at": iso(ended),
            "timezone": self.pick(("+01:00", "+02:00", "-04:00", None)),
            "payable_hours": hours,
            "unpaid_break_minutes": 30,
            "breaks": [
                {"started_at": iso(pause), "ended_at": iso(pause + HOUR // 2), "paid": False}
            ],
            "approval_status": "APPROVED" if is_approved else "PENDING",
            "approved_at": iso(ended + HOUR) if is_approved else None,
            "comment": self.sentence() if self.chance(0.3) else None,
        }

    def hris_performance_review_cycles(self, _new: NewRecord) -> Record:
        return {"name": self.named(_CYCLES), "review_period_start_date": iso(self.ago(365))}

    def hris_performance_reviews(self, new: NewRecord) -> Record:
        reviewee, reviewer = new.linked["reviewee"], new.linked["reviewer"]
        kind = self.pick(("PEER", "DIRECT_REPORT"))
        if reviewer["id"] in {reviewee["id"], reviewee["manager_id"]}:
            kind = "SELF" if reviewer["id"] == reviewee["id"] else "MANAGER"
        rating: Record = {
            "type": "SINGLE_SELECT",
            "ordered_options": list(_RATINGS),
            "value": self.pick(_RATINGS),
        }
        if self.chance(0.5):
            rating = {"type": "NUMERIC", "min": 1, "max": 5, "value": self.number(2, 11) / 2}
        return {
            "type": kind,
            "summary_comment": self.sentence(),
            "summary_rating": rating if self.chance(0.9) else None,
        }

    def hris_skills(self, new: NewRecord) -> Record:
        options = [
            {"id": self.kombo_id(), "remote_id": str(number), "name": level}
            for number, level in enumerate(_LEVELS)
        ]
        scale: Record = {"type": "SINGLE_SELECT", "ordered_options": options}
        if new.seq % 2:
            scale = {"type": "NUMERIC", "min": 1, "max": 5, "step": 0.5}
        return {
            "name": self.named(_SKILLS),
            "description": self.sentence(),
            "ordered_levels": list(_LEVELS),
            "proficiency_scale": {
                "id": self.kombo_id(),
                "remote_id": f"scale-{new.seq}",
                **scale,
            },
        }

    def hris_employee_skill_assignments(self, _new: NewRecord) -> Record:
        return {"current_level": self.pick((*_LEVELS, None))}

    def hris_staffing_entities(self, new: NewRecord) -> Record:
        is_limited = self.chance(0.5)
        status = self.pick(("OPEN_UNLIMITED", "FILLED", "FROZEN"))
        return {
            "name": self.named(_TITLES),
            "model_type": self.pick(("JOB", "POSITION", "REQUISITION")),
            "description": self.sentence(),
            "status": "OPEN_LIMITED" if is_limited else status,
            "employment_types": [{"remote_label": "Vollzeit", "unified_type": "FULL_TIME"}],
            "number_of_openings": self.number(1, 10) if is_limited else None,
            "remote_url": self.url("positions", new),
        }

    def hris_staffing_skills(self, new: NewRecord) -> Record:
        scale = new.linked["skill"]["proficiency_scale"] or {}
        expected: Record = {"type": "NUMERIC", "value": self.number(2, 11) / 2}
        if scale.get("type") == "SINGLE_SELECT":
            option = self.pick(scale["ordered_options"])
            expected = {"type": "SINGLE_SELECT", "selected_option_id": option["id"]}
        return {"expected_proficiency": expected}

    def hris_pay_runs(self, _new: NewRecord) -> Record:
        starts = self.ago(365) - 60 * DAY
        return {
            "start_date": day(starts),
            "end_date": day(starts + 30 * DAY),
            "totals": _totals(self.number(100, 900) * 1000, self.pick(("EUR", "GBP"))),
        }

    def hris_payslips(self, new: NewRecord) -> Record:
        # An anonymized pay run has no totals.
        run = new.linked["pay_run"]["totals"] or _totals(0, "EUR")
        return {"totals": _totals(self.number(2500, 9000), run["gross_pay"]["currency"])}

    def hris_payslip_line_items(self, _new: NewRecord) -> Record:
        name, _ = self.pick(_LINE_ITEMS)
        amount = {"currency": "EUR", "value": self.number(-3000, 9000) / 4}
        return {"name": name, "amount": amount}


def _absence_type(name: str, unit: str | None, halves: bool | None, times: bool | None) -> Record:  # noqa: FBT001 - a row of the table
    return {
        "name": name,
        "unit": unit,
        "half_days_supported": halves,
        "exact_times_supported": times,
    }


def _totals(gross: int, currency: str) -> Record:
    return {
        name: {"currency": currency, "value": round(gross * share, 2)}
        for name, share in (("gross_pay", 1.0), ("net_pay", 0.68), ("paid_amount", 0.6))
    }
