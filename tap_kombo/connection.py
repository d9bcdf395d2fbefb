"""How one host is asked again and again: what the HTTP libraries leave open, and repeat.

Left open: a socket's timeout begins anew with every byte, so a server that drips would be listened
to for ever. Here, all bytes of an answer together have that time. Repeated: for every request,
`requests` looks the environment's proxies and certificates up, which takes longer than all else.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from singer_sdk.streams.rest import HTTPRequest

from tap_kombo.settings import is_loopback


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


class _Adapter(HTTPAdapter):
    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        kind = pool.ConnectionCls  # one for http, one for https, and others for SOCKS proxies
        if kind.response_class is not _Response:
            pool.ConnectionCls = type(kind.__name__, (kind,), {"response_class": _Response})
        return pool


def _safe_proxies(url: str, proxies: Mapping[str, str]) -> Mapping[str, str]:
    """Leave out what would carry the API key unencrypted to another machine.

    Plain http is for this machine itself (see settings.py), where a network's proxy is of no use.
    """
    if urlsplit(url).scheme != "http":
        return proxies
    try:
        host = urlsplit(select_proxy(url, proxies) or "").hostname
    except ValueError:
        host = None
    return proxies if host and is_loopback(host) else {}


Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


class Session:
    """Asks one host; for one thread.

    Args:
        auth: Adds the API key to a request.
        user_agent: What the tap calls itself.
    """

    def __init__(self, auth: Auth, user_agent: str) -> None:
        self._session = requests.Session()
        self._session.auth = auth
        self._session.headers["User-Agent"] = user_agent
        self._adapter = _Adapter()
        self._common: requests.PreparedRequest | None = None
        self._ways: Mapping[str, Any] = {}

    def send(self, request: HTTPRequest, timeout: float) -> requests.Response:
        """Send a request, and read the head of the answer; redirects are not followed.

        Args:
            request: What to ask, of the same host as ever.
            timeout: Seconds from the first to the last byte.

        Raises:
            requests.RequestException: There is no answer.
            OSError: The certificates to trust cannot be read.
        """
        if self._common is None:
            ways = self._session.merge_environment_settings(
                request.url, {}, stream=True, verify=None, cert=None
            )
            self._ways = {**ways, "proxies": _safe_proxies(request.url, ways["proxies"])}
            # Last, so that no request goes out before its way is known.
            self._common = self._session.prepare_request(
                requests.Request(request.method, request.url)
            )
        prepared = self._common.copy()
        prepared.prepare_url(request.url, request.encode_params())
        prepared.headers.update(request.headers)
        return self._adapter.send(prepared, timeout=timeout, **self._ways)
