"""How long a client waits for what it missed, and what that costs the hub and others.

The topic is durable, and the hub keeps so little of it in memory that the store is read.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .contenders import Contender, hub_servers
from .hub_load import Pair, Talker, open_sessions
from .hub_wire import Frames, command, publish
from .load import Busy, reset_connections
from .machine import (
    Cores,
    forget_peak,
    peak_resident_bytes,
    pinned,
    resident_bytes,
    settled_cpu_seconds,
)
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row, percentile

_MISSED = (1_000, 10_000, 100_000)
_TOPIC = "durable.log"
_TOGETHER = 500
"""Publications on their way at once while the topic is filled."""
_EVERY = 0.002
_PAUSE = 0.0001
_TIMEOUT = 60.0
_BOTH = ("asyncio", "trio")
_MEMORY = 4
"""MiB that a resume of any length may take."""


def measure(repeat: int, seconds: float, numbers: Sequence[int] = _MISSED) -> list[Row]:
    """Return rows of time for each message, of memory, and of a healthy pair's waiting."""
    wanted = hub_servers()
    smallest = f"of {numbers[0]:,}"
    alone = rows_for("a healthy pair, p99", "ms", wanted)
    times, memory, waits = [], [], []
    for number in numbers:
        what = f"resume of {number:,} missed"
        linear = () if number == numbers[0] else (Goal(smallest, at_most=1.5),)
        times.append(rows_for(f"{what}: each", "µs", wanted, dict.fromkeys(_BOTH, linear)))
        goal = Goal(None, at_most=_MEMORY)
        memory.append(rows_for(f"{what}: peak memory", "MiB more", wanted, goals_on(_BOTH, goal)))
        goal = Goal("alone", at_most=2)
        waits.append(rows_for(f"{what}: a healthy pair, p99", "ms", wanted, goals_on(_BOTH, goal)))
    for at, contender in enumerate(wanted):
        busy = Busy()
        for table in times[1:]:
            table[at].peers = {smallest: times[0][at]}
        for table in waits:
            table[at].peers = {"alone": alone[at]}
        for _ in range(repeat):
            first, found = _one(contender, seconds * 5, numbers, busy)
            alone[at].figures.append(first)
            for number, (each, more, wait) in enumerate(found):
                times[number][at].figures.append(each)
                memory[number][at].figures.append(more)
                waits[number][at].figures.append(wait)
        for table in (alone, *times, *memory, *waits):
            table[at].idle = busy.idle
    return [row for table in (*times, *memory, alone, *waits) for row in table]


def _one(
    contender: Contender, seconds: float, numbers: Sequence[int], busy: Busy
) -> tuple[float, list[tuple[float, float, float]]]:
    """Return the pair's wait alone; then for each number µs, MiB, and the pair's wait, in ms."""
    cores = Cores.available()
    with tempfile.TemporaryDirectory() as where:
        stored = contender.with_options("--store", str(Path(where) / "store"))
        with serving(stored, cores.server) as server, pinned(cores.generator):
            talker = Talker(server.port, 0)
            last = _fill(talker, max(numbers) + 1)
            pair = Pair(server.port, 1, "feed.pair", _EVERY)
            # What is made once: by the store's reading thread, say.
            _resume(server.port, 3, last, min(numbers), pair, 0.0)
            with busy.counted():
                pair.begin()
                end = time.perf_counter() + seconds
                while time.perf_counter() < end:
                    pair.work()
                    time.sleep(_PAUSE)
                alone = percentile(pair.finish(), 99) * 1000
                found: list[tuple[float, float, float]] = []
                for number in numbers:
                    settled_cpu_seconds(server.pid)
                    before = resident_bytes(server.pid)
                    forget_peak(server.pid)
                    times, waits = _resume(server.port, 3, last, number, pair, seconds)
                    more = max(0, peak_resident_bytes(server.pid) - before) / 2**20
                    found.append((min(times) / number * 1e6, more, percentile(waits, 99) * 1000))
            pair.close()
            talker.sock.close()
    return alone, found


def _fill(talker: Talker, count: int) -> dict[str, Any]:
    """Publish so often; return the answer to the last one."""
    answer: dict[str, Any] = {}
    sent = publish(_TOPIC, 64)
    for done in range(0, count, _TOGETHER):
        together = min(_TOGETHER, count - done)
        talker.sock.sendall(together * sent)
        for _ in range(together):
            answer = talker.hear()
            if answer["type"] != "published":
                raise ConnectionError(f"the server said {answer}")
    return answer


def _resume(
    port: int, user: int, last: dict[str, Any], missed: int, pair: Pair, seconds: float
) -> tuple[list[float], list[float]]:
    """Resume again and again for so long; return how long each took, and the pair's waits."""
    since = {_TOPIC: {"offset": last["offset"] - missed, "epoch": last["epoch"]}}
    subscribe = command(action="subscribe", topics=[_TOPIC], since=since)
    times: list[float] = []
    pair.begin()
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        (sock,) = open_sessions(port, 1, lambda _: [], first=user)
        began = time.perf_counter()
        sock.sendall(subscribe)
        sock.setblocking(False)
        _read(sock, missed, last["offset"], pair)
        times.append(time.perf_counter() - began)
        reset_connections([sock])
    return times, pair.finish()


def _read(sock: socket.socket, missed: int, newest: int, pair: Pair) -> None:
    """Read what was missed, and see that it is that."""
    frames = Frames(opened=True)
    deadline = time.perf_counter() + _TIMEOUT
    got = -1  # the answer comes first
    payload = b""
    while got < missed:
        pair.work()
        try:
            data = sock.recv(65536)
        except BlockingIOError:
            time.sleep(_PAUSE)
            if time.perf_counter() > deadline:
                raise TimeoutError(f"{got} of {missed} came") from None
            continue
        if not data:
            raise ConnectionError("the server ended the stream")
        found = frames.feed(data)
        got += len(found)
        payload = found[-1][1] if found else payload
    if got > missed or f'"offset":{newest},'.encode() not in payload:
        raise ConnectionError(f"{got} came of {missed}, the last one {payload!r}")
