"""dlt's `rest_api` source: a resource for each stream and integration, into files.

The task's `load` says how far it goes: extract only, or normalize and load into JSON lines, too.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
from dlt.sources.rest_api import rest_api_source


def main() -> None:
    folder = Path(sys.argv[1]).parent
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.environ["EXTRACT__WORKERS"] = str(task["threads"])
    source = rest_api_source(
        {
            "client": {
                "base_url": task["url"],
                "auth": {"type": "bearer", "token": task["api_key"]},
                "paginator": {
                    "type": "cursor",
                    "cursor_path": "data.next",
                    "cursor_param": "cursor",
                },
            },
            "resource_defaults": {"primary_key": "id", "write_disposition": "merge"},
            "resources": [
                resource(stream, path, integration_id, f"{stream}_{number}")
                for number, integration_id in enumerate(task["integration_ids"])
                for stream, path in task["paths"].items()
            ],
        },
        parallelized=task["threads"] > 1,
    )
    pipeline = dlt.pipeline(
        "kombo",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.filesystem(str(folder / "loaded")),
        dataset_name="kombo",
    )
    pipeline.extract(source)
    if task["load"]:
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
