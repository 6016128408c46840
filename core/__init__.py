"""The protocol machines: bytes, events and time in; bytes, events and timeouts out.

Nothing here knows a socket, a clock, a random source or an event loop. `hubbub.core.link` says how an
adapter drives a machine.
"""

from .auth import AnonymousAccess, External, TokenAuth, TokenEntry, hash_token, new_token
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
from .hub_events import Counters, HubEvent
from .hub_limits import HubLimits
from .limits import Limits, TokenBucket
from .link import End, Link
from .outgoing import PreparedMessage
from .records import Heads
from .rules import Rule
from .sender import Entropy
from .session import Session
from .states import State
from .timeouts import Deadlines
from .websocket import WebSocket

__all__ = [
    "HEALTHZ",
    "Accepted",
    "AnonymousAccess",
    "Append",
    "Authenticate",
    "BinaryMessage",
    "ClientOptions",
    "Close",
    "CloseCode",
    "Closed",
    "Counters",
    "Deadlines",
    "Deflate",
    "Denied",
    "Done",
    "Effect",
    "End",
    "Entropy",
    "Event",
    "External",
    "Failed",
    "Grant",
    "Headers",
    "HeadersLike",
    "Heads",
    "HookKind",
    "HttpRequest",
    "HttpRequested",
    "Hub",
    "HubConfig",
    "HubEvent",
    "HubLimits",
    "Limits",
    "Link",
    "LocalProtocolError",
    "Opcode",
    "Outcome",
    "Pong",
    "PreparedMessage",
    "ProtocolError",
    "Read",
    "Refused",
    "Reopen",
    "Request",
    "Requested",
    "Response",
    "Routes",
    "Rule",
    "RunHook",
    "ServerOptions",
    "Session",
    "State",
    "TextMessage",
    "TokenAuth",
    "TokenBucket",
    "TokenEntry",
    "Trim",
    "TrustedProxies",
    "WebSocket",
    "Who",
    "hash_token",
    "new_token",
    "respond",
    "text_response",
]
