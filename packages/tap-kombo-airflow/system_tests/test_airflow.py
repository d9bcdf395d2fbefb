"""200 integrations on a real Airflow, with a lost worker and a broken integration."""

from __future__ import annotations

from collections import Counter

import pytest
from scenario import INTEGRATIONS, OTHER_SIZE, SHARD_SIZE, STREAMS, Run, Scenario, run_scenario

pytestmark = pytest.mark.timeout(2400)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return run_scenario(tmp_path_factory.mktemp("airflow"))


def test_the_name_of_each_shard_lists_its_integrations(scenario: Scenario) -> None:
    labels = [task["rendered_map_index"] for task in scenario.first.tasks]

    assert len(labels) == INTEGRATIONS // SHARD_SIZE
    for label in labels:
        # Airflow's column is too short for ten ids.
        *complete, _truncated = label.split(", ")
        assert len(complete) >= 5
        assert set(complete) <= set(scenario.integration_ids)


def test_no_record_is_missing_after_a_worker_is_lost(scenario: Scenario) -> None:
    lost, _ = scenario.lost
    retried = [task for task in scenario.first.tasks if task["try_number"] > 1]

    assert lost > 0
    assert len(retried) >= lost
    assert scenario.first.differences == []
    assert scenario.first.rows > INTEGRATIONS


def test_a_task_that_survives_its_worker_does_not_interfere_with_its_retry(
    scenario: Scenario,
) -> None:
    _, lost = scenario.lost
    retried = [task for task in scenario.second.tasks if task["try_number"] > 1]

    assert lost > 0
    assert len(retried) >= lost
    assert scenario.second.written == scenario.changed[0]
    assert scenario.second.differences == []


def test_all_shards_together_respect_the_rate_limit(scenario: Scenario) -> None:
    statuses = Counter(request.status for request in scenario.first.requests)

    assert statuses[429] > 0, "the rate limit was never reached"
    assert scenario.first.differences == []


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_a_run_fails_because_of_the_broken_integration_alone(scenario: Scenario, name: str) -> None:
    run: Run = getattr(scenario, name)

    assert run.state == "failed"
    assert f"{INTEGRATIONS - 1} of {INTEGRATIONS} integrations are complete." in run.summary
    assert f"{scenario.broken}: INTEGRATION.AUTHENTICATION_INVALID" in run.summary
    assert "The customer has to reconnect it." in run.summary
    states = Counter(task["state"] for task in run.tasks)
    assert states == {"failed": 1, "success": len(run.tasks) - 1}


def test_a_permanent_failure_is_not_retried(scenario: Scenario) -> None:
    assert [t["try_number"] for t in scenario.third.tasks if t["state"] == "failed"] == [1]


def test_no_shard_resumes_from_the_bookmarks_of_another(scenario: Scenario) -> None:
    for run, before in ((scenario.second, scenario.first), (scenario.third, scenario.second)):
        since = {
            # The task `plan` starts a read of one integration without a state.
            (stream, integration_id): values - {None}
            for (stream, integration_id), values in run.since.items()
            if integration_id != scenario.broken
        }

        assert len(since) == (INTEGRATIONS - 1) * len(STREAMS)
        assert since == {read: {bookmark} for read, bookmark in before.bookmarks.items()}


def test_a_second_run_writes_only_changed_rows(scenario: Scenario) -> None:
    assert scenario.second.written == scenario.changed[0]
    assert scenario.second.differences == []


def test_a_run_with_shards_of_another_size_writes_only_changed_rows(scenario: Scenario) -> None:
    assert len(scenario.third.tasks) == INTEGRATIONS // OTHER_SIZE
    assert scenario.third.written == scenario.changed[1]
    assert scenario.third.differences == []


@pytest.mark.parametrize(
    ("dag_id", "sentence"),
    [
        ("no_connection", "Airflow has no connection nobody. Add it."),
        ("empty_shards", "`shard_size`: 0 is not valid. Write 1 or more."),
    ],
)
def test_a_setting_that_is_not_valid_is_reported_in_one_sentence_without_a_retry(
    scenario: Scenario, dag_id: str, sentence: str
) -> None:
    tries, logs = scenario.not_valid[dag_id]

    assert tries == 1
    assert sentence in logs
    assert "The task `plan` failed. See its log." in logs
