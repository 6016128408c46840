"""What a hub keeps for subscribers that stop reading, while the others get a gigabyte.

They stop before the first message, and their sockets hold as little as the kernel allows. Where the
topic's policy is to disconnect they are closed soon; they read on then, to see the Close frame. Where it
is to drop the oldest they read on when all is over, and what they have got and what they are told that
they missed must add up. The others must have got every byte in time.
"""

from __future__ import annotations

import json
import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from hubbub.core.hub_limits import HubLimits

from .arrivals import Traffic
from .contenders import Contender, hub_servers
from .hub_load import Talker, open_sessions, probe
from .hub_wire import CLOSE, Frames, publish
from .load import Busy, reset_connections
from .machine import (
    Cores,
    allow_files,
    forget_peak,
    peak_resident_bytes,
    pinned,
    resident_bytes,
    settled_cpu_seconds,
)
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row

_TOTAL = 2**30
"""Bytes that the others get, all together."""
_OTHERS = 4
_SIZE = 60_000
"""Characters of a message."""
_SLOW = (1, 1000)
_IN_FLIGHT = 16
_SPARE_FILES = 200
_SPARE_MEMORY = 4 * 2**20
_LOOK = 32
"""Publications from one look at the server's counters to the next."""
_TOO_SLOW = 4008
_PATIENCE = 60.0
_BUFFER = bytearray(2**18)


@dataclass(frozen=True, slots=True)
class _Case:
    policy: str
    slow: int

    @property
    def topic(self) -> str:
        return "feed.fast" if self.policy == "disconnect" else "lossy.fast"

    @property
    def limit(self) -> int:
        """What the limits allow the hub to keep for them.

        For each its outbox, all outboxes together no more than their own limit; what was taken for the
        socket at once, and one message.
        """
        limits = HubLimits()
        outboxes = min(self.slow * limits.outbox_size, limits.total_outbox_size)
        return outboxes + self.slow * (65536 + _SIZE)


def measure(repeat: int, total: int = _TOTAL, numbers: Sequence[int] = _SLOW) -> list[Row]:
    """Return a row of memory for each policy and number of slow subscribers."""
    allow_files(max(numbers) + _SPARE_FILES)
    rows: list[Row] = []
    wanted = hub_servers()
    for case in [
        _Case(policy, slow) for slow in numbers for policy in ("disconnect", "drop-oldest")
    ]:
        goal = Goal(None, at_most=(case.limit + _SPARE_MEMORY) / 2**20)
        what = f"{case.slow:,} don't read, {case.policy}, {total / 2**20:.0f} MiB to others: peak"
        table = rows_for(what, "MiB more", wanted, goals_on(("asyncio", "trio"), goal))
        for contender, row in zip(wanted, table, strict=True):
            busy = Busy()
            for _ in range(repeat):
                row.figures.append(_one(contender, case, total, busy) / 2**20)
            row.idle = busy.idle
        rows += table
    return rows


