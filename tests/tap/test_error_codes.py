"""Kombo's code decides what happens next; the HTTP status only where there is no code."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from kombo_sandbox.handle import Request
from tap_kombo.errors import CODES
from tap_kombo.times import read_time, write_time
from tests.tap_run import TapRun, catalog_with, run_tap, settings_for, state_at

OFFERS = catalog_with("ats_offers")
LOG_URL = "https://app.kombo.dev/my-prod/logs?interactionId=123456"
STATUSES = [200, 400, 401, 403, 404, 409, 422, 429, 500, 502, 503, 504]

FAILED, SKIPPED, NOT_READY, RETRIED = "failed", "skipped", "not ready", "retried"
CODES_OF_ONE = {
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
    # What this tap does not know is not asked again either.
    "PLATFORM.UNKNOWN_ERROR": FAILED,
    "ATS.INVENTED_LATER": FAILED,
}
LEVELS = {FAILED: {"WARNING", "ERROR"}, NOT_READY: {"WARNING"}, SKIPPED: {"INFO"}}
"""A failure is told when it happens, and once more at the end."""

CODES_OF_THE_KEY = {
    "PLATFORM.AUTHENTICATION_INVALID": "Kombo refuses the API key",
    "PLATFORM.IP_NOT_WHITELISTED": "Kombo does not accept requests from this machine's address",
}
KEY_LIMIT = "PLATFORM.RATE_LIMIT_EXCEEDED"
PAIRS = list(itertools.product(CODES_OF_ONE, STATUSES))

WITHOUT_CODE = {
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
"""What is of the key's: 401, 407 and 429, is below."""


def envelope(error: str) -> str:
    return f'{{"status":"error","error":{error}}}'


ENVELOPES = {
    # An error without a code, under HTTP 403: the status decides.
    "null": envelope("null"),
    "a string": envelope('"Forbidden"'),
    "a list": envelope('["INTEGRATION.SETUP_INCOMPLETE"]'),
    "an empty object": envelope("{}"),
    "a code that is a number": envelope('{"code":403}'),
    "a code that is a list": envelope('{"code":["INTEGRATION.SETUP_INCOMPLETE"]}'),
    "a code that is empty": envelope('{"code":""}'),
    "no envelope": "Forbidden",
}

LIMITS_AND_FAILURES = "limits, then failures"
PATIENT_FAILURES: list[dict[str, Any]] = [
    *[{"status": status} for status in (500, 503)],
    *[
        {"status": status, "code": code}
        for code in ("REMOTE.SERVICE_UNAVAILABLE", "PLATFORM.CONCURRENCY_LIMIT_EXCEEDED")
        for status in (200, 400, 503)
    ],
]


