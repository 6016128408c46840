"""How many opening handshakes, and how many closing ones, a server does for a second of its CPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from .contenders import echo_servers
from .load import Busy, close_connections, open_connections
from .rounds import Cost, costing, goals_on, rows_for, run
from .servers import Server
from .table import Goal, Row
from .wire import REQUESTS

_LOOPS = ("asyncio", "uvloop")
_GOALS = goals_on(_LOOPS, Goal("websockets", at_least=1.5))
_BATCH = 250
"""Connections that are held while others open, so that closing them is not measured along."""


def measure(repeat: int, seconds: float, batch: int = _BATCH) -> list[Row]:
    """Return a row for each server and request, and for the closing handshake after the last."""
    wanted = echo_servers(loops=_LOOPS)
    rows: list[Row] = []
    closing: list[Row] = []
    for what, request in REQUESTS.items():
        opening = rows_for(f"opening handshake, {what}", "a CPU second", wanted, _GOALS)
        closing = rows_for("closing handshake", "a CPU second", wanted)
        one = partial(_one, request=request, seconds=seconds, batch=batch)
        run(wanted, repeat, one, [opening, closing])
        rows += opening
    return rows + closing


def _one(
    server: Server, busy: Sequence[Busy], request: bytes, seconds: float, batch: int
) -> tuple[float, float]:
    opening, closing = Cost(), Cost()
    end = time.perf_counter() + seconds
    while not opening.count or time.perf_counter() < end:
        with costing(opening, server.pid), busy[0].counted():
            connections = open_connections(server.port, request, batch)
        with costing(closing, server.pid), busy[1].counted():
            close_connections(connections)
        opening.count += batch
        closing.count += batch
    return opening.rate, closing.rate
