"""What is published works where nothing of this project's tools is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
UV = str(Path(sys.executable).with_name("uv"))


def test_the_wheel_alone_brings_a_tap_with_its_schemas(tmp_path: Path) -> None:
    run([UV, "build", "--quiet", "--wheel", "--out-dir", str(tmp_path), str(ROOT)])
    [wheel] = tmp_path.glob("*.whl")
    python = tmp_path / "venv" / "bin" / "python"
    run([UV, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "venv")])
    install = [UV, "pip", "install", "--quiet", "--python", str(python)]
    run([*install, "--constraint", str(ROOT / "constraints.txt"), str(wheel)])

    catalog = run([str(python.with_name("tap-kombo")), "--discover"])
    installed = run([UV, "pip", "list", "--quiet", "--python", str(python)])

    assert catalog == (ROOT / "catalog.json").read_text()
    names = {line.split()[0] for line in installed.splitlines()[2:]}
    assert {"tap-kombo", "singer-sdk", "requests", "msgspec"} <= names
    assert not names & {"starlette", "uvicorn", "faker", "kombo", "meltano", "pytest"}


def run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
