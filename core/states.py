"""The states of one connection and every move between them, as tables.

Two small machines run side by side and know nothing of roles, bytes or time.

*Opening* is the opening handshake (RFC 6455, section 4): a server waits for a request, reports it, and
decides; a client waits for the response.

*Closing* is everything after that (RFC 6455, section 7). Its one unusual state is ``DUE``. The peer has
sent a Close frame, or something that fails the connection, but messages that came before it still wait
for the application. Answers to those belong before our Close frame, so our Close frame is due, and
leaves when the application has taken them (or after ``answer_timeout``). A server that fails the
connection the moment it parses the bad frame loses the replies to the good ones.

A pair that is not in a table cannot happen: `advance` raises `KeyError`, and the tests walk every pair.
The diagrams in the documentation are made from these tables.
"""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

__all__ = [
    "CLOSING",
    "OPENING",
    "Closing",
    "ClosingInput",
    "Opening",
    "OpeningInput",
    "State",
]


class State(Enum):
    """The four states of RFC 6455, for users; `Opening` and `Closing` say more."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Opening(Enum):
    """Where the opening handshake stands."""

    WAITING = "waiting"
    """Server: the request, with its body, is not complete. Client: the response is not complete."""
    DECIDING = "deciding"
    """Server: the request was reported; `accept` or `reject`, or `respond` to ordinary HTTP, is awaited."""
    DONE = "done"
    """The 101 was sent or received: frames follow."""
    REFUSED = "refused"
    """The answer was an HTTP response: no frame will follow."""


class OpeningInput(Enum):
    """What moves the opening handshake."""

    REQUEST = "request"
    ACCEPT = "accept"
    REFUSE = "refuse"


class Closing(Enum):
    """Where the end of the connection stands."""

    NONE = "none"
    """Nobody has begun to close."""
    SENT = "sent"
    """We sent a Close frame and await theirs."""
    DUE = "due"
    """Ours is due once the messages before it were taken (see the module's docstring)."""
    OVER = "over"
    """Nothing more is exchanged: last bytes leave, then the socket is drained."""
    ENDED = "ended"
    """The socket is to be closed, or is."""


class ClosingInput(Enum):
    """What moves the end of the connection."""

    SEND_CLOSE = "send close"
    """The application closes."""
    RECEIVE_CLOSE = "receive close"
    """A Close frame arrived."""
    FAIL = "fail"
    """Fail the WebSocket Connection (RFC 6455, 7.1.7), or an HTTP answer ended the handshake."""
    ANSWER = "answer"
    """The messages before it were taken: send the Close frame that is due."""
    END = "end"
    """End of stream, a lost socket, an expired deadline, or a socket drained."""


OPENING: Mapping[tuple[Opening, OpeningInput], Opening] = MappingProxyType(
    {
        (Opening.WAITING, OpeningInput.REQUEST): Opening.DECIDING,
        (Opening.WAITING, OpeningInput.ACCEPT): Opening.DONE,
        (Opening.WAITING, OpeningInput.REFUSE): Opening.REFUSED,
        (Opening.DECIDING, OpeningInput.ACCEPT): Opening.DONE,
        (Opening.DECIDING, OpeningInput.REFUSE): Opening.REFUSED,
    }
)

CLOSING: Mapping[tuple[Closing, ClosingInput], Closing] = MappingProxyType(
    {
        (Closing.NONE, ClosingInput.SEND_CLOSE): Closing.SENT,
        (Closing.NONE, ClosingInput.RECEIVE_CLOSE): Closing.DUE,
        (Closing.NONE, ClosingInput.FAIL): Closing.DUE,
        (Closing.NONE, ClosingInput.END): Closing.ENDED,
        (Closing.SENT, ClosingInput.RECEIVE_CLOSE): Closing.OVER,
        (Closing.SENT, ClosingInput.FAIL): Closing.OVER,
        (Closing.SENT, ClosingInput.END): Closing.ENDED,
        (Closing.DUE, ClosingInput.ANSWER): Closing.OVER,
        (Closing.DUE, ClosingInput.END): Closing.ENDED,
        (Closing.OVER, ClosingInput.END): Closing.ENDED,
        (Closing.ENDED, ClosingInput.END): Closing.ENDED,
    }
)
