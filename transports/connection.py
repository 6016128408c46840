"""A connection as its user sees it, the same on every event loop.

Everything here is written once: what differs between loops is how a task waits, and that is the
driver's. The names are those of `websockets`.
"""

import ssl as stdlib_ssl
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable
from types import TracebackType
from typing import Any, Final, Literal, Self, cast, overload

from ..core.events import BinaryMessage, Closed, TextMessage
from ..core.frames import CloseCode
from ..core.outgoing import PreparedMessage
from ..core.sender import Entropy
from ..core.states import State
from ..core.websocket import WebSocket
from .driver import Driver, Event, Promise
from .exceptions import ConcurrencyError, closed_exception
from .messages import Each, Message, Sendable, converted, join
from .socket_link import SocketLink
from .tls import TLSLink
from .tunnel import TunnelLink

__all__ = ["Connection"]

_TURN: Final = 16
"""Messages that a task takes without waiting before other tasks get a turn."""


class Connection:
    """One WebSocket, server or client side.

    Use it from the event loop's thread. One task may receive at a time; any number may send. It can be
    used as an asynchronous context manager, which closes it: with 1000, or with 1011 where the block
    raises.

    Cancellation: a cancelled `recv`, `recv_streaming` before its first fragment, `wait_closed` and an
    awaited pong leave the connection as it was. A cancelled `send` of one message has sent it or not,
    and leaves it usable. Where a message in fragments is cancelled between two, the connection is closed
    with 1011. A cancelled `close` goes on without its caller.
    """

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_drained",
        "_entropy",
        "_fragmented",
        "_gone",
        "_id",
        "_parts",
        "_pings",
        "_receiver",
        "_remote",
        "_taken",
        "driver",
        "socket",
        "subprotocol",
        "ws",
    )

    def __init__(
        self, driver: Driver, socket: SocketLink, ws: WebSocket, remote: Any, entropy: Entropy
    ) -> None:
        self.driver = driver
        self.socket = socket
        self.ws = ws
        self._remote = remote
        self._entropy = entropy
        self._id: uuid.UUID | None = None
        self._pings: dict[bytes, Promise] | None = None
        self._receiver: Promise | None = None
        self._drained: Event | None = None
        self._fragmented: Event | None = None
        self._gone: Event | None = None
        self._parts: list[Message] | None = None
        self._taken = 0
        self.subprotocol: str | None = None
        """What was agreed on, or None."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._remote!r} {self.state.value}>"

    async def __aenter__(self) -> Self:
        """The connection itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close(CloseCode.NORMAL_CLOSURE if kind is None else CloseCode.INTERNAL_ERROR)

    # What it is.

    @property
    def id(self) -> uuid.UUID:
        """A random identifier, for logs."""
        if self._id is None:
            self._id = uuid.UUID(bytes=self._entropy(16), version=4)
        return self._id

    @property
    def remote_address(self) -> Any:
        """The peer's address. For TCP a tuple of host, port and, for IPv6, more."""
        return self._remote

    @property
    def local_address(self) -> Any:
        """Our address, in the same form; None once the socket is closed."""
        return self.socket.address()

    @property
    def ssl_object(self) -> stdlib_ssl.SSLObject | None:
        """What knows of TLS with the peer, for example its certificate; None without TLS.

        TLS with a proxy on the way is not told of.
        """
        found: stdlib_ssl.SSLObject | None = None
        link: object = self.socket.link
        while isinstance(link, (TLSLink, TunnelLink)):
            # What is outside a tunnel is the proxy's.
            found = link.ssl_object if isinstance(link, TLSLink) else None
            link = link.inner
        return found

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self.ws.state

    @property
    def latency(self) -> float:
        """Seconds from the last keepalive ping to its pong; 0.0 before the first."""
        return self.ws.latency

    @property
    def close_code(self) -> int | None:
        """The peer's close code, 1005 or 1006; None while the connection is open."""
        return None if self.ws.closed is None else self.ws.closed.code

    @property
    def close_reason(self) -> str | None:
        """The peer's close reason; None while the connection is open."""
        return None if self.ws.closed is None else self.ws.closed.reason

    @property
    def closed(self) -> Closed | None:
        """How the connection ended; None while it has not."""
        return self.ws.closed

    # Receiving.

    @overload
    async def recv(self, decode: Literal[True]) -> str: ...
    @overload
    async def recv(self, decode: Literal[False]) -> bytes: ...
    @overload
    async def recv(self, decode: bool | None = None) -> Message: ...
    async def recv(self, decode: bool | None = None) -> Message:
        """The next message: `str` for text, `bytes` for binary, or as `decode` says.

        Where the options ask for fragments, they are joined; `recv_streaming` gives them one by one.
        Cancelling it loses nothing.

        Args:
            decode: True for `str` and False for `bytes`, whatever was sent.

        Raises:
            ConnectionClosed: there is none, and none will come.
            ConcurrencyError: another task is receiving.
            UnicodeDecodeError: `decode` asks for text, and the binary message is no UTF-8.
        """
        return await self._receive(decode)

    @overload
    def recv_streaming(self, decode: Literal[True]) -> AsyncIterator[str]: ...
    @overload
    def recv_streaming(self, decode: Literal[False]) -> AsyncIterator[bytes]: ...
    @overload
    def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Message]: ...
    async def recv_streaming(self, decode: bool | None = None) -> AsyncIterator[Message]:
        """The next message, fragment by fragment as they arrive, if `ServerOptions.fragments` is set.

        Args:
            decode: as `recv`'s.

        Raises:
            ConnectionClosed: there is none, or it will not be finished.
            ConcurrencyError: another task is receiving.
            UnicodeDecodeError: as `recv`.
        """
        final = False
        # Fragments that a cancelled `recv` had taken come first.
        while self._parts:
            data = self._parts.pop(0)
            yield data if decode is None else converted(data, decode)
        self._parts = None
        while not final:
            part = await self._next_part()
            final = part.final
            yield part.data if decode is None else converted(part.data, decode)

    async def _receive(self, decode: bool | None = None, iterating: bool = False) -> Message:
        """The next message; at a normal close, while iterating, the end of the iteration."""
        while True:
            part = await self._next_part(iterating)
            if part.final and self._parts is None:
                return part.data if decode is None else converted(part.data, decode)
            if self._parts is None:
                self._parts = []
            self._parts.append(part.data)
            if part.final:
                parts, self._parts = self._parts, None
                data = join(parts)
                return data if decode is None else converted(data, decode)

    async def _next_part(self, iterating: bool = False) -> TextMessage | BinaryMessage:
        driver, ws = self.driver, self.ws
        if driver.checks_cancellation:
            await driver.checkpoint_if_cancelled()
        if self._taken >= _TURN:
            # One read may hold thousands of messages: the others' turn. Nothing is taken yet.
            self._taken = 0
            await driver.checkpoint()
        if self._receiver is not None:
            raise ConcurrencyError("another task is receiving: let one task call recv()")
        while True:
            event = ws.next_event()
            if ws.dirty:
                driver.mark(self.socket)  # taking it may let reading or closing go on
            if isinstance(event, (TextMessage, BinaryMessage)):
                self._taken += 1
                return event
            if event is None:
                if ws.closed is not None:
                    error = closed_exception(ws.closed)
                    if iterating and error.ok:
                        raise StopAsyncIteration
                    raise error
                self._taken = 0
                self._receiver = driver.promise()
                try:
                    await self._receiver
                finally:
                    self._receiver = None

    def __aiter__(self) -> Self:
        """Messages until the connection is closed; an abnormal close raises.

        Raises:
            ConnectionClosedError: it was closed with another code than 1000 or 1001, or not at all.
        """
        return self

    def __anext__(self) -> Awaitable[Message]:
        """The next message (see `__aiter__`)."""
        return self._receive(None, True)

    # Sending.

    async def send(
        self,
        message: Sendable | Iterable[Sendable] | AsyncIterable[Sendable],
        text: bool | None = None,
    ) -> None:
        """Send a message, or an iterable's items as the fragments of one.

        Waits while more than `write_limit` bytes wait behind what is being written. Cancelling it then has sent the
        message. If it is cancelled, or the iterable raises, between fragments, the connection is closed
        with 1011, since a message that is not ended can't be followed by another.

        Args:
            message: `str` is sent as text, bytes as binary.
            text: True sends bytes, which must be UTF-8, as text; False sends `str` as binary.

        Raises:
            ConnectionClosed: the connection is closed. If it ended while this waited, the peer may lack
                the message.
            LocalProtocolError: text with a lone surrogate.
            TypeError: not a message.
            UnicodeDecodeError: bytes that are to be text are no UTF-8.
        """
        if self.driver.checks_cancellation:
            await self.driver.checkpoint_if_cancelled()
        # Room before too, since any number of tasks may send; another may begin a message meanwhile.
        while self._fragmented is not None or self.ws.write_paused:
            self._check_open()
            await (self._room() if self._fragmented is None else self._fragmented.wait())
        if isinstance(message, (str, bytes, bytearray, memoryview)):
            if self._queue(cast("Sendable", message), text):
                await self._room()
        elif isinstance(message, AsyncIterable):
            await self._send_fragments(message, text)
        else:
            await self._send_fragments(Each(message), text)

    async def ping(self, data: str | bytes | None = None) -> Awaitable[float]:
        """Send a ping. Await what this returns for the latency in seconds, or let it be.

        On asyncio that is a future.

        Args:
            data: at most 125 bytes, text as UTF-8; if left out, 4 random ones.

        Raises:
            ConnectionClosed: the connection is closed; also where the pong is awaited.
            LocalProtocolError: the payload is too long or in use, or too many pings wait.
        """
        if self.driver.checks_cancellation:
            await self.driver.checkpoint_if_cancelled()
        self._check_open()
        payload = data.encode() if isinstance(data, str) else data
        sent = self.ws.ping(self.driver.now(), payload)
        self.driver.mark(self.socket)
        promise: Promise = self.driver.promise()
        if self._pings is None:
            self._pings = {}
        self._pings[sent] = promise
        return promise

    async def pong(self, data: str | bytes = b"") -> None:
        """Send a pong that answers no ping: a heartbeat in one direction.

        Raises:
            ConnectionClosed: the connection is closed.
            LocalProtocolError: more than 125 bytes.
        """
        if self.driver.checks_cancellation:
            await self.driver.checkpoint_if_cancelled()
        self._check_open()
        self.ws.pong(self.driver.now(), data.encode() if isinstance(data, str) else data)
        self.driver.mark(self.socket)

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection and wait until its socket is closed. Calling it again only waits.

        If it is cancelled, closing goes on.

        Raises:
            LocalProtocolError: a code or reason that may not be sent.
        """
        self.close_soon(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        if self.driver.checks_cancellation:
            await self.driver.checkpoint_if_cancelled()
        if not self.socket.closed:
            if self._gone is None:
                self._gone = self.driver.event()
            await self._gone.wait()

    def close_soon(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close the connection without waiting for it.

        Raises:
            LocalProtocolError: a code or reason that may not be sent.
        """
        self.ws.close(self.driver.now(), code, reason)
        self.driver.mark(self.socket)

    def send_now(self, message: PreparedMessage) -> bool:
        """Queue a shared message without waiting; False if the peer does not keep up or is closing."""
        ws, driver = self.ws, self.driver
        if ws.write_paused:
            # Much may have been said in this turn of the loop: whether the peer keeps up is for the
            # socket to say.
            self.socket.flush_now(driver.now())
        if self._fragmented is not None or not ws.offer(message):
            return False
        driver.mark(self.socket)
        return True

    # For the socket.

    def changed(self) -> None:
        """The machine may have events, room or an end: wake who waits for one of them."""
        ws = self.ws
        if self._pings:
            self._settle_pings(self._pings)
        receiver = self._receiver
        if receiver is not None and ws.has_event and not receiver.done():
            receiver.set_result(None)
        if self._drained is not None and not (ws.write_paused and ws.can_send):
            self._drained.set()
            self._drained = None
            self.socket.room_wanted = False
        if ws.closed is not None:
            self._ended()

    # Inside.

    def _ended(self) -> None:
        """The connection is closed: who waits for anything else of it is told."""
        if self._fragmented is not None:
            self._fragmented.set()
        if self.socket.closed and self._gone is not None:
            self._gone.set()
        receiver = self._receiver
        if receiver is not None and not receiver.done():
            receiver.set_result(None)

    def _settle_pings(self, pings: dict[bytes, Promise]) -> None:
        for pong in self.ws.take_pongs():
            promise = pings.pop(pong.payload, None)
            if promise is not None and not promise.done():
                promise.set_result(pong.latency)
        if self.ws.closed is not None:
            for promise in pings.values():
                if not promise.done():
                    promise.set_exception(closed_exception(self.ws.closed))
                    promise.exception()  # a ping need not be awaited: don't let asyncio complain
            pings.clear()

    def _check_open(self) -> None:
        if not self.ws.can_send:
            raise closed_exception(self.ws.closed)

    def _queue(self, message: Sendable, text: bool | None, final: bool = True) -> bool:
        """Hand a message to the machine, and say whether its sender should wait for room."""
        ws = self.ws
        if not ws.can_send:
            raise closed_exception(ws.closed)
        if text is not None:
            message = converted(message if isinstance(message, str) else bytes(message), text)
        driver = self.driver
        ws.send(message, driver.now(), final=final)
        driver.mark(self.socket)
        return ws.write_paused

    async def _room(self) -> None:
        """Wait until no more than `write_limit` bytes wait for the peer."""
        while self.ws.write_paused:
            if self._drained is None:
                self._drained = self.driver.event()
            self.socket.room_wanted = True
            await self._drained.wait()
            if self.ws.closed is not None:
                raise closed_exception(self.ws.closed)

    async def _send_fragments(self, fragments: AsyncIterable[Sendable], text: bool | None) -> None:
        done = self._fragmented = self.driver.event()
        unfinished = False
        try:
            held: Sendable | None = None
            async for fragment in fragments:
                if held is not None:
                    full = self._queue(held, text, final=False)
                    unfinished = True
                    if full:
                        await self._room()
                held = fragment
            if held is not None:
                self._queue(held, text)
                unfinished = False
                await self._room()
        except BaseException:
            if unfinished and self.ws.can_send:
                self.close_soon(CloseCode.INTERNAL_ERROR, "message not finished")
            raise
        finally:
            done.set()
            self._fragmented = None
