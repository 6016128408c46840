"""What a server is on every event loop: it accepts, opens, runs handlers, and shuts down.

The adapters add how a handler becomes a task, and how a server is started.
"""

import logging
import os
import socket as stdlib_socket
import ssl as stdlib_ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import isawaitable
from typing import Any, Final, Unpack, cast

from ..core.events import Refused, Requested
from ..core.forwarded import TrustedProxies, client_of
from ..core.frames import CloseCode, close_payload
from ..core.handshake import ServerOptions
from ..core.http import Headers, Response, text_response
from ..core.sender import Entropy
from ..core.states import State
from ..core.websocket import WebSocket
from .driver import Clock
from .exceptions import ConnectionClosed, NegotiationError
from .listening import Place
from .options import UNSET, LimitKeywords, Origins, Unset, with_keywords
from .server_connection import (
    Handler,
    Negotiation,
    ProcessRequest,
    ProcessResponse,
    SelectSubprotocol,
    ServerConnection,
)
from .server_life import TASKS_END, ServerLife
from .server_opening import ServerSideOpening, printable, turn_away
from .socket_link import SocketLink
from .tls import TLSLink

__all__ = ["BaseServer"]

default_logger = logging.getLogger("hubbub.server")

_BATCH: Final = 256
"""Connections that are told to close before other tasks get a turn."""


