"""Print the column types of target-snowflake for the SCHEMA messages on standard input."""

import json
import sys

from snowflake.sqlalchemy.snowdialect import dialect
from target_snowflake.connector import SnowflakeConnector

NAMES = ("account", "user", "password", "database")

connector = SnowflakeConnector(dict.fromkeys(NAMES, "sandbox"))
types = {}
for message in map(json.loads, sys.stdin):
    if message["type"] == "SCHEMA":
        types[message["stream"]] = {
            name: connector.to_sql_type(schema).compile(dialect=dialect())
            for name, schema in message["schema"]["properties"].items()
        }
print(json.dumps({"types": types}))
