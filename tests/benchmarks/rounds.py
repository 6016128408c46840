"""Rounds over servers: each round measures all of them, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .load import Busy, close_connections, open_connections
from .machine import Cores, pinned, settled_cpu_seconds
from .servers import Contender, Server, all_serving
from .table import Goal, Row
from .wire import REQUESTS

_WARM_UP = 100
"""Connections of each server that nobody counts: imports inside functions, caches, free lists."""


@dataclass(slots=True)
class Cost:
    """What a server did, and the CPU time that it took."""

    count: int = 0
    cpu: float = 0.0

    @property
    def rate(self) -> float:
        """How many for each second of the server's CPU."""
        return self.count / self.cpu


@contextmanager
def costing(cost: Cost, pid: int) -> Iterator[None]:
    """Add a server's CPU time of the block, and until it rests again."""
    before = settled_cpu_seconds(pid)
    yield
    cost.cpu += settled_cpu_seconds(pid) - before


def rows_for(what: str, unit: str, wanted: Sequence[Contender], goal: Goal | None) -> list[Row]:
    """Return an empty row for each server; each on its loop is compared with `websockets`."""
    rows = [Row(what, f"{one.name}, {one.loop}", unit) for one in wanted]
    first: dict[str, Row] = {}
    for row, contender in zip(rows, wanted, strict=True):
        if contender.name == "websockets":
            first[contender.loop] = row
        else:
            row.peers["websockets"] = first[contender.loop]
        if contender.ours:
            row.goal = goal
    return rows


def run(
    wanted: Sequence[Contender],
    repeat: int,
    one: Callable[[Server, Busy], Sequence[float]],
    tables: Sequence[Sequence[Row]],
) -> None:
    """Call `one` for each server in each round, from the generator's core.

    It returns a figure for each of the tables, all of which have a row for each server.
    """
    cores = Cores.available()
    busy = [Busy() for _ in wanted]
    with all_serving(wanted, cores.server) as servers, pinned(cores.generator):
        for server in servers:
            close_connections(open_connections(server.port, REQUESTS["5 headers"], _WARM_UP))
        for _ in range(repeat):
            for at, server in enumerate(servers):
                figures = one(server, busy[at])
                for table, figure in zip(tables, figures, strict=True):
                    table[at].figures.append(figure)
    for table in tables:
        for row, spent in zip(table, busy, strict=True):
            row.idle = spent.idle
