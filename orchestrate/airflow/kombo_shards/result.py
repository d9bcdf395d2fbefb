"""The result of a run: which integrations are not complete, and whether a retry can help.

The tap's last log record has a structured `result`; see docs/errors.md. A tap that ends before it
reads anything, because of its settings, state or catalog, only logs errors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOG_CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "singer_sdk.logging.StructuredFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
}
"""Makes the tap log one JSON object per line."""


@dataclass(frozen=True)
class Problem:
    """Why an integration is not complete.

    Attributes:
        why: Sentences that contain nothing of any record.
        is_transient: Whether a retry can succeed although nobody has changed anything.
    """

    why: str
    is_transient: bool


@dataclass(frozen=True)
class RunResult:
    """How a run ended.

    Attributes:
        tap: The tap's exit status, negative for a signal.
        target: The target's.
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
        return f"The target {_how_ended(self.target)}{name}."

    def problems(self, integration_ids: Iterable[str]) -> dict[str, Problem]:
        """Return the problem of each integration that is not complete."""
        shared = self._shared_problem()
        problems = dict.fromkeys(integration_ids, shared) if shared else {}
        if self.tap == 1 and not self.target and self.tap_result:
            problems |= _failed_reads(self.tap_result["reads"])
        return problems

    def _shared_problem(self) -> Problem | None:
        """Return the problem that all integrations have, apart from those of single reads."""
        if self.target:
            why = f"{self.target_failure} The next run reads again what it has not stored."
            return Problem(why, is_transient=True)
        if self.tap == 0:
            return None
        why = " ".join(self.tap_errors) or f"The tap {_how_ended(self.tap)}."
        if self.tap != 1:
            return Problem(f"The tap {_how_ended(self.tap)}.", is_transient=True)
        if self.tap_result is None:
            return Problem(why, is_transient=False)
        # The target closed the pipe, or no read says why the tap failed.
        is_unexplained = not _failed_reads(self.tap_result["reads"])
        if self.tap_result["not_finished"] or is_unexplained:
            return Problem(why, is_transient=True)
        return None


def _failed_reads(reads: Iterable[Mapping[str, Any]]) -> dict[str, Problem]:
    """Return the problem of each integration, with one message for each cause."""
    failed = [read for read in reads if read["action"] == "fail"]
    transient = {read["integration_id"] for read in failed if read["transient"]}
    messages: dict[str, dict[str, str]] = {}
    for read in failed:
        cause = read["code"] or read["message"]
        messages.setdefault(read["integration_id"], {}).setdefault(cause, read["message"])
    return {
        name: Problem(" ".join(causes.values()), name in transient)
        for name, causes in messages.items()
    }


def _how_ended(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
