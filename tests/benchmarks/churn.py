"""What is left in a server of clients that came and went: memory, descriptors."""

from __future__ import annotations

import socket

from .contenders import Contender, echo_servers
from .load import Busy, close_connections, open_connections, reset_connections
from .machine import Cores, open_files, pinned, resident_bytes, settled_cpu_seconds
from .rounds import goals_on, rows_for
from .servers import Server, serving
from .table import Goal, Row
from .wire import REQUESTS

_CYCLES = 100_000
_WARM_UP = 0.05
"""Of the cycles, before the first look: 5,000 of 100,000."""
_AT_ONCE = 100
"""Clients that are there at a time. A multiple of the ways to leave."""
_ONE_ADDRESS = 20_000
"""Cycles from one address: some of its ports rest for a minute after each."""

_GROWTH_GOALS = goals_on(("asyncio", "trio"), Goal(None, at_most=2))
_FILE_GOALS = goals_on(("asyncio", "trio"), Goal(None, at_most=0))


def measure(repeat: int, cycles: int = _CYCLES) -> list[Row]:
    """Return a row of memory and one of descriptors for each server."""
    wanted = echo_servers(loops=("asyncio", "trio"), names=("hubbub",))
    what = f"{cycles:,} clients came and went"
    growth = rows_for(f"{what}: resident", "MiB more", wanted, _GROWTH_GOALS)
    files = rows_for(f"{what}: open files", "more", wanted, _FILE_GOALS)
    for at, contender in enumerate(wanted):
        busy = Busy()
        for _ in range(repeat):
            more_bytes, more_files = _one(contender, cycles, busy)
            growth[at].figures.append(more_bytes / 2**20)
            files[at].figures.append(more_files)
        growth[at].idle = files[at].idle = busy.idle
    return growth + files


def _one(contender: Contender, cycles: int, busy: Busy) -> tuple[int, int]:
    """Return the bytes and the descriptors that the server holds more than after its warm-up."""
    cores = Cores.available()
    with serving(contender, cores.server) as server, pinned(cores.generator):
        _come_and_go(server.port, round(cycles * _WARM_UP))
        before = _held(server)
        with busy.counted():
            _come_and_go(server.port, cycles)
        after = _held(server)
    return after[0] - before[0], after[1] - before[1]


def _come_and_go(port: int, cycles: int) -> None:
    for done in range(0, cycles, _AT_ONCE):
        source = f"127.0.0.{1 + done // _ONE_ADDRESS}"
        count = min(_AT_ONCE, cycles - done)
        _leave(open_connections(port, REQUESTS["5 headers"], count, source))


def _leave(connections: list[socket.socket]) -> None:
    """Half of them reset, a quarter close as they should, a quarter end the stream without a word."""
    reset_connections(connections[::2])
    close_connections(connections[1::4])
    for sock in connections[3::4]:
        sock.close()


def _held(server: Server) -> tuple[int, int]:
    settled_cpu_seconds(server.pid)
    return resident_bytes(server.pid), open_files(server.pid)
