"""Write the files and sections that are generated from the code.

`catalog.json`, `meltanohub` and `docs/streams` are generated completely; `meltano.yml`,
`airbyte/metadata.yaml`, `README.md` and other pages of `docs` have generated sections.
`make generate` writes them. With `--check`, nothing is written and stale files are listed.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from singer_sdk.helpers.capabilities import FLATTENING_CONFIG, STREAM_MAPS_CONFIG

from loaders.faults import FAULTS
from loaders.table import LOADERS, RESULTS, TRANSLATORS, Loader, Translator
from scripts.generate_dbt import dbt_files
from scripts.generate_docs import code, common_columns_table, pages, streams_table, table
from scripts.release_notes import CHANGELOG, current_version
from scripts.repository import HOME, PROJECT, ROOT
from tap_kombo import errors, masking
from tap_kombo.errors import Action, Rule
from tap_kombo.settings import SCHEMA
from tap_kombo.tap import TapKombo

KINDS = {"integer": "integer", "boolean": "boolean", "array": "array", "object": "object"}
"""JSON type -> Meltano's kind of setting; all others are strings"""

REACTIONS = {
    Action.RETRY: "Retries for up to `max_wait_seconds`, then fails {scope}.",
    Action.WAIT: "Waits for the rate limit for up to `max_wait_seconds`, then fails {scope}.",
    Action.RESTART: "Reads from the bookmark if a cursor was rejected. Otherwise fails {scope}.",
    Action.SKIP: "Skips {scope}.",
    Action.FAIL: "Fails {scope}.",
}

OTHER_FAILURES = {
    "No connection, or no complete response in time": errors.NO_CONNECTION,
    "Truncated or invalid response": errors.INVALID_RESPONSE,
    "Details of another integration": errors.OTHER_INTEGRATION,
    "Response larger than 256 MiB": errors.TOO_LARGE,
    "Untrusted TLS certificate": errors.UNTRUSTED,
    "Invalid URL of Kombo or of the proxy": errors.INVALID_URL,
    "Response without a valid `Date` header": errors.NO_CLOCK,
    "A cursor that repeats": errors.ENDLESS_CURSOR,
    "A model that the integration does not support": errors.UNAVAILABLE,
    "A record without a valid key": errors.INVALID_RECORD,
    "A stream map that raises an exception": errors.FAILED_MAP,
    "An unexpected exception": errors.INTERNAL,
}
"""Failures that have no code and no HTTP status"""


class Section(NamedTuple):
    """A generated part of a file, between two lines that are not generated.

    Attributes:
        path: The file, relative to the project.
        begin: The line before the section.
        end: The line after it.
        build: Builds the section.
    """

    path: str
    begin: str
    end: str
    build: Callable[[], str]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only list stale files")
    is_check = parser.parse_args().check
    stale = {
        path: text for path, text in generated() if not path.exists() or path.read_text() != text
    }
    for path, text in stale.items():
        print(f"{'Stale' if is_check else 'Written'}: {path.relative_to(ROOT)}")
        if not is_check:
            path.write_text(text)
    return bool(stale and is_check)


def generated() -> Iterator[tuple[Path, str]]:
    """Yield each file that is generated or has generated sections, and its text."""
    yield ROOT / "catalog.json", TapKombo(config={}, validate_config=False).catalog_json_text + "\n"
    yield ROOT / "meltanohub/tap-kombo.yml", definition_file(tap_definition())
    yield ROOT / "meltanohub/target-postgres.yml", definition_file(target_definition())
    yield from pages()
    yield from dbt_files()
    for path in dict.fromkeys(section.path for section in SECTIONS):
        text = (ROOT / path).read_text()
        for section in SECTIONS:
            if section.path == path:
                text = replace_section(text, section)
        yield ROOT / path, text


def replace_section(text: str, section: Section) -> str:
    """Replace one section of a file's text.

    Raises:
        SystemExit: The file does not have the lines around the section.
    """
    before, found_begin, rest = text.partition(section.begin)
    _, found_end, after = rest.partition(section.end)
    if not (found_begin and found_end):
        sys.exit(f"{section.path} lacks {section.begin.strip()!r} or {section.end.strip()!r}")
    return f"{before}{section.begin}{section.build()}{section.end}{after}"


