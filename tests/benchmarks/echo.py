"""How many small messages a server sends back for a second of its CPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from .contenders import echo_servers
from .load import Busy, close_connections, echo_messages, open_connections
from .rounds import Cost, costing, rows_for, run
from .servers import Server
from .table import Goal, Row
from .wire import REQUESTS

_CONNECTIONS = 50
_GOALS = {
    "asyncio": (Goal("websockets", at_least=1.4),),
    "trio": (Goal("websockets", at_least=1.8), Goal("trio-websocket", at_least=2)),
}


def measure(repeat: int, seconds: float) -> list[Row]:
    """Return a row for each server."""
    wanted = echo_servers()
    rows = rows_for(f"echo 64 B, {_CONNECTIONS} connections", "a CPU second", wanted, _GOALS)
    run(wanted, repeat, partial(_one, seconds=seconds), [rows])
    return rows


def _one(server: Server, busy: Sequence[Busy], seconds: float) -> tuple[float]:
    connections = open_connections(server.port, REQUESTS["5 headers"], _CONNECTIONS)
    cost = Cost()
    with costing(cost, server.pid), busy[0].counted():
        cost.count = echo_messages(connections, seconds)
    close_connections(connections)
    return (cost.rate,)
