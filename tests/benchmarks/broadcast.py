"""What it costs to send one message to a thousand receivers, and how soon they have it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from . import latency
from .arrivals import check_delivery, keep_in_flight
from .contenders import broadcast_servers
from .load import Busy, close_connections, open_connections
from .machine import allow_files
from .rounds import Cost, costing, rows_for, run
from .servers import Server
from .table import Goal, Row
from .wire import REQUESTS

_RECEIVERS = 1000
_SPARE_FILES = 200
_IN_FLIGHT = (1, 4, 16)
"""Broadcasts on their way at once, in their order of measuring: the first is 1 (see `measure`)."""
_JUDGED = 4
"""Messages in flight at which the goals are set."""
_WARM_UP_SECONDS = 0.05
_SOCKETIFY = 0.7
_WEBSOCKETS = {"asyncio": 4, "trio": 10}
_GOALS = {
    loop: (Goal("websockets", at_least=times), Goal("socketify", at_least=_SOCKETIFY))
    for loop, times in _WEBSOCKETS.items()
}
# The same, of the cost: it is the surer figure where others use the server's core.
_COST_GOALS = {
    loop: (Goal("websockets", at_most=1 / times), Goal("socketify", at_most=1 / _SOCKETIFY))
    for loop, times in _WEBSOCKETS.items()
}


def measure(repeat: int, seconds: float, receivers: int = _RECEIVERS) -> list[Row]:
    """Return rows of throughput for each server, then rows of latency for some of them."""
    allow_files(receivers + _SPARE_FILES)
    wanted = broadcast_servers()
    tables: list[list[Row]] = []
    for in_flight in _IN_FLIGHT:
        what = f"broadcast to {receivers:,}, {in_flight} in flight"
        judged = in_flight == _JUDGED
        tables += [
            rows_for(what, "deliveries a second", wanted, _GOALS if judged else None),
            rows_for(what, "µs of CPU a delivery", wanted, _COST_GOALS if judged else None),
        ]
    one = partial(_throughput, seconds=seconds, receivers=receivers)
    run(wanted, repeat, one, tables)
    # With one in flight: those of a steady pace come one by one too, unless a server falls behind.
    sustained = {row.who: row.median / receivers for row in tables[0]}
    rows = [row for table in tables for row in table]
    return rows + latency.measure(repeat, seconds, receivers, sustained)


def _throughput(
    server: Server, busy: Sequence[Busy], seconds: float, receivers: int
) -> list[float]:
    """Return deliveries a second and µs of CPU for each, for every number in flight."""
    connections = open_connections(server.port, REQUESTS["5 headers"], receivers)
    check_delivery(connections)
    keep_in_flight(connections, 1, _WARM_UP_SECONDS)
    figures: list[float] = []
    for at, in_flight in enumerate(_IN_FLIGHT):
        cost = Cost()
        # Both figures have the generator's time of the same stretch.
        with costing(cost, server.pid), busy[2 * at].counted(), busy[2 * at + 1].counted():
            cost.count, took = keep_in_flight(connections, in_flight, seconds)
        figures += [cost.count / took, 1e6 / cost.rate]
    close_connections(connections)
    return figures
