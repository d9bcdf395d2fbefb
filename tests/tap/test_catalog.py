"""Runs with a catalog; `tests/unit/test_catalog.py` tests the checks of its content."""

from __future__ import annotations

from typing import Any

import pytest

from harness.tap import catalog_with, entry_of, run_tap, settings_for
from kombo_sandbox import Sandbox

Content = dict[str, Any]


def offers_of(catalog: Content) -> Content:
    return entry_of(catalog, "ats_offers")


def root_of(entry: Content) -> Content:
    root: Content = next(i["metadata"] for i in entry["metadata"] if not i["breadcrumb"])
    return root


@pytest.mark.parametrize("selected", [True, False])
def test_mistake_in_a_catalog_is_one_error_before_any_request(
    sandbox: Sandbox, *, selected: bool
) -> None:
    catalog = catalog_with("ats_jobs", *(["ats_offers"] if selected else []))
    offers_of(catalog)["schema"]["properties"]["status"]["type"] = "integer"

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert run.code == 1
    assert run.stdout == b""
    [error] = run.errors
    assert error.startswith("Catalog: ats_offers.status: the schema differs from tap-kombo's.")
    assert sandbox.requests() == []


def test_catalog_cannot_rename_a_stream(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    offers_of(catalog)["stream"] = "my_offers"

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert set(run.records) == set(run.schemas) == {"ats_offers"}


def test_keys_cannot_be_deselected(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers", deselected=["ats_offers.id", "ats_offers.changed_at"])
    for item in offers_of(catalog)["metadata"]:
        item["metadata"].pop("inclusion", None)

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert run.messages[0]["key_properties"] == ["id"]
    assert {"id", "changed_at"} <= run.schemas["ats_offers"]["properties"].keys()
    assert all(record["id"] and record["changed_at"] for record in run.records["ats_offers"])


def test_everything_is_selected_without_metadata(sandbox: Sandbox) -> None:
    catalog = {"streams": [offers_of(catalog_with())]}
    del catalog["streams"][0]["metadata"]

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))
    assert run.schemas["ats_offers"] == offers_of(catalog)["schema"]


def test_catalog_may_lack_keys_and_replication_methods(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    for entry in catalog["streams"]:
        for name in ("key_properties", "replication_key", "replication_method"):
            entry.pop(name, None)
        for item in entry["metadata"]:
            for name in ("table-key-properties", "replication-key", "valid-replication-keys"):
                item["metadata"].pop(name, None)

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert run.messages[0]["key_properties"] == ["id"]
    assert run.bookmark("ats_offers", sandbox.integration_ids[0]) is not None


def test_catalog_cannot_change_keys(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    offers_of(catalog).update(key_properties=["status"], replication_key="remote_created_at")

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert run.messages[0]["key_properties"] == ["id"]
    assert run.messages[0]["bookmark_properties"] == ["changed_at"]


@pytest.mark.parametrize("place", ["entry", "metadata"])
def test_full_table_stream_is_read_completely_by_every_run(sandbox: Sandbox, place: str) -> None:
    """A method in the metadata, set by a user, has precedence over the one of `--discover`."""
    catalog = catalog_with("ats_offers")
    if place == "entry":
        offers_of(catalog)["replication_method"] = "FULL_TABLE"
    else:
        root_of(offers_of(catalog))["replication-method"] = "FULL_TABLE"
    first = run_tap(settings_for(sandbox), catalog=catalog)

    second = run_tap(settings_for(sandbox), state=first.state, catalog=catalog)

    assert len(second.records["ats_offers"]) == len(sandbox.records("ats_offers"))
    assert first.bookmark("ats_offers", sandbox.integration_ids[0]) is None
