"""WebSockets on trio: `serve(handler)`, `serve_hub(config)`, `connect(uri)`,
`connect_hub(uri)`, and what their users need.

The names are those of `websockets`, whose users may write
`import hubbub.transports.trio as websockets`.
"""

from ...core.client_events import Resumed, StateChange
from ...core.client_states import ClientState
from ...core.frames import CloseCode
from ...core.http import Headers, Request, Response
from ...core.messages import (
    Chat,
    Direct,
    Gap,
    Notification,
    Position,
    Presence,
    PresenceChange,
    Published,
    System,
    Unsubscribed,
)
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
from ..hub_client_exceptions import HubClosed, HubError
from ..hub_client_streams import Directs, States, Subscription
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
from .hub_client import RemoteHub, connect_hub
from .server import Server, serve, unix_serve

__all__ = [
    "Calling",
    "Chat",
    "ClientConnection",
    "ClientState",
    "CloseCode",
    "ConcurrencyError",
    "Connecting",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Direct",
    "Directs",
    "Gap",
    "Handler",
    "Headers",
    "Hooks",
    "HubClosed",
    "HubError",
    "HubServer",
    "InvalidHandshake",
    "InvalidStatus",
    "InvalidURI",
    "Leaving",
    "Message",
    "NegotiationError",
    "Notification",
    "Position",
    "Presence",
    "PresenceChange",
    "ProcessRequest",
    "ProcessResponse",
    "Published",
    "Publishing",
    "Refuse",
    "RemoteHub",
    "Request",
    "Response",
    "Resumed",
    "SelectSubprotocol",
    "Server",
    "ServerConnection",
    "State",
    "StateChange",
    "States",
    "Subscribing",
    "Subscription",
    "System",
    "Unsubscribed",
    "basic_auth",
    "broadcast",
    "connect",
    "connect_hub",
    "exceptions",
    "process_exception",
    "serve",
    "serve_hub",
    "unix_connect",
    "unix_serve",
]
