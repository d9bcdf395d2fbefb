"""Errors and the tap's reactions to them: Kombo's error codes are rows of a table.

Kombo asks its users to decide by an error's `code`, and by the HTTP status only where there is no
code, because statuses and messages may change: https://docs.kombo.dev/guides/errors
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path


class Action(Enum):
    """The tap's reaction to a failed request."""

    RETRY = "retry with backoff, for at most `max_wait_seconds`; then fail"
    WAIT = "wait for the rate limit, for at most `max_wait_seconds`; then fail"
    RESTART = "if the cursor was rejected, start the read again from the bookmark; otherwise fail"
    SKIP = "skip: the data is legitimately absent"
    FAIL = "fail"


class FailureType(Enum):
    """Who can end a failure, in the terms of Airbyte's protocol.

    A retry may help against the first ones, so their errors come first.
    """

    TRANSIENT = "transient_error"
    SYSTEM = "system_error"
    CONFIG = "config_error"


class Scope(Enum):
    """Everything that a skip or a failure applies to."""

    READ = "this stream of this integration"
    INTEGRATION = "all streams of this integration"
    RUN = "the run"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the tables.

    Attributes:
        action: The tap's reaction.
        scope: The reads that are skipped, or that fail if the reaction does not help.
        advice: Sentences for the person who has to act.
        failure_type: Who can end the failure: time, the developers, or the user.
    """

    action: Action
    scope: Scope
    advice: str
    failure_type: FailureType = FailureType.SYSTEM


RETRY, WAIT, RESTART, SKIP, FAIL = Action
READ, INTEGRATION, RUN = Scope
TRANSIENT, SYSTEM, CONFIG = FailureType

KEY_LIMIT = Rule(
    WAIT,
    READ,
    "The API key's rate limit is exhausted. Lower `concurrency` or raise `max_wait_seconds`.",
    TRANSIENT,
)
KEY_REJECTED = Rule(
    FAIL,
    RUN,
    "Kombo rejects the API key. Check `api_key`, and that `region` is the key's region.",
    CONFIG,
)
NOT_READY = "The first run after that reads the integration."
NOT_ACCEPTED = Rule(
    FAIL,
    READ,
    "The request is too long or not valid. If `filters` has many values, use fewer. Otherwise, "
    "check `api_url`.",
    CONFIG,
)
UNKNOWN_CODE = Rule(
    FAIL, READ, "This version does not know the code. See the request's log at Kombo."
)

CODES: Mapping[str, Rule] = {
    "PLATFORM.RATE_LIMIT_EXCEEDED": KEY_LIMIT,
    "REMOTE.RATE_LIMIT_EXCEEDED": Rule(
        WAIT,
        READ,
        "The connected tool limits Kombo's requests. Try again later.",
        TRANSIENT,
    ),
    "REMOTE.SERVICE_UNAVAILABLE": Rule(
        RETRY,
        READ,
        "The connected tool does not respond to Kombo. Try again later.",
        TRANSIENT,
    ),
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": Rule(
        RETRY,
        READ,
        "Kombo received too many requests at once. Lower `concurrency`.",
        TRANSIENT,
    ),
    "PLATFORM.AUTHENTICATION_INVALID": KEY_REJECTED,
    "PLATFORM.IP_NOT_WHITELISTED": Rule(
        FAIL,
        RUN,
        "Kombo does not accept this machine's IP address. Allow it in Kombo's dashboard.",
        CONFIG,
    ),
    "PLATFORM.INTEGRATION_NOT_FOUND": Rule(
        FAIL,
        INTEGRATION,
        "The API key's environment has no such integration. Check `integration_ids`.",
        CONFIG,
    ),
    "INTEGRATION.AUTHENTICATION_INVALID": Rule(
        FAIL,
        INTEGRATION,
        "The customer's tool rejects Kombo's credentials. The customer has to reconnect it.",
        CONFIG,
    ),
    "INTEGRATION.PERMISSION_MISSING": Rule(
        FAIL,
        READ,
        "The integration lacks a permission. The customer has to grant it.",
        CONFIG,
    ),
    "INTEGRATION.SETUP_INCOMPLETE": Rule(
        SKIP, INTEGRATION, f"The customer has not finished the setup. {NOT_READY}"
    ),
    "INTEGRATION.SETUP_SYNC_PENDING": Rule(
        SKIP, INTEGRATION, f"Kombo's first sync has not finished; it can take hours. {NOT_READY}"
    ),
    "INTEGRATION.QA_FAILED": Rule(
        SKIP, INTEGRATION, f"Kombo has not passed its quality check yet. {NOT_READY}"
    ),
    "INTEGRATION.INACTIVE": Rule(
        SKIP,
        INTEGRATION,
        "The integration is inactive. The first run after its activation reads it.",
    ),
    "INTEGRATION.MODEL_NOT_AVAILABLE": Rule(
        SKIP, READ, "The connected tool does not have this model."
    ),
    "INTEGRATION.MODEL_DISABLED": Rule(
        SKIP, READ, "The integration's scope config switches this model off."
    ),
    "PLATFORM.INPUT_INVALID": Rule(
        RESTART,
        READ,
        "Kombo rejects the request's parameters. Check `start_date` and `filters`.",
        CONFIG,
    ),
}
"""Kombo's code -> rule"""

