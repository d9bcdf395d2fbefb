"""The streams of the benchmarks, their paths, schemas and catalogs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from harness import PROJECT

MODELS = {
    "ats": "application_stages applications attachments candidates interviews jobs notes offers "
    "rejection_reasons roles scorecards tags users",
    "hris": "absence_types absences employee_document_categories employees employments groups "
    "legal_entities locations pay_runs payslips performance_review_cycles performance_reviews "
    "staffing_entities time_off_balances timesheets",
    "lms": "courses users",
}

STREAMS = tuple(f"{category}_{model}" for category in MODELS for model in MODELS[category].split())
OFFERS = ("ats_offers",)


def paths(streams: Iterable[str]) -> dict[str, str]:
    """Return the paths of Kombo's endpoints by stream: `/ats/application-stages`."""
    return {stream: f"/{stream.replace('_', '/', 1).replace('_', '-')}" for stream in streams}


def catalog(streams: Sequence[str]) -> dict[str, Any]:
    """Build a Singer catalog with only these streams selected."""
    entries: dict[str, Any] = json.loads((PROJECT / "catalog.json").read_text())
    for entry in entries["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
    return entries


def schemas(streams: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schemas in tap-kombo's catalog by stream."""
    return {
        entry["tap_stream_id"]: entry["schema"]
        for entry in catalog(streams)["streams"]
        if entry["tap_stream_id"] in streams
    }
