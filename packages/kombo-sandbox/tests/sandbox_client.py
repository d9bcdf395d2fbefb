"""A client of Kombo's API that can also send requests that are not valid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import requests

from kombo_sandbox import Handle, Sandbox
from kombo_sandbox.models import MODELS

CORE_MODELS = ("ats_jobs", "ats_candidates", "ats_applications", "ats_offers")

Record = dict[str, Any]


class Client:
    """Sends requests for one integration, by default the first."""

    def __init__(self, sandbox: Handle, integration_id: str | None = None) -> None:
        self.sandbox = sandbox
        self.integration_id = integration_id or sandbox.integration_ids[0]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {sandbox.api_key}"
        self.session.headers["X-Integration-Id"] = self.integration_id

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.session.get(f"{self.sandbox.url}{path}", params=params, timeout=10)

    def read_all(self, model: str, **params: Any) -> list[Record]:
        """Return the records of all pages; the parameters are sent with each."""
        path = MODELS[model].path.format(integration_id=self.integration_id)
        records: list[Record] = []
        while True:
            response = self.get(path, **params)
            assert response.status_code == 200, response.text
            data = response.json()["data"]
            [results] = (value for value in data.values() if isinstance(value, list))
            records += results
            if data.get("next") is None:
                return records
            params["cursor"] = data["next"]

    def ids(self, model: str, **params: Any) -> set[str]:
        return set(ids(self.read_all(model, **params)))

    def stored(self, model: str, *, include_deleted: bool = True) -> list[Record]:
        """Return the records from the control API."""
        return self.sandbox.records(model, self.integration_id, include_deleted=include_deleted)

    def record(self, model: str, id_: str) -> Record:
        [record] = [one for one in self.stored(model) if one["id"] == id_]
        return record


@dataclass(frozen=True)
class Categories:
    """A sandbox with integrations of all categories.

    Attributes:
        seeded: The records of each model before any change.
        clients: Clients of the integrations whose tool supports everything, by category.
    """

    sandbox: Sandbox
    seeded: dict[str, list[Record]]
    clients: dict[str | None, Client]


def ids(records: list[Record]) -> list[str]:
    return [record["id"] for record in records]


def error(response: requests.Response) -> tuple[int, str | None]:
    """Return the status and the code of an error response, which must be complete."""
    envelope = response.json()
    assert envelope["status"] == "error"
    assert envelope["error"].keys() == {"code", "title", "message", "log_url"}
    assert envelope["error"]["message"]
    return response.status_code, envelope["error"]["code"]


INPUT_INVALID = (400, "PLATFORM.INPUT_INVALID")
