"""What many idle sessions of a hub cost: its time for their keepalive."""

from __future__ import annotations

import select
import time

from .contenders import Contender, hub_servers
from .hub_load import open_sessions
from .idle import Idle
from .load import Busy, poll_until, reset_connections
from .machine import Cores, allow_files, cpu_seconds, pinned, settled_cpu_seconds
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row

_SESSIONS = 15_000
_INTERVAL = 20.0
_INTERVALS = 2
_AT_ONCE = 64
_SPARE_FILES = 1000
_ENOUGH = 0.9
"""Of the pings that are due, as in `idle`."""
_GOALS = goals_on(("asyncio", "trio"), Goal(None, at_most=25))


def measure(repeat: int, sessions: int = _SESSIONS, interval: float = _INTERVAL) -> list[Row]:
    """Return a row of CPU time for each loop."""
    allow_files(sessions + _SPARE_FILES)
    wanted = hub_servers()
    what = f"{sessions:,} idle sessions, a ping each {interval:g} s"
    rows = rows_for(what, "% of a core", wanted, _GOALS)
    for contender, row in zip(wanted, rows, strict=True):
        busy = Busy()
        row.figures = [100 * _one(contender, sessions, interval, busy) for _ in range(repeat)]
        row.idle = busy.idle
    return rows


def _one(contender: Contender, count: int, interval: float, busy: Busy) -> float:
    """Return the share of its core that the server used."""
    cores = Cores.available()
    with_pings = contender.with_options("--ping-interval", f"{interval:g}")
    with (
        serving(with_pings, cores.server) as server,
        pinned(cores.generator),
        select.epoll() as poller,
    ):
        sessions = open_sessions(server.port, count, lambda number: ["feed.all", f"feed.{number}"])
        settled_cpu_seconds(server.pid)
        idle = Idle(poller, sessions)
        # What came while others still joined, if that took long.
        while idle.answer(poller.poll(0)):
            pass
        before, began, spent = idle.pings, time.perf_counter(), cpu_seconds(server.pid)
        end = began + _INTERVALS * interval
        with busy.counted():
            while time.perf_counter() < end:
                idle.answer(poll_until(poller, end, _AT_ONCE))
        spent = cpu_seconds(server.pid) - spent
        took = time.perf_counter() - began
        pings = idle.pings - before
        reset_connections(idle.connections)
    if pings < _ENOUGH * _INTERVALS * count:
        raise ConnectionError(f"{contender} sent {pings} pings to {count} sessions")
    return spent / took
