"""Rounds over servers: each round measures all of them, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from .contenders import FLOOR, Contender
from .load import Busy, close_connections, open_connections
from .machine import Cores, pinned, settled_cpu_seconds
from .servers import Server, all_serving
from .table import Goal, Row
from .wire import REQUESTS

_WARM_UP = 100
"""Connections of each server that nobody counts: imports inside functions, caches, free lists."""

Goals = Mapping[str, Sequence[Goal]]
"""What hubbub should reach, by the name of its loop."""


def goals_on(loops: Iterable[str], *goals: Goal) -> Goals:
    """Return the same goals for several loops."""
    return dict.fromkeys(loops, goals)


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


def rows_for(
    what: str, unit: str, wanted: Sequence[Contender], goals: Goals | None = None
) -> list[Row]:
    """Return an empty row for each server.

    All are compared with `websockets` on the same loop, and hubbub with the other libraries too.
    """
    rows = [Row(what, str(one), unit) for one in wanted]
    for row, contender in zip(rows, wanted, strict=True):
        row.peers = {
            other.name: peer
            for peer, other in zip(rows, wanted, strict=True)
            if peer is not row and _comparable(contender, other)
        }
        if contender.ours and goals is not None:
            row.goals = goals.get(contender.loop, ())
    return rows


def _comparable(one: Contender, peer: Contender) -> bool:
    if peer.ours or peer.name == FLOOR:
        return False
    if peer.name == "websockets":
        return peer.loop == one.loop
    # socketify brings a loop of its own.
    return one.ours and peer.loop in {one.loop, "libuv"}


def run(
    wanted: Sequence[Contender],
    repeat: int,
    one: Callable[[Server, Sequence[Busy]], Sequence[float]],
    tables: Sequence[Sequence[Row]],
) -> None:
    """Call `one` for each server in each round, from the generator's core.

    It returns a figure for each of the tables, all of which have a row for each server, and counts
    the generator's time for each of them.
    """
    cores = Cores.available()
    busy = [[Busy() for _ in tables] for _ in wanted]
    with all_serving(wanted, cores.server) as servers, pinned(cores.generator):
        for server in servers:
            close_connections(open_connections(server.port, REQUESTS["5 headers"], _WARM_UP))
        for _ in range(repeat):
            for at, server in enumerate(servers):
                figures = one(server, busy[at])
                for table, figure in zip(tables, figures, strict=True):
                    table[at].figures.append(figure)
    for number, table in enumerate(tables):
        for row, spent in zip(table, busy, strict=True):
            row.idle = spent[number].idle
