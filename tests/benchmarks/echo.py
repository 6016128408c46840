"""How many small messages a server sends back for a second of its CPU."""

from __future__ import annotations

from functools import partial

from .load import Busy, close_connections, echo_messages, open_connections
from .rounds import Cost, costing, rows_for, run
from .servers import Server, contenders
from .table import Row
from .wire import REQUESTS

_CONNECTIONS = 50


def measure(repeat: int, seconds: float) -> list[Row]:
    """Return a row for each server."""
    wanted = contenders(floor=True)
    rows = rows_for(f"echo 64 B, {_CONNECTIONS} connections", "a CPU second", wanted, None)

    run(wanted, repeat, partial(_one, seconds=seconds), [rows])
    return rows


def _one(server: Server, busy: Busy, seconds: float) -> tuple[float]:
    connections = open_connections(server.port, REQUESTS["5 headers"], _CONNECTIONS)
    cost = Cost()
    with costing(cost, server.pid), busy.counted():
        cost.count = echo_messages(connections, seconds)
    close_connections(connections)
    return (cost.rate,)
