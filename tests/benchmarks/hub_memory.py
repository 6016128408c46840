"""What an idle session keeps of a hub's memory."""

from __future__ import annotations

from .contenders import Contender, hub_servers
from .hub_load import open_sessions, read_all
from .load import ping_once, reset_connections
from .machine import Cores, allow_files, pinned, proportional_bytes, settled_cpu_seconds
from .rounds import rows_for
from .servers import serving
from .table import Goal, Row

_SESSIONS = 5000
_WARM_UP = 50
_ROOM = 50
"""Sessions that share a room; all share the other topic."""
_SPARE_FILES = 200
_GOALS = {"asyncio": (Goal(None, at_most=7),), "trio": (Goal(None, at_most=10),)}


def measure(repeat: int, sessions: int = _SESSIONS) -> list[Row]:
    """Return a row for each loop. A KB has 1000 bytes."""
    allow_files(sessions + _SPARE_FILES)
    wanted = hub_servers()
    rows = rows_for(f"memory, {sessions:,} idle sessions with 2 topics", "KB each", wanted, _GOALS)
    for _ in range(repeat):
        for contender, row in zip(wanted, rows, strict=True):
            row.figures.append(_one(contender, sessions) / 1000)
    return rows


def _one(contender: Contender, count: int) -> float:
    """Return bytes for each session. The server is new, as that of `memory`."""
    cores = Cores.available()
    with serving(contender, cores.server) as server, pinned(cores.generator):
        warm_up = open_sessions(server.port, _WARM_UP, lambda _: ["feed.all", "room.first"])
        read_all(warm_up)
        ping_once(warm_up)
        settled_cpu_seconds(server.pid)
        before = proportional_bytes(server.pid)
        sessions = open_sessions(
            server.port,
            count,
            lambda number: ["feed.all", f"room.{number // _ROOM}"],
            first=_WARM_UP,
        )
        read_all(sessions)
        ping_once(sessions)
        settled_cpu_seconds(server.pid)
        each = (proportional_bytes(server.pid) - before) / count
        reset_connections(sessions + warm_up)
        return each
