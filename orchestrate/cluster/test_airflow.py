"""Two hundred integrations on a real Airflow: one worker is lost, one integration is broken."""

from __future__ import annotations

from collections import Counter

import pytest

from orchestrate.cluster.conftest import INTEGRATIONS, OTHER_SIZE, SHARD_SIZE, STREAMS, Run, Story

MAKING_TABLES = {None}
"""The plan lets the tap begin to read one integration, so that the target makes its tables."""

pytestmark = pytest.mark.timeout(900)


def test_each_shard_says_which_integrations_it_holds(story: Story) -> None:
    labels = [task["rendered_map_index"].split(", ") for task in story.first.tasks]

    assert [len(names) for names in labels] == [SHARD_SIZE] * (INTEGRATIONS // SHARD_SIZE)
    named = sorted(name for names in labels for name in names)
    # Ten do not fit into Airflow's column with all their letters.
    assert named == sorted(short(name) for name in story.integration_ids)


def test_a_worker_that_is_lost_in_the_middle_loses_nothing(story: Story) -> None:
    lost, _ = story.lost
    again = [task for task in story.first.tasks if task["try_number"] > 1]

    assert lost > 0
    assert len(again) >= lost
    assert story.first.differences == []
    assert story.first.rows > INTEGRATIONS


def test_a_task_that_outlives_its_worker_and_its_next_try_do_not_mix(story: Story) -> None:
    _, lost = story.lost
    again = [task for task in story.second.tasks if task["try_number"] > 1]

    assert lost > 0
    assert len(again) >= lost
    assert story.second.moved == story.changed[0]
    assert story.second.differences == []


def test_all_shards_together_keep_within_the_rate_limit(story: Story) -> None:
    statuses = Counter(request.status for request in story.first.requests)

    assert statuses[429] > 0, "it was never reached, so nothing was proven"
    assert story.first.differences == []


@pytest.mark.parametrize("name", ["first", "second", "third"])
def test_the_run_fails_with_the_one_integration_that_needs_a_person(
    story: Story, name: str
) -> None:
    run: Run = getattr(story, name)
    failed = [task for task in run.tasks if task["state"] == "failed"]

    assert run.state == "failed"
    assert f"{INTEGRATIONS - 1} of {INTEGRATIONS} integrations are complete." in run.summary
    assert f"{story.broken}: INTEGRATION.AUTHENTICATION_INVALID" in run.summary
    assert "The customer has to reconnect it." in run.summary
    assert len(failed) == 1
    assert [task["state"] for task in run.tasks].count("success") == len(run.tasks) - 1


def test_what_only_a_person_can_mend_is_not_tried_again(story: Story) -> None:
    assert [t["try_number"] for t in story.third.tasks if t["state"] == "failed"] == [1]


def test_no_shard_goes_on_from_the_bookmarks_of_another(story: Story) -> None:
    for run, before in ((story.second, story.first), (story.third, story.second)):
        since = {
            (stream, integration_id): asked - MAKING_TABLES
            for (stream, integration_id), asked in run.since.items()
            if integration_id != story.broken
        }

        assert len(since) == (INTEGRATIONS - 1) * len(STREAMS)
        assert since == {read: {bookmark} for read, bookmark in before.bookmarks.items()}


def test_a_second_run_moves_only_what_has_changed(story: Story) -> None:
    assert story.second.moved == story.changed[0]
    assert story.second.differences == []


def test_a_run_with_shards_of_another_size_moves_only_what_has_changed(story: Story) -> None:
    assert len(story.third.tasks) == INTEGRATIONS // OTHER_SIZE
    assert story.third.moved == story.changed[1]
    assert story.third.differences == []


@pytest.mark.parametrize(
    ("dag_id", "sentence"),
    [
        ("no_connection", "There is no connection nobody: add it."),
        ("no_variable", "There is no variable kombo_customers: add it."),
    ],
)
def test_what_is_not_set_up_is_one_sentence_at_once(
    story: Story, dag_id: str, sentence: str
) -> None:
    mistake = story.mistakes[dag_id]

    assert sentence in mistake.plan
    assert mistake.tries == 1
    assert "There was no plan: the log of `plan` says why." in mistake.summary


def short(integration_id: str) -> str:
    tool, _, key = integration_id.partition(":")
    return f"{tool}:{key[:5]}"
