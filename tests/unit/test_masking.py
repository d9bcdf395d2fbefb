"""The classes of personal data, and the stream maps built from them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts.update_schemas import unclassified
from tap_kombo import masking, stream_maps
from tap_kombo.streams import MODELS
from tap_kombo.validation import Schema

TEXT = {"type": ["string", "null"]}
FREE_FORM = {"type": ["object", "null"], "properties": {}}
ANY_JSON = {"type": ["array", "boolean", "integer", "null", "number", "object", "string"]}
STREAMS = {model.name: stream_maps.fields_of(model.name) for model in MODELS}


def object_of(**properties: Schema) -> Schema:
    return {"type": ["object", "null"], "properties": properties}


def below(path: str, schema: Schema) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from below(f"{path}.{name}", child)
    if "items" in schema:
        yield from below(f"{path}[]", schema["items"])


FIELDS = {
    path: schema
    for stream, fields in STREAMS.items()
    for name, column in fields.items()
    for path, schema in below(f"{stream}.{name}", column)
}


def test_every_field_that_looks_personal_has_a_class() -> None:
    found = [
        path
        for stream, fields in STREAMS.items()
        for path in unclassified(stream, object_of(**fields))
    ]

    assert found == [], "add them to tap_kombo/privacy.toml"


@pytest.mark.parametrize(
    ("field", "schema"),
    [
        ("middle_name", TEXT),
        ("religion", TEXT),
        ("passport_number", TEXT),
        ("bonus", {"type": ["number", "null"]}),
        ("age", {"type": ["integer", "null"]}),
        ("exit_notes", TEXT),
        ("sidecar", FREE_FORM),
        ("sidecar", ANY_JSON),
    ],
)
def test_new_field_that_looks_personal_is_found_at_any_depth(field: str, schema: Schema) -> None:
    contacts = {"type": ["array", "null"], "items": object_of(**{field: schema})}

    assert list(unclassified("ats_jobs", object_of(**{field: schema}))) == [f"ats_jobs.{field}"]
    assert list(unclassified("ats_jobs", object_of(stages=contacts))) == [
        f"ats_jobs.stages[].{field}"
    ]


@pytest.mark.parametrize("path", ["ats_jobs.candidate.name", "hris_groups.members[].name"])
def test_name_of_a_person_looks_personal(path: str) -> None:
    assert list(unclassified(path, TEXT)) == [path]


@pytest.mark.parametrize("path", ["ats_jobs.name", "ats_jobs.stage", "ats_jobs.parent_id"])
def test_other_field_needs_no_class(path: str) -> None:
    assert list(unclassified(path, TEXT)) == []


def test_every_name_in_the_table_matches_a_field() -> None:
    assert {masking.rule_for(path) for path in FIELDS} >= masking.CLASS_OF.keys()


def test_no_field_is_in_two_classes() -> None:
    names = [n for c in masking.CLASSES.values() for n in (*c.hashed, *c.nulled)]

    assert len(names) == len(set(names))
    assert set(names).isdisjoint(masking.TABLE.not_personal)


def test_hashed_fields_are_text() -> None:
    hashed = {name for c in masking.CLASSES.values() for name in c.hashed}

    for path, schema in FIELDS.items():
        if masking.rule_for(path) in hashed:
            assert schema["type"] == ["string", "null"], path
            assert "format" not in schema, path


def test_keys_have_no_class() -> None:
    keys = {"id", "integration_id", "changed_at", "remote_deleted_at", "_sdc_deleted_at"}

    assert [path for path in FIELDS if path.split(".")[1] in keys and masking.rule_for(path)] == []


def test_longest_matching_name_applies() -> None:
    assert masking.rule_for("ats_candidates.title") == "ats_candidates.title"
    assert masking.rule_for("ats_jobs.job_postings[].title") is None
    assert masking.rule_for("hris_employees.manager.work_email") == "work_email"


def test_preset_has_the_maps_of_the_named_classes() -> None:
    preset = masking.preset(["birth", "government_ids"])

    assert preset["stream_map_config"] == {"salt": "${MASKING_SALT}"}
    assert preset["stream_maps"] == {
        "hris_employees": {
            "ssn": "sha256(config['salt'] + ssn) if ssn else ssn",
            "tax_id": "sha256(config['salt'] + tax_id) if tax_id else tax_id",
            "date_of_birth": "None",
        }
    }


def test_masking_a_nested_field_keeps_its_declared_siblings() -> None:
    maps = masking.preset(["names"])["stream_maps"]["ats_notes"]

    assert maps == {
        "author": "{k: (sha256(config['salt'] + v) if v else v) if k in ['first_name', 'last_name']"
        " else v if k in ['id', 'remote_id', 'email'] else None for k, v in author.items()}"
        " if author else author"
    }


def test_preset_is_valid() -> None:
    preset = masking.preset(masking.CLASSES)

    assert preset["stream_maps"].keys() == STREAMS.keys()
    assert list(stream_maps.check(preset["stream_maps"], STREAMS)) == []
