"""Files that GitHub, pre-commit and Meltano read are valid."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from harness import PROJECT
from scripts.repository import HOME

BIN = Path(sys.executable).parent

MELTANOHUB_ONLY = {
    "domain_url",
    "keywords",
    "maintenance_status",
    "quality",
    "supported_python_versions",
}
"""Keys of MeltanoHub's definitions that projects do not have"""


def read(path: str) -> Any:
    return msgspec.yaml.decode((PROJECT / path).read_bytes())


def test_workflows_are_safe_and_pin_their_actions() -> None:
    run("zizmor", "--offline", "--no-progress", "--strict-collection", ".github")


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("dependabot", ".github/dependabot.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[bf]*.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
    ],
)
def test_github_file_is_valid(schema: str, pattern: str) -> None:
    paths = sorted(map(str, PROJECT.glob(pattern)))

    run("check-jsonschema", "--builtin-schema", f"vendor.{schema}", *paths)


def test_every_url_of_the_repository_is_that_of_the_project() -> None:
    url = re.compile(r"https://(?:raw\.githubusercontent|github)\.com/[\w-]+/tap-kombo\b")
    patterns = ("*.md", "*.toml", "*.yml", "packages/*/*.*", "meltanohub/*.yml", ".github/**/*.*")
    paths = [path for pattern in patterns for path in PROJECT.glob(pattern)]

    found = {match for path in paths for match in url.findall(path.read_text())}

    assert found == {HOME, HOME.replace("github.com", "raw.githubusercontent.com")}


def test_release_publishes_every_distribution_and_image() -> None:
    jobs = read(".github/workflows/release.yml")["jobs"]
    projects = [PROJECT / "pyproject.toml", *PROJECT.glob("packages/*/pyproject.toml")]
    names = {tomllib.loads(path.read_text())["project"]["name"] for path in projects}

    published = jobs["publish"]["strategy"]["matrix"]["distribution"]
    assert sorted(published) == sorted(name.replace("-", "_") for name in names)
    images = {image["file"] for image in jobs["images"]["strategy"]["matrix"]["include"]}
    assert images == {"Dockerfile", "airbyte/Dockerfile"}


def test_every_hook_of_pre_commit_has_its_command() -> None:
    [local] = read(".pre-commit-config.yaml")["repos"]

    run("pre-commit", "validate-config", ".pre-commit-config.yaml")
    commands = [shlex.split(hook["entry"]) for hook in local["hooks"]]
    names = {part for command in commands for part in command if "/" in part}
    assert names
    assert [name for name in names if not (PROJECT / name).exists()] == []


def test_definition_of_the_tap_is_valid_for_meltano() -> None:
    tap = read("meltanohub/tap-kombo.yml")
    schema = json.loads(files("meltano.schemas").joinpath("meltano.schema.json").read_text())

    own = {name: value for name, value in tap.items() if name not in MELTANOHUB_ONLY}

    assert tap.keys() >= MELTANOHUB_ONLY
    jsonschema.validate({"plugins": {"extractors": [own]}}, schema)


def run(command: str, *arguments: str) -> None:
    done = subprocess.run(
        [BIN / command, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
