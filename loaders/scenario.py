"""The sandbox that all loaders read, with unusual values, and its changes."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from kombo_sandbox import Sandbox

TEXTS = (
    'Zoë\r\n\tO\'Neil, "quoted"; \\n \\N \U0001f600',
    "null",
    "None",
    "",
    "false",
    "0",
    " leading and trailing ",
    "a\nb",
)
NUMBERS = (0, -0.5, 12345678.125, 123456789012, 0.1, 1e-7)
RATINGS = (4.5, "Meets expectations", None, 3, "4", "")
NESTED: tuple[dict[str, object], ...] = (
    {"a": [1, None, True, False, 'é\n"q"', "\\n"], "b": {}, "c": "", "d": [], "e": None},
    {"big": 123456789012345678901234567890, "f": 0.1, "g": [[1], {"h": [{}]}], "1": "2"},
    {},
)
RARE: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "integer above 2^53": ("hris_absences", {"amount": 1234567890123456789012}),
}
"""Values that stop some loaders: stream and fields"""


def start_sandbox(without: Collection[str] = ()) -> Sandbox:
    """Start a sandbox with integrations of all categories, and values of all kinds.

    Args:
        without: Names of rare values to omit.
    """
    sandbox = Sandbox(
        integrations=2,
        categories=("ATS", "HRIS", "LMS", "ASSESSMENT"),
        offers=8,
        employees=8,
        seed=4,
    )
    patch(sandbox, "ats_candidates", *({"first_name": text, "last_name": text} for text in TEXTS))
    patch(sandbox, "ats_offers", *({"custom_fields": value} for value in NESTED))
    patch(
        sandbox,
        "ats_jobs",
        {"invented_later": {"a": [1, None, {"b": False}], "t": "x\ny"}},
        {"invented_later": None},
    )
    patch(sandbox, "hris_absences", *({"amount": number} for number in NUMBERS))
    patch(
        sandbox,
        "hris_absences",
        {"start_half_day": False, "end_half_day": True, "end_date": "9999-12-31"},
        {"start_half_day": True, "end_half_day": None, "start_date": "1900-01-01"},
    )
    patch(sandbox, "hris_employees", {"termination_date": "9999-12-31T00:00:00.000Z"})
    patch(
        sandbox,
        "hris_performance_reviews",
        *({"summary_rating": {"value": value, "label": None}} for value in RATINGS),
    )
    for name, (stream, values) in RARE.items():
        if name not in without:
            sandbox.patch(stream, sandbox.records(stream)[-1]["id"], values)
    return sandbox


def patch(sandbox: Sandbox, stream: str, *values: Mapping[str, object]) -> None:
    """Set values in the first records of a stream: one mapping per record."""
    records = sandbox.records(stream)
    assert len(records) >= len(values), stream
    for record, patched in zip(records, values, strict=False):
        sandbox.patch(stream, record["id"], patched)


CHANGED_STREAMS = ("ats_offers", "hris_absences", "lms_course_progressions")
"""Records of other streams contain nested copies that Kombo updates without a change"""


def change_records(sandbox: Sandbox) -> None:
    """Change, delete and add records of some streams."""
    sandbox.advance(seconds=3600)
    for stream in CHANGED_STREAMS:
        sandbox.change(stream, count=2)
        sandbox.delete(stream, count=2)
        sandbox.add(stream, count=2)
        sandbox.restore(stream)
        sandbox.anonymize(stream)
    sandbox.change_nested("ats_offers", count=2)
