"""What one peer that floods a hub costs those that talk, and that limits act.

The hub has its default rates, so there are several healthy pairs, each of which stays within them. The
peer begins anew whenever it is closed.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from contextlib import suppress

from .contenders import Contender, hub_servers
from .hub_load import Pair, Talker
from .hub_wire import command, opening
from .load import Busy, new_socket, reset_connections
from .machine import Cores, pinned
from .rounds import goals_on, rows_for
from .servers import serving
from .table import Goal, Row, percentile
from .wire import PING

_PINGS = 100_000
"""A second, in either form."""
_COMMANDS = 1_000_000
_PAIRS = 12
_EVERY = 0.025
"""Seconds from one message of a healthy pair to its next."""
_LONGER = 10
_PAUSE = 0.0001
_TURN = 0.001
"""Seconds of pings that are sent at once."""
_TOO_MANY = "4029"
_FLOODER = 2 * _PAIRS
"""The number of its user."""
_GOALS = goals_on(("asyncio", "trio"), Goal("alone", at_most=2))


def measure(repeat: int, seconds: float, commands: int = _COMMANDS) -> list[Row]:
    """Return rows of the pairs' 99th percentile alone and during each flood."""
    wanted = hub_servers()
    floods: dict[str, Callable[[int], _Flooder]] = {
        f"{_PINGS:,} pings a second": lambda port: _Paced(port, PING),
        f"{_PINGS:,} ping requests a second": lambda port: _Paced(port, command(action="ping")),
        f"{commands:,} invalid commands": lambda port: _Deaf(port, commands),
    }
    alone = rows_for("healthy pairs, p99", "ms", wanted)
    tables = [rows_for(f"the same, beside {what}", "ms", wanted, _GOALS) for what in floods]
    for at, contender in enumerate(wanted):
        busy = Busy()
        for table in tables:
            table[at].peers = {"alone": alone[at]}
        for _ in range(repeat):
            first, *others = _one(contender, seconds * _LONGER, list(floods.values()), busy)
            alone[at].figures.append(first)
            for table, figure in zip(tables, others, strict=True):
                table[at].figures.append(figure)
        for table in (alone, *tables):
            table[at].idle = busy.idle
    return [row for table in (alone, *tables) for row in table]


def _one(
    contender: Contender,
    seconds: float,
    floods: list[Callable[[int], _Flooder]],
    busy: Busy,
) -> list[float]:
    """Return the 99th percentile, in ms, without and with each flood."""
    cores = Cores.available()
    figures: list[float] = []
    usual = contender.with_options("--default-rates")
    with serving(usual, cores.server) as server, pinned(cores.generator):
        pairs = [
            Pair(server.port, 2 * number, f"feed.pair{number}", _EVERY) for number in range(_PAIRS)
        ]
        watch = Talker(server.port, _FLOODER + 1)
        with busy.counted():
            figures.append(_during(pairs, seconds, None))
            for made in floods:
                flooder = made(server.port)
                before = watch.counters()
                figures.append(_during(pairs, seconds, flooder))
                flooder.leave()
                after = watch.counters()
                closed = after["left"].get(_TOO_MANY, 0) - before["left"].get(_TOO_MANY, 0)
                if not closed and after["requests"] - before["requests"] > flooder.offered / 10:
                    raise ConnectionError("the flood was taken, and nobody was closed for it")
        for pair in pairs:
            pair.close()
        watch.sock.close()
    return figures


def _during(pairs: list[Pair], seconds: float, flooder: _Flooder | None) -> float:
    for number, pair in enumerate(pairs):
        pair.begin(number * _EVERY / len(pairs))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or (flooder is not None and not flooder.done):
        if flooder is not None:
            flooder.work()
        for pair in pairs:
            pair.work()
        time.sleep(_PAUSE)
    taken = [one for pair in pairs for one in pair.finish()]
    return percentile(taken, 99) * 1000


class _Flooder:
    """A peer that sends, and comes again when it is closed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._sock: socket.socket | None = None
        self.offered = 0
        """Messages that it wanted to send."""

    done = True
    """Whether it has sent what it had to send."""

    def work(self) -> None:
        """Send what is due."""
        raise NotImplementedError

    def leave(self) -> None:
        """Let go."""
        if self._sock is not None:
            reset_connections([self._sock])

    def _send(self, data: bytes) -> int:
        """Give it to the kernel; return how much it took."""
        if self._sock is None:
            # What it sends follows its opening request at once: nobody waits for the answer.
            self._sock = new_socket("127.0.0.1")
            self._sock.connect(("127.0.0.1", self._port))
            self._sock.sendall(opening(_FLOODER))
            self._sock.setblocking(False)
        try:
            return self._sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
            self._end()
            return 0

    def _end(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None


class _Paced(_Flooder):
    """Sends at a rate, and reads."""

    def __init__(self, port: int, message: bytes) -> None:
        super().__init__(port)
        self._turn = message * round(_PINGS * _TURN)
        self._next_at = time.perf_counter()

    def work(self) -> None:
        """See `_Flooder`. What the kernel does not take, because the hub does not read, is not sent."""
        now = time.perf_counter()
        if self._next_at < now - 100 * _TURN:
            self._next_at = now
        while self._next_at <= now:
            self._send(self._turn)
            self.offered += round(_PINGS * _TURN)
            self._next_at += _TURN
        if self._sock is not None:
            with suppress(BlockingIOError, ConnectionResetError):
                if not self._sock.recv(65536):
                    self._end()


class _Deaf(_Flooder):
    """Sends commands that are none, as fast as they are taken, and never reads."""

    def __init__(self, port: int, commands: int) -> None:
        super().__init__(port)
        self._message = command(action="nonsense")
        self._turn = 1000 * self._message
        self._left = commands * len(self._message)
        self.offered = commands

    @property
    def done(self) -> bool:  # type: ignore[override]
        """See `_Flooder`."""
        return self._left <= 0

    def work(self) -> None:
        """See `_Flooder`."""
        self._left -= self._send(self._turn)
