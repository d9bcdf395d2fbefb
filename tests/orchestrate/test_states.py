"""States are split by integration and merged."""

from __future__ import annotations

from typing import Any

from kombo_shards.states import merge, split


def partition(integration_id: str, **more: Any) -> dict[str, Any]:
    return {"context": {"integration_id": integration_id}, **more}


RUN = {
    "bookmarks": {
        "ats_offers": {
            "partitions": [
                partition("personio:1", replication_key_value="2026-01-31T02:00:00.000Z"),
                partition("lever:2", resume={"cursor": "c", "started": "s", "since": None}),
            ]
        },
        "ats_jobs": {"partitions": [partition("lever:2", replication_key_value="2026")]},
        "hris_skills": {},
    }
}


def test_a_state_consists_of_the_states_of_its_integrations() -> None:
    states = split(RUN)

    assert set(states) == {"personio:1", "lever:2"}
    assert set(states["lever:2"]["bookmarks"]) == {"ats_offers", "ats_jobs"}
    assert set(states["personio:1"]["bookmarks"]) == {"ats_offers"}
    assert split(merge(states.values())) == states


def test_states_can_be_merged_in_any_grouping() -> None:
    states = split(RUN)
    alone = merge([states["lever:2"]])
    joined = merge([states["lever:2"], states["personio:1"]])

    assert split(alone) == {"lever:2": states["lever:2"]}
    assert split(joined) == states


def test_an_integration_that_was_never_read_has_no_state() -> None:
    assert merge([{}, {}]) == {"bookmarks": {}}
    assert split({"bookmarks": {}}) == {}
    assert split({}) == {}