@dataclass(frozen=True)
class Night:
    """A run in which each integration meets one error."""

    kombo: Sandbox
    run: TapRun
    requests: list[Request]
    integration_ids: dict[object, str]
    before: str

    def asked(self, case: object) -> list[Request]:
        integration_id = self.integration_ids[case]
        return [
            r
            for r in self.requests
            if r.path == "/ats/offers" and r.integration_id == integration_id
        ]

    def is_complete(self, case: object) -> bool:
        integration_id = self.integration_ids[case]
        arrived = {
            r["id"] for r in self.run.records["ats_offers"] if r["integration_id"] == integration_id
        }
        truth = {r["id"] for r in self.kombo.records("ats_offers", integration_id)}
        return arrived == truth and (self.bookmark(case) or "") > self.before

    def is_untouched(self, case: object) -> bool:
        """Tell whether there is no record of the integration, and the state as it was."""
        integration_id = self.integration_ids[case]
        [before] = state_at(self.before, [integration_id])["bookmarks"]["ats_offers"]["partitions"]
        return (
            not [r for r in self.run.records["ats_offers"] if r["integration_id"] == integration_id]
            and self.run.partition("ats_offers", integration_id) == before
        )

    def bookmark(self, case: object) -> str | None:
        return self.run.bookmark("ats_offers", self.integration_ids[case])

    def told(self, case: object) -> list[str]:
        """Find what the log says of an integration, with the level before it."""
        return [line for line in self.run.log if self.integration_ids[case] in line]


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    cases = len(PAIRS) + len(WITHOUT_CODE) + len(ENVELOPES) + len(PATIENT_FAILURES) + 3
    with Sandbox(integrations=cases, offers=2, seed=5) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def night(kombo: Sandbox) -> Night:
    kombo.clear_faults()
    kombo.clear_requests()
    before = write_time(read_time(kombo.clock()) - timedelta(hours=1))
    faults: dict[object, list[dict[str, Any]]] = {
        **{number: [fault] for number, fault in enumerate(PATIENT_FAILURES)},
        LIMITS_AND_FAILURES: [
            {"status": 429, "code": "REMOTE.RATE_LIMIT_EXCEEDED", "count": 3},
            {"status": 503, "count": 5},
        ],
        **{
            (code, status): [
                {"status": status, "code": code, "log_url": LOG_URL}
                | ({"count": 1} if CODES_OF_ONE[code] is RETRIED else {})
            ]
            for code, status in PAIRS
        },
        **{
            (None, status): [{"status": status} | ({"count": 1} if expected is RETRIED else {})]
            for status, expected in WITHOUT_CODE.items()
        },
        **{name: [{"status": 403, "body": body}] for name, body in ENVELOPES.items()},
        "a code in lower case": [{"status": 503, "code": "platform.rate_limit_exceeded"}],
        "nothing": [],
    }
    integration_ids = dict(zip(faults, kombo.integration_ids, strict=True))
    lasting = []
    for case, integration_id in integration_ids.items():
        for fault in faults[case]:
            kombo.fault("/ats/offers", integration_id=integration_id, **fault)
        if faults[case] and "count" not in faults[case][-1]:
            lasting.append(integration_id)
    run = run_tap(
        settings_for(kombo, concurrency=64), catalog=OFFERS, state=state_at(before, lasting)
    )
    return Night(kombo, run, kombo.requests(), integration_ids, before)


def test_the_cases_here_are_all_codes() -> None:
    assert {*CODES} == {*CODES_OF_ONE, *CODES_OF_THE_KEY, KEY_LIMIT} - {
        "PLATFORM.UNKNOWN_ERROR",
        "ATS.INVENTED_LATER",
    }


def test_the_run_fails_and_reads_what_it_can(night: Night) -> None:
    assert night.run.code == 1
    assert night.is_complete("nothing")


@pytest.mark.parametrize(
    ("code", "status"), [pair for pair in PAIRS if CODES_OF_ONE[pair[0]] is not RETRIED]
)
def test_a_code_keeps_back_its_own_integration_whatever_the_status(
    night: Night, code: str, status: int
) -> None:
    case = (code, status)

    assert len(night.asked(case)) == 1
    assert night.is_untouched(case)
    levels = {line.split()[0] for line in night.told(case)}
    assert levels == LEVELS[CODES_OF_ONE[code]]
    assert all(f"{code} (HTTP {status}, {LOG_URL}). " in line for line in night.told(case))
    if CODES_OF_ONE[code] is FAILED:
        assert any(
            error.startswith(f"Could not read {night.integration_ids[case]} (ats_offers): {code}")
            for error in night.run.errors
        )


@pytest.mark.parametrize(
    ("code", "status"), [pair for pair in PAIRS if CODES_OF_ONE[pair[0]] is RETRIED]
)
def test_a_code_that_may_pass_is_asked_again_whatever_the_status(
    night: Night, code: str, status: int
) -> None:
    assert len(night.asked((code, status))) == 2
    assert night.is_complete((code, status))
    assert night.told((code, status)) == []


