"""PyAirbyte: reads a source into DuckDB, and writes all tables to standard output.

Its argument is a file with the source's `command`, its `config`, and the `streams`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# Without it, PyAirbyte downloads the registry of connectors and reports its use.
os.environ["AIRBYTE_OFFLINE_MODE"] = "1"
os.environ["DO_NOT_TRACK"] = "1"
os.environ["AIRBYTE_LOGGING_ROOT"] = str(Path(sys.argv[1]).with_name("logs"))

import airbyte
import duckdb
from airbyte.caches import DuckDBCache
from airbyte.exceptions import AirbyteError


def main() -> None:
    path = Path(sys.argv[1])
    task = json.loads(path.read_text(encoding="utf-8"))
    source = airbyte.get_source(
        "source-kombo",
        local_executable=Path(task["command"]),
        config=task["config"],
        streams=task["streams"],
    )
    source.check()
    database = path.with_name("kombo.duckdb")
    cache = DuckDBCache(db_path=database, cache_dir=path.with_name("cache"))
    failed = False
    try:
        source.read(cache, force_full_refresh=task["full_refresh"])
    except AirbyteError as error:
        print(error, file=sys.stderr)
        failed = True
    cache.close()
    path.with_name("tables.json").write_text(json.dumps(tables(database), default=str))
    sys.exit(int(failed))


def tables(database: Path) -> dict[str, dict[str, object]]:
    """Return the types of the columns and the rows of each table."""
    found = {}
    connection = duckdb.connect(database)
    for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
        rows = connection.execute(f'SELECT * FROM "{name}"')  # noqa: S608  # a name of a table
        columns = [(column[0], str(column[1])) for column in rows.description]
        found[name] = {"columns": columns, "rows": rows.fetchall()}
    return found


main()
