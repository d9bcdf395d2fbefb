"""Two limits that no tool can beat: urllib3 that requests one page after the other.

Without `encode` in the task, the pages are discarded. With it, each page is decoded and each record
encoded as a Singer message, with msgspec, without state, schema or error handling.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import urllib3

NEXT = b'"next":'

decoder = msgspec.json.Decoder()
encoder = msgspec.json.Encoder()


def skip(_: str, body: bytes) -> str | None:
    """Return the cursor of the next page, which is before the records."""
    start = body.index(NEXT) + len(NEXT)
    cursor = body[start : body.index(b",", start)].strip(b'"').decode()
    return None if cursor == "null" else cursor


def encode(stream: str, body: bytes) -> str | None:
    """Write the messages, and return the cursor of the next page."""
    data = decoder.decode(body)["data"]
    messages = [
        {"type": "RECORD", "stream": stream, "record": record} for record in data["results"]
    ]
    sys.stdout.buffer.write(encoder.encode_lines(messages))
    cursor: str | None = data["next"]
    return cursor


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    use: Callable[[str, bytes], str | None] = encode if task["encode"] else skip
    pool = urllib3.PoolManager()
    for integration_id in task["integration_ids"]:
        headers = {
            "Authorization": f"Bearer {task['api_key']}",
            "X-Integration-Id": integration_id,
        }
        for stream, path in task["paths"].items():
            fields: dict[str, str] | None = {"page_size": "250"}
            while fields:
                url = task["url"] + path
                body = pool.request("GET", url, fields=fields, headers=headers).data
                cursor = use(stream, body)
                fields = {"page_size": "250", "cursor": cursor} if cursor else None


main()
