"""A connection on the server's side, and the user's functions that have a say in it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from inspect import isawaitable
from typing import TYPE_CHECKING, Any

import msgspec

from ..core.events import Requested
from ..core.frames import CloseCode
from ..core.http import Headers, Request, Response, text_response
from ..core.sender import Entropy
from ..core.websocket import WebSocket
from .connection import Connection
from .driver import Driver
from .socket_link import SocketLink

if TYPE_CHECKING:
    from .server import BaseServer

__all__ = [
    "Handler",
    "Negotiation",
    "ProcessRequest",
    "ProcessResponse",
    "SelectSubprotocol",
    "ServerConnection",
]


class ServerConnection(Connection):
    """One WebSocket on the server's side, as its handler sees it."""

    __slots__ = ("request", "server", "username")

    username: str
    """Who `basic_auth` let in."""

    def __init__(
        self,
        driver: Driver,
        socket: SocketLink,
        ws: WebSocket,
        remote: Any,
        entropy: Entropy,
        *,
        server: "BaseServer",
        request: Request,
    ) -> None:
        super().__init__(driver, socket, ws, remote, entropy)
        self.server = server
        """The server that accepted it."""
        self.request = request
        """The opening request."""

    @property
    def logger(self) -> "logging.Logger | logging.LoggerAdapter[Any]":
        """That of the server."""
        return self.server.logger

    def respond(self, status: int, text: str) -> Response:
        """A plain text response, for `process_request` to return."""
        return text_response(int(status), text.removesuffix("\n"))

    def close_soon(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """See `Connection.close_soon`."""
        super().close_soon(code, reason)
        self.server.leaves(self)

    def _ended(self) -> None:
        super()._ended()
        self.server.leaves(self)
        if self.socket.closed:
            self.server.left(self)


Handler = Callable[[Any], Awaitable[None]]
"""A coroutine function that takes a `ServerConnection`, or what returns an awaitable."""

ProcessRequest = Callable[[Any, Request], Awaitable[Response | None] | Response | None]
"""Called with the connection and its request; may refuse it with a response."""

ProcessResponse = Callable[[Any, Request, Response], Awaitable[Response | None] | Response | None]
"""Called with the connection, its request and the 101 response; may return another one."""

SelectSubprotocol = Callable[[Any, Sequence[str]], str | None]
"""Called with the connection and what the client offers; returns one of those, or None."""


class Negotiation(msgspec.Struct, frozen=True):
    """The user's functions that decide about a request."""

    process_request: ProcessRequest | None
    process_response: ProcessResponse | None
    select_subprotocol: SelectSubprotocol | None

    def __bool__(self) -> bool:
        return any((self.process_request, self.process_response, self.select_subprotocol))

    async def decide(
        self, connection: ServerConnection, event: Requested
    ) -> Response | tuple[str | None, Headers]:
        """Ask them: a response that refuses, or the subprotocol and the headers to accept with."""
        request = event.request
        if self.process_request is not None:
            answer = self.process_request(connection, request)
            response = _checked(await answer if isawaitable(answer) else answer, "process_request")
            if response is not None:
                return response
        subprotocol = event.subprotocol
        if self.select_subprotocol is not None:
            subprotocol = self.select_subprotocol(connection, event.subprotocols)
        headers = Headers()
        if self.process_response is not None:
            answer = self.process_response(connection, request, Response(101, headers))
            response = _checked(await answer if isawaitable(answer) else answer, "process_response")
            if response is not None and response.status != 101:
                return response
            if response is not None:
                headers = response.headers
        return subprotocol, headers


def _checked(answer: object, name: str) -> Response | None:
    if answer is None or isinstance(answer, Response):
        return answer
    raise TypeError(f"{name} returned a {type(answer).__name__}: return a Response or None")
