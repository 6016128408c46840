"""The protocol machines: bytes, events and time in; bytes, events and timeouts out.

Nothing here knows a socket, a clock, a random source or an event loop. `hubbub.core.link` says how an
adapter drives a machine.
"""

from .auth import (
    AnonymousAccess,
    External,
    TokenAuth,
    TokenEntry,
    hash_token,
    name_key,
    new_token,
)
from .backoff import Backoff
from .client import HubClient
from .client_events import (
    ClientEffect,
    Connect,
    Ending,
    FetchToken,
    Resumed,
    StateChange,
    StreamEvent,
)
from .client_options import ClientLimits, HubClientOptions
from .client_states import ClientState
from .client_streams import Stream
from .effects import (
    Append,
    Authenticate,
    Denied,
    Done,
    Effect,
    Failed,
    HookKind,
    HttpRequest,
    Outcome,
    Read,
    Reopen,
    RunHook,
    Trim,
    Who,
)
from .errors import LocalProtocolError, ProtocolError
from .events import (
    Accepted,
    BinaryMessage,
    Close,
    Closed,
    Event,
    HttpRequested,
    Pong,
    Refused,
    Requested,
    TextMessage,
)
from .extensions import Deflate
from .forwarded import TrustedProxies
from .frames import CloseCode, Opcode
from .grants import Grant
from .handshake import HEALTHZ, ClientOptions, ServerOptions
from .http import Headers, HeadersLike, Request, Response, Routes, respond, text_response
from .hub import Hub
from .hub_config import HubConfig
from .hub_events import (
    AuthFailed,
    Counters,
    HubEvent,
    Joined,
    Left,
    OpeningRefused,
    RequestFailed,
    Slow,
    StoreDamaged,
    StoreFailed,
    StoreReopened,
    TurnedAway,
)
from .hub_limits import HubLimits
from .limits import Limits, TokenBucket
from .link import End, Link
from .outgoing import PreparedMessage
from .records import Acknowledged, Damage, Heads, Record, Retention
from .rules import DEFAULT_RULES, Rule
from .sender import Entropy
from .session import Session
from .states import State
from .timeouts import Deadlines
from .websocket import WebSocket

__all__ = [
    "DEFAULT_RULES",
    "HEALTHZ",
    "Accepted",
    "Acknowledged",
    "AnonymousAccess",
    "Append",
    "AuthFailed",
    "Authenticate",
    "Backoff",
    "BinaryMessage",
    "ClientEffect",
    "ClientLimits",
    "ClientOptions",
    "ClientState",
    "Close",
    "CloseCode",
    "Closed",
    "Connect",
    "Counters",
    "Damage",
    "Deadlines",
    "Deflate",
    "Denied",
    "Done",
    "Effect",
    "End",
    "Ending",
    "Entropy",
    "Event",
    "External",
    "Failed",
    "FetchToken",
    "Grant",
    "Headers",
    "HeadersLike",
    "Heads",
    "HookKind",
    "HttpRequest",
    "HttpRequested",
    "Hub",
    "HubClient",
    "HubClientOptions",
    "HubConfig",
    "HubEvent",
    "HubLimits",
    "Joined",
    "Left",
    "Limits",
    "Link",
    "LocalProtocolError",
    "Opcode",
    "OpeningRefused",
    "Outcome",
    "Pong",
    "PreparedMessage",
    "ProtocolError",
    "Read",
    "Record",
    "Refused",
    "Reopen",
    "Request",
    "RequestFailed",
    "Requested",
    "Response",
    "Resumed",
    "Retention",
    "Routes",
    "Rule",
    "RunHook",
    "ServerOptions",
    "Session",
    "Slow",
    "State",
    "StateChange",
    "StoreDamaged",
    "StoreFailed",
    "StoreReopened",
    "Stream",
    "StreamEvent",
    "TextMessage",
    "TokenAuth",
    "TokenBucket",
    "TokenEntry",
    "Trim",
    "TrustedProxies",
    "TurnedAway",
    "WebSocket",
    "Who",
    "hash_token",
    "name_key",
    "new_token",
    "respond",
    "text_response",
]
