"""The limit of all that write messages: urllib3, one msgspec decode a page, one encode a record.

It keeps no state, knows no schema and treats no failure.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import urllib3


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    pool = urllib3.PoolManager()
    decoder = msgspec.json.Decoder()
    encoder = msgspec.json.Encoder()
    output = sys.stdout.buffer
    for integration_id in task["integration_ids"]:
        headers = {
            "Authorization": f"Bearer {task['api_key']}",
            "X-Integration-Id": integration_id,
        }
        for stream, path in task["paths"].items():
            fields = {"page_size": "250"}
            while True:
                url = task["url"] + path
                body = pool.request("GET", url, fields=fields, headers=headers).data
                data = decoder.decode(body)["data"]
                messages = [
                    {"type": "RECORD", "stream": stream, "record": record}
                    for record in data["results"]
                ]
                output.write(encoder.encode_lines(messages))
                if data["next"] is None:
                    break
                fields["cursor"] = data["next"]


main()
