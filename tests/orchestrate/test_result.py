"""The problems of integrations, derived from how the tap and the target ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.tap import TAP, catalog_with
from kombo_sandbox import Sandbox
from kombo_shards.pipe import Pipe
from kombo_shards.result import Problem, RunResult
from tests.orchestrate.fakes import PYTHON


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    path = tmp_path / "catalog.json"
    path.write_text(json.dumps(catalog_with("ats_jobs")))
    return path


def run(sandbox: Sandbox, catalog: Path, **settings: Any) -> RunResult:
    """Run the real tap and a target that discards everything."""
    pipe = Pipe(
        {"api_key": sandbox.api_key, "api_url": sandbox.url, "max_wait_seconds": 1, **settings},
        {},
        catalog,
        tap=(TAP,),
        target=(*PYTHON, "import sys; sys.stdin.read()"),
    )
    with pipe.flowing(sandbox.integration_ids, {}, patience=60) as flow:
        return flow.run(print)


def test_the_problem_of_a_broken_integration_names_the_cause_and_the_others_are_complete(
    sandbox: Sandbox, catalog: Path
) -> None:
    broken, *others = sandbox.integration_ids
    sandbox.fault(
        "/ats/jobs",
        integration_id=broken,
        code="INTEGRATION.PERMISSION_MISSING",
        status=403,
        log_url="https://app.kombo.dev/env/logs/abc123",
    )

    problems = run(sandbox, catalog).problems([broken, *others])

    assert set(problems) == {broken}
    assert not problems[broken].is_transient
    assert problems[broken].why.startswith(
        "INTEGRATION.PERMISSION_MISSING (HTTP 403, https://app.kombo.dev/env/logs/abc123)."
    )


def test_a_tool_that_does_not_respond_is_a_transient_problem(
    sandbox: Sandbox, catalog: Path
) -> None:
    slow = sandbox.integration_ids[0]
    sandbox.fault("/ats/jobs", integration_id=slow, code="REMOTE.RATE_LIMIT_EXCEEDED", status=429)

    problems = run(sandbox, catalog).problems(sandbox.integration_ids)

    assert {name: problem.is_transient for name, problem in problems.items()} == {slow: True}


def test_an_integration_that_is_not_ready_is_not_a_problem(sandbox: Sandbox, catalog: Path) -> None:
    new = sandbox.integration_ids[0]
    sandbox.fault(
        "/ats/jobs", integration_id=new, code="INTEGRATION.SETUP_SYNC_PENDING", status=400
    )

    assert run(sandbox, catalog).problems(sandbox.integration_ids) == {}


def test_a_rejected_api_key_is_a_permanent_problem_of_all_integrations(
    sandbox: Sandbox, catalog: Path
) -> None:
    problems = run(sandbox, catalog, api_key="ks_wrong").problems(sandbox.integration_ids)

    assert set(problems) == set(sandbox.integration_ids)
    assert not any(problem.is_transient for problem in problems.values())
    assert all("Kombo rejects the API key" in problem.why for problem in problems.values())


def test_a_setting_that_is_not_valid_is_a_permanent_problem_of_all_integrations(
    sandbox: Sandbox, catalog: Path
) -> None:
    problems = run(sandbox, catalog, page_size=0).problems(sandbox.integration_ids)

    assert set(problems) == set(sandbox.integration_ids)
    assert not any(problem.is_transient for problem in problems.values())
    assert all("`page_size`" in problem.why for problem in problems.values())


def test_a_catalog_that_does_not_exist_is_a_permanent_problem(sandbox: Sandbox) -> None:
    problems = run(sandbox, Path("/nowhere/catalog.json")).problems(sandbox.integration_ids)

    assert not any(problem.is_transient for problem in problems.values())
    assert all("catalog file cannot be read" in problem.why for problem in problems.values())


def test_a_complete_run_has_no_problem_and_a_readable_log(
    sandbox: Sandbox, catalog: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    assert run(sandbox, catalog).problems(sandbox.integration_ids) == {}
    assert "tap-kombo: 3 streams synced (3 complete)" in caplog.text
    assert '{"level"' not in caplog.text


def test_if_the_tap_fails_without_a_failed_read_all_integrations_have_a_problem() -> None:
    closed = {"reads": [], "not_finished": 2}

    problems = RunResult(1, 0, closed, ["The target has closed the pipe."]).problems(["a:b"])

    assert problems == {"a:b": Problem("The target has closed the pipe.", is_transient=True)}


def failed_read(integration_id: str, message: str, **fields: Any) -> dict[str, Any]:
    read = {"integration_id": integration_id, "action": "fail", "message": message}
    return {**read, "code": None, "transient": False, **fields}


def test_each_cause_of_an_integration_is_named_once() -> None:
    reads = [
        failed_read("a:b", "X.Y (log 1).", code="X.Y"),
        failed_read("a:b", "X.Y (log 2).", code="X.Y"),
        failed_read("a:b", "HTTP 502.", transient=True),
    ]

    problems = RunResult(1, 0, {"reads": reads, "not_finished": 0}).problems(["a:b", "c:d"])

    assert problems == {"a:b": Problem("X.Y (log 1). HTTP 502.", is_transient=True)}


def test_integrations_that_were_not_finished_are_not_complete() -> None:
    result = {"reads": [failed_read("a:b", "No.")], "not_finished": 1}

    problems = RunResult(1, 0, result, ["Closed."]).problems(["a:b", "c:d"])

    assert problems == {
        "a:b": Problem("No.", is_transient=False),
        "c:d": Problem("Closed.", is_transient=True),
    }


def test_if_the_target_fails_no_integration_is_complete() -> None:
    result = RunResult(1, 1, None, ["The target has closed the pipe."], "OperationalError")

    [problem] = result.problems(["a:b"]).values()

    assert problem.is_transient
    assert "The target ended with exit status 1 (OperationalError)." in problem.why


def test_if_the_tap_is_killed_no_integration_is_complete() -> None:
    problems = RunResult(-9, 0).problems(["a:b"])

    assert problems == {"a:b": Problem("The tap was killed by signal 9.", is_transient=True)}
