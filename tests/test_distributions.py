"""Build all distributions, and use each in its own environment, as users do."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

import pytest

from harness import PROJECT
from harness.meltano import sandbox_settings
from harness.postgres import postgres
from kombo_sandbox import Sandbox
from scripts.release_notes import CHANGELOG, current_version, release_notes

BIN = Path(sys.executable).parent
UV = BIN / "uv"

CHANGE_AN_OFFER = """
from kombo_sandbox import Sandbox

with Sandbox(integrations=1, offers=2) as sandbox:
    print(len(sandbox.change("ats_offers")))
"""

RELEASED = "# Changelog\n\n## [0.2.0] - 2026-12-01\n\n- New\n\n## [0.1.0] - 2026-11-30\n\n- Old\n"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheels and source distributions; their descriptions are valid."""
    folder = tmp_path_factory.mktemp("dist")
    run("make", "--silent", "build", f"DIST={folder}")
    return folder


@pytest.fixture(scope="module")
def tap(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that contains only the wheel of the tap."""
    return install(wheel_of("tap_kombo", dist), tmp_path_factory.mktemp("tap"))


def test_every_distribution_has_a_wheel_and_sources_of_the_changelogs_version(dist: Path) -> None:
    version = current_version(CHANGELOG.read_text())

    assert {path.name for path in dist.glob("[!.]*")} == {
        f"{name}-{version}{ending}"
        for name in ("kombo_sandbox", "tap_kombo", "tap_kombo_airflow")
        for ending in ("-py3-none-any.whl", ".tar.gz")
    }


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tap_kombo", {"tap_kombo", "source_kombo"}),
        ("kombo_sandbox", {"kombo_sandbox"}),
        ("tap_kombo_airflow", {"tap_kombo_airflow"}),
    ],
)
def test_wheel_contains_its_packages_only(dist: Path, name: str, content: set[str]) -> None:
    with ZipFile(wheel_of(name, dist)) as wheel:
        folders = {path.partition("/")[0] for path in wheel.namelist()}

    assert {folder for folder in folders if not folder.endswith(".dist-info")} == content


@pytest.mark.parametrize("name", ["tap_kombo", "kombo_sandbox", "tap_kombo_airflow"])
def test_description_has_no_relative_links(dist: Path, name: str) -> None:
    with ZipFile(wheel_of(name, dist)) as wheel:
        [path] = [path for path in wheel.namelist() if path.endswith("/METADATA")]
        _, _, description = wheel.read(path).decode().partition("\n\n")

    links = re.findall(r"\]\(([^)]+)\)", description)
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


def test_tap_works_without_development_packages(tap: Path) -> None:
    spec = json.loads(run(tap / "source-kombo", "spec"))

    assert run(tap / "tap-kombo", "--discover") == (PROJECT / "catalog.json").read_text()
    assert spec["type"] == "SPEC"
    names = installed(tap)
    assert {"tap-kombo", "singer-sdk", "requests", "msgspec"} <= names
    assert not names & {"kombo-sandbox", "starlette", "uvicorn", "faker", "kombo", "meltano"}


def test_sandbox_works_without_the_tap(dist: Path, tmp_path: Path) -> None:
    commands = install(wheel_of("kombo_sandbox", dist), tmp_path)

    output = run(commands / "python", "-c", CHANGE_AN_OFFER, folder=tmp_path)
    usage = run(commands / "kombo-sandbox", "serve", "--help", folder=tmp_path)

    assert output == "1\n"
    assert "--integrations" in usage
    assert not installed(commands) & {"tap-kombo", "singer-sdk", "requests"}


def test_shards_sync_with_the_tap_of_another_environment(
    dist: Path, tap: Path, tmp_path: Path
) -> None:
    commands = install(wheel_of("tap_kombo_airflow", dist), tmp_path)
    target = tmp_path / "target"
    target.mkdir()
    (target / "target-postgres").symlink_to(BIN / "target-postgres")

    with Sandbox(integrations=1, offers=3) as sandbox, postgres() as database:
        (tmp_path / "integrations.txt").write_text("\n".join(sandbox.integration_ids))
        env = {
            **sandbox_settings(sandbox),
            "PATH": f"{tap}:{target}:{os.environ['PATH']}",
            "PGHOST": database.socket_folder,
            "PGUSER": "postgres",
            "PGDATABASE": "postgres",
        }
        run(
            *(commands / "kombo-shards", "run", "integrations.txt", "--shard", "0", "--of", "1"),
            folder=tmp_path,
            env=env,
        )
        rows = database.table("kombo", "ats_offers")
        offers = sandbox.records("ats_offers")

    assert {row["id"] for row in rows} == {offer["id"] for offer in offers}
    assert not installed(commands) & {"tap-kombo", "singer-sdk", "apache-airflow", "sqlalchemy"}


def test_release_notes_are_the_section_of_the_version() -> None:
    assert current_version(RELEASED) == "0.2.0"
    assert release_notes(RELEASED, "v0.2.0") == "- New\n"


@pytest.mark.parametrize(
    ("changelog", "tag", "message"),
    [
        (RELEASED, "v0.1.0", "the first version in CHANGELOG.md is 0.2.0"),
        (RELEASED.replace("2026-12-01", "Unreleased"), "v0.2.0", "write the date of the release"),
    ],
)
def test_release_needs_its_version_and_date_in_the_changelog(
    changelog: str, tag: str, message: str
) -> None:
    with pytest.raises(ValueError, match=f"{tag}: {message}"):
        release_notes(changelog, tag)


def wheel_of(name: str, dist: Path) -> Path:
    [wheel] = dist.glob(f"{name}-*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new environment, and return the folder of its commands."""
    commands = folder / "venv/bin"
    run(UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    command = (UV, "pip", "install", "--quiet", "--python", commands / "python")
    run(*command, "--constraint", PROJECT / "constraints.txt", wheel)
    return commands


def installed(commands: Path) -> set[str]:
    listing = run(UV, "pip", "list", "--quiet", "--python", commands / "python")
    return {line.split()[0] for line in listing.splitlines()[2:]}


def run(*command: str | Path, folder: Path = PROJECT, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
