"""What many idle connections cost: a server's time for their keepalive, and newcomers' patience.

They are opened as fast as the server takes them, so their pings come in waves as long as that took,
and newcomers meet both the waves and the quiet. Handshakes of newcomers are part of the CPU time.
"""

from __future__ import annotations

import select
import socket
import time

from .contenders import Contender, echo_servers
from .joining import Joiners
from .load import Busy, open_connections, poll_until, reset_connections
from .machine import Cores, allow_files, cpu_seconds, pinned, settled_cpu_seconds
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row, percentile
from .wire import REQUESTS, masked

_CONNECTIONS = 15_000
_INTERVAL = 20.0
"""Seconds between keepalive pings: the default of all libraries here."""
_INTERVALS = 2
"""How many of them are measured, so that each connection is pinged so often."""
_EVERY = 0.1
"""Seconds from one newcomer to the next."""
_FROM_ONE_ADDRESS = 10_000
_AT_ONCE = 8
"""Pings that are answered before the newcomers' turn comes again."""
_SPARE_FILES = 1000
_ENOUGH = 0.9
"""Of the pings that are due: some may come after the end."""

_SHARE_GOALS = goals_on(("asyncio", "trio"), Goal(None, at_most=25))
_JOIN_GOALS = goals_on(("asyncio", "trio"), Goal(None, at_most=50))


def measure(repeat: int, connections: int = _CONNECTIONS, interval: float = _INTERVAL) -> list[Row]:
    """Return a row of CPU time and one of newcomers' waiting for each server."""
    allow_files(connections + _SPARE_FILES)
    wanted = echo_servers(loops=("asyncio", "trio"), names=("hubbub",))
    what = f"{connections:,} idle connections, a ping each {interval:g} s"
    shares = rows_for(what, "% of a core", wanted, _SHARE_GOALS)
    waits = rows_for(f"{what}: joining, p99", "ms", wanted, _JOIN_GOALS)
    for at, contender in enumerate(wanted):
        busy = Busy()
        for _ in range(repeat):
            share, wait = _one(contender, connections, interval, busy)
            shares[at].figures.append(share * 100)
            waits[at].figures.append(wait * 1000)
        shares[at].idle = waits[at].idle = busy.idle
    return shares + waits


def _one(contender: Contender, count: int, interval: float, busy: Busy) -> tuple[float, float]:
    """Return the share of its core that the server used, and the newcomers' 99th percentile."""
    cores = Cores.available()
    with_pings = contender.with_options("--ping-interval", f"{interval:g}")
    with serving(with_pings, cores.server) as server, pinned(cores.generator):
        connections = _open(server.port, count)
        settled_cpu_seconds(server.pid)
        with Joiners(server.port, _EVERY) as joiners, select.epoll() as poller:
            idle = Idle(poller, connections)
            # What came while others were still connecting, if that took long.
            while idle.answer(poller.poll(0)):
                pass
            poller.register(joiners.poller, select.EPOLLIN)
            before, began, spent = idle.pings, time.perf_counter(), cpu_seconds(server.pid)
            end = began + _INTERVALS * interval
            with busy.counted():
                while time.perf_counter() < end:
                    joiners.work()
                    while joiners.joined:
                        idle.add(joiners.joined.pop())
                    idle.answer(poll_until(poller, min(joiners.next_at, end), _AT_ONCE))
            spent = cpu_seconds(server.pid) - spent
            took = time.perf_counter() - began
            waits = joiners.waits()
        pings = idle.pings - before
        reset_connections(idle.connections)
    # A server that sends fewer is measured at something else.
    if pings < _ENOUGH * _INTERVALS * count:
        raise ConnectionError(f"{contender} sent {pings} pings to {count} connections")
    return spent / took, percentile(waits, 99)


def _open(port: int, count: int) -> list[socket.socket]:
    connections: list[socket.socket] = []
    for number, opened in enumerate(range(0, count, _FROM_ONE_ADDRESS), start=1):
        more = min(_FROM_ONE_ADDRESS, count - opened)
        request = REQUESTS["5 headers"]
        connections += open_connections(port, request, more, f"127.0.0.{number}")
    return connections


class Idle:
    """Connections that only answer pings."""

    def __init__(self, poller: select.epoll, connections: list[socket.socket]) -> None:
        self._poller = poller
        self._by_number: dict[int, socket.socket] = {}
        self.pings = 0
        for sock in connections:
            self.add(sock)

    @property
    def connections(self) -> list[socket.socket]:
        """All of them."""
        return list(self._by_number.values())

    def add(self, sock: socket.socket) -> None:
        """Take one more."""
        sock.setblocking(False)
        self._poller.register(sock, select.EPOLLIN)
        self._by_number[sock.fileno()] = sock

    def answer(self, events: list[tuple[int, int]]) -> bool:
        """Answer what is ready among what a poller returned; whether there was anything."""
        for number, _ in events:
            if number in self._by_number:
                self._answer(self._by_number[number])
        return bool(events)

    def _answer(self, sock: socket.socket) -> None:
        ping = sock.recv(4096)
        if ping[:1] != b"\x89" or len(ping) != 2 + ping[1]:
            raise ConnectionError(f"instead of a ping came {ping!r}")
        sock.send(masked(0x8A, ping[2:]))
        self.pings += 1
