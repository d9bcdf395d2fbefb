"""The container images: the steps of the Dockerfile, run in folders of this machine."""

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

Step = tuple[str, str]
PREFIX = "/opt/kombo"


def stages() -> dict[str, list[Step]]:
    """Return the instructions and their arguments by stage; the first one is FROM."""
    steps = re.findall(r"(?m)^([A-Z]+) (.+)$", (PROJECT / "Dockerfile").read_text())
    starts = [index for index, (name, _) in enumerate(steps) if name == "FROM"]
    parts = [steps[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    return {steps[0][1].split()[-1]: steps for steps in parts}


STAGES = stages()


def arguments(stage: str, instruction: str) -> list[str]:
    return [text for name, text in STAGES[stage] if name == instruction]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the image's environment, after all steps of the first stage.

    Each step runs as it is written, with another path of the environment, and in a folder with no
    other files than those that the image has copied.
    """
    folder = tmp_path_factory.mktemp("image")
    build, prefix, tools = folder / "build", folder / "kombo", folder / "tools"
    build.mkdir()
    env = {
        "PATH": f"{tools / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_TARGET": str(tools),  # pip's own packages stay as they are
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_PYTHON": sys.executable,
    }
    for name, text in STAGES["installation"]:
        if name == "COPY":
            *sources, target = shlex.split(text)
            for source in sources:
                copy(PROJECT / source, build / target / ("" if len(sources) == 1 else source))
        elif name == "RUN":
            shell(text.replace(PREFIX, str(prefix)), build, env)
    return prefix


def test_image_has_the_tap_and_the_source_without_development_packages(prefix: Path) -> None:
    commands = {path.name for path in (prefix / "bin").iterdir()}

    assert {"tap-kombo", "source-kombo"} <= commands
    assert not commands & {"kombo-sandbox", "meltano", "pytest", "uv", "pip"}


def test_default_image_starts_the_tap(prefix: Path) -> None:
    assert [*STAGES][-1] == "tap-kombo"

    catalog = start("tap-kombo", prefix, "--discover")

    assert catalog == (PROJECT / "catalog.json").read_text()


def test_image_of_airbyte_starts_the_source(prefix: Path) -> None:
    [entry_point] = arguments("source-kombo", "ENTRYPOINT")

    spec = json.loads(start("source-kombo", prefix, "spec"))

    assert spec["type"] == "SPEC"
    command = " ".join(json.loads(entry_point))
    assert arguments("source-kombo", "ENV") == [f"AIRBYTE_ENTRYPOINT={command}"]


@pytest.mark.parametrize("stage", ["source-kombo", "tap-kombo"])
def test_image_is_slim_and_its_user_is_not_root(stage: str) -> None:
    [base] = arguments(stage, "FROM")
    [image] = arguments("base", "FROM")
    [user] = arguments("base", "USER")

    assert base.startswith("base AS ")
    assert image.split(" ")[0].endswith("-slim")
    assert arguments("base", "COPY") == [f"--from=installation {PREFIX} {PREFIX}"]
    assert arguments("base", "RUN") == [f"useradd --create-home --uid 1000 {user}"]


def start(stage: str, prefix: Path, *args: str) -> str:
    """Start the entry point of an image, and return its output."""
    [path] = arguments("base", "ENV")
    [entry_point] = arguments(stage, "ENTRYPOINT")
    command = [part.replace(PREFIX, str(prefix)) for part in json.loads(entry_point)]
    assignment = path.replace(PREFIX, str(prefix)).replace("$PATH", os.environ["PATH"])
    return shell(f"export {assignment}; {shlex.join([*command, *args])}", prefix, {})


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
