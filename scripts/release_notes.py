"""Print the release notes of a version: its section of the changelog."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\] - (?P<date>.+)$", re.MULTILINE)


def current_version(changelog: str) -> str:
    """Return the version of the first heading, which is that of all distributions."""
    [version, *_] = [heading["version"] for heading in HEADING.finditer(changelog)]
    return version


def release_notes(changelog: str, tag: str) -> str:
    """Return the changelog's first section, which a tag releases.

    Args:
        changelog: The text of the changelog.
        tag: The tag of the release, such as `v0.1.0`.

    Raises:
        ValueError: The tag is not that of the first version, or the version has no date.
    """
    [first, *others] = HEADING.finditer(changelog)
    if tag != f"v{first['version']}":
        raise ValueError(f"{tag}: the first version in CHANGELOG.md is {first['version']}")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", first["date"]):
        raise ValueError(f"{tag}: write the date of the release into CHANGELOG.md")
    end = others[0].start() if others else len(changelog)
    return changelog[first.end() : end].strip() + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", help="the tag of the release, such as v0.1.0")
    try:
        print(release_notes(CHANGELOG.read_text(), parser.parse_args().tag), end="")
    except ValueError as error:
        sys.exit(f"{error}.")


if __name__ == "__main__":
    main()
