"""Print the columns and rows of a table of a DuckDB file as JSON.

The arguments are the file, the schema and the name of the table. It runs in dbt's environment,
which has DuckDB.
"""

from __future__ import annotations

import json
import sys

import duckdb

path, schema, name = sys.argv[1:]
with duckdb.connect(path, read_only=True) as connection:
    result = connection.execute(f'SELECT * FROM "{schema}"."{name}"')
    columns = [(column[0], str(column[1])) for column in result.description]
    print(json.dumps({"columns": columns, "rows": result.fetchall()}, default=str))
