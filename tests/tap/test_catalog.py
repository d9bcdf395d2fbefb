"""A catalog that would read otherwise than it seems to say is refused before anything is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kombo_sandbox import Sandbox
from tests.tap.test_bad_input import GOOD, assert_refused
from tests.tap_run import catalog_with, run_tap, settings_for

Content = dict[str, Any]


def offers_of(catalog: Content) -> Content:
    [entry] = [one for one in catalog["streams"] if one["tap_stream_id"] == "ats_offers"]
    found: Content = entry
    return found


def root_of(entry: Content) -> Content:
    [root] = [item["metadata"] for item in entry["metadata"] if not item["breadcrumb"]]
    found: Content = root
    return found


def in_schema(name: str, schema: object) -> Callable[[Content], object]:
    return lambda entry: entry["schema"]["properties"].update({name: schema})


def without(name: str) -> Callable[[Content], object]:
    return lambda entry: entry["schema"]["properties"].pop(name)


def with_metadata(*path: Any, **values: Any) -> Callable[[Content], object]:
    item = {"breadcrumb": list(path), "metadata": values}
    return lambda entry: entry["metadata"].append(item)


def with_method(method: object, *, in_metadata: str = "") -> Callable[[Content], object]:
    if not in_metadata:
        return lambda entry: entry.update(replication_method=method)

    def change(entry: Content) -> None:
        entry.pop("replication_method")
        root_of(entry)[in_metadata] = method

    return change


def without_root(entry: Content) -> None:
    entry["metadata"] = [item for item in entry["metadata"] if item["breadcrumb"]]


REFUSED: dict[str, tuple[Callable[[Content], object], str]] = {
    # what is changed of the stream's entry, and what is said
    "no key": (without("id"), "lacks its key `id`"),
    "no replication key": (without("changed_at"), "lacks its key `changed_at`"),
    "an empty schema": (lambda e: e.update(schema={"properties": {}}), "lacks its key `id`"),
    "a field without a type": (in_schema("status", {}), "no `type` for `status`"),
    "a choice of types": (
        in_schema("status", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        "no `type` for `status`",
    ),
    "any value": (in_schema("status", True), "no `type` for `status`"),
    "a list of values": (
        in_schema("status", {"type": ["string", "null"], "enum": ["SENT"]}),
        "`enum`, to which tap-kombo does not hold values, for `status`",
    ),
    "another format": (
        in_schema("status", {"type": ["string", "null"], "format": "uuid"}),
        "`format`, to which",
    ),
    "a nested rule": (
        in_schema(
            "application",
            {"type": ["object", "null"], "properties": {"id": {"type": "string", "minLength": 1}}},
        ),
        "`minLength`, to which tap-kombo does not hold values, for `application`",
    ),
    "a rule for items": (
        in_schema("status", {"type": ["array", "null"], "items": {"type": "string", "not": {}}}),
        "`not`, to which",
    ),
    "nothing more": (
        in_schema("application", {"type": ["object", "null"], "additionalProperties": False}),
        "`additionalProperties`, to which",
    ),
    "never null": (in_schema("status", {"type": "string"}), "does not let `status` be null"),
    "no root": (without_root, "no entry with the breadcrumb []"),
    "metadata that is none": (lambda e: e.update(metadata={"selected": True}), "must be a list"),
    "metadata without a path": (
        lambda e: e["metadata"].append({"metadata": {}}),
        "must be a list of objects",
    ),
    "a path from nowhere": (with_metadata("status", selected=False), "must be a list of objects"),
    "a word for selected": (
        with_metadata("properties", "status", selected="false"),
        "`selected` is true or false",
    ),
    "part of a list": (
        with_metadata("properties", "x", "items", "properties", "y", selected=False),
        "deselects x.properties, which is in a list",
    ),
    "part of each item": (
        lambda e: (
            in_schema("tags", {"type": ["array", "null"], "items": {"type": "object"}})(e),
            with_metadata("properties", "tags", "properties", "name", selected=False)(e),
        ),
        "deselects tags.name, which is in a list",
    ),
    "keys that are no fields": (
        lambda e: e.update(key_properties=["nonsense"]),
        "`key_properties` of ats_offers must be a list of fields",
    ),
    "keys that are no list": (lambda e: e.update(key_properties="id"), "must be a list of fields"),
    "a method of databases": (with_method("LOG_BASED"), "'LOG_BASED'"),
    "a method in small letters": (with_method("incremental"), "INCREMENTAL or FULL_TABLE"),
    "a number for a method": (with_method(5), "INCREMENTAL or FULL_TABLE"),
    "a list for a method": (with_method(["FULL_TABLE"]), "INCREMENTAL or FULL_TABLE"),
    "the user's method": (with_method("LOG_BASED", in_metadata="replication-method"), "LOG_BASED"),
    "the tap's method": (
        with_method("LOG_BASED", in_metadata="forced-replication-method"),
        "LOG_BASED",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_stream_cannot_be_read_by_is_refused(name: str) -> None:
    change, told = REFUSED[name]
    catalog = catalog_with("ats_offers")
    change(offers_of(catalog))

    assert_refused(run_tap(GOOD, catalog=catalog), "ats_offers", told)


@pytest.mark.parametrize("catalog", [{}, {"streams": []}, {"tables": []}, [], False, 0])
def test_a_catalog_without_streams_does_not_mean_all_of_them(catalog: object) -> None:
    assert_refused(run_tap(GOOD, catalog=catalog), "The catalog", "--discover")


def test_a_stream_that_stands_twice_is_refused() -> None:
    """One may be selected, and the other not."""
    catalog = catalog_with("ats_offers")
    catalog["streams"].append(offers_of(catalog_with()))

    assert_refused(run_tap(GOOD, catalog=catalog), "ats_offers more than once", "leave one")


def test_a_stream_goes_by_kombos_name(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers")
    offers_of(catalog)["stream"] = "my_offers"

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert set(run.records) == set(run.schemas) == {"ats_offers"}


def test_keys_come_even_if_the_catalog_does_not_say_that_they_must(sandbox: Sandbox) -> None:
    catalog = catalog_with("ats_offers", deselected=["ats_offers.id", "ats_offers.changed_at"])
    for item in offers_of(catalog)["metadata"]:
        item["metadata"].pop("inclusion", None)

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert run.messages[0]["key_properties"] == ["id"]
    assert {"id", "changed_at"} <= run.schemas["ats_offers"]["properties"].keys()
    assert all(record["id"] and record["changed_at"] for record in run.records["ats_offers"])


def test_without_any_metadata_all_is_selected(sandbox: Sandbox) -> None:
    catalog = {"streams": [offers_of(catalog_with())]}
    del catalog["streams"][0]["metadata"]

    run = run_tap(settings_for(sandbox), catalog=catalog)

    assert run.ids("ats_offers") == sorted(r["id"] for r in sandbox.records("ats_offers"))
    assert run.schemas["ats_offers"] == offers_of(catalog)["schema"]


def test_a_catalog_without_keys_and_methods_changes_nothing(sandbox: Sandbox) -> None:
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


@pytest.mark.parametrize("place", ["entry", "metadata"])
def test_a_stream_that_the_catalog_wants_whole_is_read_whole_each_time(
    sandbox: Sandbox, place: str
) -> None:
    """The user's word in the metadata counts, whatever `--discover` has written beside it."""
    catalog = catalog_with("ats_offers")
    if place == "entry":
        offers_of(catalog)["replication_method"] = "FULL_TABLE"
    else:
        root_of(offers_of(catalog))["replication-method"] = "FULL_TABLE"
    first = run_tap(settings_for(sandbox), catalog=catalog)

    second = run_tap(settings_for(sandbox), state=first.state, catalog=catalog)

    assert len(second.records["ats_offers"]) == len(sandbox.records("ats_offers"))
    assert first.bookmark("ats_offers", sandbox.integration_ids[0]) is None
