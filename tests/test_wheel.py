"""Build both distributions, and install them as users do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
SANDBOX = ROOT / "packages/kombo-sandbox"
UV = str(Path(sys.executable).with_name("uv"))

CHANGE_AN_OFFER = """
from kombo_sandbox import Sandbox

with Sandbox(integrations=1, offers=2) as sandbox:
    print(len(sandbox.change("ats_offers")))
"""


def test_wheel_of_the_tap_contains_the_schemas_and_no_development_packages(tmp_path: Path) -> None:
    wheel = build(ROOT, tmp_path)
    python = install(wheel, tmp_path)

    catalog = run([str(python.with_name("tap-kombo")), "--discover"])

    assert catalog == (ROOT / "catalog.json").read_text()
    spec = json.loads(run([str(python.with_name("source-kombo")), "spec"]))
    assert spec["type"] == "SPEC"
    assert packages(wheel) == {"source_kombo", "tap_kombo"}
    names = installed(python)
    assert {"tap-kombo", "singer-sdk", "requests", "msgspec"} <= names
    assert not names & {"kombo-sandbox", "starlette", "uvicorn", "faker", "kombo", "meltano"}
    assert not python.with_name("kombo-sandbox").exists()


def test_wheel_of_the_sandbox_works_without_the_tap(tmp_path: Path) -> None:
    wheel = build(SANDBOX, tmp_path)
    python = install(wheel, tmp_path)

    output = run([str(python), "-c", CHANGE_AN_OFFER], tmp_path)
    usage = run([str(python.with_name("kombo-sandbox")), "serve", "--help"], tmp_path)

    assert output == "1\n"
    assert "--integrations" in usage
    assert packages(wheel) == {"kombo_sandbox"}
    assert not installed(python) & {"tap-kombo", "singer-sdk", "requests"}


def build(project: Path, folder: Path) -> Path:
    run([UV, "build", "--quiet", "--wheel", "--out-dir", str(folder), str(project)])
    [wheel] = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel into a new environment, and return its Python."""
    python = folder / "venv" / "bin" / "python"
    run([UV, "venv", "--quiet", "--python", sys.executable, str(folder / "venv")])
    command = [UV, "pip", "install", "--quiet", "--python", str(python)]
    run([*command, "--constraint", str(ROOT / "constraints.txt"), str(wheel)])
    return python


def packages(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
    return {folder for folder in folders if not folder.endswith(".dist-info")}


def installed(python: Path) -> set[str]:
    listing = run([UV, "pip", "list", "--quiet", "--python", str(python)])
    return {line.split()[0] for line in listing.splitlines()[2:]}


def run(command: list[str], folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
