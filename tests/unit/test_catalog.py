"""Checks of the catalog, without running the tap."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from harness.tap import catalog_with, entry_of
from tap_kombo.errors import InputError
from tap_kombo.tap import TapKombo

Content = dict[str, Any]
Change = Callable[[Content], object]

DISCOVER = "Create a catalog with `tap-kombo --discover`."


def apply(catalog: Any) -> TapKombo:
    """Build the tap's streams from a catalog."""
    tap = TapKombo(config={"api_key": "k", "integration_ids": ["a:b"]}, catalog=catalog)
    _ = tap.streams
    return tap


def changed(change: Change) -> Content:
    """Return the tap's catalog with a change to the entry of `ats_offers`."""
    catalog = catalog_with("ats_offers")
    change(entry_of(catalog, "ats_offers"))
    return catalog


def with_field(name: str, schema: object) -> Change:
    return lambda entry: entry["schema"]["properties"].update({name: schema})


def without_field(name: str) -> Change:
    return lambda entry: entry["schema"]["properties"].pop(name)


def with_metadata(*breadcrumb: str, **values: object) -> Change:
    item = {"breadcrumb": list(breadcrumb), "metadata": values}
    return lambda entry: entry["metadata"].append(item)


def with_root(**values: object) -> Change:
    def change(entry: Content) -> None:
        [root] = [item["metadata"] for item in entry["metadata"] if not item["breadcrumb"]]
        root.update(values)

    return change


def with_method(method: object) -> Change:
    return lambda entry: entry.update(replication_method=method)


def with_method_in_metadata(key: str, method: str) -> Change:
    def change(entry: Content) -> None:
        entry.pop("replication_method")
        with_root(**{key: method})(entry)

    return change


TEXT = ["string", "null"]
OBJECT = ["object", "null"]
DIFFERS = "the schema differs from tap-kombo's"
UNKNOWN = "there is no such field"
METHOD = "the replication method is not supported. Use INCREMENTAL or FULL_TABLE."

