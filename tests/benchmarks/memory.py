"""What an idle connection keeps of a server's memory."""

from __future__ import annotations

from .contenders import Contender, echo_servers
from .load import close_connections, open_connections, ping_once
from .machine import Cores, allow_files, pinned, proportional_bytes, settled_cpu_seconds
from .rounds import rows_for
from .servers import serving
from .table import Goal, Row
from .wire import REQUESTS

_CONNECTIONS = 5000
_SPARE_FILES = 200
_GOALS = {"asyncio": (Goal(None, at_most=8),), "trio": (Goal(None, at_most=10),)}


def measure(repeat: int, connections: int = _CONNECTIONS) -> list[Row]:
    """Return a row for each server."""
    allow_files(connections + _SPARE_FILES)
    wanted = echo_servers(loops=("asyncio", "trio"), names=("websockets", "hubbub"))
    rows = rows_for(f"memory, {connections:,} idle connections", "KiB each", wanted, _GOALS)
    for _ in range(repeat):
        for contender, row in zip(wanted, rows, strict=True):
            row.figures.append(_one(contender, connections) / 1024)
    return rows


def _one(contender: Contender, count: int) -> float:
    """Return bytes for each connection. The server is new: an old one reuses what it has freed."""
    cores = Cores.available()
    with serving(contender, cores.server) as server, pinned(cores.generator):
        request = REQUESTS["5 headers"]
        warm_up = open_connections(server.port, request, 20)
        ping_once(warm_up)
        close_connections(warm_up)
        settled_cpu_seconds(server.pid)
        before = proportional_bytes(server.pid)
        connections = open_connections(server.port, request, count)
        ping_once(connections)
        settled_cpu_seconds(server.pid)
        each = (proportional_bytes(server.pid) - before) / count
        close_connections(connections)
        return each
