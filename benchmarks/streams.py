"""What is read: Kombo's lists of what has changed, and catalogs of some of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.places import PROJECT

PATHS = {
    "ats_application_stages": "/ats/application-stages",
    "ats_applications": "/ats/applications",
    "ats_attachments": "/ats/attachments",
    "ats_candidates": "/ats/candidates",
    "ats_interviews": "/ats/interviews",
    "ats_jobs": "/ats/jobs",
    "ats_notes": "/ats/notes",
    "ats_offers": "/ats/offers",
    "ats_rejection_reasons": "/ats/rejection-reasons",
    "ats_roles": "/ats/roles",
    "ats_scorecards": "/ats/scorecards",
    "ats_tags": "/ats/tags",
    "ats_users": "/ats/users",
    "hris_absence_types": "/hris/absence-types",
    "hris_absences": "/hris/absences",
    "hris_employee_document_categories": "/hris/employee-document-categories",
    "hris_employees": "/hris/employees",
    "hris_employments": "/hris/employments",
    "hris_groups": "/hris/groups",
    "hris_legal_entities": "/hris/legal-entities",
    "hris_locations": "/hris/locations",
    "hris_pay_runs": "/hris/pay-runs",
    "hris_payslips": "/hris/payslips",
    "hris_performance_review_cycles": "/hris/performance-review-cycles",
    "hris_performance_reviews": "/hris/performance-reviews",
    "hris_staffing_entities": "/hris/staffing-entities",
    "hris_time_off_balances": "/hris/time-off-balances",
    "hris_timesheets": "/hris/timesheets",
    "lms_courses": "/lms/courses",
    "lms_users": "/lms/users",
}
"""Stream -> path: the 30 streams of the benchmarks."""

OFFERS = ("ats_offers",)


def catalog(streams: Sequence[str]) -> dict[str, Any]:
    """Build the Singer catalog in which only these streams are selected."""
    entries: dict[str, Any] = json.loads((PROJECT / "catalog.json").read_text(encoding="utf-8"))
    for entry in entries["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return entries


def schemas(streams: Sequence[str]) -> dict[str, Any]:
    """Stream -> JSON schema, as tap-kombo's catalog has it."""
    return {
        entry["tap_stream_id"]: entry["schema"]
        for entry in catalog(streams)["streams"]
        if entry["tap_stream_id"] in streams
    }
