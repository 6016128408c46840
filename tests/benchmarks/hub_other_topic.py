"""How soon a message of one topic arrives while another topic's go to ten thousand."""

from __future__ import annotations

import select
import time

from .contenders import Contender, hub_servers
from .hub_load import Pair, open_sessions, probe
from .hub_wire import publish
from .load import Busy, reset_connections
from .machine import Cores, allow_files, pinned
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row, percentile

_SUBSCRIBERS = 10_000
_SIZE = 1000
"""Characters of what they get, again and again: the next when all have the last."""
_EVERY = 0.004
"""Seconds from one of the other topic's messages to the next."""
_LONGER = 10
_SPARE_FILES = 200
_AT_ONCE = 16
"""Deliveries that are taken before the pair's turn comes again."""
_PAUSE = 0.0001
_BUFFER = bytearray(65536)
_GOALS = goals_on(("asyncio", "trio"), Goal(None, at_most=30))


def measure(repeat: int, seconds: float, subscribers: int = _SUBSCRIBERS) -> list[Row]:
    """Return rows of the 99th percentile without the others, with them, and of the difference."""
    allow_files(subscribers + _SPARE_FILES)
    wanted = hub_servers()
    what = "another topic's message"
    alone = rows_for(f"{what}, p99", "ms", wanted)
    beside = rows_for(f"{what} while {subscribers:,} get 1 KB each, p99", "ms", wanted)
    more = rows_for(f"{what}: what they cost it", "ms more", wanted, _GOALS)
    for at, contender in enumerate(wanted):
        busy = Busy()
        for _ in range(repeat):
            before, meanwhile = _one(contender, seconds * _LONGER, subscribers, busy)
            alone[at].figures.append(before)
            beside[at].figures.append(meanwhile)
            more[at].figures.append(meanwhile - before)
        alone[at].idle = beside[at].idle = more[at].idle = busy.idle
    return alone + beside + more


def _one(contender: Contender, seconds: float, count: int, busy: Busy) -> tuple[float, float]:
    """Return the 99th percentile, in ms, without and with the many."""
    cores = Cores.available()
    with serving(contender, cores.server) as server, pinned(cores.generator):
        pair = Pair(server.port, count, "feed.other", _EVERY)
        subscribers = open_sessions(server.port, count, lambda _: ["feed.many"])
        traffic = probe(subscribers, publish("feed.many", _SIZE))
        round_size = count * traffic.size + traffic.answer
        with busy.counted(), select.epoll() as poller:
            readers = {}
            for sock in subscribers:
                sock.setblocking(False)
                poller.register(sock, select.EPOLLIN | select.EPOLLET)
                readers[sock.fileno()] = sock.recv_into
            pair.begin()
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pair.work()
                time.sleep(_PAUSE)
            alone = percentile(pair.finish(), 99)
            pair.begin()
            missing, end = 0, time.perf_counter() + seconds
            while True:
                now = time.perf_counter()
                if not missing:
                    if now >= end:
                        break
                    subscribers[0].send(traffic.sent)
                    missing = round_size
                events = poller.poll(0, _AT_ONCE)
                for number, _ in events:
                    missing -= readers[number](_BUFFER)
                pair.work()
                if not events:
                    time.sleep(_PAUSE)
            meanwhile = percentile(pair.finish(), 99)
        pair.close()
        reset_connections(subscribers)
    return alone * 1000, meanwhile * 1000
