"""What is made of a run's end: by the log that the real tap writes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from kombo_shards.findings import Ended, Problem, problem_in
from tests.tap_run import catalog_with, run_tap, settings_for


def run(sandbox: Sandbox, **settings: Any) -> Ended:
    done = run_tap(
        settings_for(sandbox, max_wait_seconds=1, **settings), catalog=catalog_with("ats_jobs")
    )
    return Ended(done.code, 0, done.errors)


def test_a_broken_integration_is_named_with_its_cause_and_the_others_are_complete(
    sandbox: Sandbox,
) -> None:
    broken, *others = sandbox.integration_ids
    sandbox.fault(
        "/ats/jobs",
        integration_id=broken,
        code="INTEGRATION.PERMISSION_MISSING",
        status=403,
        log_url="https://app.kombo.dev/env/logs/abc123",
    )

    problems = run(sandbox).problems([broken, *others])

    assert set(problems) == {broken}
    assert not problems[broken].passes
    assert problems[broken].why.startswith(
        "INTEGRATION.PERMISSION_MISSING (HTTP 403, https://app.kombo.dev/env/logs/abc123)."
    )


def test_a_tool_that_does_not_answer_is_worth_another_try(sandbox: Sandbox) -> None:
    slow = sandbox.integration_ids[0]
    sandbox.fault("/ats/jobs", integration_id=slow, code="REMOTE.RATE_LIMIT_EXCEEDED", status=429)

    problems = run(sandbox).problems(sandbox.integration_ids)

    assert {name: problem.passes for name, problem in problems.items()} == {slow: True}


def test_a_refused_key_concerns_all_and_needs_a_person(sandbox: Sandbox) -> None:
    problems = run(sandbox, api_key="ks_wrong").problems(sandbox.integration_ids)

    assert set(problems) == set(sandbox.integration_ids)
    assert not any(problem.passes for problem in problems.values())
    assert all("Kombo rejects the API key" in problem.why for problem in problems.values())


def test_a_mistake_in_the_settings_concerns_all_and_needs_a_person(sandbox: Sandbox) -> None:
    problems = run(sandbox, page_size=0).problems(sandbox.integration_ids)

    assert set(problems) == set(sandbox.integration_ids)
    assert not any(problem.passes for problem in problems.values())
    assert all("page_size" in problem.why for problem in problems.values())


def test_a_run_that_read_everything_has_no_problem(sandbox: Sandbox) -> None:
    assert run(sandbox).problems(sandbox.integration_ids) == {}


@pytest.mark.parametrize(
    ("sentence", "passes"),
    [
        ("REMOTE.SERVICE_UNAVAILABLE (HTTP 503). ...", True),
        ("PLATFORM.SOMETHING_NEW (HTTP 500). ...", False),
        ("HTTP 502. ...", True),
        ("HTTP 403. ...", False),
        ("no answer. ...", True),
    ],
)
def test_the_code_decides_and_the_status_where_there_is_none(sentence: str, passes: bool) -> None:  # noqa: FBT001  # a case
    assert problem_in(sentence) == Problem(sentence, passes=passes)


def test_a_target_that_fails_completes_nothing() -> None:
    problems = Ended(1, 1, ["The target has closed the pipe."], "OperationalError").problems(
        ["a:b"]
    )

    assert problems["a:b"].passes
    assert re.search(r"exit status 1 \(OperationalError\)", problems["a:b"].why)


def test_a_tap_that_was_killed_completes_nothing() -> None:
    problems = Ended(-9, 0).problems(["a:b"])

    assert problems == {"a:b": Problem("The tap was killed by signal 9.", passes=True)}
