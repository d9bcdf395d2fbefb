"""Write what is told in several places from the one place where it is so.

`catalog.json`, the settings in `meltano.yml` and the tables in `README.md` repeat what the tap
says of itself. `make generate` writes them; with `--check`, nothing is written, and what is stale
is named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from singer_sdk.helpers.capabilities import FLATTENING_CONFIG, STREAM_MAPS_CONFIG

from benchmarks.places import RESULTS
from benchmarks.ratios import ratios
from benchmarks.results import load
from tap_kombo.answers import FAMILIES
from tap_kombo.settings import SETTINGS
from tap_kombo.streams import MODELS, ChangedSinceStream
from tap_kombo.tap import TapKombo

ROOT = Path(__file__).parents[1]

CLAIMS = {
    "cpu: naive SDK tap": "CPU of a plainly written Singer SDK tap",
    "cpu: Airbyte CDK": "CPU of Airbyte's declarative CDK",
    "cpu: dlt, extract only": "CPU of dlt's `rest_api`, before it normalizes and loads",
    "cpu: official client": "CPU of Kombo's own client, which writes nothing",
    "wait, streams: naive SDK tap": "Time of the plain SDK tap, where each request takes 0.1 s",
    "wait, streams: Airbyte CDK": "Time of Airbyte's, with as many requests at a time",
    "wait, streams: dlt, extract only": "Time of dlt's, with as many requests at a time",
    "pipeline: loader settings": (
        "Time of `meltano run` into PostgreSQL with the loader's own settings, instead of those "
        "of `meltano.yml`"
    ),
}
"""Ratio in `benchmarks/RESULTS.md` -> what README says of it."""

KINDS = {"integer": "integer", "boolean": "boolean", "array": "array", "object": "object"}
"""JSON type -> Meltano's kind of setting; a string where there is none."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only tell what is stale")
    is_check = parser.parse_args().check
    stale = [path for path, text in generated() if path.read_text() != text]
    for path in stale:
        print(f"{'Stale' if is_check else 'Written'}: {path.relative_to(ROOT)}")
    if is_check:
        return bool(stale)
    for path, text in generated():
        path.write_text(text)
    return 0


def generated() -> Iterator[tuple[Path, str]]:
    """Generate all files: where each is, and its whole text."""
    yield ROOT / "catalog.json", TapKombo(config={}, validate_config=False).catalog_json_text + "\n"
    yield (
        ROOT / "meltano.yml",
        with_block(ROOT / "meltano.yml", "    # {}\n", "settings", meltano_settings()),
    )
    readme = with_block(ROOT / "README.md", "<!-- {} -->\n", "settings", settings_table())
    readme = with_block(readme, "<!-- {} -->\n", "streams", streams_table())
    yield (ROOT / "README.md", with_block(readme, "<!-- {} -->\n", "claims", claims_table()))


def with_block(source: Path | str, comment: str, name: str, block: str) -> str:
    """Put a block between the two comments that mark its place.

    Raises:
        SystemExit: They are not there.
    """
    text = source.read_text() if isinstance(source, Path) else source
    begin = comment.format(f"{name}: written by `make generate`")
    end = comment.format(f"end of {name}")
    before, found_begin, rest = text.partition(begin)
    _, found_end, after = rest.partition(end)
    if not (found_begin and found_end):
        sys.exit(f"There is no place for the {name}: {begin.strip()} ... {end.strip()}")
    return f"{before}{begin}{block}{end}{after}"


def claims_table() -> str:
    found = {name: ratio for name, _, ratio in ratios(load(RESULTS))}
    rows = [(claim, f"{found[name]:.1f}") for name, claim in CLAIMS.items()]
    return table(("Compared with this project", "Times as much"), rows)


def json_type(schema: dict[str, Any]) -> str:
    types = schema["type"]
    found: str = types if isinstance(types, str) else next(t for t in types if t != "null")
    return found


def all_settings() -> dict[str, dict[str, Any]]:
    """Find the tap's own settings, then the SDK's: name -> JSON schema."""
    sources = (SETTINGS.to_dict(), STREAM_MAPS_CONFIG, FLATTENING_CONFIG)
    return {name: schema for source in sources for name, schema in source["properties"].items()}


def meltano_settings() -> str:
    return "".join(meltano_setting(name, schema) for name, schema in all_settings().items())


def meltano_setting(name: str, schema: dict[str, Any]) -> str:
    options = schema.get("enum")
    kind = "options" if options else KINDS.get(json_type(schema), "string")
    if schema.get("format") == "date-time":
        kind = "date_iso8601"
    lines = [f"- name: {name}", f"  kind: {kind}"]
    if options:
        lines += ["  options:"]
        lines += [f"  - {{label: {option}, value: {option}}}" for option in options if option]
    if schema.get("writeOnly"):
        lines += ["  sensitive: true"]
    lines += [f"  label: {schema.get('title', name)}"]
    if "description" in schema:
        lines += [f"  description: {json.dumps(' '.join(schema['description'].split()))}"]
    return "".join(f"    {line}\n" for line in lines)


def settings_table() -> str:
    rows = [
        (f"`{name}`", setting_type(schema), setting_default(name, schema), schema["description"])
        for name, schema in SETTINGS.to_dict()["properties"].items()
    ]
    return table(("Setting", "Type", "Default", "Meaning"), rows)


def setting_type(schema: dict[str, Any]) -> str:
    if schema.get("enum"):
        return ", ".join(f"`{option}`" for option in schema["enum"] if option)
    if schema.get("format"):
        return str(schema["format"])
    return "array of strings" if json_type(schema) == "array" else json_type(schema)


def setting_default(name: str, schema: dict[str, Any]) -> str:
    if name in SETTINGS.to_dict()["required"]:
        return "required"
    if "default" in schema:
        return f"`{json.dumps(schema['default']).strip(chr(34))}`"
    return "by `region`" if name == "api_url" else "none"


def streams_table() -> str:
    rows = [
        (
            f"`{model.name}`",
            f"`{model.path}`",
            category(model.name),
            ", ".join(f"`{name}`" for name in model.key),
            "incremental" if issubclass(model.behaviour, ChangedSinceStream) else "full table",
        )
        for model in MODELS
    ]
    return table(("Stream", "Endpoint", "Category", "Key", "Replication"), rows)


def category(stream: str) -> str:
    family = stream.partition("_")[0]
    return family.upper() if family in FAMILIES else "any"


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
