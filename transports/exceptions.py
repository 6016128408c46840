"""What users may have to catch, the same on every event loop; the names are those of `websockets`."""

from ..core.errors import WebSocketException
from ..core.events import Close, Closed
from ..core.frames import CloseCode
from ..core.http import Response
from ..core.proxy import InvalidProxy
from ..core.uri import InvalidURI
from .hub_client_exceptions import HubClosed, HubError

__all__ = [
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "HubClosed",
    "HubError",
    "InvalidHandshake",
    "InvalidMessage",
    "InvalidProxy",
    "InvalidProxyStatus",
    "InvalidStatus",
    "InvalidURI",
    "NegotiationError",
    "ProxyError",
    "SecurityError",
    "WebSocketException",
]


class ConnectionClosed(WebSocketException):
    """The connection is closed: there is nothing to receive and nothing can be sent.

    `code` and `reason` are the peer's (1006 if it sent no Close frame); `rcvd` and `sent` are the Close
    frames of both sides, each None if there was none; `closed` tells the rest, or is None where our own
    Close frame is sent and the peer's is awaited.
    """

    ok = False
    """Whether both sides closed with 1000 or 1001."""

    def __init__(self, closed: Closed | None) -> None:
        super().__init__()
        self.closed = closed
        self.code = 1006 if closed is None else closed.code
        self.reason = "" if closed is None else closed.reason

    @property
    def rcvd(self) -> Close | None:
        """The peer's Close frame."""
        return None if self.closed is None else self.closed.received

    @property
    def sent(self) -> Close | None:
        """Ours."""
        return None if self.closed is None else self.closed.sent

    @property
    def rcvd_then_sent(self) -> bool | None:
        """Whether the peer's came first; None unless there are both."""
        if self.rcvd is None or self.sent is None:
            return None
        return self.closed is not None and self.closed.received_first

    def __str__(self) -> str:
        """Both Close frames in their order, or why there is none."""
        if self.closed is None:
            return "the connection is closing"
        received, sent = _words("received", self.rcvd), _words("sent", self.sent)
        if self.rcvd is None:
            return f"{sent}; {self.closed.cause}" if self.sent is not None else self.closed.cause
        if self.sent is None:
            return received
        return f"{received}; {sent}" if self.rcvd_then_sent else f"{sent}; {received}"


def _words(verb: str, close: Close | None) -> str:
    if close is None:
        return f"{verb} no Close frame"
    if close.code is None:
        return f"{verb} a Close frame without a code"
    try:
        meaning = f" ({CloseCode(close.code).name.lower().replace('_', ' ')})"
    except ValueError:
        meaning = ""
    # `repr`, because a reason may hold line breaks and worse.
    return f"{verb} {close.code}{meaning}{' ' + repr(close.reason) if close.reason else ''}"


class ConnectionClosedOK(ConnectionClosed):
    """Both sides closed with 1000 (normal) or 1001 (going away)."""

    ok = True


class ConnectionClosedError(ConnectionClosed):
    """The connection ended in another way."""


def closed_exception(closed: Closed | None) -> ConnectionClosed:
    """The exception for a connection that ended as `closed` says."""
    fine = closed is not None and all(
        close is not None and close.code in (1000, 1001, None)
        for close in (closed.sent, closed.received)
    )
    return ConnectionClosedOK(closed) if fine else ConnectionClosedError(closed)


class ConcurrencyError(WebSocketException, RuntimeError):
    """Two tasks receive from one connection."""


class InvalidHandshake(WebSocketException):
    """The opening handshake failed."""


class InvalidMessage(InvalidHandshake):
    """The stream ended before the response was complete; another attempt may go better."""


class InvalidStatus(InvalidHandshake):
    """The server answered with another status than 101.

    `response` has the status, the headers and the body, at most `max_body` bytes of it.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"the server answered with HTTP {response.status}")
        self.response = response


class NegotiationError(InvalidHandshake):
    """No subprotocol suits both; raise it in `select_subprotocol` to refuse a client with 400."""


class ProxyError(InvalidHandshake):
    """The proxy did not let us through."""


class InvalidProxyStatus(ProxyError):
    """The proxy answered with another status than 2xx; `response` tells more."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"the proxy answered with HTTP {response.status}")
        self.response = response


class SecurityError(InvalidHandshake):
    """A redirect may not be followed: from wss to ws, or one too many."""
