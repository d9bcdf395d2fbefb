"""Cursors: opaque, signed, and valid for one model of one integration for a limited time."""

import base64
import hmac
import json

from kombo_sandbox.orders import ORDERS, Order, Position

_SIGNATURE_BYTES = 9


class Cursors:
    """Issues and reads cursors.

    Args:
        key: The key of the signature.
        lifetime: Seconds until a cursor expires.
    """

    def __init__(self, key: str, lifetime: float) -> None:
        self._key = key.encode()
        self._lifetime = lifetime

    def issue(self, model: str, integration: str, order: Order, after: Position, now: int) -> str:
        """Return a cursor for the records after a position; `now` is in milliseconds."""
        content = json.dumps([model, integration, order.name, after, now]).encode()
        return base64.urlsafe_b64encode(self._sign(content) + content).decode()

    def read(self, cursor: str, model: str, integration: str, now: int) -> tuple[Order, Position]:
        """Return the order and the position of a cursor; raises ValueError if it is not valid."""
        try:
            raw = base64.urlsafe_b64decode(cursor)
        except ValueError:
            raw = b""
        signature, content = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(content)):
            raise ValueError("is not valid")
        its_model, its_integration, order, after, issued = json.loads(content)
        if (its_model, its_integration) != (model, integration):
            raise ValueError("belongs to another list")
        if now - issued > self._lifetime * 1000:
            raise ValueError("has expired")
        return ORDERS[order], after

    def _sign(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")[:_SIGNATURE_BYTES]