REJECTED: dict[str, tuple[Change, str, str]] = {
    # mistake: change to the entry, field named by the error, problem
    "no key": (without_field("id"), ".id", "the schema lacks this key field"),
    "no replication key": (
        without_field("changed_at"),
        ".changed_at",
        "the schema lacks this key field",
    ),
    "empty schema": (
        lambda entry: entry.update(schema={"properties": {}}),
        ".id",
        "the schema lacks this key field",
    ),
    "unknown field": (with_field("state", {"type": TEXT}), ".state", UNKNOWN),
    "similar field": (with_field("statuss", {"type": TEXT}), ".statuss", "did you mean status?"),
    "unknown nested field": (
        with_field("application", {"type": OBJECT, "properties": {"x": {"type": TEXT}}}),
        ".application",
        DIFFERS,
    ),
    "field without a type": (with_field("status", {}), ".status", DIFFERS),
    "another type": (with_field("status", {"type": ["integer", "null"]}), ".status", DIFFERS),
    "not nullable": (with_field("status", {"type": "string"}), ".status", DIFFERS),
    "anyOf": (
        with_field("status", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ".status",
        DIFFERS,
    ),
    "enum": (with_field("status", {"type": TEXT, "enum": ["SENT"]}), ".status", DIFFERS),
    "another format": (with_field("status", {"type": TEXT, "format": "uuid"}), ".status", DIFFERS),
    "no format": (with_field("remote_created_at", {"type": TEXT}), ".remote_created_at", DIFFERS),
    "another nested type": (
        with_field("application", {"type": OBJECT, "properties": {"id": {"type": "integer"}}}),
        ".application",
        DIFFERS,
    ),
    "another type of items": (
        with_field("integration_fields", {"type": ["array", "null"], "items": {"type": TEXT}}),
        ".integration_fields",
        DIFFERS,
    ),
    "closed object": (
        with_field("application", {"type": OBJECT, "additionalProperties": False}),
        ".application",
        DIFFERS,
    ),
    "unknown field deselected": (
        with_metadata("properties", "state", selected=False),
        ".state",
        UNKNOWN,
    ),
    "unknown nested field deselected": (
        with_metadata("properties", "application", "properties", "state", selected=False),
        ".application.state",
        UNKNOWN,
    ),
    "breadcrumb without `properties`": (
        with_metadata("status", selected=False),
        ": the metadata breadcrumb ['status'] is not valid",
        "Use a path like",
    ),
    "nested breadcrumb without `properties`": (
        with_metadata("properties", "application", "candidate", selected=False),
        ": the metadata breadcrumb ['properties', 'application', 'candidate'] is not valid",
        "Use a path like",
    ),
    "unknown field in a list deselected": (
        with_metadata("properties", "integration_fields", "properties", "vale", selected=False),
        ".integration_fields.vale",
        "did you mean value?",
    ),
    "another replication key": (
        with_root(**{"replication-key": "remote_updated_at"}),
        "",
        "`replication-key` in the metadata is another field. Remove it.",
    ),
    "another primary key": (
        with_root(**{"table-key-properties": ["remote_id"]}),
        "",
        "`table-key-properties` in the metadata are other fields. Remove them.",
    ),
    "selected as a string": (
        with_metadata("properties", "status", selected="false"),
        "",
        "`selected` in the metadata of status is not true or false",
    ),
    "log-based method": (with_method("LOG_BASED"), "", METHOD),
    "method in lower case": (with_method("incremental"), "", METHOD),
    "number as a method": (with_method(5), "", METHOD),
    "list as a method": (with_method(["FULL_TABLE"]), "", METHOD),
    "method set by a user": (
        with_method_in_metadata("replication-method", "LOG_BASED"),
        "",
        METHOD,
    ),
    "forced method": (
        with_method_in_metadata("forced-replication-method", "LOG_BASED"),
        "",
        METHOD,
    ),
}


@pytest.mark.parametrize(("change", "field", "problem"), REJECTED.values(), ids=REJECTED)
def test_entry_that_cannot_be_honored_is_rejected(change: Change, field: str, problem: str) -> None:
    start = re.escape(f"Catalog: ats_offers{field}")

    with pytest.raises(InputError, match=rf"^{start}.*{re.escape(problem)}"):
        apply(changed(change))


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"tables": []},
        {"streams": {}},
        {"streams": ["ats_offers"]},
        {"streams": [{"tap_stream_id": "ats_offers"}]},
        [],
        False,
        0,
        changed(lambda entry: entry.update(metadata={"selected": True})),
        changed(lambda entry: entry["metadata"].append({"metadata": {}})),
        changed(with_field("status", True)),
    ],
    ids=[
        "empty object",
        "tables",
        "streams as an object",
        "stream names",
        "no schema",
        "list",
        "false",
        "number",
        "metadata as an object",
        "metadata without a breadcrumb",
        "field without a schema",
    ],
)
def test_json_that_is_not_a_catalog_is_rejected(content: object) -> None:
    with pytest.raises(InputError, match=rf"^Catalog: .*{re.escape(DISCOVER)}$"):
        apply(content)


def test_catalog_without_streams_is_rejected() -> None:
    with pytest.raises(InputError, match=r"^Catalog: there are no streams in it"):
        apply({"streams": []})


def test_unknown_stream_is_rejected_with_a_suggestion() -> None:
    with pytest.raises(InputError, match=r"there is no stream ats_ofers .did you mean ats_offers"):
        apply(changed(lambda entry: entry.update(tap_stream_id="ats_ofers")))


@pytest.mark.parametrize(
    "change",
    [
        without_field("status"),
        with_field("application", {"type": OBJECT, "properties": {}}),
        with_field("status", {"type": TEXT, "description": "Another description"}),
        with_metadata("properties", "custom_fields", "properties", "shoe_size", selected=False),
        with_metadata("properties", "integration_fields", selected=False),
        lambda entry: entry.pop("metadata"),
    ],
    ids=[
        "lacks a field",
        "lacks nested fields",
        "another description",
        "part of a free-form object deselected",
        "list deselected",
        "no metadata",
    ],
)
def test_entry_that_differs_harmlessly_is_accepted(change: Change) -> None:
    assert apply(changed(change)).streams["ats_offers"].selected
