"""Print the column types of target-snowflake for the SCHEMA messages on standard input."""

import json
import sys

from target_snowflake.db_sync import column_type
from target_snowflake.flattening import flatten_schema

types = {}
for message in map(json.loads, sys.stdin):
    if message["type"] == "SCHEMA":
        types[message["stream"]] = {
            name: column_type(schema) for name, schema in flatten_schema(message["schema"]).items()
        }
print(json.dumps({"types": types}))
