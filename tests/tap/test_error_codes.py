"""The tap reacts to Kombo's error code, and to the HTTP status only without a code."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.tap import (
    TapRun,
    after,
    ago,
    catalog_with,
    quick_retries,
    run_tap,
    settings_for,
    state_with_bookmark,
)
from kombo_sandbox import Request, Sandbox

OFFERS = catalog_with("ats_offers")
LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"
STATUSES = [200, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504]

FAILED, SKIPPED, NOT_READY, RETRIED = "failed", "skipped", "not ready", "retried"
CODES = {
    "PLATFORM.INTEGRATION_NOT_FOUND": FAILED,
    "PLATFORM.INPUT_INVALID": FAILED,
    "INTEGRATION.AUTHENTICATION_INVALID": FAILED,
    "INTEGRATION.PERMISSION_MISSING": FAILED,
    "INTEGRATION.SETUP_INCOMPLETE": NOT_READY,
    "INTEGRATION.SETUP_SYNC_PENDING": NOT_READY,
    "INTEGRATION.QA_FAILED": NOT_READY,
    "INTEGRATION.INACTIVE": NOT_READY,
    "INTEGRATION.MODEL_NOT_AVAILABLE": SKIPPED,
    "INTEGRATION.MODEL_DISABLED": SKIPPED,
    "REMOTE.SERVICE_UNAVAILABLE": RETRIED,
    "REMOTE.RATE_LIMIT_EXCEEDED": RETRIED,
    "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED": RETRIED,
    # Codes that this version does not know
    "PLATFORM.UNKNOWN_ERROR": FAILED,
    "ATS.INVENTED_LATER": FAILED,
}
"""Kombo's codes that apply to a stream or an integration"""

LOG_LEVELS = {FAILED: {"WARNING", "ERROR"}, NOT_READY: {"WARNING"}, SKIPPED: {"INFO"}}
"""A failure is logged when it happens, and as an error when the run ends."""

KEY_CODES = {
    "PLATFORM.AUTHENTICATION_INVALID": "Kombo rejects the API key",
    "PLATFORM.IP_NOT_WHITELISTED": "IP address",
}
"""Kombo's codes that apply to the API key, and a part of the advice"""

KEY_LIMIT = "PLATFORM.RATE_LIMIT_EXCEEDED"
CODES_AND_STATUSES = list(itertools.product(CODES, STATUSES))

STATUSES_WITHOUT_CODE = {
    200: RETRIED,
    302: FAILED,
    304: FAILED,
    400: FAILED,
    403: FAILED,
    404: FAILED,
    408: RETRIED,
    409: FAILED,
    418: FAILED,
    422: FAILED,
    500: RETRIED,
    502: RETRIED,
    503: RETRIED,
    504: RETRIED,
    599: RETRIED,
}
"""401, 407 and 429 apply to the API key."""

INVALID_ERRORS = {
    "null": "null",
    "a string": '"Forbidden"',
    "a list": '["INTEGRATION.SETUP_INCOMPLETE"]',
    "an empty object": "{}",
    "a code that is a number": '{"code":403}',
    "a code that is a list": '{"code":["INTEGRATION.SETUP_INCOMPLETE"]}',
    "a code that is empty": '{"code":""}',
}
"""The `error` of responses with HTTP 403"""

LASTING: list[dict[str, Any]] = [
    *[{"status": status} for status in (500, 503)],
    *[
        {"status": status, "code": code}
        for code in ("REMOTE.SERVICE_UNAVAILABLE", "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED")
        for status in (200, 400, 503)
    ],
]
"""Transient errors that last longer than the tap waits"""


