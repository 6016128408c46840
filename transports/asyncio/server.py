"""`serve(handler)` on asyncio."""

import asyncio
import inspect
import logging
import os
import socket as stdlib_socket
import ssl as stdlib_ssl
from collections.abc import Awaitable, Callable, Generator, Iterable
from types import TracebackType
from typing import Any

from ...core.events import Refused, Requested
from ...core.frames import CloseCode, close_payload
from ...core.handshake import ServerOptions
from ...core.sender import Entropy
from ...core.states import State
from ...core.websocket import WebSocket
from ..exceptions import ConnectionClosed
from .connection import ServerConnection
from .driver import Driver
from .protocol import LinkProtocol

__all__ = ["Handler", "Server", "serve"]

Handler = Callable[[ServerConnection], Awaitable[None]]

logger = logging.getLogger("hubbub.server")


class Server:
    """Listening sockets, their connections, and the tasks that handle them.

    Made by `serve`. Every connection's handler runs in a task of its own; when it returns, the
    connection is closed with 1000, and when it raises, with 1011 and one line in the log.
    """

    def __init__(self, handler: Handler, options: ServerOptions, entropy: Entropy) -> None:
        self._handler = handler
        self._options = options
        self._entropy = entropy
        self._loop = asyncio.get_running_loop()
        self._driver = Driver(self._loop)
        self._server: asyncio.Server | None = None
        self._sockets: dict[LinkProtocol, WebSocket] = {}
        self._connections: dict[LinkProtocol, ServerConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: asyncio.Task[None] | None = None
        self._asked = asyncio.Event()

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening sockets."""
        return () if self._server is None else tuple(self._server.sockets)

    @property
    def connections(self) -> set[ServerConnection]:
        """The open connections."""
        return set(self._connections.values())

    async def serve_forever(self) -> None:
        """Wait until the server is closed; if cancelled, close it."""
        try:
            await self._asked.wait()
        finally:
            self.close()
            await self.wait_closed()

    def close(self, code: int = CloseCode.GOING_AWAY, reason: str = "") -> None:
        """Stop listening and close every connection, with 1001 unless told otherwise.

        Raises:
            LocalProtocolError: a code or reason that may not be sent.
        """
        close_payload(code, reason)  # a mistake is told here, since nobody watches the task
        self._asked.set()
        if self._closing is None:
            self._closing = self._loop.create_task(self._close(code, reason))

    async def wait_closed(self) -> None:
        """Wait until every connection is closed and every handler has returned.

        A handler that does not return within a second is cancelled; one that resists is left to itself.
        """
        if self._closing is not None:
            await asyncio.shield(self._closing)

    async def listen(self, **arguments: Any) -> None:
        """Begin to accept; the arguments are those of `loop.create_server`."""
        self._server = await self._loop.create_server(self._make_protocol, **arguments)

    async def _close(self, code: int, reason: str) -> None:
        if self._server is not None:
            self._server.close()
        now = self._driver.now()
        for protocol, ws in list(self._sockets.items()):
            if protocol in self._connections:
                ws.close(now, code, reason)
                self._driver.mark(protocol)
            elif protocol.transport is not None:
                protocol.transport.abort()  # a handshake that nobody will answer
        # Each machine ends its own connection in time; handlers are told by ConnectionClosed.
        limits = self._options.limits
        deadline = limits.close_timeout + limits.drain_timeout + 1
        gone = [c.wait_closed() for c in self._connections.values()]
        if gone:
            await asyncio.wait([asyncio.ensure_future(w) for w in gone], timeout=deadline)
        for protocol in self._sockets:
            if protocol.transport is not None:
                protocol.transport.abort()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=1)
            for task in late:
                task.cancel()
            if late:
                _, late = await asyncio.wait(late, timeout=1)
            if late:
                logger.error("%d handlers did not end though they were cancelled", len(late))

    def _make_protocol(self) -> LinkProtocol:
        return LinkProtocol(self._driver, self._make_link, self._changed)

    def _make_link(self, now: float) -> WebSocket:
        return WebSocket(self._options, now=now, entropy=self._entropy)

    def _changed(self, protocol: LinkProtocol) -> None:
        connection = self._connections.get(protocol)
        if connection is not None:
            connection.changed()
            if protocol.transport is None:
                del self._connections[protocol], self._sockets[protocol]
            return
        if protocol.transport is None:
            self._sockets.pop(protocol, None)
            return
        ws = protocol.link
        assert isinstance(ws, WebSocket)
        if self._closing is not None and protocol not in self._sockets:
            protocol.transport.abort()  # it was being accepted when listening stopped
            return
        self._sockets[protocol] = ws
        event = ws.next_event()
        if isinstance(event, Requested):
            self._open(protocol, ws, event)
        elif isinstance(event, Refused):
            path = event.request.path if event.request is not None else "-"
            logger.debug("http %d %s", event.response.status, path)

    def _open(self, protocol: LinkProtocol, ws: WebSocket, event: Requested) -> None:
        if not ws.accept(self._driver.now()):
            return  # the peer left meanwhile
        protocol.opened = True
        connection = ServerConnection(ws, protocol, self._driver, event.request, event.subprotocol)
        self._connections[protocol] = connection
        task = self._loop.create_task(self._handle(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, connection: ServerConnection) -> None:
        remote = _printable(connection.remote_address)
        logger.info("open %s %s", remote, connection.request.path)
        code, reason = CloseCode.NORMAL_CLOSURE, ""
        try:
            await self._handler(connection)
        except asyncio.CancelledError:
            code = CloseCode.GOING_AWAY
            raise
        except Exception as error:
            if isinstance(error, ConnectionClosed) and connection.state is not State.OPEN:
                return  # a handler need not catch the end of its own connection
            code = CloseCode.INTERNAL_ERROR
            logger.exception("the handler of %s raised", remote)
        finally:
            await connection.close(code, reason)
            closed = connection.closed
            cause = closed.cause if closed is not None else ""
            logger.info("close %s %s %s", remote, connection.close_code, cause)


def _printable(address: object) -> str:
    match address:
        case (str(host), int(port)):
            return f"{host}:{port}"
        case (str(host), int(port), int(), int()):  # IPv6 adds flow and scope
            return f"[{host}]:{port}"
        case _:
            return str(address) or "unix"


class serve:  # noqa: N801 - a function to its users, as in `websockets`
    """Serve WebSockets with a handler: a coroutine function that takes a `ServerConnection`.

    Use it as `async with serve(handler, host, port) as server:`, or `await` it for a `Server`.

    Args:
        handler: called once for each connection, in a task of its own.
        host: as in `loop.create_server`.
        port: 0 picks one; see `server.sockets`.
        options: limits, origins, subprotocols, compression, HTTP routes.
        sock: an existing listening socket instead of host and port.
        ssl: a context, for wss.
        reuse_port: let several processes share the port.
        entropy: where masks, pings and keys come from.

    Raises:
        OSError: it cannot listen.
    """

    def __init__(
        self,
        handler: Handler,
        host: str | Iterable[str] | None = None,
        port: int | None = None,
        *,
        options: ServerOptions | None = None,
        sock: stdlib_socket.socket | None = None,
        ssl: stdlib_ssl.SSLContext | None = None,
        reuse_port: bool | None = None,
        backlog: int = 128,
        entropy: Entropy = os.urandom,
    ) -> None:
        call = getattr(handler, "__call__", None)  # noqa: B004 - of an object, such as a Chat
        if not (inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)):
            raise TypeError("the handler must be a coroutine function: write `async def`")
        self._handler = handler
        self._options = options if options is not None else ServerOptions()
        self._entropy = entropy
        self._arguments: dict[str, Any] = {"backlog": backlog, "ssl": ssl, "reuse_port": reuse_port}
        if ssl is not None:
            limits = self._options.limits
            self._arguments["ssl_handshake_timeout"] = limits.open_timeout
            self._arguments["ssl_shutdown_timeout"] = limits.drain_timeout
        if sock is not None:
            self._arguments["sock"] = sock
        else:
            self._arguments |= {"host": host, "port": port}
        self._server: Server

    async def _start(self) -> Server:
        server = Server(self._handler, self._options, self._entropy)

        await server.listen(**self._arguments)
        return server

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self._start()
        return self._server

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()
        await self._server.wait_closed()
