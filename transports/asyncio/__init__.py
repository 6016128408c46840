"""WebSockets on asyncio: `serve(handler)` and what a handler needs."""

from ..exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK
from .connection import Message, ServerConnection, broadcast
from .server import Handler, Server, serve

__all__ = [
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Handler",
    "Message",
    "Server",
    "ServerConnection",
    "broadcast",
    "serve",
]
