"""A client that asks the sandbox as one pleases, also wrongly."""

from __future__ import annotations

from typing import Any

import requests

from kombo_sandbox import Handle

PATHS = {
    "ats_jobs": "/ats/jobs",
    "ats_candidates": "/ats/candidates",
    "ats_applications": "/ats/applications",
    "ats_offers": "/ats/offers",
}

Record = dict[str, Any]


class Client:
    """Asks for one integration, the first of the sandbox if no other is named."""

    def __init__(self, sandbox: Handle, integration_id: str | None = None) -> None:
        self.sandbox = sandbox
        self.integration_id = integration_id or sandbox.integration_ids[0]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        self.session.headers["X-Integration-Id"] = self.integration_id

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.sandbox.url}{path}", params=params, timeout=10)

    def walk(self, model: str, **params: Any) -> list[Record]:
        """All pages, with all parameters sent each time."""
        records: list[Record] = []
        while True:
            answer = self.get(PATHS[model], **params)
            assert answer.status_code == 200, answer.text
            data = answer.json()["data"]
            records += data["results"]
            if data["next"] is None:
                return records
            params["cursor"] = data["next"]

    def ids(self, model: str, **params: Any) -> set[str]:
        return {record["id"] for record in self.walk(model, **params)}

    def held(self, model: str, *, include_deleted: bool = True) -> list[Record]:
        """What the sandbox holds, asked beside Kombo's API."""
        return self.sandbox.records(model, self.integration_id, include_deleted=include_deleted)

    def record(self, model: str, id_: str) -> Record:
        """One record as the sandbox holds it."""
        [record] = [one for one in self.held(model) if one["id"] == id_]
        return record


def code(answer: requests.Response) -> str | None:
    """The code in Kombo's error envelope, of which every part is there."""
    envelope = answer.json()
    assert envelope["status"] == "error"
    error = envelope["error"]
    assert error.keys() == {"code", "title", "message", "log_url"}
    assert error["message"]
    its_code: str | None = error["code"]
    return its_code
