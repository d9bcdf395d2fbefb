"""What a run came to, over all shards: which integrations need a person, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

NAMED = 20
"""So many integrations with the same trouble are named; of more, the number."""


def summary(integration_ids: Sequence[str], problems: Mapping[str, str]) -> list[str]:
    """Say what the run came to, in one line, and a line for each cause.

    Args:
        integration_ids: All that were to be read.
        problems: Why some were not read to their end.
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
