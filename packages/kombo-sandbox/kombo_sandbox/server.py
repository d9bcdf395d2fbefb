"""The HTTP server: uvicorn on its own socket, stopped by a signal."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware as StarletteMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kombo_sandbox.api import ERROR_HANDLERS, Kombo
from kombo_sandbox.control import Control
from kombo_sandbox.middleware import Middleware
from kombo_sandbox.state import State

_LAST_PORT = 65_535
# Longer than clients keep idle connections.
_KEEP_ALIVE_SECONDS = 75


def application(state: State, *, hosts: Collection[str], gzip: bool) -> ASGIApp:
    """Return the ASGI application.

    Args:
        state: The state of the sandbox.
        hosts: Host names and addresses of the server.
        gzip: Compress responses for clients that accept it.
    """
    app = Starlette(
        routes=[*Kombo(state).routes(), *Control(state, hosts).routes()],
        middleware=[StarletteMiddleware(GZipMiddleware)] if gzip else [],
        exception_handlers=ERROR_HANDLERS,
    )
    return Middleware(app, state)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; raises ValueError if that is not possible."""
    if not 0 <= port <= _LAST_PORT:
        raise ValueError(f"--port must be between 0 and {_LAST_PORT}, not {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise ValueError(f"cannot listen on {host} port {port}: {reason}") from error


def url_of(listener: socket.socket) -> str:
    """Return the URL at which this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    is_ipv4 = listener.family is socket.AF_INET
    if ip_address(host.partition("%")[0]).is_unspecified:
        host = "127.0.0.1" if is_ipv4 else "::1"
    return f"http://{host}:{port}" if is_ipv4 else f"http://[{host}]:{port}"


def run(app: ASGIApp, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; calls `ready` once connections are accepted."""
    config = uvicorn.Config(
        app,
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=0,
    )
    _Server(config, ready).run(sockets=[listener])


def stop_at_end_of_stdin() -> None:
    """Stop this process when stdin closes, because the process that started it has ended."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


class _Connection(HttpToolsProtocol):
    """A connection without delays that a fault can close."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # Head and body are two writes: with Nagle's algorithm, the body would be delayed by 40 ms.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["transport"] = self.transport


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on signals, without raising them again afterwards as uvicorn does."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield
