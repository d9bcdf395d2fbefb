"""What is said of a run over all its shards."""

from __future__ import annotations

from kombo_shards.summary import summary

NAMES = [f"personio:{number}" for number in range(200)]


def test_a_run_that_was_complete_is_one_line() -> None:
    assert summary(NAMES, {}) == ["200 of 200 integrations are complete."]


def test_each_cause_is_a_line_with_the_integrations_that_it_concerns() -> None:
    lines = summary(
        NAMES, {"personio:1": "Reconnect.", "personio:2": "Grant.", "personio:3": "Grant."}
    )

    assert lines == [
        "197 of 200 integrations are complete.",
        "personio:2, personio:3: Grant.",
        "personio:1: Reconnect.",
    ]


def test_a_cause_that_concerns_all_does_not_name_all() -> None:
    [_, line] = summary(NAMES, dict.fromkeys(NAMES, "Kombo refuses the API key."))

    assert line.startswith("personio:0, personio:1, ")
    assert line.endswith("personio:19 and 180 more: Kombo refuses the API key.")
