"""A server's connection as its handler sees it."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from typing import Any, Final, cast

from ...core.events import BinaryMessage, Closed, TextMessage
from ...core.http import Request
from ...core.outgoing import PreparedMessage
from ...core.states import State
from ...core.websocket import WebSocket
from ..exceptions import ConnectionClosed, closed_exception
from .driver import Driver
from .protocol import LinkProtocol

__all__ = ["Message", "ServerConnection", "broadcast"]

Message = str | bytes
"""What is received, text or bytes."""

Sendable = str | bytes | bytearray | memoryview
"""What can be sent as one message or fragment."""


_TURN: Final = 16
"""Messages that a handler takes without waiting before other tasks get a turn."""


class ServerConnection:
    """One open WebSocket, on the server's side.

    Use it from the event loop's thread. One task may receive at a time; any number may send.
    """

    def __init__(
        self,
        ws: WebSocket,
        protocol: LinkProtocol,
        driver: Driver,
        request: Request,
        subprotocol: str | None,
    ) -> None:
        self._ws = ws
        self._protocol = protocol
        self._driver = driver
        self._pings: dict[bytes, asyncio.Future[float]] = {}
        self._receiver: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._taken = 0
        self._parts: list[Message] = []
        self._fragmented: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] = driver.loop.create_future()
        self.request = request
        """The opening request."""
        self.subprotocol = subprotocol
        """What was agreed on, or None."""
        transport = protocol.transport
        self.remote_address: Any = transport.get_extra_info("peername") if transport else None
        """The peer's address, for TCP with host and port first."""

    def __repr__(self) -> str:
        return f"<ServerConnection {self.remote_address} {self.state.value}>"

    # What it is.

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._ws.state

    @property
    def latency(self) -> float:
        """Seconds from the last keepalive ping to its pong; 0.0 before the first."""
        return self._ws.latency

    @property
    def close_code(self) -> int | None:
        """The peer's close code, 1005 or 1006; None while the connection is open."""
        return None if self._ws.closed is None else self._ws.closed.code

    @property
    def close_reason(self) -> str | None:
        """The peer's close reason; None while the connection is open."""
        return None if self._ws.closed is None else self._ws.closed.reason

    @property
    def closed(self) -> Closed | None:
        """How the connection ended; None while it has not."""
        return self._ws.closed

    # Receiving.

    async def recv(self) -> Message:
        """The next message: `str` for text, `bytes` for binary.

        Where the options ask for fragments, they are joined; `recv_streaming` gives them one by one.
        Cancelling it loses nothing.

        Raises:
            ConnectionClosed: there is none, and none will come.
            RuntimeError: another task is receiving.
        """
        while True:
            data, final = await self._next_message()
            if final and not self._parts:
                return data
            self._parts.append(data)
            if final:
                parts, self._parts = self._parts, []
                return _join(parts)

    async def recv_streaming(self) -> AsyncIterator[Message]:
        """The next message, fragment by fragment as they arrive, if `ServerOptions.fragments` is set.

        Raises:
            ConnectionClosed: there is none, or it will not be finished.
            RuntimeError: another task is receiving.
        """
        final = False
        while not final:
            data, final = await self._next_message()
            yield data

    async def _next_message(self) -> tuple[Message, bool]:
        if self._receiver is not None:
            raise RuntimeError("another task is receiving: let one task call recv()")
        if self._taken >= _TURN:
            # One read may hold thousands of messages: the others' turn. Nothing is taken yet.
            self._taken = 0
            await asyncio.sleep(0)
        while True:
            event = self._ws.next_event()
            if isinstance(event, (TextMessage, BinaryMessage)):
                if self._protocol.paused or self._ws.state is not State.OPEN:
                    self._driver.mark(self._protocol)  # taking it may let reading or closing go on
                self._taken += 1
                return event.data, event.final
            if event is None:
                if self._ws.closed is not None:
                    raise closed_exception(self._ws.closed)
                self._taken = 0
                self._receiver = self._driver.loop.create_future()
                try:
                    await self._receiver
                finally:
                    self._receiver = None
            else:
                self._driver.mark(self._protocol)

    def __aiter__(self) -> AsyncIterator[Message]:
        """Messages until the connection is closed; an abnormal close raises.

        Raises:
            ConnectionClosedError: it was closed with another code than 1000 or 1001, or not at all.
        """
        return self

    async def __anext__(self) -> Message:
        """The next message (see `__aiter__`)."""
        try:
            return await self.recv()
        except ConnectionClosed as error:
            if error.ok:
                raise StopAsyncIteration from None
            raise

    # Sending.

    async def send(self, message: Sendable | Iterable[Sendable] | AsyncIterable[Sendable]) -> None:
        """Send a message, or an iterable's items as the fragments of one.

        Waits while more than `write_limit` bytes wait for the peer. Cancelling it then has sent the
        message. If it is cancelled, or the iterable raises, between fragments, the connection is closed
        with 1011, since a message that is not ended can't be followed by another.

        Raises:
            ConnectionClosed: the connection is closed. If it ended while this waited, the peer may lack
                the message.
            LocalProtocolError: text with a lone surrogate.
            TypeError: not a message.
        """
        # Room before too, since any number of tasks may send; another may begin a message meanwhile.
        while self._fragmented is not None or self._ws.write_paused:
            self._check_open()
            await (self._room() if self._fragmented is None else asyncio.shield(self._fragmented))
        if isinstance(message, (str, bytes, bytearray, memoryview)):
            self._queue(cast("Sendable", message))
            await self._room()
        elif isinstance(message, AsyncIterable):
            await self._send_fragments(message)
        elif isinstance(message, Mapping):
            raise TypeError("a mapping is no message: its keys would be sent; encode it first")
        else:
            await self._send_fragments(_each(message))

    async def ping(self, payload: bytes | None = None) -> "asyncio.Future[float]":
        """Send a ping. Await the returned future for the latency in seconds.

        Raises:
            ConnectionClosed: the connection is closed.
            LocalProtocolError: the payload is too long or in use.
        """
        self._check_open()
        sent = self._ws.ping(self._driver.now(), payload)
        self._driver.mark(self._protocol)
        waiter: asyncio.Future[float] = self._driver.loop.create_future()
        self._pings[sent] = waiter
        return waiter

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and wait until its socket is closed. Calling it again only waits.

        Raises:
            LocalProtocolError: a code or reason that may not be sent.
        """
        self.close_soon(code, reason)
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the socket is closed."""
        await asyncio.shield(self._gone)

    # For the server and `broadcast`.

    def send_now(self, message: PreparedMessage) -> bool:
        """Queue a shared message without waiting; False if the peer does not keep up or is closing."""
        if self._ws.write_paused:
            # Much may have been said in this turn of the loop: whether the peer keeps up is for the
            # socket to say.
            self._protocol.flush(self._driver.now())
        if not self._ws.can_send or self._ws.write_paused or self._fragmented is not None:
            return False
        self._ws.send_prepared(message, self._driver.now())
        self._driver.mark(self._protocol)
        return True

    def close_soon(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection without waiting for it.

        Raises:
            LocalProtocolError: a code or reason that may not be sent.
        """
        self._ws.close(self._driver.now(), code, reason)
        self._driver.mark(self._protocol)

    def changed(self) -> None:
        """The machine may have events, room or an end: wake who waits for one of them."""
        receiver, ws = self._receiver, self._ws
        if receiver is not None and not receiver.done():
            receiver.set_result(None)
        if self._pings:
            self._settle_pings()
        if self._drained is not None and not (ws.write_paused and ws.can_send):
            _settle(self._drained)
            self._drained = None
        if self._fragmented is not None and ws.closed is not None:
            _settle(self._fragmented)
        if self._protocol.transport is None:
            _settle(self._gone)

    # Inside.

    def _settle_pings(self) -> None:
        for pong in self._ws.take_pongs():
            waiter = self._pings.pop(pong.payload, None)
            if waiter is not None and not waiter.done():
                waiter.set_result(pong.latency)
        if self._ws.closed is not None:
            for waiter in self._pings.values():
                if not waiter.done():
                    waiter.set_exception(closed_exception(self._ws.closed))
                    waiter.exception()  # a ping need not be awaited: don't let asyncio complain
            self._pings.clear()

    def _check_open(self) -> None:
        if not self._ws.can_send:
            raise closed_exception(self._ws.closed)

    def _queue(self, message: Sendable, final: bool = True) -> None:
        self._check_open()
        self._ws.send(message, self._driver.now(), final=final)
        self._driver.mark(self._protocol)

    async def _room(self) -> None:
        """Wait until no more than `write_limit` bytes wait for the peer."""
        while self._ws.write_paused:
            if self._drained is None:
                self._drained = self._driver.loop.create_future()
            await asyncio.shield(self._drained)
            if self._ws.closed is not None:
                raise closed_exception(self._ws.closed)

    async def _send_fragments(self, fragments: AsyncIterable[Sendable]) -> None:
        self._fragmented = self._driver.loop.create_future()
        unfinished = False
        try:
            held: Sendable | None = None
            async for fragment in fragments:
                if held is not None:
                    self._queue(held, final=False)
                    unfinished = True
                    await self._room()
                held = fragment
            if held is not None:
                self._queue(held)
                unfinished = False
                await self._room()
        except BaseException:
            if unfinished and self._ws.can_send:
                self.close_soon(1011, "message not finished")
            raise
        finally:
            _settle(self._fragmented)
            self._fragmented = None


def _settle(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


def _join(parts: list[Message]) -> Message:
    """Fragments of one message, which are of one type."""
    if isinstance(parts[0], str):
        return "".join(cast("list[str]", parts))
    return b"".join(cast("list[bytes]", parts))


async def _each(items: Iterable[Sendable]) -> AsyncIterator[Sendable]:
    for item in items:
        yield item


def broadcast(connections: Iterable[ServerConnection], message: Message) -> list[ServerConnection]:
    """Send one message to many connections: encoded once, without waiting for the slowest.

    Returns:
        The connections that were skipped, because more than `write_limit` bytes wait for their peer,
        because a message in fragments is under way, or because they are closing.

    Raises:
        LocalProtocolError: text with a lone surrogate.
    """
    prepared = PreparedMessage(message)
    return [connection for connection in connections if not connection.send_now(prepared)]
