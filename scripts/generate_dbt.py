"""Build the generated files of the dbt package: sources, staging models and deleted rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.generate_docs import (
    COMMON_COLUMNS,
    MODEL,
    PAGES,
    ROOT,
    SCHEMAS,
    STREAMS,
    joins,
    meaning,
    page_of,
    paths,
)
from tap_kombo.masking import CLASS_OF, rule_for
from tap_kombo.streams import Model

MODELS = ROOT / "dbt/models"

HEADER = "Written by `make generate` from tap_kombo/schemas."

SWITCHES = ("ats", "hris", "lms", "assessment")
"""Categories with a variable that switches their models on or off"""

LOADER_COLUMNS = {
    "_sdc_extracted_at": ("timestamp", "When Kombo sent the record, by Kombo's clock."),
    "_sdc_sequence": ("integer", "A number that increases with each record that is loaded."),
}
"""Columns that loaders add -> type and meaning"""

RENAMED = {("lms_courses", "origin_id"): "course_origin_id"}
"""Columns whose names would be ambiguous -> their names in the staging models"""

INTEGRATION_COLUMNS = {
    "origin_id": "Your own ID of the customer, from `integrations.end_user`.",
    "tool": "The ID of the connected tool, from `integrations.tool`.",
}
"""Columns of the integration that all other staging models have -> meaning"""

OBJECT_FIELDS = {
    "integrations": {
        "origin_id": ("end_user", "origin_id", "Your own ID of the customer."),
        "organization_name": ("end_user", "organization_name", "The customer."),
        "tool_id": ("tool", "id", "The ID of the connected tool."),
        "tool_label": ("tool", "label", "The name of the connected tool."),
    },
}
"""Stream -> column -> the object column, its field, and the meaning"""

RANGES = {
    "amount": (0, None),
    "number_of_openings": (0, None),
    "payable_hours": (0, 168),
    "pay_rate": (0, None),
    "salary_amount": (0, None),
    "salary_amount_from": (0, None),
    "salary_amount_to": (0, None),
    "unpaid_break_minutes": (0, 1440),
    "used": (0, None),
    "weekly_hours": (0, 168),
}
"""Column -> smallest and largest plausible value"""

VALUES = {("sync_status", "status"): ("complete", "skipped")}
"""Stream and column -> the accepted values; others cause a warning"""


def dbt_files() -> Iterator[tuple[Path, str]]:
    """Yield each generated file of the dbt package, and its text."""
    yield MODELS / "staging/_sources.yml", sources()
    yield ROOT / "dbt/macros/kombo_keys.sql", keys_macro()
    for page in PAGES:
        streams = [name for name in MODEL if page_of(name) is page]
        yield MODELS / f"staging/_{page.name}.yml", properties(map(staging_properties, streams))
        deleted = filter(has_status, streams)
        yield MODELS / f"deleted/_{page.name}.yml", properties(map(deleted_properties, deleted))
    for name, model in MODEL.items():
        yield MODELS / f"staging/stg_kombo__{name}.sql", staging_sql(model)
        if has_status(name):
            yield MODELS / f"deleted/kombo__deleted_{name}.sql", deleted_sql(model)


def data_type(schema: Mapping[str, Any]) -> str:
    """Return the type of a column: its name in `macros/kombo_table.sql`."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names = [name for name in types if name != "null"]
    if names == ["string"]:
        return {"date-time": "timestamp", "date": "date"}.get(schema.get("format", ""), "string")
    return names[0] if names in (["integer"], ["number"], ["boolean"]) else "json"


def personal_classes(stream: str, column: str) -> list[str]:
    """Return the classes of personal data in a column and in everything inside it."""
    schema = {"properties": {column: SCHEMAS[stream]["properties"][column]}}
    rules = (rule_for(".".join((stream, *path))) for path in paths(schema))
    return sorted({found for rule in rules if rule and (found := CLASS_OF[rule])})


