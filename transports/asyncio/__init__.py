"""WebSockets on asyncio: `serve(handler)`, `serve_hub(config)`, `connect(uri)`, and what their users need.

The names are those of `websockets`, whose users may write
`import hubbub.transports.asyncio as websockets`.
"""

from ...core.frames import CloseCode
from ...core.http import Headers, Request, Response
from ...core.states import State
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
    NegotiationError,
)
from ..fan_out import broadcast
from ..hooks import Calling, Connecting, Hooks, Leaving, Publishing, Refuse, Subscribing
from ..messages import Message
from ..reconnecting import process_exception
from ..server_connection import (
    Handler,
    ProcessRequest,
    ProcessResponse,
    SelectSubprotocol,
    ServerConnection,
)
from .client import connect, unix_connect
from .hub import HubServer, serve_hub
from .server import Server, serve, unix_serve

__all__ = [
    "Calling",
    "ClientConnection",
    "CloseCode",
    "ConcurrencyError",
    "Connecting",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Handler",
    "Headers",
    "Hooks",
    "HubServer",
    "InvalidHandshake",
    "InvalidStatus",
    "InvalidURI",
    "Leaving",
    "Message",
    "NegotiationError",
    "ProcessRequest",
    "ProcessResponse",
    "Publishing",
    "Refuse",
    "Request",
    "Response",
    "SelectSubprotocol",
    "Server",
    "ServerConnection",
    "State",
    "Subscribing",
    "basic_auth",
    "broadcast",
    "connect",
    "exceptions",
    "process_exception",
    "serve",
    "serve_hub",
    "unix_connect",
    "unix_serve",
]