STATUSES: Mapping[int, Rule] = {
    304: Rule(
        FAIL,
        READ,
        "A cache in front of Kombo responded. Check `api_url` and the network's proxy.",
        CONFIG,
    ),
    400: NOT_ACCEPTED,
    401: KEY_REJECTED,
    403: Rule(
        FAIL, READ, "A firewall or proxy between this machine and Kombo blocks the request.", CONFIG
    ),
    404: Rule(FAIL, READ, "Kombo has nothing at this URL. Check `api_url`.", CONFIG),
    407: Rule(
        FAIL,
        RUN,
        "The network's proxy requires a login. Check the environment variable `HTTPS_PROXY`.",
        CONFIG,
    ),
    408: Rule(RETRY, READ, "The request took too long to arrive. Try again later.", TRANSIENT),
    413: NOT_ACCEPTED,
    414: NOT_ACCEPTED,
    429: KEY_LIMIT,
    431: NOT_ACCEPTED,
}
"""HTTP status of a response without a code -> rule"""

SERVER_ERROR = Rule(
    RETRY, READ, "Kombo, or a proxy in front of it, failed. Try again later.", TRANSIENT
)
STATUS_CLASSES: Mapping[int, Rule] = {
    3: Rule(
        FAIL,
        READ,
        "Redirects are not followed, because the API key would be sent along. Check `api_url`.",
        CONFIG,
    ),
    5: SERVER_ERROR,
}
"""First digit of a status that has no row of its own -> rule"""

UNKNOWN_STATUS = Rule(FAIL, READ, "Kombo does not send this status. Check `api_url`.")
NO_CLOCK = Rule(
    RETRY,
    READ,
    "Bookmarks are set by Kombo's clock. Check `api_url`: a proxy may remove the header.",
    TRANSIENT,
)
UNAVAILABLE = Rule(
    SKIP,
    READ,
    "The tool lacks the model, or the scope config or the customer excludes it.",
)
NO_CONNECTION = Rule(
    RETRY,
    READ,
    "Check `api_url`, `region`, the network and its proxy (`HTTPS_PROXY`).",
    TRANSIENT,
)
INVALID_URL = Rule(
    FAIL,
    RUN,
    "Check `api_url` and the network's proxy (`HTTPS_PROXY`, `ALL_PROXY`).",
    CONFIG,
)
UNTRUSTED = Rule(
    FAIL,
    RUN,
    "Check `api_url`, and the certificates that this machine trusts (`REQUESTS_CA_BUNDLE`).",
    CONFIG,
)
INVALID_RESPONSE = Rule(
    RETRY, READ, "No part of the response was used. Check `api_url`.", TRANSIENT
)
OTHER_INTEGRATION = Rule(
    FAIL,
    INTEGRATION,
    "No part of the response was used. Check `api_url`: a cache may mix up responses.",
    CONFIG,
)
TOO_LARGE = Rule(FAIL, READ, "No part of the response was used, and it has no smaller pages.")
ENDLESS_CURSOR = Rule(
    FAIL, READ, "Kombo's pages do not end. Report this to Kombo. The bookmark stays."
)
INVALID_RECORD = Rule(
    FAIL,
    READ,
    "A record without its key cannot be written. Report this to Kombo. The bookmark stays.",
)
FAILED_MAP = Rule(
    FAIL,
    READ,
    "Write expressions that accept every record, also where a field is null: "
    "`md5(name) if name else None`. The bookmark stays.",
    CONFIG,
)
INTERNAL = Rule(FAIL, READ, "This is a bug in tap-kombo. Please report it.")


def rule_for(status: int, code: str | None) -> Rule:
    """Return the rule for an error response: by Kombo's code, else by the HTTP status."""
    if code is not None:
        return CODES.get(code, UNKNOWN_CODE)
    return STATUSES.get(status) or STATUS_CLASSES.get(status // 100, UNKNOWN_STATUS)


CODE = re.compile(r"[A-Z][A-Z_]{0,40}\.[A-Z][A-Z_]{0,60}")
LOG_URL = re.compile(r"https://([a-z0-9-]+\.)*kombo\.dev(/[!-~]*)?")


class KomboError(Exception):
    """A request that failed, or a page that could not be written.

    The error holds nothing of a response but its status, code and log URL, and the last two only
    in the format that Kombo promises: a body holds people's data.

    Attributes:
        rule: The tap's reaction.
        status: The HTTP status; None without a response.
        code: Kombo's error code, or None.
        log_url: The request's page in Kombo's dashboard, or None.
        retry_after: Seconds after which the server accepts the next request, or None.
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
        http = f"HTTP {status}" if status else None
        self.problem = problem or self.code or http or "no response"
        details = [d for d in (self.code, http, self.log_url) if d and d != self.problem]
        where = f" ({', '.join(details)})" if details else ""
        super().__init__(f"{self.problem}{where}. {rule.advice}")

    @property
    def is_skip(self) -> bool:
        return self.rule.action is Action.SKIP

    def for_run(self) -> KomboError:
        """Return the same error as a failure of the run."""
        return KomboError(
            replace(self.rule, scope=Scope.RUN),
            self.problem,
            status=self.status,
            code=self.code,
            log_url=self.log_url,
        )


def internal(error: Exception) -> KomboError:
    """Describe a bug of the tap by its place, without the values that were involved."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-4:]))
    return KomboError(INTERNAL, f"Unexpected {type(error).__name__} at {places}")


class StoppedError(Exception):
    """The run is stopping: work in progress is abandoned, but has not failed."""


class InputError(Exception):
    """The settings, the state or the catalog are not valid.

    Args:
        sentences: One for each mistake: its place, the problem, and the fix.
    """

    def __init__(self, *sentences: str) -> None:
        super().__init__(*sentences)


class RunFailedError(Exception):
    """Something could not be read or written, as the log says. Exit status 1."""
