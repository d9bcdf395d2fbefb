"""Kombo's own client: reads offers into its models, counts them and writes nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import kombo

task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
[integration_id] = task["integration_ids"]
client = kombo.Kombo(
    api_key=task["api_key"], integration_id=integration_id, server_url=task["api_url"]
)
count = 0
page: Any = client.ats.get_offers(page_size=250, include_deleted=True)
while page is not None:
    count += len(page.result.data.results)
    page = page.next()
print(count)
