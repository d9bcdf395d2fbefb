"""A customer's connection to one tool, and what Kombo tells about it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kombo_sandbox.clock import moment
from kombo_sandbox.errors import KomboError
from kombo_sandbox.models import MODELS, Model


@dataclass(frozen=True)
class Tool:
    """Attributes:
    remote_ids: how the tool writes its ids: ``number``, ``hex`` or ``uuid``.
    withholds: what new integrations cannot give, ``model`` or ``model.field``, and why.
    """

    label: str
    category: str
    remote_ids: str
    withholds: Mapping[str, str] = field(default_factory=dict)


# Why there is no data of a model or a field: each shows in another property of the details.
UNSUPPORTED, DISABLED, OPTED_OUT = "UNSUPPORTED", "DISABLED", "OPTED_OUT"
_REASONS: dict[str | None, dict[str, Any]] = {
    None: {},
    UNSUPPORTED: {"coverage_status": "UNSUPPORTED"},
    DISABLED: {"scope_config_setting": "DISABLED"},
    OPTED_OUT: {"scope_config_setting": "OPTIONAL", "opted_out_by_customer": True},
}

# The first tool of each category gives all; of the ATS tools also the next two.
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


# Each state, and the error that Kombo answers in it.
_STATUSES = {
    "ACTIVE": None,
    "INACTIVE": "INTEGRATION.INACTIVE",
    "INVALID": "INTEGRATION.AUTHENTICATION_INVALID",
}
_SETUP_STATUSES = {
    "COMPLETED": None,
    "INCOMPLETE": "INTEGRATION.SETUP_INCOMPLETE",
    "FINAL_SYNC_PENDING": "INTEGRATION.SETUP_SYNC_PENDING",
}


@dataclass
class Integration:
    """Attributes:
    seq: its number in the data file.
    created_at: when the customer connected the tool, as Kombo writes times.
    withheld: what it cannot give, ``model`` or ``model.field``, and why.
    """

    seq: int
    id: str
    tool: str
    organization: str
    origin_id: str
    created_at: str
    status: str = "ACTIVE"
    setup_status: str = "COMPLETED"
    withheld: dict[str, str] = field(default_factory=dict)
    unsupported_filters: list[str] = field(default_factory=list)
    data_expired_at: str | None = None

    def set(
        self,
        *,
        status: str | None = None,
        setup_status: str | None = None,
        data_expired_at: str | None = None,
        unavailable_models: Sequence[str] | None = None,
        disabled_models: Sequence[str] | None = None,
        opted_out_models: Sequence[str] | None = None,
        unsupported_filters: Sequence[str] | None = None,
    ) -> None:
        """Set what is given, and leave the rest; ValueError for what Kombo does not know."""
        for name, value, known in (
            ("status", status, _STATUSES),
            ("setup_status", setup_status, _SETUP_STATUSES),
        ):
            if value is not None and value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, not {value}")
        if data_expired_at is not None:
            moment(data_expired_at)
        reasons = {
            UNSUPPORTED: unavailable_models,
            DISABLED: disabled_models,
            OPTED_OUT: opted_out_models,
        }
        models = [model for given in reasons.values() for model in given or ()]
        if unknown := set(models) - set(MODELS):
            raise ValueError(f"there is no model {unknown.pop()}")
        self.status = status or self.status
        self.setup_status = setup_status or self.setup_status
        self.data_expired_at = data_expired_at or self.data_expired_at
        for reason, given in reasons.items():
            if given is not None:
                others = {
                    name: why for name, why in self.withheld.items() if "." in name or why != reason
                }
                self.withheld = others | dict.fromkeys(given, reason)
        if unsupported_filters is not None:
            self.unsupported_filters = list(unsupported_filters)

    def has(self, model: Model) -> bool:
        return model.category is None or (
            model.category == TOOLS[self.tool].category and model.id not in self.withheld
        )

    def check_readable(self, model: Model) -> None:
        """KomboError where this integration cannot give records of the model."""
        if model.category is None:
            return
        code = _SETUP_STATUSES[self.setup_status] or _STATUSES[self.status]
        if code:
            raise KomboError(code, f'The integration "{self.id}" cannot be read now.')
        if not self.has(model):
            label = TOOLS[self.tool].label
            if self.withheld.get(model.id) in {DISABLED, OPTED_OUT}:
                message = f'The "{model.id}" model is switched off for this integration.'
                raise KomboError("INTEGRATION.MODEL_DISABLED", message)
            message = f'The "{model.id}" model is not available for {label}.'
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


def details(integration: Integration, fields: Mapping[Model, Sequence[str]]) -> dict[str, Any]:
    """What ``GET /integrations/{id}`` answers; ``fields`` are the properties of each model."""
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
                "id": model.id,
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
    """What the details say of a model or a field, the first of whose names counts."""
    reason = next((why for name in names if (why := integration.withheld.get(name))), None)
    return {
        "is_available": reason is None,
        "coverage_status": "SUPPORTED",
        "scope_config_setting": "ENABLED",
        "opted_out_by_customer": False,
        **_REASONS[reason],
    }


def _integration(details: Mapping[str, Any]) -> list[Any]:
    return [{name: value for name, value in details.items() if name != "read_models"}]


ABOUT: dict[str, Callable[[Mapping[str, Any]], list[Any]]] = {
    "integrations": _integration,
    "integration_models": lambda details: list(details["read_models"]),
}
"""What an integration's details tell, as records: the integration itself, and its models."""
