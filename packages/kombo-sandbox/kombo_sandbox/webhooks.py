"""Kombo's webhooks: events about changes, signed and sent to a URL."""

import asyncio
import base64
import hmac
import http.client
import json
import secrets
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from kombo_sandbox.clock import Clock, iso
from kombo_sandbox.integrations import TOOLS, Integration, details, kombo_name
from kombo_sandbox.models import Model
from kombo_sandbox.store import Store

_TIMEOUT_SECONDS = 2.0


class Webhooks:
    """Collects events during an operation, and sends them at its end, if there is a receiver."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._url: str | None = None
        self._secret = b""
        self._changed: dict[int, dict[str, None]] = {}
        self._events: list[tuple[str, dict[str, Any]]] = []

    def set_receiver(self, url: str | None, secret: str) -> None:
        """Set the URL of the receiver, and the secret of the signatures.

        Raises:
            ValueError: The URL is not valid.
        """
        if url is not None:
            parts = urlsplit(url)
            if not (url.isascii() and parts.scheme in {"http", "https"} and parts.hostname):
                raise ValueError(f"the webhook URL {url!r} is not an http or https URL")
            _ = parts.port  # raises ValueError if it is not a number
        self._url, self._secret = url, secret.encode()

    def data_changed(self, integration: int, model: Model) -> None:
        """Add a changed model to the event of an integration.

        Kombo sends no event for assessments, nor for the fields of integrations.
        """
        if model.category not in (None, "ASSESSMENT"):
            self._changed.setdefault(integration, {})[kombo_name(model)] = None

    def integration_created(self, integration: Integration) -> None:
        self._events.append(("integration-created", _identity(integration)))

    def integration_deleted(self, integration: Integration) -> None:
        data = {**_identity(integration), "deleted_at": iso(self._clock.now())}
        self._events.append(("integration-deleted", data))

    def state_changed(self, integration: Integration) -> None:
        data = {
            **_owner(integration),
            "end_user": details(integration, {})["end_user"],
            "qa_status": "PASSED",
            "setup_status": integration.setup_status,
            "state": integration.status,
            "updated_at": iso(self._clock.now()),
        }
        self._events.append(("integration-state-changed", data))

    async def send(self) -> None:
        """Send the collected events, without blocking other requests.

        An event that is not delivered is reported on stderr and not sent again.
        """
        if not (self._events or self._changed):
            return
        changed = [
            ("data-changed", {**_owner(one), "changed_models": [{"name": name} for name in names]})
            for one in self._store.integrations.values()
            if (names := self._changed.get(one.seq))
        ]
        events = self._events + changed
        self._events, self._changed = [], {}
        if self._url:
            await asyncio.to_thread(_deliver, self._url, self._secret, events)


def _identity(integration: Integration) -> dict[str, Any]:
    return {
        "id": integration.id,
        "tool": integration.tool,
        "category": TOOLS[integration.tool].category,
        "end_user": details(integration, {})["end_user"],
    }


def _owner(integration: Integration) -> dict[str, Any]:
    return {
        "integration_id": integration.id,
        "integration_tool": integration.tool,
        "integration_category": TOOLS[integration.tool].category,
    }


def _deliver(url: str, secret: bytes, events: Sequence[tuple[str, dict[str, Any]]]) -> None:
    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    for kind, data in events:
        body = json.dumps({"id": secrets.token_hex(12), "type": kind, "data": data}).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Kombo-Signature": _signature(body, secret),
        }
        try:
            connection = connect(parts.netloc, timeout=_TIMEOUT_SECONDS)
            try:
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            # The remaining events would probably time out as well.
            _report(f"{url} does not respond ({error}); events were dropped")
            return
        if status >= http.HTTPStatus.MULTIPLE_CHOICES:
            _report(f"{url} responded to {kind} with status {status}")


def _signature(body: bytes, secret: bytes) -> str:
    digest = hmac.digest(secret, body, "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _report(sentence: str) -> None:
    sys.stderr.write(f"kombo-sandbox: {sentence}\n")
