"""Human resources: the models."""

# ruff: noqa: S608 - every name in this SQL comes from the table of models

from kombo_sandbox.filters import (
    Filter,
    among,
    date,
    json_pair,
    kombo_id,
    kombo_ids,
    lowered,
    name_contains,
    some_of,
)
from kombo_sandbox.models.row import UNDATED, UNTRACKED, WHOLE, Many, Model, One, Shape

_NAME: Shape = ("id", "remote_id", "name")
_GROUP: Shape = ("id", "remote_id", "name", "type")
_PERSON: Shape = (
    "id",
    "remote_id",
    "first_name",
    "last_name",
    "display_full_name",
    "work_email",
    "remote_deleted_at",
)
_ABSENCE_TYPE: Shape = (
    "id",
    "remote_id",
    "name",
    "unit",
    "half_days_supported",
    "exact_times_supported",
    "remote_data",
    "changed_at",
    "remote_deleted_at",
    "custom_fields",
)

_OF_EMPLOYEE = Filter("employee_id", "r.own->>'employee_id' = :employee_id", kombo_id)
_STATUS = some_of("ACTIVE", "PENDING", "INACTIVE", "LEAVE")


def _behind(link: str, model: str) -> str:
    """SQL for the id of the record behind a link."""
    return f"(SELECT l.id FROM {model} l WHERE l.seq = r.{link})"