def all_settings() -> dict[str, dict[str, Any]]:
    """Return the JSON schemas of the tap's settings and the SDK's, by name."""
    sources = (SCHEMA, STREAM_MAPS_CONFIG, FLATTENING_CONFIG)
    return {name: schema for source in sources for name, schema in source["properties"].items()}


def json_type(schema: Mapping[str, Any]) -> str:
    types = schema["type"]
    found: str = types if isinstance(types, str) else next(t for t in types if t != "null")
    return found


def meltano_kind(schema: Mapping[str, Any]) -> str:
    if schema.get("format") == "date-time":
        return "date_iso8601"
    return KINDS.get(json_type(schema), "string")


def definition_file(definition: Mapping[str, Any]) -> str:
    """Build a file for `meltano add --from-ref`, with the keys in MeltanoHub's order."""
    content = msgspec.yaml.encode(definition, order="sorted").decode()
    return f"# Written by `make generate`.\n{content}"


def tap_definition() -> dict[str, Any]:
    """Return the definition of the tap, as in MeltanoHub."""
    return {
        "name": "tap-kombo",
        "namespace": "tap_kombo",
        "variant": "tap-kombo",
        "label": "Kombo",
        "description": PROJECT["description"],
        "domain_url": "https://www.kombo.dev",
        "docs": f"{HOME}#readme",
        "repo": HOME,
        "pip_url": "tap-kombo",
        "executable": "tap-kombo",
        "supported_python_versions": TapKombo.get_supported_python_versions(),
        "capabilities": [capability.value for capability in TapKombo.capabilities],
        "log_parser": "singer-sdk",
        "maintenance_status": "beta",
        "quality": "unknown",  # MeltanoHub's maintainers rate it
        "keywords": ["api", "meltano_sdk"],
        "settings_group_validation": [SCHEMA["required"]],
        "settings": [meltano_setting(name, schema) for name, schema in all_settings().items()],
    }


def target_definition() -> dict[str, Any]:
    """Return the definition of target-postgres in `meltano.yml`, for other projects."""
    project = msgspec.yaml.decode((ROOT / "meltano.yml").read_bytes())
    [loader] = [p for p in project["plugins"]["loaders"] if p["name"] == "target-postgres"]
    defaults = loader.pop("config")
    loader["settings"] = [
        setting | ({"value": defaults[setting["name"]]} if setting["name"] in defaults else {})
        for setting in loader["settings"]
    ]
    return {**loader, "pip_url": loader["pip_url"].removesuffix(" -c constraints.txt")}


def meltano_settings() -> str:
    """Build the settings in `meltano.yml`."""
    settings = [meltano_setting(name, schema) for name, schema in all_settings().items()]
    return textwrap.indent(msgspec.yaml.encode(settings).decode(), "    ")


