"""The summary of a run."""

from __future__ import annotations

from kombo_shards.summary import summary

NAMES = [f"personio:{number}" for number in range(200)]


def test_the_summary_of_a_complete_run_is_one_line() -> None:
    assert summary(NAMES, {}) == ["200 of 200 integrations are complete."]


def test_each_cause_is_a_line_with_its_integrations() -> None:
    lines = summary(
        NAMES, {"personio:1": "Reconnect.", "personio:2": "Grant.", "personio:3": "Grant."}
    )

    assert lines == [
        "197 of 200 integrations are complete.",
        "personio:2, personio:3: Grant.",
        "personio:1: Reconnect.",
    ]


def test_a_cause_of_many_integrations_names_some_and_counts_the_others() -> None:
    [_, line] = summary(NAMES, dict.fromkeys(NAMES, "Kombo rejects the API key."))

    assert line.startswith("personio:0, personio:1, ")
    assert line.endswith("personio:19 and 180 more: Kombo rejects the API key.")
