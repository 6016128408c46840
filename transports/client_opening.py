"""A client's socket up to the answer to its request."""

import socket as stdlib_socket
from typing import Any

from ..core.events import Closed, Event, Refused
from ..core.websocket import WebSocket
from .driver import Promise
from .exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
)
from .socket_link import SocketLink
from .tls import TLSLink
from .tunnel import TunnelLink

__all__ = ["ClientSideOpening", "peer_of", "why_not"]


class ClientSideOpening:
    """A client's handshake: its first event is what `connect` waits for."""

    __slots__ = ("answer", "lost", "socket", "ws")

    socket: SocketLink

    def __init__(self, ws: WebSocket, answer: Promise) -> None:
        self.ws = ws
        self.answer = answer
        self.lost = False
        """Whether the stream ended before there was an event."""

    def changed(self) -> None:
        """See `Owner`."""
        if not self.answer.done():
            event = self.ws.next_event()
            if event is not None:
                self.lost = self.socket.ended
                self.answer.set_result(event)


def why_not(event: Event, layers: list[TLSLink | TunnelLink], lost: bool) -> Exception:
    """Why there is no connection, from the layer that knows it best."""
    for layer in reversed(layers):
        if isinstance(layer, TLSLink):
            if layer.error is not None:
                return layer.error
        elif layer.refusal is not None:
            response = layer.refusal.response
            return (
                ProxyError(layer.refusal.cause)
                if response is None
                else InvalidProxyStatus(response)
            )
    if isinstance(event, Refused):
        return InvalidStatus(event.response)
    cause = event.cause if isinstance(event, Closed) else repr(event)
    if "timed out" in cause:
        return TimeoutError(cause)
    return InvalidMessage(cause) if lost else InvalidHandshake(cause)


def peer_of(sock: stdlib_socket.socket) -> Any:
    """The address of the other side; None once it has gone."""
    try:
        return sock.getpeername()
    except OSError:
        return None
