"""Print the rows of all tables of a DuckDB file as JSON."""

import json
import sys

import duckdb

connection = duckdb.connect(sys.argv[1])
query = "SELECT database_name, schema_name, table_name FROM duckdb_tables()"
found = {}
for names in connection.execute(query).fetchall():
    table = ".".join(f'"{name}"' for name in names)
    rows = connection.execute(f"SELECT * FROM {table}")  # noqa: S608  # a name of a table
    columns = [column[0] for column in rows.description]
    found[names[-1]] = [dict(zip(columns, row, strict=True)) for row in rows.fetchall()]
print(json.dumps(found, default=str))
