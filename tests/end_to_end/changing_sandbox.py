"""A slow sandbox whose records change during a sync."""

from __future__ import annotations

from kombo_sandbox import Sandbox

STREAMS = (
    "ats_applications",
    "ats_candidates",
    "ats_jobs",
    "ats_offers",
    "hris_absences",
    "hris_employees",
    "hris_skills",
    "integrations",
)
"""Incremental streams of many and of few pages, a full-table stream, and the integrations"""

PAGE_SIZE = 5

FULL_SYNC_REQUESTS = 170
"""About the number of requests of a complete sync of `STREAMS`"""

CHANGED_STREAMS = ("ats_offers", "hris_absences", "hris_employees")
"""Records of the others contain nested copies that Kombo updates without a change"""


def start_changing_sandbox() -> Sandbox:
    """Start a sandbox whose latency leaves time to interrupt a sync."""
    return Sandbox(integrations=2, offers=80, seed=5, categories=("ATS", "HRIS"), latency=0.03)


def change_records(sandbox: Sandbox) -> None:
    """Change some records in each way that the sandbox supports."""
    for stream in CHANGED_STREAMS:
        sandbox.change(stream, count=3)
        sandbox.change_nested(stream, count=2)
        sandbox.delete(stream, count=2)
        sandbox.restore(stream)
        sandbox.anonymize(stream)
        sandbox.add(stream, count=2)
    sandbox.change("hris_skills")


def skip_lookback(sandbox: Sandbox) -> None:
    """Advance the clock, so that the next sync's lookback does not include earlier changes."""
    sandbox.advance(seconds=3600)
