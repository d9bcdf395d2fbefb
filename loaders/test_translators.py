"""Loaders of cloud warehouses translate the schemas of all streams."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from harness.tap import TapRun, run_tap, settings_for
from kombo_sandbox import Sandbox
from loaders.loading import FLATTENING
from loaders.scenario import start_sandbox
from loaders.stores import ENVIRONMENTS, SCRIPTS
from loaders.table import TRANSLATORS, Translator

pytestmark = pytest.mark.timeout(600)

Schema = Mapping[str, Any]

BIGQUERY = next(one for one in TRANSLATORS if one.name == "z3-target-bigquery")
every_translator = pytest.mark.parametrize("translator", TRANSLATORS, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with start_sandbox() as found:
        yield found


def sync(sandbox: Sandbox, *, flattened: bool) -> TapRun:
    run = run_tap(settings_for(sandbox, **(FLATTENING if flattened else {})))
    assert run.code == 0, run.errors
    return run


def translate(translator: Translator, run: TapRun) -> dict[str, Any]:
    """Return the `types` of each stream's columns; for BigQuery, also the `errors` by stream."""
    python = ENVIRONMENTS / translator.environment / "bin/python"
    script = SCRIPTS / f"{translator.script}.py"
    process = subprocess.run([python, script], input=run.stdout, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr.decode()
    found: dict[str, Any] = json.loads(process.stdout)
    return found


def types_of(schema: Schema) -> set[str]:
    types = schema["type"]
    return {types} if isinstance(types, str) else {*types} - {"null"}


def kind(schema: Schema) -> str:
    types = types_of(schema)
    if len(types) > 1:
        return "text"
    [name] = types
    return str(schema.get("format") or {"array": "list", "string": "text"}.get(name, name))


def any_json_fields(schemas: Mapping[str, Schema]) -> set[str]:
    """Return the fields, such as `stream.list.field`, that may have any JSON."""
    return {
        f"{stream}.{path}"
        for stream, schema in schemas.items()
        for path, field in fields(schema)
        if types_of(field) >= {"array", "object", "string"}
    }


def fields(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    schema = schema.get("items", schema)
    for name, field in schema.get("properties", {}).items():
        yield f"{path}{name}", field
        yield from fields(field, f"{path}{name}.")


@every_translator
def test_each_column_has_the_type_of_its_kind(translator: Translator, sandbox: Sandbox) -> None:
    run = sync(sandbox, flattened=translator.flattened)
    original = sync(sandbox, flattened=False).schemas
    found = translate(translator, run)

    types: dict[str, set[str]] = defaultdict(set)
    for stream, schema in run.schemas.items():
        assert found["types"][stream].keys() == schema["properties"].keys(), stream
        for name, column in schema["properties"].items():
            unflattened = original[stream]["properties"].get(name, column)
            types[kind(unflattened)].add(found["types"][stream][name])

    assert types == {name: {type_} for name, type_ in translator.types.items()}


def test_bigquery_encodes_all_flattened_records(sandbox: Sandbox) -> None:
    found = translate(BIGQUERY, sync(sandbox, flattened=True))

    assert found["errors"] == {}


def test_bigquery_makes_lists_of_any_json_without_flattening(sandbox: Sandbox) -> None:
    run = sync(sandbox, flattened=False)
    found = translate(BIGQUERY, run)

    lists = {
        f"{stream}.{path}"
        for stream, types in found["types"].items()
        for path, name in types.items()
        if name == "JSON REPEATED"
    }
    assert lists == any_json_fields(run.schemas)
    assert len(lists) == 16


def test_bigquery_cannot_encode_free_form_objects_without_flattening(sandbox: Sandbox) -> None:
    run = sync(sandbox, flattened=False)
    found = translate(BIGQUERY, run)

    free_form = {
        stream
        for stream, records in run.records.items()
        if any(record.get("custom_fields") or record.get("remote_data") for record in records)
    }
    assert found["errors"].keys() >= free_form
