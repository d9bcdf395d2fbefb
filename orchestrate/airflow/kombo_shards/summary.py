"""The summary of a run: which integrations are not complete, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NAMED = 20
"""So many integrations with the same problem are named; the others are counted."""


def summary(integration_ids: Sequence[str], problems: Mapping[str, str]) -> list[str]:
    """Return a line with the result, and a line for each cause.

    Args:
        integration_ids: All integrations of the run.
        problems: Integration -> why it is not complete.
    """
    complete = len(integration_ids) - len(problems)
    lines = [f"{complete:,} of {len(integration_ids):,} integrations are complete."]
    causes: dict[str, list[str]] = {}
    for integration_id, why in problems.items():
        causes.setdefault(why, []).append(integration_id)
    for why, concerned in sorted(causes.items(), key=lambda cause: -len(cause[1])):
        rest = len(concerned) - NAMED
        more = f" and {rest:,} more" if rest > 0 else ""
        lines.append(f"{', '.join(concerned[:NAMED])}{more}: {why}")
    return lines
