"""An accepted socket up to the answer to its request."""

from typing import TYPE_CHECKING, Any

from ..core.errors import LocalProtocolError
from ..core.events import Refused, Requested
from ..core.http import text_response
from ..core.states import State
from ..core.websocket import WebSocket
from .driver import Driver
from .socket_link import SocketLink

if TYPE_CHECKING:
    from .server import BaseServer

__all__ = ["ServerSideOpening", "printable", "turn_away"]


class ServerSideOpening:
    """An accepted socket up to the answer to its request."""

    __slots__ = ("address", "answered", "server", "socket", "ws")

    socket: SocketLink

    def __init__(self, server: "BaseServer", ws: WebSocket, address: Any) -> None:
        self.server = server
        self.ws = ws
        self.address = address
        self.answered = False
        """Whether the server's shutdown has answered it."""

    def changed(self) -> None:
        """See `Owner`."""
        event = self.ws.next_event()
        # Never an HttpRequested: `BaseServer` takes no options that ask for those.
        if isinstance(event, Requested):
            self.server.requested(self, event)
        elif isinstance(event, Refused):
            self.server.refused(event)
        if self.socket.closed:
            self.server.openings.discard(self)
            self.server.look_if_empty()


def turn_away(opening: ServerSideOpening, driver: Driver) -> None:
    """The server closes: a whole request gets an answer, half a one is not waited for."""
    if opening.ws.state is not State.CONNECTING:
        return  # an answer is leaving
    opening.answered = True
    try:
        opening.ws.reject(text_response(503, "The server is shutting down"), driver.now())
        driver.mark(opening.socket)
    except LocalProtocolError:
        opening.socket.lose(driver.now())


def printable(address: object) -> str:
    """A socket's address for a log."""
    match address:
        case (str(host), int(port)):
            return f"{host}:{port}"
        case (str(host), int(port), int(), int()):  # IPv6 adds flow and scope
            return f"[{host}]:{port}"
        case _:
            return str(address) or "unix"
