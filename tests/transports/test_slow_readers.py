"""Peers that read slowly, or not at all, and what they cost."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio

from hubbub.core import Closed, Event, Requested, ServerOptions, WebSocket
from hubbub.core.limits import Limits
from hubbub.transports.listener import Listener
from hubbub.transports.poller import READ
from hubbub.transports.simulated import seeded_entropy
from hubbub.transports.socket_link import SocketLink
from hubbub.transports.tcp import UNSENT_LIMIT
from support.hand_driver import HandClock, HandDriver
from support.loops import until
from support.net import Connection, Net, serving, url
from support.peers import CLOSE, raw_peer
from support.wire import frame, request

LITTLE = 4096
"""Bytes that the system may hold for a peer; it takes some more."""

MUCH = 2**23
"""More than the system holds for both sides."""

SIZE = MUCH + 10
"""Bytes of a frame with so much in it."""


async def test_a_socket_that_caught_up_is_not_watched_for_room(net: Net) -> None:
    """Once a large message has left, the socket is watched for reading only: else it would keep us busy."""
    sockets: list[Any] = []
    sent = anyio.Event()

    async def handler(connection: Connection) -> None:
        sockets.append(connection.socket)
        await connection.send(bytes(MUCH))
        sent.set()
        await connection.wait_closed()

    async with serving(net, handler) as server, raw_peer(server, receive_buffer=LITTLE) as peer:
        await peer.upgrade()
        assert len((await peer.read_frame()).payload) == MUCH
        await sent.wait()
        await until(lambda: sockets[0]._watching == READ)


async def test_a_peer_that_takes_nothing_of_a_large_message(net: Net) -> None:
    """The write deadline counts for one frame, too, of which the socket holds the rest."""
    limits = Limits(write_timeout=0.3, ping_interval=None)
    ended = anyio.Event()

    async def handler(connection: Connection) -> None:
        try:
            while True:
                await connection.send(bytes(MUCH))
        except net.ConnectionClosed:
            ended.set()

    async with (
        serving(net, handler, limits) as server,
        raw_peer(server, receive_buffer=LITTLE) as peer,
    ):
        await peer.upgrade()
        with anyio.fail_after(10):
            await ended.wait()


# What follows has real sockets and a clock that moves as bytes arrive, so that a busy machine makes no
# difference. The code is the same on every loop.


class Served:
    """A connection that is served by hand, and the socket of its peer.

    Args:
        driver: turned by hand.
        listening: a socket.
        limits: of the server's side.
        opened: is called when the connection is open.
    """

    def __init__(
        self,
        driver: HandDriver,
        listening: socket.socket,
        limits: Limits,
        opened: Callable[[WebSocket, float], None],
    ) -> None:
        self.driver = driver
        self.events: list[Event] = []
        self.ws = WebSocket(ServerOptions(limits=limits), now=0.0, entropy=seeded_entropy(1))
        self._opened = opened
        self.link: SocketLink | None = None
        self.listener = Listener(driver, listening, self._accept, ours=False)
        self.listener.start()
        self.peer = socket.socket()
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LITTLE)
        self.peer.connect(listening.getsockname())
        self.peer.sendall(request())
        self.peer.setblocking(False)
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.read(1)

    def _accept(self, sock: socket.socket, _: object) -> None:
        self.link = SocketLink(self.driver, sock, self.ws, self)
        self.link.start()

    def changed(self) -> None:
        """See `Owner`."""
        while (event := self.ws.next_event()) is not None:
            self.events.append(event)
            if isinstance(event, Requested):
                self.ws.accept(self.driver.now())
                self._opened(self.ws, self.driver.now())

    def turn(self) -> None:
        """Let the server do all that it can do now."""
        self.driver.poll()
        while self.driver.turn():
            pass
        while self.driver.alarm is not None and self.driver.alarm <= self.driver.clock.at:
            self.driver.wake()
            while self.driver.turn():
                pass

    def read(self, most: int) -> bytes:
        """What has arrived at the peer, at most so much but at least a byte; none at the end."""
        poller = self.driver._poller.fileno()
        while True:
            self.turn()
            ready, _, _ = select.select([self.peer.fileno(), poller], [], [], 10)
            assert ready, "nothing happens any more"
            if self.peer.fileno() in ready:
                return self.peer.recv(most)

    def read_slowly(self, size: int, seconds: float) -> int:
        """Read so much, and let the clock move with it; how much came before the end."""
        began = self.driver.clock.at
        got = 0
        while got < size and (data := self.read(min(2**16, size - got))):
            got += len(data)
            self.driver.clock.at = began + got / size * seconds
        return got

    def wait_until(self, at: float) -> None:
        """Let the clock move to a moment, while the peer does nothing."""
        while self.driver.alarm is not None and self.driver.alarm <= at:
            self.driver.clock.at = self.driver.alarm
            self.turn()
        self.driver.clock.at = at
        self.turn()


@contextmanager
def served(limits: Limits, opened: Callable[[WebSocket, float], None]) -> Iterator[Served]:
    """A server and its peer, and nothing left open."""
    driver = HandDriver(HandClock())
    driver.hold()
    with ExitStack() as stack:
        stack.callback(driver.release)
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setblocking(False)
        one = Served(driver, listening, limits, opened)
        stack.enter_context(one.peer)
        stack.callback(one.listener.close)
        if one.link is not None:
            stack.callback(one.link.lose, driver.now())
        yield one


def send_much(ws: WebSocket, now: float) -> None:
    """A handler that sends one large message."""
    ws.send(bytes(MUCH), now)


def send_much_and_return(ws: WebSocket, now: float) -> None:
    """A handler that returns behind it."""
    ws.send(bytes(MUCH), now)
    ws.close(now)


def test_a_peer_that_reads_slowly_gets_all() -> None:
    """Who keeps reading is not cut off by the write deadline, however long one frame takes."""
    limits = Limits(write_timeout=0.8, ping_interval=10, ping_timeout=None)
    with served(limits, send_much) as one:
        assert one.read_slowly(SIZE, 9) == SIZE
        assert one.events[1:] == []


def test_a_handler_that_returns_behind_a_large_message() -> None:
    """What it sent last arrives, though the peer takes longer for it than the close deadline."""
    limits = Limits(close_timeout=0.5, drain_timeout=0.5)
    with served(limits, send_much_and_return) as one:
        assert one.read_slowly(SIZE, 6) == SIZE
        assert one.read(100) == frame(CLOSE, b"\x03\xe8", mask=None)
        one.peer.send(frame(CLOSE, b"\x03\xe8"))
        assert one.read(1) == b""
        assert isinstance(one.events[-1], Closed)
        assert one.events[-1].code == 1000


def test_a_peer_that_stops_reading_within_a_large_message() -> None:
    """The write deadline counts from when it last took something."""
    with served(Limits(write_timeout=1.2, ping_timeout=None), send_much) as one:
        one.read_slowly(MUCH // 2, 3)
        at = one.driver.clock.at
        one.wait_until(at + 1)
        assert one.events[1:] == []
        one.wait_until(at + 1.3)
        assert isinstance(one.events[-1], Closed)
        assert "write deadline" in one.events[-1].cause


async def test_tcp_takes_no_more_than_it_can_soon_send(net: Net) -> None:
    """Sockets of both sides send at once and hold little that is not on its way."""
    seen: list[tuple[bool, int]] = []
    unsent = getattr(socket, "TCP_NOTSENT_LOWAT", None)

    def look(connection: Any) -> None:
        sock = connection.socket._sock
        at_once = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        limit = UNSENT_LIMIT if unsent is None else sock.getsockopt(socket.IPPROTO_TCP, unsent)
        seen.append((at_once, limit))

    async def handler(connection: Connection) -> None:
        look(connection)

    async with serving(net, handler) as server, net.connect(url(server)) as connection:
        look(connection)
        await connection.wait_closed()
    assert seen == [(True, UNSENT_LIMIT)] * 2
