"""WebSockets on trio: `serve(handler)`, `connect(uri)`, and what their users need.

The names are those of `websockets`, whose users may write
`import hubbub.transports.trio as websockets`.
"""

from ...core.uri import InvalidURI
from .. import exceptions
from ..basic_auth import basic_auth
from ..client_connection import ClientConnection
from ..exceptions import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidStatus,
)
from ..fan_out import broadcast
from ..messages import Message
from ..server_connection import Handler, ServerConnection
from .client import connect, unix_connect
from .server import Server, serve, unix_serve

__all__ = [
    "ClientConnection",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Handler",
    "InvalidHandshake",
    "InvalidStatus",
    "InvalidURI",
    "Message",
    "Server",
    "ServerConnection",
    "basic_auth",
    "broadcast",
    "connect",
    "exceptions",
    "serve",
    "unix_connect",
    "unix_serve",
]
