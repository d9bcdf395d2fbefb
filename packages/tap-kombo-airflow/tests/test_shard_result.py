"""The problems of integrations, derived from how the tap and the target ended."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_pipe import PYTHON

from harness import PROJECT
from kombo_sandbox import Sandbox
from tap_kombo_airflow.pipe import Pipe
from tap_kombo_airflow.result import Problem, RunResult, summarize

TAP = str(Path(sys.executable).with_name("tap-kombo"))


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with Sandbox(integrations=4, offers=3, seed=31) as sandbox:
        yield sandbox


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    streams = json.loads((PROJECT / "catalog.json").read_text())["streams"]
    path = tmp_path / "catalog.json"
    jobs = [stream for stream in streams if stream["tap_stream_id"] == "ats_jobs"]
    path.write_text(json.dumps({"streams": jobs}))
    return path


def run(kombo: Sandbox, catalog: Path, **settings: Any) -> dict[str, Problem]:
    """Run the real tap and a target that discards everything."""
    pipe = Pipe(
        {"api_key": kombo.api_key, "api_url": kombo.url, "max_wait_seconds": 1, **settings},
        {},
        catalog,
        tap=(TAP,),
        target=(*PYTHON, "import sys; sys.stdin.read()"),
    )
    with pipe.running(kombo.integration_ids, {}, timeout=60) as running:
        return running.run(print).problems(kombo.integration_ids)


def test_only_integrations_that_failed_have_a_problem(
    kombo: Sandbox, catalog: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    broken, slow, new, _complete = kombo.integration_ids
    url = "https://app.kombo.dev/env/logs/abc123"
    kombo.fault(
        "/ats/jobs",
        integration_id=broken,
        code="INTEGRATION.PERMISSION_MISSING",
        status=403,
        log_url=url,
    )
    kombo.fault("/ats/jobs", integration_id=slow, code="REMOTE.RATE_LIMIT_EXCEEDED", status=429)
    kombo.fault("/ats/jobs", integration_id=new, code="INTEGRATION.SETUP_SYNC_PENDING", status=400)

    problems = run(kombo, catalog)
    kombo.clear_faults()

    assert {name: problem.is_transient for name, problem in problems.items()} == {
        broken: False,
        slow: True,
    }
    assert problems[broken].message.startswith(f"INTEGRATION.PERMISSION_MISSING (HTTP 403, {url}).")
    assert "tap-kombo: 4 streams synced (1 complete, " in caplog.text
    assert '{"level"' not in caplog.text


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"api_key": "ks_wrong"}, "Kombo rejects the API key"),
        ({"page_size": 0}, "`page_size`"),
    ],
)
def test_a_setting_that_is_not_valid_is_a_permanent_problem_of_all_integrations(
    kombo: Sandbox, catalog: Path, settings: dict[str, Any], sentence: str
) -> None:
    problems = run(kombo, catalog, **settings)

    assert set(problems) == set(kombo.integration_ids)
    assert not any(problem.is_transient for problem in problems.values())
    assert all(sentence in problem.message for problem in problems.values())


def test_if_the_tap_fails_without_a_failed_read_all_integrations_have_a_problem() -> None:
    closed = {"reads": [], "not_finished": 2}

    problems = RunResult(1, 0, closed, ["The target has closed the pipe."]).problems(["a:b"])

    assert problems == {"a:b": Problem("The target has closed the pipe.", is_transient=True)}


def failed_read(integration_id: str, message: str, **fields: Any) -> dict[str, Any]:
    read = {"integration_id": integration_id, "status": "failed", "message": message}
    return {**read, "error_code": None, "transient": False, **fields}


def test_each_cause_of_an_integration_is_named_once() -> None:
    reads = [
        failed_read("a:b", "X.Y (log 1).", error_code="X.Y"),
        failed_read("a:b", "X.Y (log 2).", error_code="X.Y"),
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
    assert "The target ended with exit status 1 (OperationalError)." in problem.message


def test_if_the_tap_is_killed_no_integration_is_complete() -> None:
    problems = RunResult(-9, 0).problems(["a:b"])

    assert problems == {"a:b": Problem("The tap was killed by signal 9.", is_transient=True)}


NAMES = [f"personio:{number}" for number in range(200)]


def test_the_summary_of_a_complete_run_is_one_line() -> None:
    assert summarize(NAMES, {}) == ["200 of 200 integrations are complete."]


def test_the_summary_has_a_line_for_each_cause() -> None:
    problems = {"personio:1": "Reconnect.", "personio:2": "Grant.", "personio:3": "Grant."}

    assert summarize(NAMES, problems) == [
        "197 of 200 integrations are complete.",
        "personio:2, personio:3: Grant.",
        "personio:1: Reconnect.",
    ]


def test_a_cause_of_many_integrations_names_some_and_counts_the_others() -> None:
    [_, line] = summarize(NAMES, dict.fromkeys(NAMES, "Kombo rejects the API key."))

    assert line.startswith("personio:0, personio:1, ")
    assert line.endswith("personio:19 and 180 more: Kombo rejects the API key.")