@dataclass(frozen=True)
class RunOfAllCases:
    """A run over all cases, with one integration per case."""

    kombo: Sandbox
    run: TapRun
    all_requests: list[Request]
    integration_ids: dict[object, str]
    earlier: str

    def requests(self, case: object) -> list[Request]:
        integration_id = self.integration_ids[case]
        return [
            r
            for r in self.all_requests
            if r.path == "/ats/offers" and r.integration_id == integration_id
        ]

    def records(self, case: object) -> set[str]:
        return {
            r["id"]
            for r in self.run.records["ats_offers"]
            if r["integration_id"] == self.integration_ids[case]
        }

    def is_complete(self, case: object) -> bool:
        integration_id = self.integration_ids[case]
        expected = {r["id"] for r in self.kombo.records("ats_offers", integration_id)}
        bookmark = self.run.bookmark("ats_offers", integration_id) or ""
        return self.records(case) == expected and bookmark > self.earlier

    def is_unchanged(self, case: object) -> bool:
        """Return whether no record was written, and the bookmark is the given one."""
        integration_id = self.integration_ids[case]
        given = state_with_bookmark(self.earlier, [integration_id])
        [partition] = given["bookmarks"]["ats_offers"]["partitions"]
        found = self.run.partition("ats_offers", integration_id)
        return not self.records(case) and partition.items() <= found.items()

    def log(self, case: object) -> list[str]:
        """Return the log lines about an integration, which start with their level."""
        return [line for line in self.run.log if self.integration_ids[case] in line]

    def has_error(self, case: object, start: str) -> bool:
        error = f"Could not read {self.integration_ids[case]} (ats_offers): {start}"
        return any(line.startswith(error) for line in self.run.errors)


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    cases = len(CODES_AND_STATUSES) + len(STATUSES_WITHOUT_CODE) + len(INVALID_ERRORS)
    with Sandbox(integrations=cases + len(LASTING) + 4, offers=2, seed=5) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def cases(kombo: Sandbox) -> RunOfAllCases:
    kombo.clear_faults()
    kombo.clear_requests()
    earlier = ago(kombo, hours=1)
    once = {"count": 1}
    faults: dict[object, list[dict[str, Any]]] = {
        **{number: [fault] for number, fault in enumerate(LASTING)},
        "limits, then failures": [
            {"status": 429, "code": "REMOTE.RATE_LIMIT_EXCEEDED", "count": 3},
            {"status": 503, "count": 5},
        ],
        **{
            (code, status): [
                {"status": status, "code": code, "log_url": LOG_URL}
                | (once if CODES[code] is RETRIED else {})
            ]
            for code, status in CODES_AND_STATUSES
        },
        **{
            (None, status): [{"status": status} | (once if reaction is RETRIED else {})]
            for status, reaction in STATUSES_WITHOUT_CODE.items()
        },
        **{
            name: [{"status": 403, "body": f'{{"status":"error","error":{error}}}'}]
            for name, error in INVALID_ERRORS.items()
        },
        "text": [{"status": 403, "body": "Forbidden"}],
        "a code in lower case": [{"status": 503, "code": "platform.rate_limit_exceeded"}],
        "no error": [],
    }
    integration_ids = dict(zip(faults, kombo.integration_ids, strict=True))
    for case, integration_id in integration_ids.items():
        for fault in faults[case]:
            kombo.fault("/ats/offers", integration_id=integration_id, **fault)
    with_bookmark = [
        integration_ids[case] for case in faults if faults[case] and "count" not in faults[case][-1]
    ]
    with quick_retries():
        run = run_tap(
            settings_for(kombo, concurrency=64),
            catalog=OFFERS,
            state=state_with_bookmark(earlier, with_bookmark),
            stop_when=after(60),
        )
    return RunOfAllCases(kombo, run, kombo.requests(), integration_ids, earlier)


def test_a_run_with_all_errors_reads_everything_else(cases: RunOfAllCases) -> None:
    assert cases.run.code == 1
    assert cases.is_complete("no error")


