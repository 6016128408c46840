"""Two machines and a link between them, on virtual time, from one seed. No socket, no clock.

`SimulatedLink` does to two links what real adapters and a real network do: it cuts the stream into any
pieces, delays them, holds them back, loses the connection. One integer seed decides everything, so a
failure is replayed by its seed. Time jumps to the next moment at which something happens.
"""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import Final

import msgspec

from ..core.link import LINGER, End, Link

__all__ = ["PERFECT", "Endpoint", "Network", "SimulatedLink", "Stuck", "seeded_entropy"]

_ROUNDS: Final = 100_000
"""Callbacks at one moment after which a simulation is taken to go in circles."""


class Stuck(Exception):
    """The machines keep each other busy without time passing: a bug in one of them."""


def seeded_entropy(seed: int) -> Callable[[int], bytes]:
    """Entropy for machines: the same bytes for the same seed."""
    return Random(seed).randbytes


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What the network does, the same in both directions. The defaults harm nothing."""

    latency: tuple[float, float] = (0.0, 0.0)
    """Least and most seconds that a piece is under way; pieces of one direction keep their order."""
    chunk: tuple[int, int] = (1 << 30, 1 << 30)
    """Least and most bytes of a piece."""
    window: int = 65536
    """Bytes that may be under way or unread before the sender's socket takes no more."""
    cut_at: float | None = None
    """When the connection is lost, for both sides at once; what is under way is lost too."""
    silent_from: float | None = None
    """When everything that is sent begins to vanish, as if a cable was pulled."""

    def __post_init__(self) -> None:
        for name, lowest in (("latency", 0), ("chunk", 1)):
            pair: object = getattr(self, name)
            match pair:
                case (int() | float() as least, int() | float() as most) if lowest <= least <= most:
                    pass
                case _:
                    raise ValueError(
                        f"{name}={pair!r}: must be (least, most) with {lowest} <= least <= most"
                    )
        if self.window < 1:
            raise ValueError(f"window={self.window!r}: must be at least 1 byte")


PERFECT: Final = Network()
"""A network that harms nothing."""


class Endpoint:
    """One side: a machine, its user, and the socket between the machine and the network.

    Args:
        link: the machine.
        on_change: the user; called after the machine was given something, with the time.
    """

    def __init__(self, link: Link, on_change: Callable[[float], None]) -> None:
        self.link = link
        self.on_change = on_change
        self.received = bytearray()
        """All that arrived, in order, however it was cut."""
        self.closed_at: float | None = None
        """When the machine had its socket closed."""
        self.stalled = False
        """Set it to stop reading and writing, as a frozen process does; time goes on."""
        self.inbound: deque[bytes] = deque()
        """Pieces that arrived and were not read; an empty one is the end of the stream."""
        self.outbound = bytearray()
        """Bytes that the machine gave out and the network has not taken."""
        self.in_flight = 0
        """Bytes that the network took and the peer has not read."""
        self.half_closed = False
        """Whether the sending side was shut down."""


