"""The models of HR information systems."""

# ruff: noqa: S608 - this SQL contains only constants

from kombo_sandbox.filters import (
    EMPLOYEE_ID,
    NAME_CONTAINS,
    Filter,
    among,
    by_enum,
    by_ids,
    date,
    json_pair,
    kombo_ids,
    lowered,
    own,
    since,
)
from kombo_sandbox.models.model import (
    ALL_EXTRAS,
    LIVE,
    UNDATED,
    UNPAGED,
    UNTRACKED,
    Model,
    NestedList,
    NestedObject,
)

_NAME = "id remote_id name"
_GROUP = "id remote_id name type"
_PERSON = "id remote_id first_name last_name display_full_name work_email remote_deleted_at"
_ABSENCE_TYPE = (
    "id remote_id name unit half_days_supported exact_times_supported"
    " remote_data changed_at remote_deleted_at custom_fields"
)

_STATUSES = "ACTIVE PENDING INACTIVE LEAVE"


def _ends_after(name: str) -> Filter:
    return Filter(name, f"{own('end_date')} >= substr(:{name}, 1, 10)", date)


def _starts_before(name: str) -> Filter:
    return Filter(name, f"{own('start_date')} <= substr(:{name}, 1, 10)", date)


MODELS = (
    Model(
        id="hris_employees",
        links={
            "manager": "hris_employees",
            "legal_entity": "hris_legal_entities",
            "work_location": "hris_locations",
        },
        changes=("last_name", "display_full_name", "job_title", "weekly_hours"),
        hidden=("remote_updated_at",),
        nested=(
            NestedList(
                "employments",
                "hris_employments",
                "employee",
                "id remote_id employee_id job_title pay_rate pay_period"
                " pay_frequency employment_type pay_currency effective_date"
                " changed_at remote_deleted_at custom_fields integration_fields"
                " remote_data",
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedList(
                "time_off_balances",
                "hris_time_off_balances",
                "employee",
                "id remote_id employee_id type_id balance balance_unit changed_at"
                " remote_deleted_at used used_unit remote_data",
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedObject(
                "manager",
                "first_name last_name display_full_name id employee_number"
                " work_email remote_id employment_status termination_date",
                tracks_changes=True,
            ),
            NestedList(
                "groups",
                "hris_group_memberships",
                "employee",
                _GROUP,
                through="to_group",
                tracks_members=True,
            ),
            NestedObject("legal_entity", "id remote_id name address", tracks_changes=True),
            # Deprecated by Kombo; the same as `groups`.
            NestedList(
                "teams",
                "hris_group_memberships",
                "employee",
                _GROUP,
                through="to_group",
                tracks_members=True,
            ),
            NestedObject(
                "work_location",
                "id remote_id name address type changed_at remote_deleted_at remote_data",
                tracks_changes=True,
            ),
        ),
        filters=(
            by_enum("employment_status", "employment_status", _STATUSES),
            by_enum("employment_statuses", "employment_status", _STATUSES),
            Filter(
                "group_ids",
                "EXISTS (SELECT 1 FROM hris_group_memberships m JOIN hris_groups g"
                f" ON g.seq = m.to_group WHERE m.employee = r.seq AND m.state = {LIVE}"
                " AND g.id IN (SELECT value FROM json_each(:group_ids)))",
                kombo_ids,
            ),
            by_ids("legal_entity_ids"),
            by_ids("work_location_ids"),
            among("work_emails", f"casefold({own('work_email')})", lowered),
            among("personal_emails", f"casefold({own('personal_email')})", lowered),
            Filter(
                "custom_fields",
                "EXISTS (SELECT 1 FROM json_each(r.own, '$.custom_fields') has"
                " JOIN json_each(:custom_fields) wanted"
                " ON has.key = wanted.key AND has.value = wanted.value)",
                json_pair,
            ),
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="hris_employments",
        links={"employee": "hris_employees"},
        changes=("job_title", "pay_rate"),
        hidden=UNDATED,
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="hris_groups",
        links={"parent": "hris_groups"},
        changes=("name",),
        hidden=UNDATED,
        filters=(
            by_enum("types", "type", "DEPARTMENT TEAM COST_CENTER null"),
            NAME_CONTAINS,
        ),
    ),
    Model(
        id="hris_legal_entities",
        changes=("name", "address"),
        hidden=UNDATED,
        filters=(NAME_CONTAINS,),
    ),
    Model(
        id="hris_locations",
        changes=("name", "address"),
        hidden=UNDATED,
        filters=(NAME_CONTAINS,),
    ),
    Model(
        id="hris_absence_types",
        changes=("name", "half_days_supported"),
        hidden=UNDATED,
        extras=("custom_fields", "remote_data"),
    ),
    Model(
        id="hris_absences",
        links={
            "employee": "hris_employees",
            "approver": "hris_employees",
            "type": "hris_absence_types",
        },
        changes=("start_date", "end_date", "amount", "status"),
        nested=(NestedObject("type", _ABSENCE_TYPE, tracks_changes=True),),
        filters=(
            _ends_after("date_from"),
            _starts_before("date_until"),
            by_ids("type_ids"),
            EMPLOYEE_ID,
            _ends_after("time_from"),
            _starts_before("time_until"),
        ),
        seeded_deleted=True,
    ),
    Model(
        id="hris_time_off_balances",
        links={"employee": "hris_employees", "type": "hris_absence_types"},
        changes=("balance", "used"),
        hidden=UNDATED,
        nested=(NestedObject("type", _ABSENCE_TYPE, tracks_changes=True),),
        filters=(EMPLOYEE_ID,),
    ),
    Model(
        id="hris_employee_document_categories",
        changes=("name",),
        hidden=UNDATED,
    ),
    Model(
        id="hris_timesheets",
        links={"employee": "hris_employees"},
        changes=("started_at", "ended_at", "payable_hours"),
        hidden=UNDATED,
        filters=(
            EMPLOYEE_ID,
            Filter("started_before", f"{own('started_at')} < :started_before", date),
            since("started_after", "started_at"),
            Filter("ended_before", f"{own('ended_at')} <= :ended_before", date),
            since("ended_after", "ended_at"),
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="hris_performance_review_cycles",
        changes=("name",),
        hidden=UNDATED,
    ),
    Model(
        id="hris_performance_reviews",
        links={
            "reviewee": "hris_employees",
            "reviewer": "hris_employees",
            "review_cycle": "hris_performance_review_cycles",
        },
        changes=("summary_comment", "summary_rating"),
        hidden=("reviewee_id", "reviewer_id", "review_cycle_id", *UNDATED),
        nested=(
            NestedObject("reviewee", _PERSON, tracks_changes=True),
            NestedObject("reviewer", _PERSON, tracks_changes=True),
            NestedObject(
                "review_cycle",
                "id remote_id name review_period_start_date changed_at"
                " remote_deleted_at remote_data",
                tracks_changes=True,
            ),
        ),
        filters=(
            by_enum("types", "type", "MANAGER DIRECT_REPORT PEER SELF"),
            by_ids("review_cycle_ids"),
            by_ids("reviewee_ids"),
        ),
        seeded_deleted=True,
    ),
    Model(
        id="hris_skills",
        changes=("name", "description"),
        hidden=("proficiency_scale", *UNDATED),
        filters=(NAME_CONTAINS,),
        listing=UNPAGED,
    ),
    Model(
        id="hris_employee_skill_assignments",
        links={"employee": "hris_employees", "skill": "hris_skills"},
        changes=("current_level",),
        hidden=UNTRACKED,
        filters=(
            by_ids("employee_ids"),
            by_ids("skill_ids"),
        ),
        listing=UNPAGED,
        extras=(),
    ),
    Model(
        id="hris_staffing_entities",
        links={"parent": "hris_staffing_entities"},
        changes=("name", "status", "number_of_openings"),
        nested=(
            NestedList(
                "locations",
                "hris_staffing_locations",
                "entity",
                _GROUP,
                through="location",
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedList(
                "legal_entities",
                "hris_staffing_legal_entities",
                "entity",
                _NAME,
                through="legal_entity",
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedList(
                "groups",
                "hris_staffing_groups",
                "entity",
                _GROUP,
                through="to_group",
                tracks_members=True,
                tracks_changes=True,
            ),
            NestedList(
                "skills",
                "hris_staffing_skills",
                "entity",
                "skill_id expected_proficiency",
                nested=(NestedObject("skill", "id remote_id name proficiency_scale"),),
                tracks_members=True,
                tracks_changes=True,
            ),
        ),
        filters=(
            by_enum("model_types", "model_type", "JOB POSITION REQUISITION"),
            by_enum(
                "statuses", "status", "OPEN_LIMITED OPEN_UNLIMITED PENDING FROZEN FILLED CLOSED"
            ),
        ),
        extras=ALL_EXTRAS,
        seeded_deleted=True,
    ),
    Model(
        id="hris_pay_runs",
        links={"legal_entity": "hris_legal_entities"},
        changes=("totals",),
        hidden=UNDATED,
        filters=(by_ids("legal_entity_ids"),),
        extras=(),
    ),
    Model(
        id="hris_payslips",
        links={"employee": "hris_employees", "pay_run": "hris_pay_runs"},
        changes=("totals",),
        hidden=("employee_id", "pay_run_id", *UNDATED),
        nested=(
            NestedObject("employee", _PERSON),
            NestedObject("pay_run", "id remote_id start_date end_date legal_entity_id"),
            NestedList(
                "line_items",
                "hris_payslip_line_items",
                "payslip",
                "id remote_id name amount",
                tracks_members=True,
                tracks_changes=True,
            ),
        ),
        filters=(
            among(
                "legal_entity_ids",
                "(SELECT p.own->>'legal_entity_id' FROM hris_pay_runs p WHERE p.seq = r.pay_run)",
                kombo_ids,
            ),
            by_ids("employee_ids"),
            among("payrun_ids", own("pay_run_id"), kombo_ids),
        ),
        extras=(),
        seeded_deleted=True,
    ),
    # Kombo has no endpoints for the rest: they are only nested.
    Model(
        id="hris_group_memberships",
        links={"employee": "hris_employees", "to_group": "hris_groups"},
        served=False,
    ),
    Model(
        id="hris_payslip_line_items",
        links={"payslip": "hris_payslips"},
        changes=("amount",),
        served=False,
    ),
    *(
        Model(
            id=f"hris_staffing_{name}",
            links={"entity": "hris_staffing_entities", link: target},
            changes=changes,
            served=False,
        )
        for name, link, target, changes in (
            ("locations", "location", "hris_locations", ()),
            ("legal_entities", "legal_entity", "hris_legal_entities", ()),
            ("groups", "to_group", "hris_groups", ()),
            ("skills", "skill", "hris_skills", ("expected_proficiency",)),
        )
    ),
)
