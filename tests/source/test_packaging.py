"""The files with which the source becomes a connector of Airbyte."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import msgspec

from harness import PROJECT
from tap_kombo.settings import API_URLS

FOLDER = PROJECT / "airbyte"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
COMMAND = "/usr/local/bin/source-kombo"


def metadata() -> dict[str, Any]:
    content: dict[str, Any] = msgspec.yaml.decode((FOLDER / "metadata.yaml").read_bytes())["data"]
    return content


def test_entry_point_is_the_command_in_exec_form() -> None:
    [entry_point] = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)

    assert json.loads(entry_point) == [COMMAND]
    assert f"\nENV AIRBYTE_ENTRYPOINT={COMMAND}\n" in DOCKERFILE


def test_image_copies_everything_that_the_build_needs() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    lines = re.findall(r"^COPY (.*)$", DOCKERFILE, re.MULTILINE)
    copied = {name for line in lines for name in line.split()}

    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = {project["project"]["readme"], *project["project"]["license-files"]}
    assert copied >= {*packages, *files, "pyproject.toml", "constraints.txt"}


def test_all_files_have_the_version_of_the_package() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]

    assert metadata()["dockerImageTag"] == version
    assert f"io.airbyte.version={version}\n" in DOCKERFILE
    assert f"--tag source-kombo:{version} ." in DOCKERFILE
    assert f"source-kombo:{version}" in (PROJECT / "docs/airbyte.md").read_text()


def test_source_may_connect_to_kombo_in_all_regions() -> None:
    hosts = {url.split("/")[2] for url in API_URLS.values()}

    assert set(metadata()["allowedHosts"]["hosts"]) == hosts


def test_icon_is_an_image() -> None:
    assert (FOLDER / metadata()["icon"]).read_text().startswith("<svg ")
