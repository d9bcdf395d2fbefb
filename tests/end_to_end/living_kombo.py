"""A Kombo in which something happens all the time, also while it is being read."""

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
"""What is read of it: many pages and few, changes and everything, and an integration itself."""

PAGE_SIZE = 5

CHANGING = ("ats_offers", "hris_absences", "hris_employees")
"""Of other records Kombo shows copies, without telling when these are old."""


def start_living_kombo() -> Sandbox:
    """Start a Kombo whose answers take a while, so that a read has a middle."""
    return Sandbox(integrations=2, offers=80, seed=5, categories=("ATS", "HRIS"), latency=0.03)


def live(sandbox: Sandbox) -> None:
    """Let something of each kind happen to some records."""
    for model in CHANGING:
        sandbox.change(model, count=3)
        sandbox.change_nested(model, count=2)
        sandbox.delete(model, count=2)
        sandbox.restore(model)
        sandbox.anonymise(model)
        sandbox.add(model, count=2)
    sandbox.change("hris_skills")


def pass_time(sandbox: Sandbox) -> None:
    """Bring what has happened so far out of reach of the next run's lookback."""
    sandbox.advance(seconds=3600)
