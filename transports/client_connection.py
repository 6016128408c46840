"""A connection on the client's side."""

import logging
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

    __slots__ = ("_options", "logger", "response")

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
        logger: "logging.Logger | logging.LoggerAdapter[Any]",
    ) -> None:
        super().__init__(driver, socket, ws, remote, entropy)
        self._options = options
        self.logger = logger
        """That of `connect`."""
        self.response = response
        """The server's answer to our request."""

    @property
    def request(self) -> Request:
        """Our opening request, without its random key."""
        lines = client_headers(self._options, b"")
        kept = [(name, value) for name, value in lines if name != "Sec-WebSocket-Key"]
        return Request("GET", self._options.target, Headers(kept))
