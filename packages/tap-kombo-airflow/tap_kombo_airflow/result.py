"""The result of a run: the integrations that are not complete, and whether a retry can help.

The tap's last log record has a structured field `result`; see docs/errors.md. A tap that fails
before it reads anything, because of its settings, state or catalog, only logs errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MAX_NAMED = 20
"""The summary names this many integrations with the same problem, and counts the others."""


@dataclass(frozen=True)
class Problem:
    """The reason why an integration is not complete.

    Attributes:
        message: Sentences without data of records.
        is_transient: Whether a retry can succeed without anyone acting.
    """

    message: str
    is_transient: bool


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        tap: The tap's exit status, negative for a signal.
        target: The target's exit status, negative for a signal.
        tap_result: The `result` of the tap's last log record, if it has one.
        tap_errors: The messages of the errors in the tap's log.
        target_error: The name of the target's exception, if its log has one.
    """

    tap: int
    target: int
    tap_result: Mapping[str, Any] | None = None
    tap_errors: Sequence[str] = ()
    target_error: str | None = None

    @property
    def target_failure(self) -> str:
        name = f" ({self.target_error})" if self.target_error else ""
        return f"The target {_exit_description(self.target)}{name}."

    def problems(self, integration_ids: Iterable[str]) -> dict[str, Problem]:
        """Return the problem of each integration that is not complete."""
        if self.target:
            message = f"{self.target_failure} The next run reads the missing records."
            return dict.fromkeys(integration_ids, Problem(message, is_transient=True))
        if self.tap == 0:
            return {}
        if self.tap != 1:
            problem = Problem(f"The tap {_exit_description(self.tap)}.", is_transient=True)
            return dict.fromkeys(integration_ids, problem)
        message = " ".join(self.tap_errors) or f"The tap {_exit_description(self.tap)}."
        if self.tap_result is None:
            return dict.fromkeys(integration_ids, Problem(message, is_transient=False))
        failed = _failed_reads(self.tap_result["reads"])
        # The target closed the pipe, or no read explains why the tap failed.
        if self.tap_result["not_finished"] or not failed:
            shared = Problem(message, is_transient=True)
            return dict.fromkeys(integration_ids, shared) | failed
        return failed


def summarize(integration_ids: Sequence[str], problems: Mapping[str, str]) -> list[str]:
    """Return a line with the result, and a line for each cause.

    Args:
        integration_ids: All integrations of the run.
        problems: Integration -> the reason why it is not complete.
    """
    complete = len(integration_ids) - len(problems)
    lines = [f"{complete:,} of {len(integration_ids):,} integrations are complete."]
    causes: dict[str, list[str]] = {}
    for integration_id, message in problems.items():
        causes.setdefault(message, []).append(integration_id)
    for message, names in sorted(causes.items(), key=lambda cause: -len(cause[1])):
        rest = len(names) - MAX_NAMED
        more = f" and {rest:,} more" if rest > 0 else ""
        lines.append(f"{', '.join(names[:MAX_NAMED])}{more}: {message}")
    return lines


def _failed_reads(reads: Iterable[Mapping[str, Any]]) -> dict[str, Problem]:
    """Return the problem of each integration, with one message for each cause."""
    failed = [read for read in reads if read["status"] == "failed"]
    transient = {read["integration_id"] for read in failed if read["transient"]}
    messages: dict[str, dict[str, str]] = {}
    for read in failed:
        cause = read["error_code"] or read["message"]
        messages.setdefault(read["integration_id"], {}).setdefault(cause, read["message"])
    return {
        name: Problem(" ".join(causes.values()), name in transient)
        for name, causes in messages.items()
    }


def _exit_description(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
