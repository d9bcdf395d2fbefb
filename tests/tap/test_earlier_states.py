"""Syncs continue from states that earlier versions of the tap wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from string import Template
from typing import Any

import pytest

from harness.tap import ago, catalog_with, run_tap, settings_for
from kombo_sandbox import Sandbox

AFTER_A_SYNC = """
{"bookmarks": {
  "ats_jobs": {"partitions": [{
    "context": {"integration_id": "$integration_id"},
    "replication_key": "changed_at",
    "replication_key_value": "$yesterday"
  }]},
  "ats_offers": {"partitions": [{
    "context": {"integration_id": "$integration_id"},
    "pages": 3,
    "replication_key": "changed_at",
    "replication_key_value": "$yesterday"
  }]},
  "custom_fields": {"partitions": [{
    "context": {"integration_id": "$integration_id"},
    "pages": 3
  }]}
}}
"""

AFTER_A_SYNC_WITH_FILTERS = """
{"bookmarks": {
  "ats_applications": {"partitions": [{
    "context": {"integration_id": "$integration_id"},
    "replication_key": "changed_at",
    "replication_key_value": "$yesterday",
    "filters": "c8aaed52699e0e7c"
  }]}
}}
"""

AFTER_AN_INTERRUPTED_FIRST_SYNC = """
{"bookmarks": {
  "ats_offers": {"partitions": [{
    "context": {"integration_id": "$integration_id"},
    "pages": 1,
    "resume": {"cursor": "$cursor", "started": "$started", "since": null}
  }]}
}}
"""

AFTER_AN_INTERRUPTED_SYNC_OF_CHANGES = """
{"bookmarks": {
  "ats_offers": {"partitions": [{
    "context": {"integration_id": "$integration_id"},
    "pages": 1,
    "replication_key": "changed_at",
    "replication_key_value": "$yesterday",
    "filters": "7a32e91f699c4816",
    "resume": {
      "cursor": "$cursor",
      "started": "$started",
      "since": "$yesterday",
      "filters": "7a32e91f699c4816"
    }
  }]}
}}
"""


@pytest.fixture(scope="module")
def kombo() -> Iterator[Sandbox]:
    with Sandbox(integrations=1, offers=30, seed=23) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(kombo: Sandbox) -> Sandbox:
    kombo.clear_requests()
    return kombo


def state_from(sandbox: Sandbox, text: str, **values: str) -> Any:
    [integration_id] = sandbox.integration_ids
    return json.loads(Template(text).substitute(integration_id=integration_id, **values))


def params_of(sandbox: Sandbox, path: str) -> list[Mapping[str, str]]:
    return [request.params for request in sandbox.requests() if request.path == path]


def cursor_of(sandbox: Sandbox, state: Any = None) -> str:
    """Return the cursor of the second page of offers."""
    run_tap(settings_for(sandbox, page_size=10), state=state, catalog=catalog_with("ats_offers"))
    cursor = params_of(sandbox, "/ats/offers")[1]["cursor"]
    sandbox.clear_requests()
    return cursor


def test_changes_since_the_bookmark_are_read(sandbox: Sandbox) -> None:
    yesterday = ago(sandbox, days=1)

    run = run_tap(
        settings_for(sandbox),
        state=state_from(sandbox, AFTER_A_SYNC, yesterday=yesterday),
        catalog=catalog_with("ats_jobs", "ats_offers", "custom_fields"),
    )

    assert run.code == 0
    assert run.warnings == []
    assert [p.get("updated_after") for p in params_of(sandbox, "/ats/jobs")] == [yesterday]
    assert [p.get("updated_after") for p in params_of(sandbox, "/ats/offers")] == [yesterday]
    assert len(run.records["custom_fields"]) == len(sandbox.records("custom_fields"))


def test_bookmark_with_the_same_filters_is_used(sandbox: Sandbox) -> None:
    yesterday = ago(sandbox, days=1)
    filters = {"ats_applications": {"outcomes": ["HIRED", "DECLINED"]}}

    run = run_tap(
        settings_for(sandbox, include_deleted=False, filters=filters),
        state=state_from(sandbox, AFTER_A_SYNC_WITH_FILTERS, yesterday=yesterday),
        catalog=catalog_with("ats_applications"),
    )

    assert run.code == 0
    assert run.warnings == []
    [params] = params_of(sandbox, "/ats/applications")
    assert params["updated_after"] == yesterday


# These states lack the page size, on which a cursor may depend.


def test_interrupted_first_sync_starts_again(sandbox: Sandbox) -> None:
    cursor, started = cursor_of(sandbox), ago(sandbox, days=1)
    state = state_from(sandbox, AFTER_AN_INTERRUPTED_FIRST_SYNC, started=started, cursor=cursor)

    run = run_tap(settings_for(sandbox), state=state, catalog=catalog_with("ats_offers"))

    assert run.code == 0
    assert run.warnings == []
    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))


def test_interrupted_sync_of_changes_starts_again_from_its_bookmark(sandbox: Sandbox) -> None:
    times = {"yesterday": ago(sandbox, days=1), "started": ago(sandbox, minutes=1)}
    sandbox.change("ats_offers", count=25)
    cursor = cursor_of(sandbox, state_from(sandbox, AFTER_A_SYNC, **times))
    state = state_from(sandbox, AFTER_AN_INTERRUPTED_SYNC_OF_CHANGES, cursor=cursor, **times)

    run = run_tap(
        settings_for(sandbox, include_deleted=False),
        state=state,
        catalog=catalog_with("ats_offers"),
    )

    assert run.code == 0
    assert run.warnings == []
    [params] = params_of(sandbox, "/ats/offers")
    assert "cursor" not in params
    assert params["updated_after"] == times["yesterday"]
