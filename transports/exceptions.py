"""What users of a connection may have to catch, the same on every event loop."""

from ..core.events import Closed

__all__ = ["ConnectionClosed", "ConnectionClosedError", "ConnectionClosedOK", "closed_exception"]


class ConnectionClosed(Exception):
    """The connection is closed: there is nothing to receive and nothing can be sent.

    `code` and `reason` are the peer's (1006 if it sent no Close frame); `closed` tells the rest, or is
    None where our own Close frame is sent and the peer's is awaited.
    """

    ok = False
    """Whether both sides closed with 1000 or 1001."""

    def __init__(self, closed: Closed | None) -> None:
        self.closed = closed
        self.code = 1006 if closed is None else closed.code
        self.reason = "" if closed is None else closed.reason
        cause = "the connection is closing" if closed is None else closed.cause
        super().__init__(f"{cause} (code {self.code})" if closed else cause)


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
