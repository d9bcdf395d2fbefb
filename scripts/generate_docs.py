"""Build the pages in `docs/streams`: the streams of each category, their columns and joins."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tap_kombo.settings import known_filters
from tap_kombo.streams import ALL_MODELS, IncrementalStream, Model

ROOT = Path(__file__).parents[1]
TABLES = tomllib.loads((ROOT / "scripts/descriptions.toml").read_text("utf-8"))
STREAMS: dict[str, str] = TABLES["streams"]
COMMON_COLUMNS: dict[str, str] = TABLES["columns"]["*"]

MODEL = {model.name: model for model in ALL_MODELS}
SCHEMAS: dict[str, dict[str, Any]] = {
    name: json.loads((ROOT / f"tap_kombo/schemas/{name}.json").read_text("utf-8")) for name in MODEL
}


class Page(NamedTuple):
    """A page in `docs/streams`.

    Attributes:
        name: The name of the file.
        title: The title.
        prefix: The start of the names of the streams that Kombo has in this category.
        introduction: The first sentences.
    """

    name: str
    title: str
    prefix: str
    introduction: str


PAGES = (
    Page("ats", "ATS", "ats_", "Applicant tracking systems: jobs, candidates and applications."),
    Page("hris", "HRIS", "hris_", "HR systems: employees, absences, groups and pay."),
    Page("lms", "LMS", "lms_", "Learning management systems: courses and their learners."),
    Page(
        "assessment",
        "Assessment",
        "assessment_",
        "Assessments and background checks that an ATS orders.",
    ),
    Page(
        "integrations",
        "Integrations",
        "",
        "The integrations themselves, whatever their category.",
    ),
)

OTHER_NAMES = {
    "author": "ats_users.id",
    "contact": "ats_users.id",
    "hiring_team": "ats_users.id",
    "stage": "ats_application_stages.id",
    "stages": "ats_application_stages.id",
    "current_stage": "ats_application_stages.id",
    "approver": "hris_employees.id",
    "manager": "hris_employees.id",
    "reviewee": "hris_employees.id",
    "reviewer": "hris_employees.id",
    "review_cycle": "hris_performance_review_cycles.id",
    "teams": "hris_groups.id",
    "type": "hris_absence_types.id",
    "work_location": "hris_locations.id",
    "course_revision": "lms_courses.revisions[].id",
}
"""Name of a reference that differs from the stream's -> the column it refers to"""

OTHER_JOINS = {
    ("custom_fields", "model"): "integration_models.id",
    ("integration_fields", "model"): "integration_models.id",
}
"""Stream and column -> the column it refers to, if the name does not show it"""


class Join(NamedTuple):
    """A column that refers to a column of another stream.

    Attributes:
        path: The steps to the column: `job_id`, `job` and `id`, `tags[]` and `id`.
        stream: The stream that it refers to.
        column: That stream's column.
    """

    path: tuple[str, ...]
    stream: str
    column: str


def pages() -> Iterator[tuple[Path, str]]:
    """Yield each page and its text."""
    for page in PAGES:
        yield ROOT / f"docs/streams/{page.name}.md", page_text(page)


def page_of(stream: str) -> Page:
    return next(page for page in PAGES if stream.startswith(page.prefix))


PAGE = """\
# {title}

<!-- Written by `make generate` from tap_kombo/schemas and scripts/descriptions.toml. -->

{introduction}
The [common columns](../streams.md#common-columns) are described once for all streams.

```mermaid
erDiagram
{diagram}
```

Each line is labeled with a column, and leads from the stream that has the column to the stream that
the column refers to.
{streams}
"""


def page_text(page: Page) -> str:
    streams = [name for name in MODEL if page_of(name) is page]
    return PAGE.format(
        title=page.title,
        introduction=page.introduction,
        diagram="\n".join(diagram(streams)),
        streams="\n".join(stream_text(MODEL[name]) for name in streams),
    )


def stream_text(model: Model) -> str:
    columns: dict[str, dict[str, Any]] = SCHEMAS[model.name]["properties"]
    described = TABLES["columns"].get(model.name, {})
    common = [name for name in columns if name in COMMON_COLUMNS and name not in described]
    facts = {
        "Endpoint": code([model.path] if model.path else []),
        "Primary key": code(model.key),
        "Replication": replication(model),
        "Filters": code(known_filters().get(model.name, ())),
        "Joins": joins_text(model.name),
        "Common columns": code(common),
    }
    rows = [
        (f"`{name}`", type_name(column), meaning(column))
        for name, column in columns.items()
        if name not in common
    ]
    return "\n".join(
        [
            f"\n## `{model.name}`\n",
            f"{STREAMS[model.name]}\n",
            *(f"- **{name}**: {text}" for name, text in facts.items() if text),
            "",
            table(("Column", "Type", "Meaning"), rows),
        ]
    ).removesuffix("\n")


def replication(model: Model) -> str:
    return "incremental" if issubclass(model.stream_class, IncrementalStream) else "full table"