def _one(contender: Contender, case: _Case, total: int, busy: Busy) -> int:
    """Return by how much the server's memory rose at most."""
    cores = Cores.available()
    with (
        serving(contender, cores.server) as server,
        pinned(cores.generator),
    ):
        others = open_sessions(server.port, _OTHERS, lambda _: [case.topic])
        traffic = probe(others, publish(case.topic, _SIZE))
        # It only publishes: its answers differ in length, as the number of receivers does.
        (publisher,) = open_sessions(server.port, 1, lambda _: [], first=_OTHERS)
        watch = Talker(server.port, _OTHERS + 1)
        slow = open_sessions(
            server.port, case.slow, lambda _: [case.topic], first=_OTHERS + 2, small=True
        )
        settled_cpu_seconds(server.pid)
        before = resident_bytes(server.pid)
        forget_peak(server.pid)
        count = max(_IN_FLIGHT, total // _OTHERS // traffic.size)
        closing = _Closing(slow, watch) if case.policy == "disconnect" else None
        with busy.counted():
            _publish(publisher, others, traffic, count, closing)
        peak = peak_resident_bytes(server.pid)
        if closing is not None:
            closing.check()
        else:
            _check_gaps(slow, count)
        reset_connections([publisher, *others, *slow, watch.sock])
    return max(0, peak - before)


def _publish(
    publisher: socket.socket,
    others: Sequence[socket.socket],
    traffic: Traffic,
    count: int,
    closing: _Closing | None,
) -> None:
    """Publish so often, and see that the others get all of it."""
    by_number = {sock.fileno(): sock for sock in (publisher, *others)}
    arrived = {sock.fileno(): 0 for sock in others}
    published = complete = 0
    with select.epoll() as poller:
        for sock in by_number.values():
            poller.register(sock, select.EPOLLIN)
        while complete < count:
            while published < count and published - complete < _IN_FLIGHT:
                publisher.sendall(traffic.sent)
                published += 1
                if closing is not None and published % _LOOK == 0:
                    closing.look()
            events = poller.poll(_PATIENCE)
            if not events:
                raise TimeoutError(f"{count - complete} publications did not reach all others")
            for number, _ in events:
                got = by_number[number].recv_into(_BUFFER)
                if not got:
                    raise ConnectionError("one who reads was closed")
                if number in arrived:
                    arrived[number] += got
            complete = min(arrived.values()) // traffic.size
    if any(got != count * traffic.size for got in arrived.values()):
        raise ConnectionError("others got more, or less, than was published")


class _Closing:
    """Slow subscribers that are closed. They read on when the server says that all are."""

    def __init__(self, slow: Sequence[socket.socket], watch: Talker) -> None:
        self._slow = slow
        self._watch = watch
        self._read = False

    def look(self) -> None:
        """Ask the server; once all are closed, read."""
        if self._read:
            return
        closed = self._watch.counters()["left"].get(str(_TOO_SLOW), 0)
        if closed < len(self._slow):
            return
        self._read = True
        codes = _close_codes(self._slow)
        if codes != [_TOO_SLOW] * len(self._slow):
            raise ConnectionError(f"those who did not read were closed with {set(codes)}")

    def check(self) -> None:
        """Raise unless all were closed and told why."""
        self.look()
        if not self._read:
            raise ConnectionError(f"not all were closed: {self._watch.counters()['left']}")


def _close_codes(slow: Sequence[socket.socket]) -> list[int | None]:
    """Read all to their ends. Together, since each takes its little window at a time."""
    reading = {sock.fileno(): (sock, Frames(opened=True)) for sock in slow}
    codes: list[int | None] = []
    with select.epoll() as poller:
        for sock in slow:
            poller.register(sock, select.EPOLLIN)
        while reading:
            events = poller.poll(_PATIENCE)
            if not events:
                raise TimeoutError(f"{len(reading)} who were closed got no Close frame")
            for number, _ in events:
                sock, frames = reading[number]
                data = sock.recv(65536)
                closed = [payload for opcode, payload in frames.feed(data) if opcode == CLOSE]
                if closed or not data:
                    codes.append(int.from_bytes(closed[0][:2], "big") if closed else None)
                    poller.unregister(sock)
                    del reading[number]
    return codes


def _check_gaps(slow: Sequence[socket.socket], count: int) -> None:
    """Raise unless each has got, or was told that it missed, all that was published."""
    reading = {sock.fileno(): (sock, Frames(opened=True), _Account(count)) for sock in slow}
    with select.epoll() as poller:
        for sock in slow:
            poller.register(sock, select.EPOLLIN)
        while reading:
            events = poller.poll(_PATIENCE)
            if not events:
                left = next(iter(reading.values()))[2]
                raise TimeoutError(f"{len(reading)} who read again lack messages, one {left}")
            for number, _ in events:
                sock, frames, account = reading[number]
                for opcode, payload in frames.feed(sock.recv(65536)):
                    account.take(opcode, payload)
                if account.whole:
                    poller.unregister(sock)
                    del reading[number]


@dataclass(slots=True)
class _Account:
    """What one who reads again has got, and was told that it missed."""

    count: int
    got: int = 0
    missed: int = 0

    def take(self, opcode: int, payload: bytes) -> None:
        """Count a frame."""
        if opcode == CLOSE:
            raise ConnectionError("one whose oldest messages were dropped was closed")
        if payload.startswith(b'{"type":"gap"'):
            self.missed += json.loads(payload)["missed"]
        elif payload.startswith(b'{"type":"notification"'):
            self.got += 1
        if self.got + self.missed > self.count:
            raise ConnectionError(f"of {self.count} one has got {self.got}, missed {self.missed}")

    @property
    def whole(self) -> bool:
        """Whether it all adds up; somebody who does not read must miss something."""
        return self.got + self.missed == self.count and self.missed > 0