@pytest.mark.parametrize("status", WITHOUT_CODE)
def test_without_a_code_the_status_decides(night: Night, status: int) -> None:
    case = (None, status)

    if WITHOUT_CODE[status] is RETRIED:
        assert len(night.asked(case)) == 2
        assert night.is_complete(case)
    else:
        assert len(night.asked(case)) == 1
        assert night.is_untouched(case)
        assert any(
            error.startswith(
                f"Could not read {night.integration_ids[case]} (ats_offers): HTTP {status}. "
            )
            for error in night.run.errors
        )


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (302, "A redirect is never followed: the API key would go with it. Check `api_url`."),
        (304, "A cache between this machine and Kombo answers in its place. Check `api_url`"),
        (403, "Something between this machine and Kombo forbids the request."),
        (404, "Kombo has nothing at this address. Check `api_url`."),
        (418, "Kombo does not answer like this. Check `api_url`."),
    ],
)
def test_a_status_without_a_code_says_what_to_do(night: Night, status: int, advice: str) -> None:
    assert any(f"HTTP {status}. {advice}" in line for line in night.told((None, status)))


@pytest.mark.parametrize("name", ENVELOPES)
def test_what_is_no_code_decides_nothing(night: Night, name: str) -> None:
    assert len(night.asked(name)) == 1
    assert night.is_untouched(name)
    assert any(
        error.startswith(f"Could not read {night.integration_ids[name]} (ats_offers): HTTP 403. ")
        for error in night.run.errors
    )


def test_codes_are_in_capitals(night: Night) -> None:
    """Another spelling is another code, which this tap does not know."""
    case = "a code in lower case"

    assert len(night.asked(case)) == 1
    assert night.is_untouched(case)
    assert any("tap-kombo does not know this code" in line for line in night.told(case))


@pytest.mark.parametrize("number", range(len(PATIENT_FAILURES)))
def test_what_never_passes_fails_after_pauses_that_double(night: Night, number: int) -> None:
    asked = night.asked(number)

    assert len(asked) == 6
    gaps = [after.started - before.started for before, after in itertools.pairwise(asked)]
    for gap, doubled in zip(gaps, [0.5, 1, 2, 4, 8], strict=True):
        assert 0.74 * doubled < gap < 1.25 * doubled + 3
    assert night.is_untouched(number)


def test_pauses_are_never_in_step(night: Night) -> None:
    """Otherwise all who met the same trouble would come back at the same moment."""
    lasts = []
    for number in range(len(PATIENT_FAILURES)):
        *_, before, after = night.asked(number)
        lasts.append(after.started - before.started)

    assert max(lasts) - min(lasts) > 0.3


def test_limits_that_are_waited_for_do_not_use_up_the_retries(night: Night) -> None:
    assert len(night.asked(LIMITS_AND_FAILURES)) == 9
    assert night.is_complete(LIMITS_AND_FAILURES)


def test_what_is_legitimately_absent_is_no_failure(kombo: Sandbox) -> None:
    kombo.clear_faults()
    codes = [code for code, what in CODES_OF_ONE.items() if what in {SKIPPED, NOT_READY}]
    integration_ids = kombo.integration_ids[: len(codes) + 1]
    for code, integration_id in zip(codes, integration_ids, strict=False):
        kombo.fault("/ats/offers", integration_id=integration_id, code=code)

    run = run_tap(settings_for(kombo, integration_ids=integration_ids), catalog=OFFERS)

    assert run.code == 0
    assert run.errors == []
    *absent, present = [run.bookmark("ats_offers", name) for name in integration_ids]
    assert absent == [None] * len(codes)
    assert present