class SimulatedLink:
    """Joins two endpoints and plays until nothing is left to do.

    Args:
        a: one side.
        b: the other.
        seed: decides cuts and delays.
        network: what the network does.
        now: the time at the start.
    """

    def __init__(
        self, a: Endpoint, b: Endpoint, *, seed: int, network: Network = PERFECT, now: float = 0.0
    ) -> None:
        self.now = now
        self._random = Random(seed)
        self._network = network
        self._sides = (a, b)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._arrival = {id(a): now, id(b): now}
        if network.cut_at is not None:
            self.call_at(network.cut_at, self.cut)
        for side in self._sides:
            self._serve(side)

    def call_at(self, at: float, action: Callable[[], None]) -> None:
        """Do something at a moment: speak for a user, stall a side, look at an invariant."""
        heappush(self._agenda, (at, next(self._order), action))

    def poke(self, side: Endpoint) -> None:
        """A user called its machine: take what that gave."""
        self.call_at(self.now, lambda: self._serve(side))

    def cut(self) -> None:
        """Lose the connection: both sides learn it, and what is under way is gone."""
        for side in self._sides:
            self._lose(side)

    def run(self, until: float) -> None:
        """Play until the moment `until`, or until both sockets are closed and nothing is planned.

        Raises:
            Stuck: no time passes any more.
        """
        rounds = 0
        while True:
            at = self._next_moment()
            if at is None or at > until:
                self.now = max(self.now, until)
                return
            rounds = 0 if at > self.now else rounds + 1
            if rounds > _ROUNDS:
                raise Stuck(f"{_ROUNDS} steps at {self.now} s")
            self.now = max(self.now, at)
            self._step()

    def _next_moment(self) -> float | None:
        moments = [self._agenda[0][0]] if self._agenda else []
        for side in self._sides:
            timeout = side.link.next_timeout()
            if side.closed_at is None and timeout is not None and not side.stalled:
                moments.append(timeout)
        return min(moments, default=None)

    def _step(self) -> None:
        if self._agenda and self._agenda[0][0] <= self.now:
            _, _, action = heappop(self._agenda)
            action()
            return
        for side in self._sides:
            timeout = side.link.next_timeout()
            if side.closed_at is not None or side.stalled:
                continue
            if timeout is not None and timeout <= self.now:
                side.link.handle_timeout(self.now)
                self._changed(side)

    def _peer(self, side: Endpoint) -> Endpoint:
        return self._sides[1] if side is self._sides[0] else self._sides[0]

    def _changed(self, side: Endpoint) -> None:
        side.on_change(self.now)
        self._serve(side)

    def _serve(self, side: Endpoint) -> None:
        """Do what an adapter does after each call: write, obey `end`, read on."""
        if side.closed_at is not None or side.stalled:
            return
        self._write(side)
        end = side.link.end
        if end is not None and not side.outbound and not side.half_closed:
            side.half_closed = True
            self._deliver(side, b"")
        if end is End.CLOSE:
            if side.outbound:
                self.call_at(self.now + LINGER, lambda: self._lose(side))
            else:
                self._lose(side)
            return
        if side.inbound and side.link.wants_read:
            self.call_at(self.now, lambda: self._read(side))

    def _write(self, side: Endpoint) -> None:
        while True:
            room = self._network.window - side.in_flight
            if side.outbound and room > 0:
                low, high = self._network.chunk
                size = min(self._random.randint(low, high), room, len(side.outbound))
                piece = bytes(side.outbound[:size])
                del side.outbound[:size]
                side.in_flight += size
                self._deliver(side, piece)
            elif side.outbound:
                return
            else:
                for frame in side.link.data_to_send(self.now):
                    side.outbound += frame
                if not side.outbound:
                    return

    def _deliver(self, sender: Endpoint, piece: bytes) -> None:
        receiver = self._peer(sender)
        at = max(self.now + self._random.uniform(*self._network.latency), self._arrival[id(sender)])
        self._arrival[id(sender)] = at
        lost = self._network.silent_from
        if lost is not None and self.now >= lost:
            return

        def arrive() -> None:
            if receiver.closed_at is None:
                receiver.inbound.append(piece)
                self._serve(receiver)

        self.call_at(at, arrive)

    def _read(self, side: Endpoint) -> None:
        if side.closed_at is not None or side.stalled:
            return
        if not side.inbound or not side.link.wants_read:
            return
        piece = side.inbound.popleft()
        if piece:
            side.received += piece
            side.link.receive_data(piece, self.now)
            peer = self._peer(side)
            peer.in_flight -= len(piece)
            self._changed(side)
            self._serve(peer)
        else:
            side.link.receive_eof(self.now)
            self._changed(side)

    def _lose(self, side: Endpoint) -> None:
        if side.closed_at is None:
            side.closed_at = self.now
            side.link.connection_lost(self.now)
            side.on_change(self.now)