ROWS = (
    Model(
        id="hris_employees",
        label="Employees",
        customised=True,
        links={
            "manager": "hris_employees",
            "legal_entity": "hris_legal_entities",
            "work_location": "hris_locations",
        },
        changes=("last_name", "display_full_name", "job_title", "weekly_hours"),
        hidden=("remote_updated_at",),
        nested=(
            Many(
                "employments",
                model="hris_employments",
                link="employee",
                shape=(
                    "id",
                    "remote_id",
                    "employee_id",
                    "job_title",
                    "pay_rate",
                    "pay_period",
                    "pay_frequency",
                    "employment_type",
                    "pay_currency",
                    "effective_date",
                    "changed_at",
                    "remote_deleted_at",
                    "remote_data",
                    "custom_fields",
                    "integration_fields",
                ),
                added=True,
                linked=True,
            ),
            Many(
                "time_off_balances",
                model="hris_time_off_balances",
                link="employee",
                shape=(
                    "id",
                    "remote_id",
                    "employee_id",
                    "type_id",
                    "balance",
                    "balance_unit",
                    "changed_at",
                    "remote_deleted_at",
                    "used",
                    "used_unit",
                    "remote_data",
                ),
                added=True,
                linked=True,
            ),
            One(
                "manager",
                "manager",
                (
                    "first_name",
                    "last_name",
                    "display_full_name",
                    "id",
                    "employee_number",
                    "work_email",
                    "remote_id",
                    "employment_status",
                    "termination_date",
                ),
                counts=True,
            ),
            Many(
                "groups",
                model="hris_group_memberships",
                link="employee",
                through="to_group",
                shape=_GROUP,
                added=True,
            ),
            One(
                "legal_entity",
                "legal_entity",
                ("id", "remote_id", "name", "address"),
                counts=True,
            ),
            # Deprecated by Kombo: the groups under another name.
            Many(
                "teams",
                model="hris_group_memberships",
                link="employee",
                through="to_group",
                shape=_GROUP,
                added=True,
            ),
            One(
                "work_location",
                "work_location",
                (
                    "id",
                    "remote_id",
                    "name",
                    "address",
                    "type",
                    "changed_at",
                    "remote_deleted_at",
                    "remote_data",
                ),
                counts=True,
            ),
        ),
        filters=(
            among("employment_status", "r.own->>'employment_status'", _STATUS),
            among("employment_statuses", "r.own->>'employment_status'", _STATUS),
            Filter(
                "group_ids",
                "EXISTS (SELECT 1 FROM hris_group_memberships m JOIN hris_groups g"
                " ON g.seq = m.to_group WHERE m.employee = r.seq AND m.state = 0"
                " AND g.id IN (SELECT value FROM json_each(:group_ids)))",
                kombo_ids,
            ),
            among("legal_entity_ids", "r.own->>'legal_entity_id'", kombo_ids),
            among("work_location_ids", "r.own->>'work_location_id'", kombo_ids),
            among("work_emails", "casefold(r.own->>'work_email')", lowered),
            among("personal_emails", "casefold(r.own->>'personal_email')", lowered),
            Filter(
                "custom_fields",
                "EXISTS (SELECT 1 FROM json_each(r.own, '$.custom_fields') has"
                " JOIN json_each(:custom_fields) wanted"
                " ON has.key = wanted.key AND has.value = wanted.value)",
                json_pair,
            ),
        ),
    ),
    Model(
        id="hris_employments",
        label="Employments",
        customised=True,
        links={"employee": "hris_employees"},
        changes=("job_title", "pay_rate"),
        hidden=UNDATED,
    ),
    Model(
        id="hris_groups",
        label="Groups",
        links={"parent": "hris_groups"},
        changes=("name",),
        hidden=UNDATED,
        filters=(
            among(
                "types",
                "ifnull(r.own->>'type', 'null')",
                some_of("DEPARTMENT", "TEAM", "COST_CENTER", "null"),
            ),
            name_contains("name"),
        ),
    ),
    Model(
        id="hris_legal_entities",
        label="Legal entities",
        changes=("name", "address"),
        hidden=UNDATED,
        filters=(name_contains("name"),),
    ),
    Model(
        id="hris_locations",
        label="Work locations",
        changes=("name", "address"),
        hidden=UNDATED,
        filters=(name_contains("name"),),
    ),
    Model(
        id="hris_absence_types",
        label="Absence types",
        changes=("name", "half_days_supported"),
        hidden=UNDATED,
    ),
    Model(
        id="hris_absences",
        label="Absences",
        links={
            "employee": "hris_employees",
            "approver": "hris_employees",
            "type": "hris_absence_types",
        },
        changes=("start_date", "end_date", "amount", "status"),
        nested=(One("type", "type", _ABSENCE_TYPE, counts=True),),
        filters=(
            Filter("date_from", "r.own->>'end_date' >= substr(:date_from, 1, 10)", date),
            Filter("date_until", "r.own->>'start_date' <= substr(:date_until, 1, 10)", date),
            among("type_ids", "r.own->>'type_id'", kombo_ids),
            _OF_EMPLOYEE,
            Filter("time_from", "r.own->>'end_date' >= substr(:time_from, 1, 10)", date),
            Filter("time_until", "r.own->>'start_date' <= substr(:time_until, 1, 10)", date),
        ),
    ),
    Model(
        id="hris_time_off_balances",
        label="Time-off balances",
        links={"employee": "hris_employees", "type": "hris_absence_types"},
        changes=("balance", "used"),
        hidden=UNDATED,
        nested=(One("type", "type", _ABSENCE_TYPE, counts=True),),
        filters=(_OF_EMPLOYEE,),
    ),
    Model(
        id="hris_employee_document_categories",
        label="Employee document categories",
        changes=("name",),
        hidden=UNDATED,
    ),
    Model(
        id="hris_timesheets",
        label="Timesheets",
        customised=True,
        links={"employee": "hris_employees"},
        changes=("started_at", "ended_at", "payable_hours"),
        hidden=UNDATED,
        filters=(
            _OF_EMPLOYEE,
            Filter("started_before", "r.own->>'started_at' < :started_before", date),
            Filter("started_after", "r.own->>'started_at' >= :started_after", date),
            Filter("ended_before", "r.own->>'ended_at' <= :ended_before", date),
            Filter("ended_after", "r.own->>'ended_at' >= :ended_after", date),
        ),
    ),
    Model(
        id="hris_performance_review_cycles",
        label="Performance review cycles",
        changes=("name",),
        hidden=UNDATED,
    ),
    Model(
        id="hris_performance_reviews",
        label="Performance reviews",
        links={
            "reviewee": "hris_employees",
            "reviewer": "hris_employees",
            "review_cycle": "hris_performance_review_cycles",
        },
        changes=("summary_comment", "summary_rating"),
        hidden=UNDATED,
        nested=(
            One("reviewee", "reviewee", _PERSON, counts=True),
            One("reviewer", "reviewer", _PERSON, counts=True),
            One(
                "review_cycle",
                "review_cycle",
                (
                    "id",
                    "remote_id",
                    "name",
                    "review_period_start_date",
                    "changed_at",
                    "remote_deleted_at",
                    "remote_data",
                ),
                counts=True,
            ),
        ),
        filters=(
            among("types", "r.own->>'type'", some_of("MANAGER", "DIRECT_REPORT", "PEER", "SELF")),
            among(
                "review_cycle_ids",
                _behind("review_cycle", "hris_performance_review_cycles"),
                kombo_ids,
            ),
            among("reviewee_ids", _behind("reviewee", "hris_employees"), kombo_ids),
        ),
    ),
    Model(
        id="hris_skills",
        label="Skills",
        changes=("name", "description"),
        hidden=("proficiency_scale", *UNDATED),
        filters=(name_contains("name"),),
        listing=WHOLE,
    ),
    Model(
        id="hris_employee_skill_assignments",
        label="Employee skill assignments",
        links={"employee": "hris_employees", "skill": "hris_skills"},
        changes=("current_level",),
        hidden=UNTRACKED,
        filters=(
            among("employee_ids", "r.own->>'employee_id'", kombo_ids),
            among("skill_ids", "r.own->>'skill_id'", kombo_ids),
        ),
        listing=WHOLE,
    ),
    Model(
        id="hris_staffing_entities",
        label="Staffing entities",
        customised=True,
        links={"parent": "hris_staffing_entities"},
        changes=("name", "status", "number_of_openings"),
        nested=(
            Many(
                "locations",
                model="hris_staffing_locations",
                link="entity",
                through="location",
                shape=_GROUP,
                added=True,
                linked=True,
            ),
            Many(
                "legal_entities",
                model="hris_staffing_legal_entities",
                link="entity",
                through="legal_entity",
                shape=_NAME,
                added=True,
                linked=True,
            ),
            Many(
                "groups",
                model="hris_staffing_groups",
                link="entity",
                through="to_group",
                shape=_GROUP,
                added=True,
                linked=True,
            ),
            Many(
                "skills",
                model="hris_staffing_skills",
                link="entity",
                shape=(
                    "skill_id",
                    One("skill", "skill", ("id", "remote_id", "name", "proficiency_scale")),
                    "expected_proficiency",
                ),
                added=True,
                linked=True,
            ),
        ),
        filters=(
            among("model_types", "r.own->>'model_type'", some_of("JOB", "POSITION", "REQUISITION")),
            among(
                "statuses",
                "r.own->>'status'",
                some_of("OPEN_LIMITED", "OPEN_UNLIMITED", "PENDING", "FROZEN", "FILLED", "CLOSED"),
            ),
        ),
    ),
    Model(
        id="hris_pay_runs",
        label="Pay runs",
        links={"legal_entity": "hris_legal_entities"},
        changes=("totals",),
        hidden=UNDATED,
        filters=(among("legal_entity_ids", "r.own->>'legal_entity_id'", kombo_ids),),
    ),
    Model(
        id="hris_payslips",
        label="Payslips",
        links={"employee": "hris_employees", "pay_run": "hris_pay_runs"},
        changes=("totals",),
        hidden=UNDATED,
        nested=(
            One("employee", "employee", _PERSON),
            One(
                "pay_run",
                "pay_run",
                ("id", "remote_id", "start_date", "end_date", "legal_entity_id"),
            ),
            Many(
                "line_items",
                model="hris_payslip_line_items",
                link="payslip",
                shape=("id", "remote_id", "name", "amount"),
                added=True,
                linked=True,
            ),
        ),
        filters=(
            among(
                "legal_entity_ids",
                "(SELECT p.own->>'legal_entity_id' FROM hris_pay_runs p WHERE p.seq = r.pay_run)",
                kombo_ids,
            ),
            among("employee_ids", _behind("employee", "hris_employees"), kombo_ids),
            among("payrun_ids", _behind("pay_run", "hris_pay_runs"), kombo_ids),
        ),
    ),
    # Kombo has no endpoints for the rest: they exist only inside other records.
    Model(
        id="hris_group_memberships",
        label="Members of groups",
        links={"employee": "hris_employees", "to_group": "hris_groups"},
        changes=(),
        served=False,
    ),
    Model(
        id="hris_payslip_line_items",
        label="Line items of payslips",
        links={"payslip": "hris_payslips"},
        changes=("amount",),
        served=False,
    ),
    *(
        Model(
            id=f"hris_staffing_{what}",
            label=f"{what.replace('_', ' ').capitalize()} of staffing entities",
            links={"entity": "hris_staffing_entities", link: target},
            changes=changes,
            served=False,
        )
        for what, link, target, changes in (
            ("locations", "location", "hris_locations", ()),
            ("legal_entities", "legal_entity", "hris_legal_entities", ()),
            ("groups", "to_group", "hris_groups", ()),
            ("skills", "skill", "hris_skills", ("expected_proficiency",)),
        )
    ),
)
