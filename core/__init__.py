"""The protocol machines: bytes, events and time in; bytes, events and timeouts out.

Nothing here knows a socket, a clock, a random source or an event loop. `hubbub.core.link` says how an
adapter drives a machine.
"""

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
from .frames import CloseCode, Opcode
from .handshake import HEALTHZ, ClientOptions, ServerOptions
from .http import Headers, HeadersLike, Request, Response, Routes, respond, text_response
from .limits import Limits, TokenBucket
from .link import End, Link
from .outgoing import PreparedMessage
from .sender import Entropy
from .states import State
from .timeouts import Deadlines
from .websocket import WebSocket

__all__ = [
    "HEALTHZ",
    "Accepted",
    "BinaryMessage",
    "ClientOptions",
    "Close",
    "CloseCode",
    "Closed",
    "Deadlines",
    "Deflate",
    "End",
    "Entropy",
    "Event",
    "Headers",
    "HeadersLike",
    "HttpRequested",
    "Limits",
    "Link",
    "LocalProtocolError",
    "Opcode",
    "Pong",
    "PreparedMessage",
    "ProtocolError",
    "Refused",
    "Request",
    "Requested",
    "Response",
    "Routes",
    "ServerOptions",
    "State",
    "TextMessage",
    "TokenBucket",
    "WebSocket",
    "respond",
    "text_response",
]
