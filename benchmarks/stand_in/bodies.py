"""The bodies of the stand-in's answers.

A page is made ready once, with marks where each record's id and `changed_at` begin; an answer is
that page with the marks replaced. So millions of records have ids and times of their own, and none
of them is kept.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

MARK = b"@@@@@@@@@@@@@@@@"
"""The first 16 of an id's 24 characters: the numbers of the integration and of the page."""

TIME_MARK = b"####-##-##T##:##:##"
"""`changed_at` without its milliseconds. If many records had the same one, who keeps in mind which
of the newest were read already, as dlt does, would have far more to do than with a real Kombo."""

FIRST_CHANGE = datetime(2026, 1, 1, tzinfo=UTC)

KEY = b'{"status":"success","data":{"environment_id":"stand-in","customer_id":"stand-in"}}'
MISSING = (
    b'{"status":"error","error":{"code":null,"title":null,'
    b'"message":"The stand-in has no such thing","log_url":null}}'
)


@dataclass(frozen=True)
class Page:
    """Attributes:
    records: How many it holds.
    """

    body: bytes
    records: int


@dataclass(frozen=True)
class Bodies:
    """Attributes:
    kombo: What `harvest` wrote.
    records: How many each stream of each integration has.
    page_records: How many a page holds at most, whatever is asked for.
    record_bytes: Each record is filled up to about this size.
    categories: The models of these are listed in the integrations' details.
    """

    kombo: Path
    records: int
    page_records: int
    record_bytes: int
    categories: tuple[str, ...]

    @cached_property
    def _harvest(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.kombo.read_text(encoding="utf-8"))
        return content

    @cached_property
    def _details(self) -> bytes:
        details = self._harvest["details"]
        beginnings = tuple(f"{category.lower()}_" for category in self.categories)
        models = [row for row in details["read_models"] if row["id"].startswith(beginnings)]
        body = {"status": "success", "data": details | {"id": MARK.decode(), "read_models": models}}
        return _dump(body)

    def details(self, integration_id: str) -> bytes:
        """Answer `GET /integrations/{id}`."""
        return self._details.replace(MARK, integration_id.encode())

    def page(self, path: str, integration_id: str, params: Mapping[str, str]) -> Page | None:
        """Answer `GET /ats/offers` and its like; None for a path that is no model's.

        Args:
            path: Such as `/ats/offers`.
            integration_id: Its last eight characters are its number.
            params: The query; the cursor is the number of the page.
        """
        model = path.strip("/").replace("/", "_").replace("-", "_")
        if model not in self._harvest["records"]:
            return None
        number = int(params.get("cursor", "0"))
        size = min(int(params.get("page_size", "100")), self.page_records)
        left = self.records - number * size
        mark = integration_id[-8:].encode() + b"%08d" % number
        changed_at = FIRST_CHANGE + timedelta(seconds=number)
        results = (
            self._results(model, max(min(size, left), 0))
            .replace(MARK, mark)
            .replace(TIME_MARK, f"{changed_at:%Y-%m-%dT%H:%M:%S}".encode())
        )
        upcoming = b'"%d"' % (number + 1) if left > size else b"null"
        head = b'{"status":"success","data":{"next":' + upcoming + b',"results":['
        return Page(head + results + b"]}}", max(min(size, left), 0))

    @lru_cache(maxsize=128)  # noqa: B019  # there is one for as long as the process lives
    def _results(self, model: str, count: int) -> bytes:
        harvest = self._harvest["records"][model]
        records = (dict(harvest[number % len(harvest)]) for number in range(count))
        return b",".join(self._record(record, number) for number, record in enumerate(records))

    def _record(self, record: dict[str, Any], number: int) -> bytes:
        record["id"] = f"{MARK.decode()}{number:08d}"
        record["changed_at"] = f"{TIME_MARK.decode()}.{number:03d}Z"
        missing = self.record_bytes - len(_dump(record))
        if missing > 0:
            record["remote_data"] = {"text": "x" * missing}
        return _dump(record)


def _dump(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