@pytest.mark.parametrize(
    ("code", "status"), [pair for pair in CODES_AND_STATUSES if CODES[pair[0]] is not RETRIED]
)
def test_a_permanent_error_applies_to_its_integration_whatever_the_status(
    cases: RunOfAllCases, code: str, status: int
) -> None:
    case = (code, status)

    assert len(cases.requests(case)) == 1
    assert cases.is_unchanged(case)
    assert {line.split()[0] for line in cases.log(case)} == LOG_LEVELS[CODES[code]]
    assert all(f"{code} (HTTP {status}, {LOG_URL}). " in line for line in cases.log(case))
    assert cases.has_error(case, code) == (CODES[code] is FAILED)


@pytest.mark.parametrize(
    ("code", "status"), [pair for pair in CODES_AND_STATUSES if CODES[pair[0]] is RETRIED]
)
def test_a_transient_error_is_retried_whatever_the_status(
    cases: RunOfAllCases, code: str, status: int
) -> None:
    assert len(cases.requests((code, status))) == 2
    assert cases.is_complete((code, status))
    assert cases.log((code, status)) == []


@pytest.mark.parametrize("status", STATUSES_WITHOUT_CODE)
def test_without_a_code_the_status_decides(cases: RunOfAllCases, status: int) -> None:
    case = (None, status)

    if STATUSES_WITHOUT_CODE[status] is RETRIED:
        assert len(cases.requests(case)) == 2
        assert cases.is_complete(case)
    else:
        assert len(cases.requests(case)) == 1
        assert cases.is_unchanged(case)
        assert cases.has_error(case, f"HTTP {status}. ")


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (302, "Redirects are not followed"),
        (304, "A cache in front of Kombo"),
        (403, "A firewall or proxy"),
        (404, "Check `api_url`"),
        (418, "Check `api_url`"),
    ],
)
def test_an_error_without_a_code_gives_advice(
    cases: RunOfAllCases, status: int, advice: str
) -> None:
    assert any(f"HTTP {status}. " in line and advice in line for line in cases.log((None, status)))


@pytest.mark.parametrize("name", [*INVALID_ERRORS, "text"])
def test_an_error_in_another_format_has_no_code(cases: RunOfAllCases, name: str) -> None:
    assert len(cases.requests(name)) == 1
    assert cases.is_unchanged(name)
    assert cases.has_error(name, "HTTP 403. ")


def test_codes_are_case_sensitive(cases: RunOfAllCases) -> None:
    """A code that this version does not know is not retried, and not logged."""
    case = "a code in lower case"

    assert len(cases.requests(case)) == 1
    assert cases.is_unchanged(case)
    assert cases.has_error(case, "HTTP 503 (https://app.kombo.dev/")
    assert any("does not know the code" in line for line in cases.log(case))
    assert "platform.rate_limit_exceeded" not in cases.run.stderr


@pytest.mark.parametrize("number", range(len(LASTING)))
def test_a_lasting_error_fails_after_max_wait_seconds(cases: RunOfAllCases, number: int) -> None:
    """300 seconds are six doubling pauses, and about nine of 30 seconds."""
    assert 12 <= len(cases.requests(number)) <= 21
    assert cases.is_unchanged(number)


def test_rate_limits_and_failures_of_one_request_are_waited_out(cases: RunOfAllCases) -> None:
    assert len(cases.requests("limits, then failures")) == 9
    assert cases.is_complete("limits, then failures")


def test_a_run_in_which_streams_are_only_skipped_succeeds(kombo: Sandbox) -> None:
    kombo.clear_faults()
    codes = [code for code, reaction in CODES.items() if reaction in {SKIPPED, NOT_READY}]
    *skipped, complete = kombo.integration_ids[: len(codes) + 1]
    for code, integration_id in zip(codes, skipped, strict=True):
        kombo.fault("/ats/offers", integration_id=integration_id, code=code)

    run = run_tap(settings_for(kombo, integration_ids=[*skipped, complete]), catalog=OFFERS)

    assert run.code == 0
    assert run.errors == []
    assert [run.bookmark("ats_offers", name) for name in skipped] == [None] * len(codes)
    assert run.bookmark("ats_offers", complete)