def columns_of(stream: str) -> dict[str, dict[str, Any]]:
    """Return the columns of a staging model by their names in the stream, the key first."""
    columns = SCHEMAS[stream]["properties"]
    names = dict.fromkeys((*key_columns(MODEL[stream]), *columns))
    return {name: columns[name] for name in names if name != "_sdc_deleted_at"}


def key_columns(model: Model) -> list[str]:
    """Return the columns that identify a row and its integration."""
    return [*dict.fromkeys((*model.key, "integration_id"))]


def has_mark(stream: str) -> bool:
    """Return whether Kombo marks the deleted records of a stream."""
    return "_sdc_deleted_at" in SCHEMAS[stream]["properties"]


def has_status(stream: str) -> bool:
    """Return whether `sync_status` has rows about a stream."""
    return stream != "sync_status"


def has_integration(stream: str) -> bool:
    """Return whether a staging model has the columns of the integration."""
    return stream not in ("integrations", "sync_status")


# SQL

STAGING = """\
-- {header}
{config}{versions}
select
{columns}
from latest{integrations}{sync_status}
"""

DELETED = """\
-- {header}
{config}{versions}
select
{columns}
from latest{sync_status}
where
    {is_marked}{extracted} < sync_status.full_sync_started_at
"""

VERSIONS = """\
with versions as (

    select
        *,
        row_number() over (
            partition by {key}
            order by _sdc_extracted_at desc, _sdc_sequence desc
        ) as version
    from {{{{ kombo_table('{stream}') }}}} as {stream}

),

latest as (

    select * from versions where version = 1

)
"""

INTEGRATIONS_JOIN = """
left join {{ ref('stg_kombo__integrations') }} as integrations
    on latest.integration_id = integrations.integration_id"""

SYNC_STATUS_JOIN = """
left join {{{{ ref('stg_kombo__sync_status') }}}} as sync_status
    on latest.integration_id = sync_status.integration_id
    and sync_status.stream = '{stream}'"""

IS_CURRENT = """
where
    {not_marked}(
        sync_status.full_sync_started_at is null
        or {extracted} >= sync_status.full_sync_started_at
    )"""

EXTRACTED = "cast(latest._sdc_extracted_at as {{ dbt.type_timestamp() }})"


def staging_sql(model: Model) -> str:
    """Build the model with the current rows of a stream."""
    stream = model.name
    columns = ",\n".join(f"    {column}" for column in selected(stream))
    if "custom_fields" in SCHEMAS[stream]["properties"]:
        columns += f"\n    {{{{ kombo_custom_fields('{stream}') }}}}"
    not_marked = "latest._sdc_deleted_at is null\n    and " if has_mark(stream) else ""
    is_current = IS_CURRENT.format(not_marked=not_marked, extracted=EXTRACTED)
    return STAGING.format(
        header=HEADER,
        config=config(stream),
        versions=VERSIONS.format(key=", ".join(model.key), stream=stream),
        columns=columns,
        integrations=INTEGRATIONS_JOIN if has_integration(stream) else "",
        sync_status=SYNC_STATUS_JOIN.format(stream=stream) + is_current
        if has_status(stream)
        else "",
    )


def deleted_sql(model: Model) -> str:
    """Build the model with the rows of a stream that are not current."""
    stream = model.name
    columns = [f"latest.{name}" for name in key_columns(model)]
    if has_mark(stream):
        columns.append(as_timestamp("latest._sdc_deleted_at", "deleted_at"))
    columns.append(f"{EXTRACTED} as last_extracted_at")
    return DELETED.format(
        header=HEADER,
        config=config(stream, "var('kombo__deleted', false)"),
        versions=VERSIONS.format(key=", ".join(model.key), stream=stream),
        columns=",\n".join(f"    {column}" for column in columns),
        sync_status=SYNC_STATUS_JOIN.format(stream=stream),
        is_marked="latest._sdc_deleted_at is not null\n    or " if has_mark(stream) else "",
        extracted=EXTRACTED,
    )