@pytest.fixture(scope="module")
def inspection(kombo: Sandbox) -> tuple[TapRun, dict[tuple[str | None, int], str]]:
    """Run `--test`, which visits each integration, whatever the others answer."""
    kombo.clear_faults()
    kombo.clear_requests()
    cases: list[tuple[str | None, int]] = [
        *itertools.product(CODES_OF_THE_KEY, STATUSES),
        (None, 401),
        (None, 407),
    ]
    integration_ids = dict(zip(cases, kombo.integration_ids, strict=False))
    for (code, status), integration_id in integration_ids.items():
        kombo.fault(f"/integrations/{integration_id}", status=status, code=code, log_url=LOG_URL)
    settings = settings_for(kombo, integration_ids=list(integration_ids.values()))
    return run_tap(settings, "--test"), integration_ids


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("code", CODES_OF_THE_KEY)
def test_a_code_of_the_key_means_the_key_whatever_the_status(
    inspection: tuple[TapRun, dict[tuple[str | None, int], str]], code: str, status: int
) -> None:
    run, integration_ids = inspection

    sentence = f"{code} (HTTP {status}, {LOG_URL}). {CODES_OF_THE_KEY[code]}"
    assert any(e.startswith(f"{integration_ids[code, status]}: {sentence}") for e in run.errors)


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "Kombo refuses the API key"), (407, "The network's proxy asks for a login")],
)
def test_a_status_of_the_key_means_the_key_where_there_is_no_code(
    inspection: tuple[TapRun, dict[tuple[str | None, int], str]], status: int, sentence: str
) -> None:
    run, integration_ids = inspection

    assert any(f"{integration_ids[None, status]}: HTTP {status}" in e for e in run.errors)
    assert any(sentence in e for e in run.errors if integration_ids[None, status] in e)


@pytest.mark.parametrize("status", [200, 503])
@pytest.mark.parametrize("code", CODES_OF_THE_KEY)
def test_a_code_of_the_key_ends_the_run_whatever_the_status(
    sandbox: Sandbox, code: str, status: int
) -> None:
    first, second, third = sandbox.integration_ids
    sandbox.fault("/ats/offers", integration_id=second, status=status, code=code, log_url=LOG_URL)
    before = state_at(write_time(read_time(sandbox.clock()) - timedelta(hours=1)), [second, third])

    run = run_tap(settings_for(sandbox, concurrency=1), catalog=OFFERS, state=before)

    assert run.code == 1
    asked = [r.integration_id for r in sandbox.requests() if r.path == "/ats/offers"]
    assert asked.count(second) == 1
    assert third not in asked
    [error] = run.errors
    assert error.startswith(f"The run ended early: {code} (HTTP {status}, {LOG_URL}). ")
    assert CODES_OF_THE_KEY[code] in error
    assert run.bookmark("ats_offers", first)
    kept = [run.partition("ats_offers", integration_id) for integration_id in (second, third)]
    assert json.dumps(kept) == json.dumps(before["bookmarks"]["ats_offers"]["partitions"])


@pytest.fixture(scope="module")
def limited(kombo: Sandbox) -> tuple[TapRun, dict[tuple[str | None, int], str], list[Request]]:
    kombo.clear_faults()
    kombo.clear_requests()
    cases: list[tuple[str | None, int]] = [*((KEY_LIMIT, s) for s in STATUSES), (None, 429)]
    integration_ids = dict(zip(cases, kombo.integration_ids, strict=False))
    for (code, status), integration_id in integration_ids.items():
        kombo.fault(
            "/ats/offers",
            integration_id=integration_id,
            status=status,
            code=code,
            count=1,
            headers={"ratelimit-reset": "0"},
        )
    settings = settings_for(kombo, integration_ids=list(integration_ids.values()))
    return run_tap(settings, catalog=OFFERS), integration_ids, kombo.requests()


@pytest.mark.parametrize(("code", "status"), [*((KEY_LIMIT, s) for s in STATUSES), (None, 429)])
def test_a_limit_of_the_key_is_waited_for_whatever_the_status(
    limited: tuple[TapRun, dict[tuple[str | None, int], str], list[Request]],
    code: str | None,
    status: int,
) -> None:
    run, integration_ids, requests = limited
    integration_id = integration_ids[code, status]

    assert run.code == 0
    assert run.errors == run.warnings == []
    asked = [r for r in requests if r.path == "/ats/offers" and r.integration_id == integration_id]
    assert len(asked) == 2
    assert run.bookmark("ats_offers", integration_id)