class BaseServer(ServerLife):
    """Listening sockets, their connections, and the tasks that handle them.

    Every connection's handler runs in a task of its own; when it returns, the connection is closed with
    1000, and when it raises, with 1011 and one line in the log.

    Args:
        handler: a coroutine function that takes a `ServerConnection`, or what returns an awaitable.
        host: a name or address, or several; None is every interface.
        port: 0 picks a free one, the same on every address; see `sockets`.
        origins: whose pages may connect: "same-host", a list of origins, or None for all.
        subprotocols: those we know, in order of preference.
        select_subprotocol: called with the connection and what the client offers; returns one of those
            or None, or raises `NegotiationError`.
        compression: "deflate" allows it.
        process_request: called with the connection and the request before it is answered; a returned
            `Response` refuses it. It may be a coroutine function, within `open_timeout`.
        process_response: called with the 101 response too; returns another one or None. Of a 101 only
            the headers are taken; any other refuses.
        server_header: what to call ourselves in the 101 response.
        trusted_proxies: addresses and networks whose `X-Forwarded-For` is believed; "unix" for peers on
            Unix sockets.
        logger: where to log.
        create_connection: a subclass of `ServerConnection`.
        sock: an existing listening socket instead of host and port.
        path: of a Unix socket, instead of host and port.
        ssl: a context, for wss.
        family: of addresses, such as `socket.AF_INET`.
        reuse_port: let several processes share the port.
        backlog: connections that the system holds until we accept them.
        start_serving: False waits for `start_serving()` or `serve_forever()`.
        options: everything else, and what the keywords leave out.
        clock: where the time comes from.
        entropy: where masks, pings and identifiers come from.
        limits: any field of `Limits`, such as `max_size` or `ping_interval`.

    Raises:
        TypeError: the handler can't be called, `ssl` is no context, or a keyword is unknown.
        ValueError: a keyword's value can't work.
        LocalProtocolError: so for those that go into the handshake.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | Iterable[str | None] | None = None,
        port: int | None = None,
        *,
        origins: Origins | Unset = UNSET,
        subprotocols: Sequence[str] | Unset | None = UNSET,
        select_subprotocol: SelectSubprotocol | None = None,
        compression: str | Unset | None = UNSET,
        process_request: ProcessRequest | None = None,
        process_response: ProcessResponse | None = None,
        server_header: str | None = None,
        trusted_proxies: Sequence[str] = (),
        logger: "logging.Logger | logging.LoggerAdapter[Any] | None" = None,
        create_connection: type[ServerConnection] | None = None,
        sock: stdlib_socket.socket | None = None,
        path: str | os.PathLike[str] | None = None,
        ssl: stdlib_ssl.SSLContext | None = None,
        family: int = stdlib_socket.AF_UNSPEC,
        reuse_port: bool | None = None,
        backlog: int = 128,
        start_serving: bool = True,
        options: ServerOptions | None = None,
        clock: Clock | None = None,
        entropy: Entropy = os.urandom,
        **limits: Unpack[LimitKeywords],
    ) -> None:
        super().__init__(
            Place(host, port, sock, path, bool(reuse_port), backlog),
            ssl=ssl,
            family=family,
            start_serving=start_serving,
            logger=logger if logger is not None else default_logger,
            clock=clock,
        )
        if not callable(handler):  # pyright: ignore[reportUnnecessaryComparison]
            raise TypeError(f"the handler is a {type(handler).__name__}: give a coroutine function")
        if options is not None and options.http:
            raise ValueError("options.http: nobody here answers such requests; give options.routes")
        options = with_keywords(
            options if options is not None else ServerOptions(),
            limits,
            subprotocols=subprotocols,
            compression=compression,
            origins=_origins(origins),
        )
        if server_header is not None:
            options = with_keywords(
                options,
                {},
                subprotocols=UNSET,
                compression=UNSET,
                headers=(*options.headers, ("Server", server_header)),
            )
        self._handler = handler
        self._options = options
        self._entropy = entropy
        self._negotiation = Negotiation(process_request, process_response, select_subprotocol)
        self._proxies = TrustedProxies(trusted_proxies) if trusted_proxies else None
        self._create_connection = create_connection or ServerConnection
        self._connections: set[ServerConnection] = set()
        self._all: set[ServerConnection] = set()
        self._handling = 0
        self._told_of_origins = False
        self.openings: set[ServerSideOpening] = set()
        """Sockets whose handshake is not done; for the server's own parts."""

    @property
    def connections(self) -> set[Any]:
        """The open connections, without those that are closing."""
        return set(self._connections)

    def close(
        self,
        close_connections: bool = True,
        code: int = CloseCode.GOING_AWAY,
        reason: str = "",
    ) -> None:
        """Stop listening, and close every connection, with 1001 unless told otherwise.

        Requests that wait for an answer get 503. Calling it again does nothing.

        Args:
            close_connections: False lets them go on until their clients leave.
            code: of the Close frames.
            reason: of the Close frames.

        Raises:
            LocalProtocolError: a code or reason that may not be sent.
        """
        close_payload(code, reason)  # a mistake is told here, since nobody watches the task
        self._begin_shut_down(self._close_all, close_connections, code, reason)

    async def _close_all(self, close_connections: bool, code: int, reason: str) -> None:
        driver = self._driver
        assert driver is not None
        try:
            for opening in list(self.openings):
                turn_away(opening, driver)
            limits = self._options.limits
            patience: float | None = None
            if close_connections:
                for count, connection in enumerate(list(self._connections), 1):
                    connection.close_soon(code, reason)
                    if not count % _BATCH:
                        await driver.checkpoint()
                # Each machine ends its own connection in time; this is for what nobody foresaw.
                patience = limits.close_timeout + limits.drain_timeout + limits.answer_timeout + 1
            await self._wait_until(self._no_sockets, patience)
            for left in [opening.socket for opening in self.openings] + [
                connection.socket for connection in self._all
            ]:
                left.lose(driver.now())
            if not await self._wait_until(self._empty, TASKS_END if close_connections else None):
                self._cancel_tasks()
                if not await self._wait_until(self._empty, TASKS_END):
                    self.logger.error(
                        "%d handlers did not end though they were cancelled", self._handling
                    )
        finally:
            self._closed()

    def _no_sockets(self) -> bool:
        return not (self._all or self.openings)

    def _empty(self) -> bool:
        return not (self._all or self.openings or self._handling)

    # One connection.

    def _accepted(self, sock: stdlib_socket.socket, address: Any) -> None:
        driver = self._driver
        assert driver is not None
        ws = WebSocket(self._options, now=driver.now(), entropy=self._entropy)
        opening = ServerSideOpening(self, ws, address)
        link = ws if self._ssl is None else TLSLink(ws, self._ssl, server_side=True)
        opening.socket = SocketLink(driver, sock, link, opening)
        try:
            opening.socket.start()
        except OSError as error:
            sock.close()
            self.logger.error("a connection can't be served: %s", error.strerror)  # noqa: TRY400
            return
        self.openings.add(opening)

    def refused(self, event: Refused) -> None:
        """For the server's own parts: a request was answered with an HTTP response."""
        path = event.request.path if event.request is not None else "-"
        self.logger.debug("http %d %s", event.response.status, path)
        if self._told_of_origins or event.response.status != 403 or event.request is None:
            return
        if "Origin" in event.request.headers and self._negotiation.process_request is None:
            # Once, because whoever meets it first has a page that mysteriously does not connect.
            self._told_of_origins = True
            self.logger.warning(
                "a page of another origin was refused (403): name it in origins=[…], or allow all with "
                "origins=None; this is said once"
            )

    def requested(self, opening: ServerSideOpening, event: Requested) -> None:
        """For the server's own parts: a valid request came."""
        driver = self._driver
        assert driver is not None
        address = client_of(self._proxies, opening.address, event.request.headers)
        connection = self._create_connection(
            driver,
            opening.socket,
            opening.ws,
            address,
            self._entropy,
            server=self,
            request=event.request,
        )
        if self._negotiation:
            self._begin(self._ask, connection, opening, event)
        elif self._shut_down is not None:
            turn_away(opening, driver)
        elif opening.ws.accept(driver.now()):
            self._open(connection, opening, event.subprotocol)
            self._begin(self._handle, connection)

    def _begin(self, function: Callable[..., Awaitable[None]], *arguments: Any) -> None:
        self._handling += 1
        try:
            self._context.run(self._spawn, function, *arguments)
        except BaseException:
            self._handling -= 1
            raise

    def _open(
        self, connection: ServerConnection, opening: ServerSideOpening, subprotocol: str | None
    ) -> None:
        connection.subprotocol = subprotocol
        opening.socket.owner = connection
        opening.socket.opened()
        self.openings.discard(opening)
        self._all.add(connection)
        self._connections.add(connection)
        connection.driver.mark(opening.socket)

    def leaves(self, connection: ServerConnection) -> None:
        """For the server's own parts: a connection is closing."""
        self._connections.discard(connection)

    def left(self, connection: ServerConnection) -> None:
        """For the server's own parts: a connection's socket is closed."""
        self._all.discard(connection)
        self.look_if_empty()

    async def _ask(
        self, connection: ServerConnection, opening: ServerSideOpening, event: Requested
    ) -> None:
        """Let the user's functions decide about a request, then handle the connection."""
        opened = False
        try:
            verdict = await self._verdict(connection, event)
            opened = not opening.answered and self._answer(connection, opening, verdict)
        except BaseException:  # cancelled
            opening.socket.lose(connection.driver.now())
            raise
        finally:
            if not opened:
                self._handled()
        if opened:
            await self._handle(connection)

    async def _verdict(
        self, connection: ServerConnection, event: Requested
    ) -> Response | tuple[str | None, Headers]:
        try:
            async with connection.driver.fail_after(self._options.limits.open_timeout):
                return await self._negotiation.decide(connection, event)
        except TimeoutError:
            return text_response(503, "The answer took too long")
        except NegotiationError as error:
            return text_response(400, str(error) or "No subprotocol suits")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this request's
            return self._failed(connection, error)

    def _answer(
        self,
        connection: ServerConnection,
        opening: ServerSideOpening,
        verdict: Response | tuple[str | None, Headers],
    ) -> bool:
        """Answer the request, and say whether the connection is open."""
        ws, now = opening.ws, connection.driver.now()
        subprotocol: str | None = None
        opened = False
        try:
            if isinstance(verdict, Response):
                ws.reject(verdict, now)
            else:
                subprotocol, headers = verdict
                opened = ws.accept(now, subprotocol=subprotocol, headers=headers)
        except Exception as error:  # noqa: BLE001 - what they returned can't be sent
            ws.reject(self._failed(connection, error), now)
        if opened:
            self._open(connection, opening, subprotocol)
        else:
            connection.driver.mark(opening.socket)
            opening.changed()
        return opened

    def _failed(self, connection: ServerConnection, error: Exception) -> Response:
        remote = printable(connection.remote_address)
        self.logger.error("a request of %s failed", remote, exc_info=error)
        return text_response(500, "The request failed; the server's log tells why")

    async def _handle(self, connection: ServerConnection) -> None:
        remote = printable(connection.remote_address)
        self.logger.info("open %s %s", remote, connection.request.path)
        code, reason = CloseCode.NORMAL_CLOSURE, ""
        try:
            await _awaitable(self._handler(connection))
        except Exception as error:
            if connection.state is State.OPEN or not _only_closed(error):
                # A handler need not catch the end of its own connection.
                code = CloseCode.INTERNAL_ERROR
                self.logger.exception("the handler of %s raised", remote)
        except BaseException:
            code = CloseCode.GOING_AWAY  # cancelled
            raise
        finally:
            try:
                await connection.close(code, reason)
            finally:
                closed = connection.closed
                cause = closed.cause if closed is not None else ""
                self.logger.info("close %s %s %s", remote, connection.close_code, cause)
                self._handled()

    def _handled(self) -> None:
        self._handling -= 1
        self.look_if_empty()


def _only_closed(error: BaseException) -> bool:
    """Whether an error says nothing but that the connection is closed, in a group or alone."""
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        return group.split(ConnectionClosed)[1] is None
    return isinstance(error, ConnectionClosed)


def _awaitable(handling: object) -> Awaitable[None]:
    if isawaitable(handling):
        return handling
    raise TypeError("the handler is no coroutine function: write `async def`")


def _origins(origins: Origins | Unset) -> Any:
    if isinstance(origins, str) and origins != "same-host":
        raise TypeError(f"origins={origins!r}: give a list of origins, 'same-host' or None")
    if origins is None or isinstance(origins, (Unset, str)):
        return origins
    if not isinstance(origins, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"origins={origins!r}: give a list of origins, 'same-host' or None")
    for origin in cast("Sequence[object]", origins):
        if not isinstance(origin, str | None):
            raise TypeError(f"origins: {origin!r}: give text; patterns are not taken")
    # None in the list is how `websockets` allows requests without an Origin; here they always may.
    listed = cast("Sequence[str | None]", origins)
    return tuple(origin for origin in listed if origin is not None)
