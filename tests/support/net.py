"""The adapter under test, and a server of it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import Any, TypeAlias

from hubbub.core.handshake import ServerOptions
from hubbub.core.limits import Limits
from hubbub.transports.asyncio import Handler, Server, ServerConnection
from hubbub.transports.server_life import ServerLife

__all__ = [
    "Connection",
    "Handler",
    "Net",
    "Server",
    "ServerLife",
    "adapter",
    "address",
    "serving",
    "url",
]

Net: TypeAlias = Any
"""`hubbub.transports.asyncio` or `hubbub.transports.trio`: both have the same names."""

Connection: TypeAlias = ServerConnection
"""A connection of either, as its handler sees it. Types are those of asyncio's, for both."""


def adapter(backend: str) -> Net:
    """The adapter for a backend of `support.loops`."""
    found: Net = import_module(f"hubbub.transports.{'trio' if backend == 'trio' else 'asyncio'}")
    return found


def serving(
    net: Net, handler: Handler, limits: Limits | None = None, **options: Any
) -> AbstractAsyncContextManager[Server]:
    """Serve on a free port of this machine, with these limits and options."""
    made = ServerOptions(limits=limits if limits is not None else Limits(), **options)
    server: AbstractAsyncContextManager[Server] = net.serve(handler, "127.0.0.1", 0, options=made)
    return server


def address(server: ServerLife) -> tuple[str, int]:
    """Where it listens first."""
    host, port = server.sockets[0].getsockname()[:2]
    return host, port


def url(server: ServerLife, path: str = "/") -> str:
    """How a client names it."""
    host, port = address(server)
    return f"ws://{host}:{port}{path}"