def config(stream: str, *conditions: str) -> str:
    """Build the line that enables a model, if that depends on variables."""
    category = page_of(stream).name
    switch = [f"var('kombo__using_{category}', true)"] if category in SWITCHES else []
    enabled = " and ".join([*switch, *conditions])
    return f"{{{{ config(enabled={enabled}) }}}}\n\n" if enabled else ""


def selected(stream: str) -> Iterator[str]:
    """Yield the columns that a staging model selects."""
    for name, schema in columns_of(stream).items():
        yield select(stream, name, schema)
        if name == "integration_id" and has_integration(stream):
            yield "integrations.origin_id"
            yield "integrations.tool_id as tool"
    for name, (column, field, _) in OBJECT_FIELDS.get(stream, {}).items():
        yield f"{{{{ kombo_json_text('latest.{column}', '{field}') }}}} as {name}"
    yield f"{EXTRACTED} as _sdc_extracted_at"


def select(stream: str, name: str, schema: Mapping[str, Any]) -> str:
    new_name = RENAMED.get((stream, name), name)
    match data_type(schema):
        case "timestamp":
            return as_timestamp(f"latest.{name}", new_name)
        case "date":
            return f"cast(latest.{name} as date) as {new_name}"
    return f"latest.{name}" if name == new_name else f"latest.{name} as {new_name}"


def as_timestamp(column: str, name: str) -> str:
    return f"cast({column} as {{{{ dbt.type_timestamp() }}}}) as {name}"


def keys_macro() -> str:
    """Build the macro that returns the primary keys of all streams."""
    lines = "".join(
        f"        '{name}': {json.dumps([*model.key]).replace(chr(34), chr(39))},\n"
        for name, model in MODEL.items()
    )
    return (
        f"{{# {HEADER} #}}\n"
        "{% macro kombo_keys() %}\n"
        f"    {{{{ return({{\n{lines}    }}) }}}}\n"
        "{% endmacro %}\n"
    )


# YAML: strings are written as JSON, which is valid YAML.


def sources() -> str:
    lines = [
        f"# {HEADER}",
        "version: 2",
        "",
        "sources:",
        "- name: kombo",
        "  description: The tables into which a loader writes the records of tap-kombo.",
        "  database: \"{{ var('kombo_database', target.database) }}\"",
        "  schema: \"{{ var('kombo_schema', 'kombo') }}\"",
        "  config:",
        '    loaded_at_query: "{{ kombo_loaded_at(this) }}"',
        "    freshness:",
        "      warn_after: {count: 24, period: hour}",
        "      error_after: {count: 72, period: hour}",
        "  tables:",
    ]
    for stream in MODEL:
        lines += source(stream)
    return "\n".join(lines) + "\n"


def source(stream: str) -> Iterator[str]:
    yield f"  - name: {stream}"
    yield f"    description: {json.dumps(STREAMS[stream])}"
    category = page_of(stream).name
    if category in SWITCHES:
        yield "    config:"
        yield f"      enabled: \"{{{{ var('kombo__using_{category}', true) }}}}\""
    yield "    columns:"
    for name, schema in SCHEMAS[stream]["properties"].items():
        yield from column(name, describe(name, schema), personal_classes(stream, name), "    ")
        yield f"      data_type: {data_type(schema)}"
    for name, (kind, text) in LOADER_COLUMNS.items():
        yield from column(name, text, [], "    ")
        yield f"      data_type: {kind}"


def describe(name: str, schema: Mapping[str, Any]) -> str:
    return meaning(schema) or COMMON_COLUMNS.get(name, "")


def column(name: str, text: str, classes: Sequence[str], indent: str) -> Iterator[str]:
    yield f"{indent}- name: {name}"
    if text:
        yield f"{indent}  description: {json.dumps(text, ensure_ascii=False)}"
    if classes:
        yield f"{indent}  config: {{meta: {{pii: [{', '.join(classes)}]}}}}"