def type_name(schema: Mapping[str, Any]) -> str:
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    types = [name for name in types if name != "null"]
    if len(types) > 2:  # noqa: PLR2004  # no column has three types; any JSON has six
        return "any JSON"
    if types == ["array"]:
        return f"array of {type_name(schema['items'])}s".replace("any JSONs", "any JSON")
    return str(schema.get("format") or " or ".join(types))


def meaning(schema: Mapping[str, Any]) -> str:
    fields = code(schema.get("items", schema).get("properties", ()))
    return " ".join(filter(None, (schema.get("description"), fields and f"Fields: {fields}.")))


def joins_text(stream: str) -> str:
    """List the joins of a stream by the column that they refer to."""
    targets: dict[tuple[str, str], list[str]] = {}
    for join in joins(stream):
        targets.setdefault((join.stream, join.column), []).append(".".join(join.path))
    return "; ".join(
        f"{code(columns)} → {link(target, page_of(stream))}`.{column}`{key_note(target)}"
        for (target, column), columns in targets.items()
    )


def key_note(stream: str) -> str:
    is_shared = "integration_id" in MODEL[stream].key
    return ", with equal `integration_id`" if is_shared else ""


def link(stream: str, from_page: Page | None = None) -> str:
    """Link to a stream, from a page of streams or from `docs/streams.md`."""
    page = page_of(stream)
    folder = "" if from_page else "streams/"
    file = "" if page is from_page else f"{folder}{page.name}.md"
    return f"[`{stream}`]({file}#{stream})"


def joins(stream: str) -> Iterator[Join]:
    """Yield the joins of a stream.

    A column `job_id`, and the `id` of a nested `job` or of each of `jobs`, refers to the stream of
    that name in the same category.
    """
    for path in paths(SCHEMAS[stream]):
        name = reference(path)
        target = name and (OTHER_NAMES.get(name) or own_category(stream, name))
        target = target or OTHER_JOINS.get((stream, ".".join(path)))
        if target:
            other, _, column = target.partition(".")
            yield Join(path, other, column)


def paths(schema: Mapping[str, Any], parents: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, child in schema.get("properties", {}).items():
        yield (*parents, name)
        yield from paths(child, (*parents, name))
        yield from paths(child.get("items", {}), (*parents, f"{name}[]"))


def reference(path: tuple[str, ...]) -> str | None:
    """Return the name that a path refers to: `job` for `job_id` and for `job.id`."""
    *parents, last = path
    if last == "id" and parents:
        return parents[-1].removesuffix("[]")
    return last.removesuffix("_id") if last.endswith("_id") else None


def own_category(stream: str, name: str) -> str | None:
    """Return the key of the stream of that name, singular or plural."""
    if name == "parent":
        return f"{stream}.id"
    prefix = page_of(stream).prefix
    for ending in (name, f"{name}s", f"{name[:-1]}ies"):
        other = f"{prefix}{ending}"
        if other in MODEL and other != stream:
            return f"{other}.id"
    return None


def diagram(streams: Sequence[str]) -> Iterator[str]:
    """Yield the lines of an entity diagram of all streams of a category.

    A nested copy is omitted if a column has the same reference, and so is a list if a column of the
    other stream implies it.
    """
    direct = {stream: list(direct_joins(stream)) for stream in streams}
    for stream in streams:
        yield f"    {stream}"
        edges: dict[tuple[str, str], list[str]] = {}
        for join in direct[stream]:
            column = join.path[0].removesuffix("[]")
            is_copy = f"{column}_id" in SCHEMAS[stream]["properties"]
            is_implied = is_many(join) and any(
                other.stream == stream and not is_many(other) for other in direct[join.stream]
            )
            columns = edges.setdefault((join.stream, "}o--o{" if is_many(join) else "}o--o|"), [])
            if not (is_copy or is_implied or column in columns):
                columns.append(column)
        for (target, line), columns in edges.items():
            if columns:
                yield f'    {stream} {line} {target} : "{", ".join(columns)}"'


def direct_joins(stream: str) -> Iterator[Join]:
    """Yield the joins that do not lead through a nested copy of a third stream."""
    found = list(joins(stream))
    copies = {reference(join.path) for join in found}
    for join in found:
        steps = join.path[:-2] if join.path[-1] == "id" else join.path[:-1]
        if copies.isdisjoint(step.removesuffix("[]") for step in steps):
            yield join


def is_many(join: Join) -> bool:
    return any(step.endswith("[]") for step in join.path)


def streams_table() -> str:
    """List all streams, for `docs/streams.md`."""
    rows = [
        (link(model.name), STREAMS[model.name], replication(model), code(model.key))
        for model in ALL_MODELS
    ]
    return table(("Stream", "Records", "Replication", "Primary key"), rows)


def common_columns_table() -> str:
    """Describe the columns that many streams have, for `docs/streams.md`."""
    schemas = [schema["properties"] for schema in SCHEMAS.values()]
    rows = []
    for name, description in COMMON_COLUMNS.items():
        found = [columns[name] for columns in schemas if name in columns]
        number = "all" if len(found) == len(schemas) else str(len(found))
        rows.append((f"`{name}`", type_name(found[0]), number, description))
    return table(("Column", "Type", "Streams", "Meaning"), rows)


def code(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
