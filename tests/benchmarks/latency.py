"""How soon a thousand receivers have a message, when all servers are equally busy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from .arrivals import check_delivery, time_deliveries
from .contenders import broadcast_servers
from .load import Busy, close_connections, open_connections
from .rounds import goals_on, rows_for, run
from .servers import Server
from .table import Goal, Row, percentile
from .wire import REQUESTS

_COMPARED = ("hubbub, asyncio", "hubbub, trio", "socketify, libuv")
_GOALS = goals_on(("asyncio", "trio"), Goal("socketify", at_most=1.3))
_LONGER = 3
"""How much longer than a stretch of throughput one of latency is: it is mostly waiting."""
_WARM_UP_SECONDS = 0.1


def measure(
    repeat: int, seconds: float, receivers: int, sustained: Mapping[str, float]
) -> list[Row]:
    """Return rows of the median and the 99th percentile.

    All are measured at one rate: half of what the slowest of them sustains, in broadcasts a second.
    """
    wanted = [one for one in broadcast_servers() if str(one) in _COMPARED]
    rate = min(sustained[str(one)] for one in wanted) / 2
    what = f"delivery at {rate:.0f} broadcasts a second"
    median = rows_for(f"{what}, p50", "ms", wanted, _GOALS)
    worst = rows_for(f"{what}, p99", "ms", wanted)
    one = partial(_one, seconds=_LONGER * seconds, rate=rate, receivers=receivers)
    run(wanted, repeat, one, [median, worst])
    return median + worst


def _one(
    server: Server, busy: Sequence[Busy], seconds: float, rate: float, receivers: int
) -> tuple[float, float]:
    connections = open_connections(server.port, REQUESTS["5 headers"], receivers)
    check_delivery(connections)
    time_deliveries(connections, rate, _WARM_UP_SECONDS)
    with busy[0].counted(), busy[1].counted():
        taken = time_deliveries(connections, rate, seconds)
    close_connections(connections)
    return percentile(taken, 50) * 1000, percentile(taken, 99) * 1000
