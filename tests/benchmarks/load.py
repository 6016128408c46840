"""The load generator: raw sockets, `epoll`, ready bytes; nothing is parsed that need not be."""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .wire import CLOSE, PING, PONG, TEXT, TEXT_ANSWER

_TIMEOUT = 20.0
_PAUSE = 0.0002
"""Between two looks: in it a server answers fewer messages than are on their way."""
_IP_BIND_ADDRESS_NO_PORT = 24
"""Of Linux: the port is chosen when the socket connects, and may be in use towards others."""
_IN_FLIGHT = 16
"""Handshakes at once: enough to keep a server busy, fewer than any listening socket's backlog."""


@dataclass(slots=True)
class Busy:
    """How much of its time the generator computed. At 100 % it would be what is measured."""

    wall: float = 0.0
    cpu: float = 0.0
    _began: tuple[float, float] = field(default=(0.0, 0.0), init=False)

    @property
    def idle(self) -> float:
        """The share of the time in which the generator waited for the server."""
        return 1 - self.cpu / self.wall if self.wall else 0.0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count the time of the block."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.wall += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu


def open_connections(
    port: int, request: bytes, count: int, source: str = "127.0.0.1"
) -> list[socket.socket]:
    """Open so many WebSockets from one address, several at once, and hold them."""
    opened: list[socket.socket] = []
    pending: dict[int, socket.socket] = {}
    with select.epoll() as poller:
        while len(opened) < count:
            while len(pending) < min(_IN_FLIGHT, count - len(opened)):
                # The kernel accepts on the server's behalf, so on loopback this does not wait.
                sock = new_socket(source)
                sock.settimeout(_TIMEOUT)
                sock.connect(("127.0.0.1", port))
                sock.sendall(request)
                sock.setblocking(False)
                pending[sock.fileno()] = sock
                poller.register(sock, select.EPOLLIN)
            for number, _ in ready(poller):
                sock = pending.pop(number)
                poller.unregister(number)
                answer = sock.recv(4096)
                # A server writes its short response at once, and nobody has sent a message.
                if not (answer.startswith(b"HTTP/1.1 101 ") and answer.endswith(b"\r\n\r\n")):
                    raise ConnectionError(f"the handshake was answered with {answer!r}")
                opened.append(sock)
    for sock in opened:
        sock.settimeout(_TIMEOUT)
    return opened


def new_socket(source: str) -> socket.socket:
    """Return a socket that will connect from an address of ours.

    One address has about 28,000 ports towards one server, and some may still rest from before.
    """
    sock = socket.socket()
    if source != "127.0.0.1":
        sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
    return sock


def reset_connections(connections: Sequence[socket.socket]) -> None:
    """Close sockets as a crash does: the peer gets a reset, and no Close frame."""
    for sock in connections:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


def close_connections(connections: Sequence[socket.socket]) -> None:
    """Close WebSockets with a Close frame each, and wait for the servers to end the streams."""
    for sock in connections:
        sock.sendall(CLOSE)
    for sock in connections:
        with sock:
            while sock.recv(4096):
                pass


def ping_once(connections: Sequence[socket.socket]) -> None:
    """Have each connection send a ping and read its pong."""
    for sock in connections:
        sock.sendall(PING)
        if (answer := sock.recv(4096)) != PONG:
            raise ConnectionError(f"the ping was answered with {answer!r}")


def echo_messages(connections: Sequence[socket.socket], seconds: float) -> int:
    """Keep one message of each connection on its way for so long; return how many came back.

    All have come back at the end, so that nothing is left of one stretch in the next.
    """
    by_number = {sock.fileno(): sock for sock in connections}
    count = 0
    with select.epoll() as poller:
        for number, sock in by_number.items():
            poller.register(number, select.EPOLLIN)
            # With a timeout each call would first wait, in a call of its own.
            sock.setblocking(False)
            sock.sendall(TEXT)
        waiting = len(by_number)
        end = time.perf_counter() + seconds
        while waiting:
            going_on = time.perf_counter() < end
            for number, _ in look(poller):
                sock = by_number[number]
                if (answer := sock.recv(4096)) != TEXT_ANSWER:
                    raise ConnectionError(f"the message was answered with {answer!r}")
                count += 1
                if going_on:
                    sock.send(TEXT)
                else:
                    waiting -= 1
    for sock in connections:
        sock.settimeout(_TIMEOUT)
    return count


def ready(poller: select.epoll) -> list[tuple[int, int]]:
    """Return what is ready, and wait for it if need be; raise TimeoutError after long silence."""
    events = poller.poll(_TIMEOUT)
    if not events:
        raise TimeoutError(f"the server said nothing for {_TIMEOUT:.0f} s")
    return events


def look(poller: select.epoll, until: float = math.inf) -> list[tuple[int, int]]:
    """Return what is ready, and look again after each pause until something is; else as `ready`.

    At the moment `until` of `perf_counter` it returns, even if nothing is.

    Whoever waits in `ready` is woken by the server's write, at the server's cost: on a virtual
    machine as much as the write itself, and more for a server that writes at once than for one that
    writes all answers together. A client on another machine costs neither, and this one neither.
    """
    deadline = time.perf_counter() + _TIMEOUT
    while time.perf_counter() < deadline:
        time.sleep(_PAUSE)
        events = poller.poll(0)
        if events or time.perf_counter() >= until:
            return events
    raise TimeoutError(f"the server said nothing for {_TIMEOUT:.0f} s")


def poll_until(poller: select.epoll, moment: float, most: int = -1) -> list[tuple[int, int]]:
    """Return what is ready; wait for it until a moment of `perf_counter` at the latest.

    It is no more than `most`, if that is given. The kernel counts whole milliseconds and rounds up, so the last one is spent asking.
    """
    milliseconds = int((moment - time.perf_counter()) * 1000)
    return poller.poll((milliseconds - 0.5) / 1000 if milliseconds > 0 else 0, most)
