"""200 integrations on a real Airflow, with a lost worker and a broken integration."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrate.cluster.conftest import INTEGRATIONS, OTHER_SIZE, SHARD_SIZE, STREAMS, Run, Story

MAKING_TABLES = {None}
"""The task `plan` starts a read of one integration, so that the target creates its tables."""

pytestmark = pytest.mark.timeout(900)


def test_the_name_of_each_shard_lists_its_integrations(story: Story) -> None:
    labels = [task["rendered_map_index"].split(", ") for task in story.first.tasks]

    assert [len(names) for names in labels] == [SHARD_SIZE] * (INTEGRATIONS // SHARD_SIZE)
    named = sorted(name for names in labels for name in names)
    # Airflow's column is too short for ten complete ids.
    assert named == sorted(short(name) for name in story.integration_ids)


def test_no_record_is_missing_after_a_worker_is_lost(story: Story) -> None:
    lost, _ = story.lost
    again = [task for task in story.first.tasks if task["try_number"] > 1]

    assert lost > 0
    assert len(again) >= lost
    assert story.first.differences == []
    assert story.first.rows > INTEGRATIONS


def test_a_task_that_survives_its_worker_does_not_interfere_with_its_retry(story: Story) -> None:
    _, lost = story.lost
    again = [task for task in story.second.tasks if task["try_number"] > 1]

    assert lost > 0
    assert len(again) >= lost
    assert story.second.moved == story.changed[0]
    assert story.second.differences == []


def test_all_shards_together_respect_the_rate_limit(story: Story) -> None:
    statuses = Counter(request.status for request in story.first.requests)

    assert statuses[429] > 0, "the rate limit was never reached"
    assert story.first.differences == []


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_the_run_fails_because_of_the_broken_integration_alone(story: Story, name: str) -> None:
    run: Run = getattr(story, name)
    failed = [task for task in run.tasks if task["state"] == "failed"]

    assert run.state == "failed"
    assert f"{INTEGRATIONS - 1} of {INTEGRATIONS} integrations are complete." in run.summary
    assert f"{story.broken}: INTEGRATION.AUTHENTICATION_INVALID" in run.summary
    assert "The customer has to reconnect it." in run.summary
    assert len(failed) == 1
    assert [task["state"] for task in run.tasks].count("success") == len(run.tasks) - 1


def test_a_permanent_failure_is_not_retried(story: Story) -> None:
    assert [t["try_number"] for t in story.third.tasks if t["state"] == "failed"] == [1]


def test_no_shard_resumes_from_the_bookmarks_of_another(story: Story) -> None:
    for run, before in ((story.second, story.first), (story.third, story.second)):
        since = {
            (stream, integration_id): asked - MAKING_TABLES
            for (stream, integration_id), asked in run.since.items()
            if integration_id != story.broken
        }

        assert len(since) == (INTEGRATIONS - 1) * len(STREAMS)
        assert since == {read: {bookmark} for read, bookmark in before.bookmarks.items()}


def test_a_second_run_writes_only_changed_rows(story: Story) -> None:
    assert story.second.moved == story.changed[0]
    assert story.second.differences == []


def test_a_run_with_shards_of_another_size_writes_only_changed_rows(story: Story) -> None:
    assert len(story.third.tasks) == INTEGRATIONS // OTHER_SIZE
    assert story.third.moved == story.changed[1]
    assert story.third.differences == []


@pytest.mark.parametrize(
    ("dag_id", "sentence"),
    [
        ("no_connection", "Airflow has no connection nobody. Add it."),
        ("no_variable", "Airflow has no variable kombo_customers. Add it."),
    ],
)
def test_a_missing_setting_is_one_sentence_without_a_retry(
    story: Story, dag_id: str, sentence: str
) -> None:
    mistake = story.mistakes[dag_id]

    assert sentence in mistake.plan
    assert mistake.tries == 1
    assert "The task `plan` failed. See its log." in mistake.summary


def short(integration_id: str) -> str:
    tool, _, key = integration_id.partition(":")
    return f"{tool}:{key[:5]}"
