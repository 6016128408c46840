"""Handshakes that never end: whether they are given up in time, and what others feel of them."""

from __future__ import annotations

import select
import socket
import time
from dataclasses import dataclass

from .contenders import Contender, echo_servers
from .joining import Joiners
from .load import Busy, new_socket, poll_until, reset_connections
from .machine import Cores, allow_files, pinned
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row, percentile
from .wire import REQUESTS

_CLIENTS = 1000
_DEADLINE = 10.0
"""Seconds that a server gives an opening handshake: the default of all libraries here."""
_LATE = 1.0
"""Seconds after the deadline within which a connection must have been closed."""
_TURNS = 100
"""In each second."""
_REQUEST = REQUESTS["12 headers"]
_EVERY = 0.02
"""Seconds from one healthy client to the next."""
_AT_ONCE = 8
"""Events before the healthy clients' turn comes again."""
_SPARE_FILES = 1000

_JOIN_GOALS = goals_on(("asyncio", "trio"), Goal(None, at_most=100))


def measure(repeat: int, clients: int = _CLIENTS, deadline: float = _DEADLINE) -> list[Row]:
    """Return a row of healthy clients' waiting and one of those that were closed in time."""
    allow_files(clients + _SPARE_FILES)
    wanted = echo_servers(loops=("asyncio", "trio"), names=("hubbub",))
    what = f"{clients:,} half-open handshakes"
    goals = goals_on(("asyncio", "trio"), Goal(None, at_least=clients))
    waits = rows_for(f"{what}: joining, p99", "ms", wanted, _JOIN_GOALS)
    closed = rows_for(f"{what}: closed after {deadline:g} s", "of them", wanted, goals)
    for at, contender in enumerate(wanted):
        busy = Busy()
        for _ in range(repeat):
            wait, lives = _one(contender, clients, deadline, busy)
            waits[at].figures.append(wait * 1000)
            # None may be early: the server's clock started after ours, when it accepted.
            closed[at].figures.append(sum(0 <= life - deadline <= _LATE for life in lives))
        waits[at].idle = closed[at].idle = busy.idle
    return waits + closed


def _one(
    contender: Contender, clients: int, deadline: float, busy: Busy
) -> tuple[float, list[float]]:
    """Return the healthy clients' 99th percentile, and how long each of the others was held."""
    cores = Cores.available()
    with_deadline = contender.with_options("--open-timeout", f"{deadline:g}")
    with (
        serving(with_deadline, cores.server) as server,
        pinned(cores.generator),
        Joiners(server.port, _EVERY) as joiners,
        select.epoll() as poller,
        busy.counted(),
    ):
        poller.register(joiners.poller, select.EPOLLIN)
        slow = _Slow(poller, server.port, clients)
        # The last begins a second after the first.
        end = time.perf_counter() + 1 + deadline + _LATE
        while time.perf_counter() < end and not slow.all_closed:
            joiners.work()
            slow.send_due()
            next_at = min(joiners.next_at, slow.next_at)
            for number, _ in poll_until(poller, next_at, _AT_ONCE):
                if number != joiners.poller.fileno():
                    slow.take(number)
        waits = joiners.waits()
        slow.leave()
    return percentile(waits, 99), slow.lives


@dataclass(slots=True)
class _Client:
    sock: socket.socket
    began: float
    """When it was not yet connected."""
    sent: int = 0


class _Slow:
    """Clients that send their requests byte by byte, one a second, in turns of a hundredth each."""

    def __init__(self, poller: select.epoll, port: int, clients: int) -> None:
        self._poller = poller
        self._port = port
        self._clients = clients
        self._turns = 0
        self._at_once = -(-clients // _TURNS)
        self._began = time.perf_counter()
        self._open: dict[int, _Client] = {}
        self._order: list[int] = []
        self.lives: list[float] = []
        """Of those that were closed: seconds from their beginning."""

    @property
    def next_at(self) -> float:
        """When it is the next ones' turn."""
        return self._began + self._turns / _TURNS

    @property
    def all_closed(self) -> bool:
        """Whether all have been there and none is left."""
        return len(self.lives) == self._clients

    def send_due(self) -> None:
        """Send the bytes that are due; a client's first byte follows its connecting."""
        while self.next_at <= time.perf_counter():
            second, turn = divmod(self._turns, _TURNS)
            self._turns += 1
            first = turn * self._at_once
            for client in range(first, min(first + self._at_once, self._clients)):
                if not second:
                    self._begin()
                self._send(self._order[client])

    def take(self, number: int) -> None:
        """Read what the server says to a client; at the end of the stream let the client go."""
        try:
            data = self._open[number].sock.recv(4096)
        except ConnectionError:
            data = b""
        if not data:
            self._closed(number)

    def leave(self) -> None:
        """Let all go that were not closed."""
        reset_connections([client.sock for client in self._open.values()])

    def _begin(self) -> None:
        sock = new_socket("127.0.0.1")
        sock.setblocking(False)
        client = _Client(sock, time.perf_counter())
        # Where the server is behind with accepting, the kernel tries again after a second.
        sock.connect_ex(("127.0.0.1", self._port))
        self._poller.register(sock, select.EPOLLIN)
        self._open[sock.fileno()] = client
        self._order.append(sock.fileno())

    def _send(self, number: int) -> None:
        client = self._open.get(number)
        if client is None:
            return
        now = time.perf_counter()
        try:
            client.sent += client.sock.send(_REQUEST[client.sent : client.sent + 1])
        except BlockingIOError:
            client.began = now
        except ConnectionError:
            self._closed(number)

    def _closed(self, number: int) -> None:
        client = self._open.pop(number)
        self.lives.append(time.perf_counter() - client.began)
        client.sock.close()
