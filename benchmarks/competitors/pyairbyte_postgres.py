"""PyAirbyte: loads the declarative source into PostgreSQL, and keeps its state there.

Besides the usual fields, the task has the source's `manifest`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

# Without it, PyAirbyte downloads the registry of connectors and reports its use.
os.environ["AIRBYTE_OFFLINE_MODE"] = "1"
os.environ["AIRBYTE_LOGGING_ROOT"] = str(Path(sys.argv[1]).with_name("logs"))

import airbyte
from airbyte.caches import PostgresCache


def main() -> None:
    path = Path(sys.argv[1])
    task = json.loads(path.read_text(encoding="utf-8"))
    # PyAirbyte's settings do not accept the folder of a socket as host.
    os.environ["PGHOST"] = task["postgres"]
    source = airbyte.get_source(
        "source-declarative-manifest",
        # With `source_manifest`, PyAirbyte ignores the state and reads everything each time.
        local_executable=Path(sys.executable).with_name("source-declarative-manifest"),
        config={
            "api_key": task["api_key"],
            "api_url": task["api_url"],
            "integration_ids": task["integration_ids"],
            "__injected_declarative_manifest": task["manifest"],
        },
        streams="*",
    )
    cache = PostgresCache(
        host="",
        port=5432,
        username="postgres",
        password="",
        database="postgres",
        schema_name="kombo",
        cache_dir=path.with_name("airbyte"),
    )
    source.read(cache, skip_validation=True)


main()