def key_error(kombo: Sandbox, status: int, code: str | None = None) -> str:
    """Return the error of `--test` if the request for an integration fails like this."""
    kombo.clear_faults()
    integration_id = kombo.integration_ids[0]
    kombo.fault(f"/integrations/{integration_id}", status=status, code=code, log_url=LOG_URL)
    [error] = run_tap(settings_for(kombo, integration_ids=[integration_id]), "--test").errors
    return error


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("code", KEY_CODES)
def test_a_code_about_the_key_gives_advice_whatever_the_status(
    kombo: Sandbox, code: str, status: int
) -> None:
    error = key_error(kombo, status, code)

    assert error.startswith(f"{code} (HTTP {status}, {LOG_URL}). ")
    assert KEY_CODES[code] in error


@pytest.mark.parametrize(
    ("status", "advice"), [(401, "Kombo rejects the API key"), (407, "proxy requires a login")]
)
def test_without_a_code_the_status_may_be_about_the_key(
    kombo: Sandbox, status: int, advice: str
) -> None:
    error = key_error(kombo, status)

    assert error.startswith(f"HTTP {status}")
    assert advice in error


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("code", KEY_CODES)
def test_a_code_about_the_key_ends_the_run_whatever_the_status(
    sandbox: Sandbox, code: str, status: int
) -> None:
    first, second, third = sandbox.integration_ids
    sandbox.fault("/ats/offers", integration_id=second, status=status, code=code, log_url=LOG_URL)
    earlier = ago(sandbox, hours=1)
    before = state_with_bookmark(earlier, [second, third])

    run = run_tap(settings_for(sandbox, concurrency=1), catalog=OFFERS, state=before)

    assert run.code == 1
    requested = [r.integration_id for r in sandbox.requests() if r.path == "/ats/offers"]
    assert requested.count(second) == 1
    assert third not in requested
    [error] = run.errors
    assert error.startswith(f"The run ended early: {code} (HTTP {status}, {LOG_URL}). ")
    assert KEY_CODES[code] in error
    assert run.bookmark("ats_offers", first)
    partitions = [run.partition("ats_offers", integration_id) for integration_id in (second, third)]
    assert partitions == before["bookmarks"]["ats_offers"]["partitions"]


LIMIT_CASES: list[tuple[str | None, int]] = [*((KEY_LIMIT, s) for s in STATUSES), (None, 429)]


@dataclass(frozen=True)
class RunWithLimits:
    run: TapRun
    integration_ids: dict[tuple[str | None, int], str]
    requests: list[Request]


@pytest.fixture(scope="module")
def limits(kombo: Sandbox) -> RunWithLimits:
    kombo.clear_faults()
    kombo.clear_requests()
    integration_ids = dict(zip(LIMIT_CASES, kombo.integration_ids, strict=False))
    for (code, status), integration_id in integration_ids.items():
        kombo.fault(
            "/ats/offers",
            integration_id=integration_id,
            status=status,
            code=code,
            count=1,
            headers={"ratelimit-reset": "0.1"},
        )
    settings = settings_for(kombo, integration_ids=list(integration_ids.values()))
    run = run_tap(settings, catalog=OFFERS, stop_when=after(60))
    return RunWithLimits(run, integration_ids, kombo.requests())


@pytest.mark.parametrize(("code", "status"), LIMIT_CASES)
def test_the_keys_rate_limit_is_waited_out_whatever_the_status(
    limits: RunWithLimits, code: str | None, status: int
) -> None:
    integration_id = limits.integration_ids[code, status]

    requests = [
        r for r in limits.requests if r.path == "/ats/offers" and r.integration_id == integration_id
    ]
    assert len(requests) == 2
    assert limits.run.bookmark("ats_offers", integration_id)


def test_a_rate_limit_that_was_waited_out_is_not_a_warning(limits: RunWithLimits) -> None:
    assert limits.run.code == 0
    assert limits.run.errors == limits.run.warnings == []
