"""An environment for each peer: what they want to have installed contradicts each other."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import CACHE, HERE, PROJECT

UV = Path(sys.executable).with_name("uv")


@dataclass(frozen=True)
class Environment:
    """Attributes:
    packages: What is installed, in the words of `uv pip install`.
    constraints: A file with the version of everything that comes with it.
    versions: The packages whose versions are told beside the figures.
    """

    name: str
    packages: tuple[str, ...]
    constraints: Path
    versions: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return CACHE / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    def install(self) -> None:
        """Install it, if it is not there as it should be."""
        mark = self.folder / "installed"
        wanted = self._fingerprint()
        if mark.exists() and mark.read_text(encoding="utf-8") == wanted:
            return
        print(f"Installing {self.name} into {self.folder.relative_to(PROJECT)} ...", flush=True)
        self._uv("venv", "--quiet", "--clear", "--python", sys.executable, str(self.folder))
        packages = ["install", "--quiet", "--compile-bytecode", "--python", str(self.python)]
        self._uv("pip", *packages, *self.packages)
        mark.write_text(wanted, encoding="utf-8")

    def installed(self) -> dict[str, str]:
        """Package -> version, of those that are told of."""
        code = "import sys, importlib.metadata as m; [print(m.version(n)) for n in sys.argv[1:]]"
        answer = subprocess.run(
            [self.python, "-c", code, *self.versions], check=True, capture_output=True, text=True
        )
        return dict(zip(self.versions, answer.stdout.split(), strict=True))

    def _uv(self, *args: str) -> None:
        constraints = {
            "UV_CONSTRAINT": str(self.constraints),
            "UV_BUILD_CONSTRAINT": str(PROJECT / "constraints.txt"),
        }
        own = {name: text for name, text in os.environ.items() if name != "UV_PYTHON"}
        subprocess.run([UV, *args], check=True, cwd=PROJECT, env={**own, **constraints})

    def _fingerprint(self) -> str:
        files = self.constraints.read_bytes()
        if "--editable" in self.packages:
            files += (PROJECT / "pyproject.toml").read_bytes()
        what = f"{self.packages}{sys.version}{self.folder}".encode()
        return hashlib.sha256(what + files).hexdigest()


TAP = Environment(
    "tap",
    ("--editable", "."),
    PROJECT / "constraints.txt",
    ("tap-kombo", "singer-sdk", "requests", "urllib3", "msgspec"),
)
CLIENT = Environment("client", ("kombo",), PROJECT / "constraints.txt", ("kombo", "pydantic"))
AIRBYTE = Environment(
    "airbyte", ("airbyte-cdk",), HERE / "constraints/airbyte-cdk.txt", ("airbyte-cdk",)
)
DLT = Environment("dlt", ("dlt",), HERE / "constraints/dlt.txt", ("dlt",))

ENVIRONMENTS = (TAP, CLIENT, AIRBYTE, DLT)
