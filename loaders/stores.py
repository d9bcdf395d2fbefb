"""Where loaders write, and how the rows are read back."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from harness import PROJECT
from harness.comparison import Row
from harness.postgres import Postgres, postgres
from harness.processes import running

SCRIPTS = Path(__file__).with_name("inside")
"""Scripts that run in the loaders' environments"""
NUMBERS = itertools.count()
ENVIRONMENTS = PROJECT / ".cache/loaders"

Rows = dict[str, list[Row]]


@dataclass(frozen=True)
class Servers:
    """The servers that loaders write to, one of each kind.

    Attributes:
        database: PostgreSQL.
        s3: The URL of a local S3.
    """

    database: Postgres
    s3: str


@dataclass(frozen=True)
class Place:
    """The schema, bucket and folder that one loader writes to.

    Attributes:
        servers: The servers.
        name: The name of a schema or a bucket.
        folder: An empty folder.
        python: The Python of the loader's environment.
    """

    servers: Servers
    name: str
    folder: Path
    python: Path

    @property
    def names(self) -> dict[str, str]:
        """The placeholders of `connection` in `loaders.toml`, and their values."""
        return {
            "folder": str(self.folder),
            "name": self.name,
            "s3": self.servers.s3,
            "socket_folder": self.servers.database.socket_folder,
            "postgres": self.servers.database.url,
        }

    def run(self, script: str, *args: str | Path, environment: str = "") -> str:
        """Run a script in an environment, by default the loader's."""
        python = ENVIRONMENTS / environment / "bin/python" if environment else self.python
        command = [python, SCRIPTS / script, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def parsed(text: str | bytes) -> Any:
    """Parse JSON with all digits of numbers."""
    return json.loads(text, parse_float=Decimal)


def _postgres_rows(place: Place) -> Rows:
    database = place.servers.database
    names = database.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname = %(name)s", {"name": place.name}
    )
    return {row["tablename"]: database.table(place.name, row["tablename"]) for row in names}


def _file_rows(place: Place) -> Rows:
    """Read all files of a folder, in the order of their names."""
    files = sorted(
        (path for path in place.folder.rglob("*") if path.is_file()), key=lambda path: path.name
    )
    found: Rows = defaultdict(list)
    for suffix, read in READERS.items():
        paths = [path for path in files if path.suffix == suffix]
        for path, rows in zip(paths, read(place, paths) if paths else (), strict=True):
            stream = re.match("[a-z_]+", path.name)
            assert stream, path
            found[stream[0]] += rows
    assert {path.suffix for path in files} <= READERS.keys()
    return found


def _s3_rows(place: Place) -> Rows:
    place.run("read_s3.py", place.servers.s3, place.name, place.folder, environment="s3-server")
    return _file_rows(place)


def _duckdb_rows(place: Place) -> Rows:
    rows: Rows = parsed(place.run("read_duckdb.py", place.folder / "warehouse.duckdb"))
    return rows


def _jsonl(place: Place, paths: list[Path]) -> list[list[Row]]:  # noqa: ARG001  # one signature
    # `str.splitlines` would also split at other line separators.
    return [[parsed(line) for line in path.read_bytes().splitlines()] for path in paths]


def _csv(place: Place, paths: list[Path]) -> list[list[Row]]:  # noqa: ARG001
    return [
        [{name: text or None for name, text in row.items()} for row in csv.DictReader(lines)]
        for lines in (io.StringIO(path.read_bytes().decode(), newline="") for path in paths)
    ]


def _parquet(place: Place, paths: list[Path]) -> list[list[Row]]:
    rows: list[list[Row]] = parsed(place.run("read_parquet.py", *paths))
    return rows


READERS: Mapping[str, Callable[[Place, list[Path]], list[list[Row]]]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
"""File extension -> the function that reads the rows of each file"""

STORES: Mapping[str, Callable[[Place], Rows]] = {
    "postgres": _postgres_rows,
    "files": _file_rows,
    "s3": _s3_rows,
    "duckdb": _duckdb_rows,
}
"""Name in `loaders.toml` -> the function that reads all tables"""


def create_place(servers: Servers, environment: str, folder: Path) -> Place:
    """Create an empty place for a loader.

    Args:
        servers: The servers.
        environment: The loader's environment.
        folder: An empty folder.
    """
    data = folder / "data"
    data.mkdir()
    python = ENVIRONMENTS / environment / "bin/python"
    place = Place(servers, f"kombo{next(NUMBERS)}", data, python)
    place.run("read_s3.py", servers.s3, place.name, environment="s3-server")
    return place


@contextlib.contextmanager
def servers() -> Iterator[Servers]:
    """Start the servers, and stop them when the block ends."""
    with postgres() as database, running(_start_s3, _stop_s3) as s3:
        assert s3.stdout
        yield Servers(database, s3.stdout.readline().strip())


def _start_s3() -> subprocess.Popen[str]:
    python = ENVIRONMENTS / "s3-server/bin/python"
    command = [python, SCRIPTS / "s3_server.py"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)


def _stop_s3(process: subprocess.Popen[str]) -> None:
    process.communicate()
