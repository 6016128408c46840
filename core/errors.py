"""What a caller did wrong. What a peer does wrong is never raised: it becomes an event."""

__all__ = ["LocalProtocolError", "ProtocolError", "WebSocketException"]


class WebSocketException(Exception):
    """The base of all that hubbub raises for its own reasons; the name is that of `websockets`."""


class ProtocolError(WebSocketException):
    """Base of the errors that the core raises, as in h11 and wsproto."""


class LocalProtocolError(ProtocolError):
    """The caller asked for something that the protocol, or the connection's state, forbids.

    The message says what was wrong and what to do. The call changed nothing.
    """
