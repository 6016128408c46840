"""A hub's clients: many at once that are let in and subscribed, and single ones that talk."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from .arrivals import Traffic
from .hub_wire import Frames, command, opening
from .load import new_socket, ready

_TIMEOUT = 20.0
_AT_ONCE = 16
"""Openings at a time, as `load.open_connections`."""
_FROM_ONE_ADDRESS = 10_000
_QUIET = 0.1
"""Seconds without a byte after which nothing more is on its way."""

Topics = Callable[[int], Sequence[str]]
"""What a user subscribes to, by its number."""


def open_sessions(
    port: int, count: int, topics: Topics, *, first: int = 0, small: bool = False
) -> list[socket.socket]:
    """Let so many users in, each on a connection of its own, and subscribe them to their topics.

    Args:
        port: the server's.
        count: how many.
        topics: what each subscribes to; nothing is a choice too.
        first: the number of the first user.
        small: whether the kernel is to hold as little as possible of what they do not read.
    """
    opened: list[socket.socket] = []
    pending: dict[int, tuple[socket.socket, Frames, str]] = {}
    begun = 0
    with select.epoll() as poller:
        while len(opened) < count:
            while begun < count and len(pending) < _AT_ONCE:
                sock = _connect(port, begun, small)
                wanted = list(topics(first + begun))
                sock.sendall(
                    opening(first + begun)
                    + (command(action="subscribe", topics=wanted) if wanted else b"")
                )
                sock.setblocking(False)
                pending[sock.fileno()] = sock, Frames(), "subscribed" if wanted else "auth"
                poller.register(sock, select.EPOLLIN)
                begun += 1
            for number, _ in ready(poller):
                sock, frames, last = pending[number]
                for message in frames.messages(sock.recv(65536)):
                    if message["type"] == "error" or message.get("status") == "error":
                        raise ConnectionError(f"the server said {message}")
                    if message["type"] == last:
                        poller.unregister(number)
                        del pending[number]
                        opened.append(sock)
    for sock in opened:
        sock.settimeout(_TIMEOUT)
    return opened


def _connect(port: int, number: int, small: bool) -> socket.socket:
    sock = new_socket(f"127.0.0.{1 + number // _FROM_ONE_ADDRESS}")
    if small:
        # Before it connects, so that the window is small from the first.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(_TIMEOUT)
    sock.connect(("127.0.0.1", port))
    return sock


def read_all(connections: Sequence[socket.socket]) -> None:
    """Read and forget what comes, until nothing more does: who came into a room was announced."""
    with select.epoll() as poller:
        by_number = {sock.fileno(): sock for sock in connections}
        for sock in connections:
            poller.register(sock, select.EPOLLIN)
        while events := poller.poll(_QUIET):
            for number, _ in events:
                by_number[number].recv(65536)


def probe(connections: Sequence[socket.socket], sent: bytes) -> Traffic:
    """Publish once on the first connection; return how much of what arrives where."""
    connections[0].sendall(sent)
    sizes = [_bytes_of(sock, 2 if sock is connections[0] else 1) for sock in connections]
    size = sizes[1]
    if any(one != size for one in sizes[1:]):
        raise ConnectionError(f"one message was delivered in {min(sizes[1:])} and {size} bytes")
    return Traffic(sent, size, sizes[0] - size)


def _bytes_of(sock: socket.socket, messages: int) -> int:
    frames, size = Frames(opened=True), 0
    while messages:
        data = sock.recv(65536)
        size += len(data)
        messages -= len(frames.messages(data))
    return size


class Talker:
    """One user that asks and waits for the answer."""

    def __init__(self, port: int, user: int, *topics: str) -> None:
        (self.sock,) = open_sessions(port, 1, lambda _: topics, first=user)
        self._frames = Frames(opened=True)
        self._heard: list[dict[str, Any]] = []

    def hear(self) -> dict[str, Any]:
        """Return the next message."""
        while not self._heard:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the server ended the stream")
            self._heard += self._frames.messages(data)
        return self._heard.pop(0)

    def ask(self, wanted: str, **fields: Any) -> dict[str, Any]:
        """Send a request and return the answer of this type; what comes before it is forgotten."""
        self.sock.sendall(command(**fields))
        while (message := self.hear())["type"] != wanted:
            if message["type"] == "error":
                raise ConnectionError(f"the server said {message}")
        return message

    def counters(self) -> dict[str, Any]:
        """Return what the benchmark's server has counted."""
        found: dict[str, Any] = self.ask("result", action="call", name="counters")["data"]
        return found


class Pair:
    """Two users: how soon the second has what the first publishes, while others do what they do.

    It publishes at a steady pace, whatever comes back. A delivery takes from the moment at which its
    message was due: if the generator is late, that counts too. Call `work` as often as possible.
    """

    def __init__(self, port: int, user: int, topic: str, every: float) -> None:
        self._sender, self._reader = open_sessions(
            port, 2, lambda number: [topic] if number > user else [], first=user
        )
        self._sent = command(action="publish", topic=topic, message=64 * "a")
        self._every = every
        self._sender.sendall(self._sent)
        self._size = _bytes_of(self._reader, 1)
        self._sender.setblocking(False)
        self._reader.setblocking(False)
        self._due: list[float] = []
        self._arrived = 0
        self.taken: list[float] = []
        """Seconds that each delivery took."""
        self.next_at = 0.0

    def begin(self, after: float = 0.0) -> None:
        """Measure from now on, or from so many seconds later."""
        self._due, self._arrived, self.taken = [], 0, []
        self.next_at = time.perf_counter() + after

    def work(self) -> None:
        """Send what is due, and take what has arrived."""
        now = time.perf_counter()
        while self.next_at <= now:
            self._sender.send(self._sent)
            self._due.append(self.next_at)
            self.next_at += self._every
        try:
            data = self._reader.recv(65536)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("the server ended a healthy connection")
        before = self._arrived // self._size
        self._arrived += len(data)
        now = time.perf_counter()
        self.taken += [now - at for at in self._due[before : self._arrived // self._size]]
        with suppress(BlockingIOError):
            self._sender.recv(65536)

    def finish(self) -> list[float]:
        """Wait for what is on its way, and return how long all took."""
        self.next_at = float("inf")
        deadline = time.perf_counter() + _TIMEOUT
        while len(self.taken) < len(self._due):
            self.work()
            time.sleep(0.0002)
            if time.perf_counter() > deadline:
                missing = len(self._due) - len(self.taken)
                raise TimeoutError(f"{missing} messages of a healthy pair did not arrive")
        return self.taken

    def close(self) -> None:
        """Leave."""
        self._sender.close()
        self._reader.close()
