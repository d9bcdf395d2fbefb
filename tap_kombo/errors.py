"""What can go wrong, and what the tap does next.

Kombo asks its users to decide by the error's `code`, and by the HTTP status only where there
is no code, because statuses and messages may change. Hence two tables and no text matching.
"""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path


class Outcome(Enum):
    """What the reader does next with a request that was not answered with data."""

    RETRY = "ask again after a back-off, a few times"
    WAIT = "ask again when the rate limit allows it"
    REFUSED = "with a cursor: read again from the bookmark; without one: the read fails"
    SKIP_READ = "the integration has no such data: this read is skipped, legitimately"
    SKIP_INTEGRATION = "the integration is not ready: all its reads are skipped this time"
    FAIL_READ = "this read fails, the others go on"
    FAIL_INTEGRATION = "all reads of this integration fail, the others go on"
    STOP_RUN = "nothing else will work either: every read that is not complete fails"

    @property
    def is_skip(self) -> bool:
        return self in {Outcome.SKIP_READ, Outcome.SKIP_INTEGRATION}

    @property
    def is_integration_wide(self) -> bool:
        return self in {Outcome.SKIP_INTEGRATION, Outcome.FAIL_INTEGRATION}


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the tables.

    Attributes:
        outcome: What to do next.
        advice: What a person should know or do, when it comes to that.
        at_last: What to do when asking again and waiting have not helped.
    """

    outcome: Outcome
    advice: str
    at_last: Outcome = Outcome.FAIL_READ


KEY_LIMIT = Rule(
    Outcome.WAIT,
    "The key's rate limit is spent. Lower `concurrency`, raise `max_wait_seconds`, or ask Kombo "
    "for a higher limit.",
)
KEY_REFUSED = Rule(
    Outcome.STOP_RUN,
    "Kombo refuses the API key. Check `api_key`, and that `region` is the one it belongs to.",
)
NOT_READY = "It is read as soon as Kombo is ready; nothing is lost until then."
UNKNOWN_CODE = Rule(Outcome.FAIL_READ, "tap-kombo does not know this code. See the request's log.")

CODES = {
    "PLATFORM.RATE_LIMIT_EXCEEDED": KEY_LIMIT,
    "REMOTE.RATE_LIMIT_EXCEEDED": Rule(
        Outcome.WAIT, "The connected tool limits Kombo's requests. Try again later."
    ),
    "REMOTE.SERVICE_UNAVAILABLE": Rule(
        Outcome.RETRY, "The connected tool does not answer Kombo. Try again later."
    ),
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": Rule(
        Outcome.RETRY, "Too many requests at once for Kombo. Lower `concurrency`."
    ),
    "PLATFORM.AUTHENTICATION_INVALID": KEY_REFUSED,
    "PLATFORM.IP_NOT_WHITELISTED": Rule(
        Outcome.STOP_RUN,
        "Kombo does not accept requests from this machine's address. Add it to the allow list "
        "in Kombo's dashboard.",
    ),
    "PLATFORM.INTEGRATION_NOT_FOUND": Rule(
        Outcome.FAIL_INTEGRATION,
        "Kombo knows no such integration under this key. Check `integration_ids`.",
    ),
    "INTEGRATION.AUTHENTICATION_INVALID": Rule(
        Outcome.FAIL_INTEGRATION,
        "The customer's tool refuses Kombo's credentials. The customer has to reconnect it.",
    ),
    "INTEGRATION.PERMISSION_MISSING": Rule(
        Outcome.FAIL_READ,
        "The customer's connection lacks a permission. The customer has to grant it.",
    ),
    "INTEGRATION.SETUP_INCOMPLETE": Rule(
        Outcome.SKIP_INTEGRATION, f"The customer has not finished connecting. {NOT_READY}"
    ),
    "INTEGRATION.SETUP_SYNC_PENDING": Rule(
        Outcome.SKIP_INTEGRATION,
        f"Kombo's first sync of this integration is not finished, it can take hours. {NOT_READY}",
    ),
    "INTEGRATION.QA_FAILED": Rule(
        Outcome.SKIP_INTEGRATION,
        f"Kombo's quality check of this integration failed: see its dashboard. {NOT_READY}",
    ),
    "INTEGRATION.INACTIVE": Rule(
        Outcome.SKIP_INTEGRATION,
        f"The integration is switched off in Kombo. {NOT_READY}",
    ),
    "INTEGRATION.MODEL_NOT_AVAILABLE": Rule(
        Outcome.SKIP_READ, "The connected tool has no such data."
    ),
    "INTEGRATION.MODEL_DISABLED": Rule(
        Outcome.SKIP_READ, "The scope config of the integration switches this model off."
    ),
    "PLATFORM.INPUT_INVALID": Rule(
        Outcome.REFUSED, "Kombo refuses the request. Check `start_date` and `filters`."
    ),
}
"""Kombo's code -> what to do."""

