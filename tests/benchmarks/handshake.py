"""How many opening handshakes, and how many closing ones, a server does for a second of its CPU."""

from __future__ import annotations

import time
from functools import partial

from .load import Busy, close_connections, open_connections
from .rounds import Cost, costing, rows_for, run
from .servers import Server, contenders
from .table import Goal, Row
from .wire import REQUESTS

_GOAL = Goal("websockets", at_least=1.5)
_BATCH = 250
"""Connections that are held while others open, so that closing them is not measured along."""


def measure(repeat: int, seconds: float, batch: int = _BATCH) -> list[Row]:
    """Return a row for each server and request, and for the closing handshake after the last."""
    wanted = contenders(floor=True)
    rows: list[Row] = []
    closing: list[Row] = []
    for what, request in REQUESTS.items():
        opening = rows_for(f"opening handshake, {what}", "a CPU second", wanted, _GOAL)
        closing = rows_for("closing handshake", "a CPU second", wanted, None)
        one = partial(_one, request=request, seconds=seconds, batch=batch)
        run(wanted, repeat, one, [opening, closing])
        rows += opening
    return rows + closing


def _one(
    server: Server, busy: Busy, request: bytes, seconds: float, batch: int
) -> tuple[float, float]:
    opening, closing = Cost(), Cost()
    end = time.perf_counter() + seconds
    while not opening.count or time.perf_counter() < end:
        with costing(opening, server.pid), busy.counted():
            connections = open_connections(server.port, request, batch)
        with costing(closing, server.pid), busy.counted():
            close_connections(connections)
        opening.count += batch
        closing.count += batch
    return opening.rate, closing.rate
