"""A connection on the client's side."""

from typing import Any

from ..core.handshake import ClientOptions, client_headers
from ..core.http import Headers, Request, Response
from ..core.sender import Entropy
from ..core.websocket import WebSocket
from .connection import Connection
from .driver import Driver
from .socket_link import SocketLink

__all__ = ["ClientConnection"]


class ClientConnection(Connection):
    """One WebSocket on the client's side."""

    __slots__ = ("_options", "response")

    def __init__(
        self,
        driver: Driver,
        socket: SocketLink,
        ws: WebSocket,
        remote: Any,
        entropy: Entropy,
        *,
        options: ClientOptions,
        response: Response,
    ) -> None:
        super().__init__(driver, socket, ws, remote, entropy)
        self._options = options
        self.response = response
        """The server's answer to our request."""

    @property
    def request(self) -> Request:
        """Our opening request, without its random key."""
        lines = client_headers(self._options, b"")
        kept = [(name, value) for name, value in lines if name != "Sec-WebSocket-Key"]
        return Request("GET", self._options.target, Headers(kept))
