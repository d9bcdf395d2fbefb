"""The container images: the steps of the Dockerfiles, run in folders of this machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness import PROJECT

ENVIRONMENT = "/opt/kombo"
TAP, SOURCE = "Dockerfile", "airbyte/Dockerfile"
USERS = {TAP: "kombo", SOURCE: "airbyte"}


def steps(dockerfile: str) -> list[tuple[str, str]]:
    """Return the instructions of a Dockerfile with their arguments."""
    return re.findall(r"(?m)^([A-Z]+) (.+)$", (PROJECT / dockerfile).read_text())


def arguments(dockerfile: str, instruction: str) -> list[str]:
    return [text for name, text in steps(dockerfile) if name == instruction]


def installation(dockerfile: str) -> list[tuple[str, str]]:
    return [step for step in steps(dockerfile)[2:] if step[0] in {"COPY", "RUN"}]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The environment that the images install.

    Each step runs as written, except for the path of the environment, in a folder that contains
    only the files that the image copies.
    """
    folder = tmp_path_factory.mktemp("image")
    build, environment, tools = folder / "build", folder / "kombo", folder / "tools"
    build.mkdir()
    env = {
        "PATH": f"{tools / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_TARGET": str(tools),  # pip's own packages stay as they are
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_PYTHON": sys.executable,
    }
    for name, text in installation(TAP):
        if name == "COPY":
            *sources, target = shlex.split(text)
            for source in sources:
                copy(PROJECT / source, build / target / ("" if len(sources) == 1 else source))
        else:
            # With the cache, the next run of the tests is faster.
            command = text.replace(ENVIRONMENT, str(environment)).replace("--no-cache ", "")
            shell(command, build, env)
    return environment


def test_both_images_have_the_same_installation() -> None:
    assert installation(SOURCE) == installation(TAP)


def test_image_has_the_tap_and_the_source_without_development_packages(environment: Path) -> None:
    commands = {path.name for path in (environment / "bin").iterdir()}

    assert {"tap-kombo", "source-kombo"} <= commands
    assert not commands & {"kombo-sandbox", "meltano", "pytest", "uv", "pip"}


def test_image_of_the_tap_starts_the_tap(environment: Path) -> None:
    assert start(TAP, environment, "--discover") == (PROJECT / "catalog.json").read_text()


def test_image_of_airbyte_starts_the_source(environment: Path) -> None:
    [entry_point] = arguments(SOURCE, "ENTRYPOINT")

    spec = json.loads(start(SOURCE, environment, "spec"))

    assert spec["type"] == "SPEC"
    command = " ".join(json.loads(entry_point))
    assert arguments(SOURCE, "ENV") == [f"AIRBYTE_ENTRYPOINT={command}"]


@pytest.mark.parametrize("dockerfile", [TAP, SOURCE])
def test_image_is_slim_and_its_user_is_not_root(dockerfile: str) -> None:
    [image] = arguments(dockerfile, "FROM")
    user = USERS[dockerfile]

    assert image.endswith("-slim")
    assert steps(dockerfile)[1] == ("RUN", f"useradd --create-home --uid 1000 {user}")
    assert arguments(dockerfile, "USER") == [user]


def start(dockerfile: str, environment: Path, *args: str) -> str:
    """Start the entry point of an image, and return its output."""
    [entry_point] = arguments(dockerfile, "ENTRYPOINT")
    command = [part.replace(ENVIRONMENT, str(environment)) for part in json.loads(entry_point)]
    return shell(shlex.join([*command, *args]), environment, {})


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def shell(command: str, folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