STATUSES = {
    304: Rule(
        Outcome.FAIL_READ,
        "A cache between this machine and Kombo answers in its place. Check `api_url` and the "
        "network's proxy.",
    ),
    401: KEY_REFUSED,
    403: Rule(Outcome.FAIL_READ, "Something between this machine and Kombo forbids the request."),
    404: Rule(Outcome.FAIL_READ, "Kombo has nothing at this address. Check `api_url`."),
    407: Rule(Outcome.STOP_RUN, "The network's proxy asks for a login. Check the proxy settings."),
    408: Rule(Outcome.RETRY, "The request took too long on the way. Try again later."),
    429: KEY_LIMIT,
}
"""HTTP status without a code -> what to do."""

BROKEN_SERVER = Rule(
    Outcome.RETRY, "Kombo, or something on the way to it, failed. Try again later."
)
STATUS_CLASSES = {
    3: Rule(
        Outcome.FAIL_READ,
        "A redirect is never followed: the API key would go with it. Check `api_url`.",
    ),
    5: BROKEN_SERVER,
}
"""The same for a whole class of statuses, where `STATUSES` has no row of its own."""

NO_CLOCK = Rule(
    Outcome.FAIL_READ,
    "Without Kombo's clock no bookmark can be set. Check `api_url`: a proxy may take it out.",
)
UNAVAILABLE = Rule(
    Outcome.SKIP_READ,
    "Kombo says so of the integration: the tool lacks it, or its scope config or the customer "
    "leaves it out.",
)
BROKEN_NETWORK = Rule(Outcome.RETRY, "Check the network between this machine and Kombo.")
NO_HTTP = Rule(Outcome.RETRY, "Check `api_url`, and the network's proxy (`HTTPS_PROXY`).")
UNREACHABLE = Rule(
    Outcome.RETRY,
    "Check `api_url`, `region`, the network and its proxy (`HTTPS_PROXY`).",
    at_last=Outcome.STOP_RUN,
)
UNUSABLE_ADDRESS = Rule(
    Outcome.STOP_RUN, "Check `api_url` and the network's proxy (`HTTPS_PROXY`, `ALL_PROXY`)."
)
UNTRUSTED = Rule(
    Outcome.STOP_RUN,
    "Check `api_url`, and the certificates that this machine trusts (`REQUESTS_CA_BUNDLE`).",
)
BROKEN_ANSWER = Rule(
    Outcome.RETRY, "What arrived is not a whole answer of Kombo's: nothing of it was used."
)
TOO_LARGE = Rule(Outcome.FAIL_READ, "Nothing of it was used, and it cannot be had in parts.")
UNKNOWN_STATUS = Rule(Outcome.FAIL_READ, "Kombo does not answer like this. Check `api_url`.")
BROKEN_CURSOR = Rule(
    Outcome.FAIL_READ, "Kombo's pages have no end here: please tell Kombo. The bookmark stays."
)
BROKEN_RECORD = Rule(
    Outcome.FAIL_READ,
    "A record without its key cannot be written, and none is left out: please tell Kombo. "
    "The bookmark stays.",
)
BROKEN_MAP = Rule(
    Outcome.FAIL_READ,
    "An expression of `stream_maps` must hold for every record, also where a field is null: "
    "`md5(name) if name else None`. The bookmark stays.",
)
INTERNAL = Rule(Outcome.FAIL_READ, "This is a mistake in tap-kombo: please report it.")


