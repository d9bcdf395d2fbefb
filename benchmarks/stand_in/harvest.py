"""What the stand-in serves: records that the sandbox made, so that they fit the catalog."""

from __future__ import annotations

import json
import os
from pathlib import Path

from kombo_sandbox import Sandbox

CATEGORIES = ("ATS", "HRIS", "LMS")
RECORDS = 250
"""Of each model at most: a page."""

FIXED_CLOCK = "2026-11-01T00:00:00.000Z"


def harvest(path: Path, models: list[str]) -> None:
    """Write records of each model, and one integration's details, to a file.

    Args:
        path: It becomes `{"records": {model: [record]}, "details": {...}}`, the same each time.
        models: Kombo's names of the models.
    """
    with Sandbox(
        integrations=len(CATEGORIES),
        categories=CATEGORIES,
        offers=RECORDS,
        employees=RECORDS,
        clock=FIXED_CLOCK,
    ) as sandbox:
        records = {model: sandbox.records(model)[:RECORDS] for model in models}
        details = sandbox.records("integrations")[0]
        rows = sandbox.records("integration_models")
    details["read_models"] = rows
    text = json.dumps(
        {"records": records, "details": details}, ensure_ascii=False, separators=(",", ":")
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)
