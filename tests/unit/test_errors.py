"""The tables of error rules, and the messages of errors."""

from __future__ import annotations

import pytest

from tap_kombo import errors
from tap_kombo.errors import Action, FailureType, KomboError, Rule, Scope, internal, rule_for

LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"

DOCUMENTED = {
    "INTEGRATION.AUTHENTICATION_INVALID",
    "INTEGRATION.INACTIVE",
    "INTEGRATION.MODEL_DISABLED",
    "INTEGRATION.MODEL_NOT_AVAILABLE",
    "INTEGRATION.PERMISSION_MISSING",
    "INTEGRATION.QA_FAILED",
    "INTEGRATION.SETUP_INCOMPLETE",
    "INTEGRATION.SETUP_SYNC_PENDING",
    "PLATFORM.AUTHENTICATION_INVALID",
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED",
    "PLATFORM.INPUT_INVALID",
    "PLATFORM.INTEGRATION_NOT_FOUND",
    "PLATFORM.IP_NOT_WHITELISTED",
    "PLATFORM.RATE_LIMIT_EXCEEDED",
    "REMOTE.RATE_LIMIT_EXCEEDED",
    "REMOTE.SERVICE_UNAVAILABLE",
}
"""The codes of requests that read data: https://docs.kombo.dev/guides/errors"""

RULES = [
    *errors.CODES.values(),
    *errors.STATUSES.values(),
    *errors.STATUS_CLASSES.values(),
    *(rule for rule in vars(errors).values() if isinstance(rule, Rule)),
]


def test_every_documented_code_has_a_rule() -> None:
    assert {*errors.CODES} == DOCUMENTED


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_has_advice(rule: Rule) -> None:
    assert rule.advice.endswith(".")
    assert rule.advice[0].isupper()


@pytest.mark.parametrize("rule", RULES)
def test_failures_that_are_retried_are_transient(rule: Rule) -> None:
    is_transient = rule.failure_type is FailureType.TRANSIENT
    assert is_transient == (rule.action in {Action.RETRY, Action.WAIT})


@pytest.mark.parametrize("status", [200, 400, 404, 429, 500])
def test_a_code_takes_precedence_over_the_status(status: int) -> None:
    assert rule_for(status, "INTEGRATION.INACTIVE").action is Action.SKIP
    assert rule_for(status, "PLATFORM.INVENTED_LATER") is errors.UNKNOWN_CODE


@pytest.mark.parametrize(
    ("status", "action", "scope"),
    [
        (302, Action.FAIL, Scope.READ),
        (304, Action.FAIL, Scope.READ),
        (401, Action.FAIL, Scope.RUN),
        (403, Action.FAIL, Scope.READ),
        (404, Action.FAIL, Scope.READ),
        (407, Action.FAIL, Scope.RUN),
        (408, Action.RETRY, Scope.READ),
        (418, Action.FAIL, Scope.READ),
        (429, Action.WAIT, Scope.READ),
        (500, Action.RETRY, Scope.READ),
        (599, Action.RETRY, Scope.READ),
        (700, Action.FAIL, Scope.READ),
    ],
)
def test_without_a_code_the_status_decides(status: int, action: Action, scope: Scope) -> None:
    rule = rule_for(status, None)

    assert (rule.action, rule.scope) == (action, scope)


@pytest.mark.parametrize("status", [400, 413, 414, 431])
def test_advice_for_a_request_that_is_too_long_mentions_filters(status: int) -> None:
    assert "`filters`" in rule_for(status, None).advice


def test_a_message_has_code_status_log_url_and_advice() -> None:
    rule = rule_for(403, "INTEGRATION.PERMISSION_MISSING")

    error = KomboError(rule, status=403, code="INTEGRATION.PERMISSION_MISSING", log_url=LOG_URL)

    assert str(error) == f"INTEGRATION.PERMISSION_MISSING (HTTP 403, {LOG_URL}). {rule.advice}"


def test_a_message_without_a_response_has_problem_and_advice() -> None:
    error = KomboError(errors.NO_CONNECTION, "No connection to api.kombo.dev")

    assert str(error) == f"No connection to api.kombo.dev. {errors.NO_CONNECTION.advice}"


@pytest.mark.parametrize(
    "code", ["", "Ada Lovelace", "PLATFORM", "PLATFORM.ada", "platform.limit", "A.B C", "A.B\nC"]
)
def test_a_code_in_another_format_is_omitted(code: str) -> None:
    error = KomboError(errors.UNKNOWN_CODE, status=500, code=code)

    assert error.code is None
    assert str(error).startswith("HTTP 500. ")


@pytest.mark.parametrize(
    "log_url",
    [
        "",
        "Ada Lovelace",
        "http://app.kombo.dev/logs",
        "//app.kombo.dev/logs",
        "https://notkombo.dev/logs",
        "https://app.kombo.dev.example.com/logs",
        "https://example.com/app.kombo.dev",
        "https://[app.kombo.dev/logs",
        "https://ada:secret@app.kombo.dev/logs",
        "https://app.kombo.dev/Ada Lovelace",
        "https://app.kombo.dev/logs\nERROR | Could not read personio:x (ats_offers)",
    ],
)
def test_a_log_url_in_another_format_is_omitted(log_url: str) -> None:
    error = KomboError(errors.UNKNOWN_CODE, status=500, log_url=log_url)

    assert error.log_url is None
    assert str(error).startswith("HTTP 500. ")


@pytest.mark.parametrize("host", ["kombo.dev", "app.kombo.dev", "app.us.kombo.dev"])
def test_a_log_url_of_kombo_is_included(host: str) -> None:
    assert f"https://{host}/logs" in str(
        KomboError(errors.UNKNOWN_CODE, log_url=f"https://{host}/logs")
    )


def test_an_error_of_the_run_has_the_same_message() -> None:
    error = KomboError(errors.SERVER_ERROR, status=503, log_url=LOG_URL)

    assert str(error.for_run()) == str(error)
    assert error.for_run().rule.scope is Scope.RUN


def test_a_bug_is_reported_with_its_location_but_without_values() -> None:
    try:
        int("Ada Lovelace")
    except ValueError as bug:
        error = internal(bug)

    assert str(error).startswith("Unexpected ValueError at test_errors.py:")
    assert "Ada" not in str(error)
    assert "bug in tap-kombo" in str(error)
