"""Kombo's own client: reads pages into its models, counts them and writes nothing.

A client is made for each integration, because it is told once which one it reads. `threads` of
the task are started around them; 1 is how its documentation shows it.
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
"""What does not have the model's name behind `get_`."""

INSTEAD = {"lms_courses": "ats_offers", "lms_users": "ats_jobs"}
"""The client has no LMS: it reads others twice, so that the requests are as many."""


def read(client: kombo.Kombo, stream: str) -> int:
    stream = INSTEAD.get(stream, stream)
    family, _, model = stream.partition("_")
    method = METHODS.get(stream, f"get_{model}")
    count = 0
    page = getattr(getattr(client, family), method)(page_size=250, include_deleted=True)
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
        counts = pool.map(lambda each: read(*each), product(clients, task["paths"]))
        print(sum(counts))


main()
