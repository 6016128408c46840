"""What it costs a hub to send one chat message to a room of a thousand, and how soon they have it.

Beside it stand a loop that writes ready bytes to asyncio's transports, and uWebSockets' publish: both
send 64 bytes to all, know nobody and encode nothing. The hub's message has 64 characters, and is sent
with its room, its sender and the time, to users with tokens; its publisher is answered as well.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from functools import partial

from .arrivals import Traffic, check_delivery, keep_in_flight, time_deliveries
from .contenders import FLOOR, Contender, fan_out_servers
from .hub_load import open_sessions, probe, read_all
from .hub_wire import publish
from .load import Busy, close_connections, open_connections, reset_connections
from .machine import allow_files
from .rounds import Cost, costing, rows_for, run
from .servers import Server
from .table import Goal, Row, percentile
from .wire import REQUESTS

_RECEIVERS = 1000
_SPARE_FILES = 200
_WARM_UP_SECONDS = 0.05
_ROOM = "room.lobby"
_LONGER = 3
"""As for `latency`."""

_SOCKETIFY = "socketify"
_THROUGHPUT = {
    1: Goal(FLOOR, at_least=0.75),
    4: Goal(_SOCKETIFY, at_least=0.7),
    16: Goal(_SOCKETIFY, at_least=0.6),
}
"""By messages in flight."""
_TRIO = Goal("asyncio", at_least=0.9)
_P50, _P99 = Goal(_SOCKETIFY, at_most=1.3), Goal(_SOCKETIFY, at_most=1.5)


def measure(repeat: int, seconds: float, receivers: int = _RECEIVERS) -> list[Row]:
    """Return rows of throughput, of cost and of latency."""
    allow_files(receivers + _SPARE_FILES)
    wanted = fan_out_servers()
    tables: list[list[Row]] = []
    for in_flight, goal in _THROUGHPUT.items():
        what = f"chat to {receivers:,}, {in_flight} in flight"
        rows = _rows(what, "deliveries a second", wanted, goal)
        for row in rows:
            if row.who == "hubbub, trio":
                row.goals = (*row.goals, _TRIO)
        tables += [rows, _rows(what, "µs of CPU a delivery", wanted, None)]
    one = partial(_throughput, seconds=seconds, receivers=receivers)
    run(wanted, repeat, one, tables)
    rows = [row for table in tables for row in table]
    return rows + _latency(repeat, seconds, receivers, wanted, tables[0])


def _rows(what: str, unit: str, wanted: Sequence[Contender], goal: Goal | None) -> list[Row]:
    """Ours are compared with all others, and trio with asyncio."""
    rows = rows_for(what, unit, wanted)
    others = {one.name: row for one, row in zip(wanted, rows, strict=True) if not one.ours}
    ours = {one.loop: row for one, row in zip(wanted, rows, strict=True) if one.ours}
    for loop, row in ours.items():
        row.peers = dict(others)
        if loop != "asyncio":
            row.peers["asyncio"] = ours["asyncio"]
        row.goals = () if goal is None else (goal,)
    for row in others.values():
        row.peers = {}
    return rows


def _latency(
    repeat: int,
    seconds: float,
    receivers: int,
    servers: Sequence[Contender],
    sustained: Sequence[Row],
) -> list[Row]:
    """All at one rate: half of what the slowest of them sustains with one in flight."""
    wanted = [one for one in servers if one.name != FLOOR]
    slowest = min(
        row.median for row, one in zip(sustained, servers, strict=True) if one.name != FLOOR
    )
    rate = slowest / receivers / 2
    what = f"delivery to {receivers:,} at {rate:.0f} messages a second"
    median, worst = (
        _rows(f"{what}, p50", "ms", wanted, _P50),
        _rows(f"{what}, p99", "ms", wanted, _P99),
    )
    one = partial(_times, seconds=_LONGER * seconds, rate=rate, receivers=receivers)
    run(wanted, repeat, one, [median, worst])
    return median + worst


def _open(server: Server, receivers: int) -> tuple[list[socket.socket], Traffic]:
    if not server.contender.ours:
        connections = open_connections(server.port, REQUESTS["5 headers"], receivers)
        check_delivery(connections)
        return connections, Traffic()
    connections = open_sessions(server.port, receivers, lambda _: [_ROOM])
    read_all(connections)
    return connections, probe(connections, publish(_ROOM, 64))


def _close(server: Server, connections: list[socket.socket]) -> None:
    if not server.contender.ours:
        close_connections(connections)
        return
    # All at once: nobody is left to be told of the others.
    reset_connections(connections)


def _throughput(
    server: Server, busy: Sequence[Busy], seconds: float, receivers: int
) -> list[float]:
    """Return deliveries a second and µs of CPU for each, for every number in flight."""
    connections, traffic = _open(server, receivers)
    keep_in_flight(connections, 1, _WARM_UP_SECONDS, traffic)
    figures: list[float] = []
    for at, in_flight in enumerate(_THROUGHPUT):
        cost = Cost()
        with costing(cost, server.pid), busy[2 * at].counted(), busy[2 * at + 1].counted():
            cost.count, took = keep_in_flight(connections, in_flight, seconds, traffic)
        figures += [cost.count / took, 1e6 / cost.rate]
    _close(server, connections)
    return figures


def _times(
    server: Server, busy: Sequence[Busy], seconds: float, rate: float, receivers: int
) -> tuple[float, float]:
    connections, traffic = _open(server, receivers)
    time_deliveries(connections, rate, _WARM_UP_SECONDS, traffic)
    with busy[0].counted(), busy[1].counted():
        taken = time_deliveries(connections, rate, seconds, traffic)
    _close(server, connections)
    return percentile(taken, 50) * 1000, percentile(taken, 99) * 1000