def rule_for(status: int, code: str | None) -> Rule:
    """Look an error answer up: by Kombo's code, else by the HTTP status."""
    if code is not None:
        return CODES.get(code, UNKNOWN_CODE)
    return STATUSES.get(status) or STATUS_CLASSES.get(status // 100, UNKNOWN_STATUS)


CODE = re.compile(r"[A-Z][A-Z_]{0,40}\.[A-Z][A-Z_]{0,60}")
LOG_URL = re.compile(
    r"https://([a-z0-9-]{1,20}\.){0,3}kombo\.dev(/[a-z0-9-]{1,60}){0,4}/logs"
    r"((/|\?[a-z]{1,20}Id=)(?=[A-Za-z-]*[0-9])[A-Za-z0-9-]{1,60})?"
)
"""Logs are found by an id: no word, and nothing with the `_` that each API key has."""


class KomboError(Exception):
    """A request that Kombo did not answer with data.

    It holds nothing of the answer but what is safe to print, because bodies hold people's data
    and servers echo secrets: the status, the code and the log's address, the last two only when
    they look like what Kombo promises.

    Attributes:
        rule: What to do about it.
        status: The HTTP status, or None when there was no answer.
        code: Kombo's error code, or None.
        log_url: Where Kombo shows the request in its dashboard, or None.
        retry_after: Seconds after which the server wants to be asked again, or None.
    """

    def __init__(
        self,
        rule: Rule,
        problem: str | None = None,
        *,
        status: int | None = None,
        code: str | None = None,
        log_url: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.rule = rule
        self.status = status
        self.code = code if code and CODE.fullmatch(code) else None
        self.log_url = log_url if log_url and LOG_URL.fullmatch(log_url) else None
        self.retry_after = retry_after
        self._problem = problem
        super().__init__(str(self))

    @property
    def outcome(self) -> Outcome:
        """What to do about it, once the client is done with asking again."""
        if self.rule.outcome in {Outcome.RETRY, Outcome.WAIT}:
            return self.rule.at_last
        return self.rule.outcome

    def under(self, rule: Rule) -> KomboError:
        """Say the same, with something else to do about it."""
        return KomboError(
            rule, self._problem, status=self.status, code=self.code, log_url=self.log_url
        )

    def for_the_whole_run(self) -> KomboError:
        """Say the same of everything that is still to be read."""
        return self.under(replace(self.rule, outcome=Outcome.STOP_RUN))

    def __str__(self) -> str:
        http = f"HTTP {self.status}" if self.status else None
        what = self._problem or self.code or http or "no answer"
        details = [d for d in (self.code, http, self.log_url) if d and d != what]
        where = f" ({', '.join(details)})" if details else ""
        return f"{what}{where}. {self.rule.advice}"


def internal(error: Exception) -> KomboError:
    """Name the places of a mistake of the tap's own, and none of the values that were there."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))
    return KomboError(INTERNAL, f"Unexpected {type(error).__name__} at {places}")


class StoppedError(Exception):
    """The run is being stopped: what is under way is given up, not failed."""


class InputError(Exception):
    """The user's settings, state or catalog are wrong.

    Args:
        sentences: One for each mistake: what, where, and what to do. They are all that is shown.
    """

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)


class RunFailedError(Exception):
    """The run ended, and something could not be read or written: exit status 1.

    Args:
        sentences: One for each thing that needs a person.
    """

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)
