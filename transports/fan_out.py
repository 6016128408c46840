"""One message to many connections."""

from collections.abc import Iterable
from typing import TypeVar

from ..core.outgoing import PreparedMessage
from .connection import Connection
from .messages import Message, converted

__all__ = ["broadcast"]

AnyConnection = TypeVar("AnyConnection", bound=Connection)


def broadcast(
    connections: Iterable[AnyConnection], message: Message, *, text: bool | None = None
) -> list[AnyConnection]:
    """Send one message to many connections of a server: encoded once, without waiting for the slowest.

    Args:
        connections: who gets it.
        message: text or bytes.
        text: as that of `Connection.send`.

    Returns:
        The connections that were skipped, because more than `write_limit` bytes wait for their peer,
        because a message in fragments is under way, because they are closing, or because they are a
        client's.

    Raises:
        LocalProtocolError: text with a lone surrogate.
    """
    prepared = PreparedMessage(message if text is None else converted(message, text))
    skipped: list[AnyConnection] = []
    for connection in connections:
        # `send_now`, written out for those who keep up: the call would cost a third of the whole.
        if connection.ws.offer(prepared):
            socket = connection.socket
            if not socket.marked:
                connection.driver.mark(socket)
        elif not connection.send_now(prepared):
            skipped.append(connection)
    return skipped
