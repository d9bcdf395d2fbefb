"""Integrations: their tools, their states, and the details that Kombo returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from kombo_sandbox.errors import KomboError
from kombo_sandbox.models import Model


@dataclass(frozen=True)
class Tool:
    """A tool that Kombo connects.

    Attributes:
        label: Its display name.
        category: `ATS`, `HRIS`, `LMS` or `ASSESSMENT`.
        remote_ids: The format of its ids: `number`, `hex` or `uuid`.
        unavailable: Models (`model`) and fields (`model.field`) without data -> the reason.
    """

    label: str
    category: str
    remote_ids: str
    unavailable: Mapping[str, str] = field(default_factory=dict)


# Reasons why a model or field has no data, and how the details of the integration report them.
UNSUPPORTED, DISABLED, OPTED_OUT = "UNSUPPORTED", "DISABLED", "OPTED_OUT"
_REASONS: dict[str | None, dict[str, Any]] = {
    None: {},
    UNSUPPORTED: {"coverage_status": "UNSUPPORTED"},
    DISABLED: {"scope_config_setting": "DISABLED"},
    OPTED_OUT: {"scope_config_setting": "OPTIONAL", "opted_out_by_customer": True},
}

# The first tool of each category supports everything, and so do the next two ATS tools.
TOOLS = {
    "personio": Tool("Personio", "ATS", "number"),
    "greenhouse": Tool("Greenhouse", "ATS", "number"),
    "workday": Tool("Workday", "ATS", "hex"),
    "lever": Tool(
        "Lever",
        "ATS",
        "uuid",
        {"ats_notes": DISABLED, "ats_interviews.video_conferencing_url": UNSUPPORTED},
    ),
    "smartrecruiters": Tool("SmartRecruiters", "ATS", "uuid", {"ats_scorecards": UNSUPPORTED}),
    "bamboohr": Tool("BambooHR", "ATS", "number", {"ats_attachments": OPTED_OUT}),
    "hibob": Tool("HiBob", "HRIS", "number"),
    "factorial": Tool(
        "Factorial",
        "HRIS",
        "number",
        {
            "hris_payslips": UNSUPPORTED,
            "hris_pay_runs": UNSUPPORTED,
            "hris_performance_reviews": DISABLED,
            "hris_timesheets": OPTED_OUT,
            "hris_employees.ssn": UNSUPPORTED,
            "hris_employees.ethnicity": DISABLED,
            "hris_employees.date_of_birth": OPTED_OUT,
        },
    ),
    "rippling": Tool("Rippling", "HRIS", "uuid", {"hris_staffing_entities": UNSUPPORTED}),
    "gusto": Tool("Gusto", "HRIS", "hex", {"hris_skills": UNSUPPORTED}),
    "docebo": Tool("Docebo", "LMS", "number"),
    "cornerstone": Tool(
        "Cornerstone", "LMS", "uuid", {"lms_skills": UNSUPPORTED, "lms_users.work_email": OPTED_OUT}
    ),
    "teamtailor": Tool("Teamtailor", "ASSESSMENT", "number"),
    "icims": Tool("iCIMS", "ASSESSMENT", "number", {"assessment_packages": DISABLED}),
}


_RETENTION = 14 * 86_400_000
"""How long records of a model that is switched off are listed as deleted, in milliseconds"""

Status = Literal["ACTIVE", "INACTIVE", "INVALID"]
SetupStatus = Literal["COMPLETED", "INCOMPLETE", "FINAL_SYNC_PENDING"]

# The error that Kombo returns in each state.
_STATE_ERRORS = {
    "INVALID": "INTEGRATION.AUTHENTICATION_INVALID",
    "INACTIVE": "INTEGRATION.INACTIVE",
    "INCOMPLETE": "INTEGRATION.SETUP_INCOMPLETE",
    "FINAL_SYNC_PENDING": "INTEGRATION.SETUP_SYNC_PENDING",
}


class Integration(msgspec.Struct):
    """A customer's connection to a tool.

    Attributes:
        seq: Its number in the data file.
        created_at: When the customer connected the tool.
        unavailable: Models (`model`) and fields (`model.field`) without data -> the reason.
        switched_off: Models that had data until the scope config or the customer switched them
            off -> that time, in milliseconds since 1970.
    """

    seq: int
    id: str
    tool: str
    organization: str
    origin_id: str
    created_at: str
    status: Status = "ACTIVE"
    setup_status: SetupStatus = "COMPLETED"
    unavailable: dict[str, str] = {}
    switched_off: dict[str, int] = {}
    unsupported_filters: list[str] = []
    data_expired_at: str | None = None

    def set_unavailable_models(self, models: Sequence[str], reason: str) -> None:
        """Replace the models that have no data for this reason."""
        others = {
            name: other
            for name, other in self.unavailable.items()
            if "." in name or other != reason
        }
        self.unavailable = others | dict.fromkeys(models, reason)

    def unavailable_fields(self, model: str) -> list[str]:
        """Return the fields of a model that have no data."""
        prefix = f"{model}."
        return [name.removeprefix(prefix) for name in self.unavailable if name.startswith(prefix)]

    def has(self, model: Model) -> bool:
        return model.category is None or (
            model.category == TOOLS[self.tool].category and model.id not in self.unavailable
        )

    def lists(self, model: Model, now: int) -> bool:
        """Return whether the model can be listed.

        A model that is switched off can be listed for 14 days, with all records deleted.
        """
        return self.has(model) or now < self.switched_off.get(model.id, 0) + _RETENTION

    def check_readable(self, model: Model, now: int) -> None:
        """Raise KomboError if records of the model cannot be read."""
        if model.category is None:
            return
        code = _STATE_ERRORS.get(self.setup_status) or _STATE_ERRORS.get(self.status)
        if code:
            raise KomboError(code, f'The integration "{self.id}" cannot be read now.')
        if not self.lists(model, now):
            if self.unavailable.get(model.id) in {DISABLED, OPTED_OUT}:
                message = f'The "{model.id}" model is disabled for this integration.'
                raise KomboError("INTEGRATION.MODEL_DISABLED", message)
            message = f'The "{model.id}" model is not available for {TOOLS[self.tool].label}.'
            raise KomboError("INTEGRATION.MODEL_NOT_AVAILABLE", message)


_WRITE_ACTIONS = {
    "ats_create_candidate": ("Create candidate", ("candidate.first_name", "candidate.last_name")),
    "ats_create_application": ("Create application", ("candidate.first_name", "stage_id")),
    "hris_create_employee": ("Create employee", ("first_name", "last_name", "work_email")),
    "hris_create_absence": ("Create absence", ("employee_id", "absence_type_id")),
    "lms_bulk_create_courses": ("Create courses", ("items",)),
    "assessment_set_packages": ("Set packages", ("packages",)),
    "ats_reject_application": ("Reject application", ("rejection_reason_id", "note")),
}


_KOMBO_NAMES = {
    "hris_groups": "hris_teams",
    "ats_candidate_tags": "ats_join_candidates_tags",
    "ats_hiring_team_members": "ats_join_jobs_users",
    "ats_interviewers": "ats_join_interviews_users",
    "ats_system_role_assignments": "ats_join_users_roles",
    "hris_group_memberships": "hris_join_employees_teams",
    "hris_staffing_groups": "hris_join_staffing_entities_groups",
    "hris_staffing_legal_entities": "hris_join_staffing_entities_legal_entities",
    "hris_staffing_locations": "hris_join_staffing_entities_locations",
    "hris_staffing_skills": "hris_join_staffing_entities_skills",
    "lms_skill_assignments": "lms_join_revisions_skills",
}
"""Models that have another name in the details and in webhooks"""


def kombo_name(model: Model) -> str:
    """Return the name of a model in the details of integrations and in webhooks."""
    return _KOMBO_NAMES.get(model.id, model.id)


def details(integration: Integration, fields: Mapping[Model, Sequence[str]]) -> dict[str, Any]:
    """Return the data of `GET /integrations/{id}`; `fields` are the properties of each model."""
    tool = TOOLS[integration.tool]
    assets = f"https://assets.kombo.example/integrations/{integration.tool}"
    return {
        "id": integration.id,
        "tool": {
            "id": integration.tool,
            "label": tool.label,
            "internal_label": f"{tool.label} (EU)" if integration.seq % 2 else None,
            "logo_url": f"{assets}/logo.svg",
            "icon_url": f"{assets}/icon.svg",
        },
        "category": tool.category,
        "status": integration.status,
        "setup_status": integration.setup_status,
        "end_user": {
            "organization_name": integration.organization,
            "creator_email": f"hr@{integration.origin_id}.example.com",
            "origin_id": integration.origin_id,
        },
        "scope_config": {"id": integration.id.partition(":")[2][::-1], "name": "Everything"},
        "data_expired_at": integration.data_expired_at,
        "created_at": integration.created_at,
        "beta": False,
        "read_models": [
            {
                "id": kombo_name(model),
                "label": model.label,
                **_availability(integration, model.id),
                "fields": [
                    {"id": name, **_availability(integration, model.id, f"{model.id}.{name}")}
                    for name in names
                ],
            }
            for model, names in fields.items()
            if model.category == tool.category
        ],
        "write_actions": [
            {
                "id": action,
                "label": label,
                **_availability(integration, action),
                "fields": [
                    {"id": name, "is_available": True, "coverage_status": "SUPPORTED"}
                    for name in names
                ],
            }
            for action, (label, names) in _WRITE_ACTIONS.items()
            if action.startswith(tool.category.lower())
        ],
    }


def _availability(integration: Integration, *names: str) -> dict[str, Any]:
    """Return the availability of a model, or of a field by the names of its model and itself."""
    reason = next(filter(None, map(integration.unavailable.get, names)), None)
    return {
        "is_available": reason is None,
        "coverage_status": "SUPPORTED",
        "scope_config_setting": "ENABLED",
        "opted_out_by_customer": False,
        **_REASONS[reason],
    }


def _without_models(details: Mapping[str, Any]) -> list[Any]:
    return [{name: value for name, value in details.items() if name != "read_models"}]


DETAIL_MODELS: dict[str, Callable[[Mapping[str, Any]], list[Any]]] = {
    "integrations": _without_models,
    "integration_models": lambda details: list(details["read_models"]),
}
"""Models whose records come from the details of an integration"""
