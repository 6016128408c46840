"""The load generator: raw sockets, `epoll`, ready bytes; nothing is parsed that need not be."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from .wire import CLOSE, PING, PONG, TEXT, TEXT_ANSWER

_TIMEOUT = 20.0
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


def open_connections(port: int, request: bytes, count: int) -> list[socket.socket]:
    """Open so many WebSockets, several at once, and hold them."""
    opened: list[socket.socket] = []
    pending: dict[int, socket.socket] = {}
    with select.epoll() as poller:
        while len(opened) < count:
            while len(pending) < min(_IN_FLIGHT, count - len(opened)):
                # The kernel accepts on the server's behalf, so on loopback this does not wait.
                sock = socket.create_connection(("127.0.0.1", port), _TIMEOUT)
                sock.sendall(request)
                sock.setblocking(False)
                pending[sock.fileno()] = sock
                poller.register(sock, select.EPOLLIN)
            for number, _ in _wait(poller):
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
            sock.setblocking(
                False
            )  # with a timeout each call would first wait, in a call of its own
            sock.sendall(TEXT)
        waiting = len(by_number)
        end = time.perf_counter() + seconds
        while waiting:
            going_on = time.perf_counter() < end
            for number, _ in _wait(poller):
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


def _wait(poller: select.epoll) -> list[tuple[int, int]]:
    events = poller.poll(_TIMEOUT)
    if not events:
        raise TimeoutError(f"the server said nothing for {_TIMEOUT:.0f} s")
    return events
