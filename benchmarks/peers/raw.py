"""The limit of all: fetches the bytes of every page, one after the other, and nothing else."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import urllib3

NEXT = b'"next":'


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pool = urllib3.PoolManager()
    for integration_id in task["integration_ids"]:
        headers = {
            "Authorization": f"Bearer {task['api_key']}",
            "X-Integration-Id": integration_id,
        }
        for path in task["paths"].values():
            fields = {"page_size": "250"}
            while True:
                url = task["url"] + path
                body = pool.request("GET", url, fields=fields, headers=headers).data
                # It stands before the records, so nothing has to be decoded to go on.
                start = body.index(NEXT) + len(NEXT)
                cursor = body[start : body.index(b",", start)].strip(b'"').decode()
                if cursor == "null":
                    break
                fields["cursor"] = cursor


main()
