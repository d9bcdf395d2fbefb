"""Cursors: opaque to clients, signed, good for one model of one integration for a while."""

import base64
import binascii
import hmac
import json

from kombo_sandbox.orders import ORDERS, Order, Place

_SIGNATURE = 9


class Cursors:
    """Cursors that are signed with ``key`` and live for ``lifetime`` seconds."""

    def __init__(self, key: str, lifetime: float) -> None:
        self._key = key.encode()
        self._lifetime = lifetime

    def issue(self, model: str, integration: str, order: Order, after: Place, now: int) -> str:
        """A cursor for what comes behind the place ``after``; ``now`` in milliseconds."""
        content = json.dumps([model, integration, order.name, after, now]).encode()
        return base64.urlsafe_b64encode(self._sign(content) + content).decode()

    def read(self, cursor: str, model: str, integration: str, now: int) -> tuple[Order, Place]:
        """The place in the cursor, and the order that it goes on in, whatever the order is now.

        ValueError if it is foreign, expired or no cursor at all.
        """
        try:
            raw = base64.urlsafe_b64decode(cursor)
        except (binascii.Error, ValueError):
            raw = b""
        signature, content = raw[:_SIGNATURE], raw[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(content)):
            raise ValueError("is not valid")
        its_model, its_integration, order, after, issued = json.loads(content)
        if (its_model, its_integration) != (model, integration):
            raise ValueError("belongs to another list")
        if now - issued > self._lifetime * 1000:
            raise ValueError("has expired")
        return ORDERS[order], after

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_SIGNATURE]
