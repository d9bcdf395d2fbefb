"""dlt's `rest_api` source: a resource for each stream and integration.

With `postgres` in the task, it loads PostgreSQL. Without, it only extracts into dlt's own files.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    folder = Path(sys.argv[1]).parent
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ["EXTRACT__WORKERS"] = str(task["concurrency"])
    resources = [
        resource(stream, path, integration_id, f"{stream}_{number}")
        for number, integration_id in enumerate(task["integration_ids"])
        for stream, path in task["paths"].items()
    ]
    source = rest_api_source(
        {
            "client": {
                "base_url": task["api_url"],
                "auth": {"type": "bearer", "token": task["api_key"]},
                "paginator": {
                    "type": "cursor",
                    "cursor_path": "data.next",
                    "cursor_param": "cursor",
                },
            },
            "resource_defaults": {
                "primary_key": "id",
                "write_disposition": {"disposition": "merge", "strategy": "upsert"},
            },
            "resources": resources,
        },
        parallelized=len(resources) > 1,
    )
    pipeline = dlt.pipeline("kombo", pipelines_dir=str(folder / "pipelines"), dataset_name="kombo")
    if "postgres" not in task:
        pipeline.extract(source)
        return
    # Nested data become JSON columns, as with the other tools.
    source.max_table_nesting = 0
    # As dlt recommends for performance, several processes normalize several files.
    os.environ["EXTRACT__DATA_WRITER__FILE_MAX_ITEMS"] = "10000"
    os.environ["NORMALIZE__WORKERS"] = str(os.cpu_count())
    host = quote(task["postgres"], safe="")
    pipeline.destination = dlt.destinations.postgres(
        f"postgresql://postgres:unused@{host}/postgres"
    )
    # CSV is loaded with COPY.
    pipeline.extract(source, loader_file_format="csv")
    pipeline.normalize()
    pipeline.load()


def resource(stream: str, path: str, integration_id: str, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "table_name": stream,
        "endpoint": {
            "path": path.lstrip("/"),
            "headers": {"X-Integration-Id": integration_id},
            "params": {"page_size": 250, "include_deleted": "true"},
            "data_selector": "data.results",
            "incremental": {
                "cursor_path": "changed_at",
                "initial_value": "2000-01-01T00:00:00.000Z",
                "start_param": "updated_after",
            },
        },
    }


main()
