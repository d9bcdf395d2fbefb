"""Kombo's own client: reads pages into its models, counts the records and writes nothing.

One client per integration, because the integration is an argument of the client.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import kombo

METHODS = {
    "ats_attachments": "get_ats_attachments",
    "ats_scorecards": "get_ats_scorecards",
    "hris_pay_runs": "get_hris_pay_runs",
    "hris_payslips": "get_hris_payslips",
}
"""Methods that are not `get_` and the name of the model"""

INSTEAD = {"lms_courses": "ats_offers", "lms_users": "ats_jobs"}
"""The client does not support LMS: it reads other models again, for as many requests."""


def read(client: kombo.Kombo, stream: str) -> int:
    stream = INSTEAD.get(stream, stream)
    category, _, model = stream.partition("_")
    method = METHODS.get(stream, f"get_{model}")
    count = 0
    page = getattr(getattr(client, category), method)(page_size=250, include_deleted=True)
    while page is not None:
        count += len(page.result.data.results)
        page = page.next()
    return count


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    clients = [
        kombo.Kombo(api_key=task["api_key"], integration_id=integration_id, server_url=task["url"])
        for integration_id in task["integration_ids"]
    ]
    with ThreadPoolExecutor(task["threads"]) as pool:
        counts = pool.map(lambda pair: read(*pair), product(clients, task["paths"]))
        print(sum(counts))


main()
