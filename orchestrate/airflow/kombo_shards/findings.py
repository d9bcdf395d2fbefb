"""What the log of a run says of its integrations, and what is to be done about it.

The tap asks again by itself what is worth asking again within minutes. What it still could not
read is in the last lines of its log, one line for each integration and cause:

    ... | ERROR    | tap-kombo | Could not read ID (ats_jobs): CODE (HTTP 401, LOG_URL). Advice
    ... | ERROR    | tap-kombo | The run ended early: CODE (HTTP 401). Advice
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

COULD_NOT_READ = re.compile(r"Could not read (?P<integration_id>\S+) \([a-z_, ]+\): (?P<why>.*)")
ENDED_EARLY = "The run ended early: "
CODE = re.compile(r"\b[A-Z][A-Z_]+\.[A-Z][A-Z_]+\b")
STATUS = re.compile(r"\bHTTP (\d{3})\b")

PASSING_CODES = {
    "PLATFORM.RATE_LIMIT_EXCEEDED",
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED",
    "REMOTE.RATE_LIMIT_EXCEEDED",
    "REMOTE.SERVICE_UNAVAILABLE",
}
"""Of all of Kombo's codes, those that go away without a person."""

PASSING_STATUSES = {408, 429, *range(500, 600)}
"""The same for answers without a code."""


@dataclass(frozen=True)
class Problem:
    """Why an integration was not read to its end.

    Attributes:
        why: A sentence that holds nothing of any record.
        passes: Whether it is worth trying again without a person having done something.
    """

    why: str
    passes: bool


def problem_in(sentence: str) -> Problem:
    """Judge by Kombo's code, and by the HTTP status where there is none, as the tap does."""
    code, status = CODE.search(sentence), STATUS.search(sentence)
    if code:
        return Problem(sentence, passes=code[0] in PASSING_CODES)
    return Problem(sentence, passes=not status or int(status[1]) in PASSING_STATUSES)


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        tap: The tap's exit status, negative for a signal.
        target: The target's.
        tap_errors: The messages of the errors in the tap's log.
        target_error: What kind of error the target ended with, if it said so.
    """

    tap: int
    target: int
    tap_errors: Sequence[str] = ()
    target_error: str | None = None

    @property
    def target_said(self) -> str:
        kind = f" ({self.target_error})" if self.target_error else ""
        return f"The target {_how_ended(self.target)}{kind}."

    def problems(self, integration_ids: Iterable[str]) -> Mapping[str, Problem]:
        """Tell which integrations were not read to their end, and why."""
        if self.target:
            why = f"{self.target_said} What it had not stored comes again."
            return dict.fromkeys(integration_ids, Problem(why, passes=True))
        if self.tap == 0:
            return {}
        if self.tap != 1:
            why = f"The tap {_how_ended(self.tap)}."
            return dict.fromkeys(integration_ids, Problem(why, passes=True))
        return self._problems_of_the_tap(list(integration_ids))

    def _problems_of_the_tap(self, integration_ids: Sequence[str]) -> Mapping[str, Problem]:
        own: dict[str, Problem] = {}
        of_all: Problem | None = None
        for error in self.tap_errors:
            found = COULD_NOT_READ.fullmatch(error)
            if found and found["integration_id"] in integration_ids:
                own[found["integration_id"]] = _both(
                    own.get(found["integration_id"]), problem_in(found["why"])
                )
            elif error.startswith(ENDED_EARLY):
                of_all = problem_in(error)
        if not own and of_all is None:
            # Settings, state or catalog: nothing was read, and it will not be the next time.
            why = (
                " ".join(self.tap_errors)
                or "The tap ended with exit status 1, and did not say why."
            )
            of_all = Problem(why, passes=False)
        return own if of_all is None else dict.fromkeys(integration_ids, of_all) | own


def _both(one: Problem | None, other: Problem) -> Problem:
    if one is None:
        return other
    return Problem(f"{one.why} {other.why}", passes=one.passes or other.passes)


def _how_ended(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