def meltano_setting(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    setting: dict[str, Any] = {"name": name, "kind": meltano_kind(schema)}
    if options := schema.get("enum"):
        setting["kind"] = "options"
        setting["options"] = [{"label": option, "value": option} for option in options if option]
    if schema.get("writeOnly"):
        setting["sensitive"] = True
    setting["label"] = schema.get("title", name)
    if "description" in schema:
        setting["description"] = " ".join(schema["description"].split())
    return setting


def version() -> str:
    return current_version(CHANGELOG.read_text())


def settings_table() -> str:
    rows = [
        (f"`{name}`", setting_type(schema), setting_default(name, schema), schema["description"])
        for name, schema in SCHEMA["properties"].items()
    ]
    return table(("Setting", "Type", "Default", "Meaning"), rows)


def setting_type(schema: Mapping[str, Any]) -> str:
    if schema.get("enum"):
        return ", ".join(f"`{option}`" for option in schema["enum"] if option)
    if "minimum" in schema and "maximum" in schema:
        return f"`{schema['minimum']}..{schema['maximum']}`"
    if schema.get("format"):
        return str(schema["format"])
    return "array of strings" if json_type(schema) == "array" else json_type(schema)


def setting_default(name: str, schema: Mapping[str, Any]) -> str:
    if name in SCHEMA["required"]:
        return "required"
    if "default" in schema:
        return f"`{json.dumps(schema['default']).strip(chr(34))}`"
    return "by `region`" if name == "api_url" else "none"


def codes_table() -> str:
    rows = {f"`{code}`": rule for code, rule in errors.CODES.items()}
    return failures_table("Code", rows | {"any other code": errors.UNKNOWN_CODE})


def statuses_table() -> str:
    rows = {str(status): rule for status, rule in errors.STATUSES.items()}
    rows |= {f"{digit}xx": rule for digit, rule in errors.STATUS_CLASSES.items()}
    return failures_table("HTTP status", rows | {"any other": errors.UNKNOWN_STATUS})


def other_failures_table() -> str:
    return failures_table("Failure", OTHER_FAILURES)


def failures_table(header: str, rules: Mapping[str, Rule]) -> str:
    rows = [
        (
            failure,
            REACTIONS[rule.action].format(scope=rule.scope.value),
            "" if rule.action is Action.SKIP else rule.failure_type.name.lower(),
            rule.advice,
        )
        for failure, rule in rules.items()
    ]
    return table((header, "The tap", "Type", "Advice"), rows)


def classes_table() -> str:
    rows = [
        (f"`{name}`", c.description, code(c.hashed) or "none", code(c.nulled) or "none")
        for name, c in masking.CLASSES.items()
    ]
    return table(("Class", "Content", "Hashed", "Null"), rows)


def loaders_table() -> str:
    rows = [
        (
            loader.name,
            loader.version,
            RESULTS[loader.result],
            loader.nested or "—",
            loader_faults(loader) or "none",
        )
        for loader in LOADERS
    ]
    return table(("Loader", "Version", "Result", "Nested values", "Known faults"), rows)


def loader_faults(loader: Loader) -> str:
    sentences = [FAULTS[name].sentence for name in loader.faults]
    sentences += [f"An {value} stops the load." for value in loader.stops_at]
    return " ".join(filter(None, [*sentences, unflattened(loader), loader.note]))


def unflattened(loader: Loader | Translator) -> str:
    return loader.unflattened and f"Without flattening, {loader.unflattened}."


def loader_settings_table() -> str:
    loaders: list[Loader | Translator] = [*LOADERS, *TRANSLATORS]
    rows = [
        (
            row.name,
            ", ".join(f"`{name}: {json.dumps(value)}`" for name, value in row.settings.items()),
            "yes" if row.flattened else "no",
        )
        for row in loaders
        if row.settings
    ]
    return table(("Loader", "Settings", "Flattened"), rows)


def warehouses_table() -> str:
    rows = [
        (kind, *(translator.types[kind] for translator in TRANSLATORS))
        for kind in TRANSLATORS[0].types
    ]
    rows.append(("Known faults", *(warehouse_faults(one) or "none" for one in TRANSLATORS)))
    return table(("Column", *(f"{one.name} {one.version}" for one in TRANSLATORS)), rows)


def warehouse_faults(translator: Translator) -> str:
    return " ".join(filter(None, [unflattened(translator), translator.note]))


def marked(path: str, name: str, build: Callable[[], str]) -> Section:
    """Describe a section between two comments."""
    comment = "    # {}\n" if path.endswith(".yml") else "<!-- {} -->\n"
    begin = comment.format(f"{name}: written by `make generate`")
    return Section(path, begin, comment.format(f"end of {name}"), build)


SECTIONS = (
    marked("meltano.yml", "settings", meltano_settings),
    marked("README.md", "settings", settings_table),
    Section("airbyte/metadata.yaml", "dockerImageTag: ", "\n", version),
    Section("dbt/dbt_project.yml", "\nversion: ", "\n", version),
    marked("docs/streams.md", "streams", streams_table),
    marked("docs/streams.md", "common columns", common_columns_table),
    marked("docs/privacy.md", "classes", classes_table),
    marked("docs/loaders.md", "loaders", loaders_table),
    marked("docs/loaders.md", "loader settings", loader_settings_table),
    marked("docs/loaders.md", "warehouses", warehouses_table),
    marked("docs/errors.md", "codes", codes_table),
    marked("docs/errors.md", "statuses", statuses_table),
    marked("docs/errors.md", "other failures", other_failures_table),
)

if __name__ == "__main__":
    sys.exit(main())
