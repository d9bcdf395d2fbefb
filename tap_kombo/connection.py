"""What the HTTP libraries leave open: an answer that ends in time, whatever the server does.

A socket's timeout begins anew with every byte, so a server that drips would be listened to for
ever. Here, all bytes of an answer together have that time.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection


class _Bytes(io.RawIOBase):
    """What comes from a socket before its timeout is over, counted from now."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw
        self._ends_at = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        # 0 would mean that there is no timeout.
        self._sock.settimeout(max(self._ends_at - time.monotonic(), 0.001))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Bytes(sock, self.fp.detach()))

    def begin(self) -> None:
        """Wait for the final answer.

        `http.client` passes over 100 only; after another interim answer, such as 103, it would
        take the final one for the answer to its next request: records of another integration.
        """
        super().begin()
        while self.status < http.client.OK:
            self.headers = None  # type: ignore[assignment]  # or `begin` thinks that it is done
            super().begin()


class _Connection(HTTPConnection):
    response_class = _Response


class _TlsConnection(HTTPSConnection):
    response_class = _Response


# SOCKS proxies have classes of their own, and keep them.
CONNECTIONS = {HTTPConnection: _Connection, HTTPSConnection: _TlsConnection}


class _Adapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = CONNECTIONS.get(pool.ConnectionCls, pool.ConnectionCls)
        return pool


class Session(requests.Session):
    """A session whose requests end in time, and which looks at no redirect."""

    def __init__(self) -> None:
        super().__init__()
        for scheme in ("https://", "http://"):
            self.mount(scheme, _Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Find none: even a redirect that is not followed is parsed, and may be anything."""