def properties(models: Iterator[Iterator[str]]) -> str:
    lines = (line for model in models for line in model)
    return "\n".join([f"# {HEADER}", "version: 2", "", "models:", *lines]) + "\n"


def staging_properties(stream: str) -> Iterator[str]:
    yield f"- name: stg_kombo__{stream}"
    yield f"  description: {json.dumps(STREAMS[stream], ensure_ascii=False)}"
    yield from key_test(stream)
    yield "  columns:"
    references = {
        join.path[0]: join
        for join in joins(stream)
        if len(join.path) == 1 and join.path != ("integration_id",)
    }
    for name, schema in columns_of(stream).items():
        new = RENAMED.get((stream, name), name)
        yield from column(new, describe(name, schema), personal_classes(stream, name), "  ")
        tests = [*key_tests(stream, name)]
        join = references.get(name)
        if join and "[]" not in join.column and join.stream != "integration_models":
            tests += relationship(join.stream, join.column)
        if name == "integration_id" and has_integration(stream):
            tests += relationship("integrations", "integration_id")
        if name in RANGES and data_type(schema) == "number":
            tests += accepted_range(*RANGES[name])
        if (stream, name) in VALUES:
            tests += accepted_values(VALUES[stream, name])
        if tests:
            yield "    data_tests:"
            yield from (f"    {line}" for line in tests)
        if name == "integration_id" and has_integration(stream):
            for other, text in INTEGRATION_COLUMNS.items():
                yield from column(other, text, [], "  ")
    for name, (_, _, text) in OBJECT_FIELDS.get(stream, {}).items():
        yield from column(name, text, [], "  ")
    yield from column("_sdc_extracted_at", LOADER_COLUMNS["_sdc_extracted_at"][1], [], "  ")


def deleted_properties(stream: str) -> Iterator[str]:
    yield f"- name: kombo__deleted_{stream}"
    yield f"  description: IDs and times of the rows of {stream} that are not current."
    yield from key_test(stream)
    yield "  columns:"
    for name in key_columns(MODEL[stream]):
        yield f"  - name: {name}"
        if tests := [*key_tests(stream, name)]:
            yield "    data_tests:"
            yield from (f"    {line}" for line in tests)
    if has_mark(stream):
        text = "When Kombo marked the record as deleted; null if it disappeared without a mark."
        yield from column("deleted_at", text, [], "  ")
    yield from column("last_extracted_at", "When the record was last extracted.", [], "  ")


def key_test(stream: str) -> Iterator[str]:
    """Yield the test of a primary key, if it has several columns."""
    key = MODEL[stream].key
    if len(key) > 1:
        yield "  data_tests:"
        yield "  - kombo_unique_key:"
        yield f"      arguments: {{columns: [{', '.join(key)}]}}"


def key_tests(stream: str, name: str) -> Iterator[str]:
    """Yield the tests of a column, if it is in the primary key."""
    if name in MODEL[stream].key:
        if MODEL[stream].key == (name,):
            yield "- unique"
        yield "- kombo_not_null"


def relationship(stream: str, name: str) -> list[str]:
    return [
        "- kombo_relationship:",
        f"    arguments: {{stream: {stream}, field: {name}}}",
        "    config: {severity: warn}",
    ]


def accepted_values(values: Sequence[str]) -> list[str]:
    return [
        "- accepted_values:",
        f"    arguments: {{values: [{', '.join(values)}]}}",
        "    config: {severity: warn}",
    ]


def accepted_range(low: int | None, high: int | None) -> list[str]:
    limits = {"min_value": low, "max_value": high}
    arguments = ", ".join(f"{name}: {n}" for name, n in limits.items() if n is not None)
    return [
        "- kombo_accepted_range:",
        f"    arguments: {{{arguments}}}",
        "    config: {severity: warn}",
    ]
