from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

PACKAGE = Path(__file__).parents[1]
UV = Path(sys.executable).with_name("uv")


def test_the_wheel_has_its_package_only_and_requires_psycopg_only(tmp_path: Path) -> None:
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", tmp_path, PACKAGE], check=True)
    [path] = tmp_path.glob("*.whl")
    with ZipFile(path) as wheel:
        files = [name for name in wheel.namelist() if ".dist-info/" not in name]
        [metadata] = [name for name in wheel.namelist() if name.endswith("/METADATA")]
        required = [
            line
            for line in wheel.read(metadata).decode().splitlines()
            if line.startswith("Requires-Dist:") and "extra ==" not in line
        ]

    assert {name.partition("/")[0] for name in files} == {"tap_kombo_airflow"}
    assert "tap_kombo_airflow/guard.py" in files
    assert required == ["Requires-Dist: psycopg[binary]>=3.2"]
