"""Two machines and a link between them: what real adapters and a real network do to a connection."""

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Protocol

from ...core.link import LINGER, End, Link
from .agenda import Agenda
from .network import PERFECT, Network

__all__ = ["Endpoint", "LinkObserver", "SimulatedLink", "seeded_entropy"]


def seeded_entropy(seed: int) -> Callable[[int], bytes]:
    """Entropy for machines: the same bytes for the same seed."""
    return Random(seed).randbytes


class Endpoint:
    """One side: a machine, its user, and the socket between the machine and the network.

    Args:
        link: the machine.
        on_change: the user; called after the machine was given something, with the time.
        deferred: whether the user itself has the link write, by `SimulatedLink.serve`, when it is time
            for that. Otherwise that is done after each call.
    """

    __slots__ = (
        "alarm",
        "arrival",
        "blocked",
        "closed_at",
        "deferred",
        "half_closed",
        "in_flight",
        "inbound",
        "link",
        "on_change",
        "outbound",
        "reading",
        "received",
        "stalled",
    )

    def __init__(
        self, link: Link, on_change: Callable[[float], None], *, deferred: bool = False
    ) -> None:
        self.link = link
        self.on_change = on_change
        self.deferred = deferred
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
        self.alarm: float | None = None
        """When the machine is to be called."""
        self.arrival = 0.0
        """When the last piece that it sent arrives."""
        self.blocked = False
        """Whether its machine knows that the network takes nothing."""
        self.reading = False
        """Whether it is being given what arrived."""


class LinkObserver(Protocol):
    """Who watches a link."""

    def taken(self, side: Endpoint, frames: list[bytes]) -> None:
        """A machine gave these out; they are on the wire."""
        ...

    def read(self, side: Endpoint, piece: bytes) -> None:
        """A machine is about to be given this; an empty piece is the end of the stream."""
        ...

    def lost(self, side: Endpoint) -> None:
        """A socket was closed, or lost, and its machine is about to be told."""
        ...


class SimulatedLink:
    """Joins two endpoints and plays until nothing is left to do.

    Args:
        a: one side.
        b: the other.
        seed: decides cuts and delays.
        network: what the network does.
        now: the time at the start, where the link has an agenda of its own.
        agenda: shared by several links.
        observer: who watches.
    """

    def __init__(
        self,
        a: Endpoint,
        b: Endpoint,
        *,
        seed: int,
        network: Network = PERFECT,
        now: float = 0.0,
        agenda: Agenda | None = None,
        observer: LinkObserver | None = None,
    ) -> None:
        self._agenda = agenda if agenda is not None else Agenda(now)
        self._observer = observer
        self._random = Random(seed)
        self._sides = (a, b)
        self.network = network
        """What the network does; it may be replaced at any time."""
        if network.cut_at is not None:
            self.call_at(network.cut_at, self.cut)
        for side in self._sides:
            self.serve(side)

    @property
    def now(self) -> float:
        """The time."""
        return self._agenda.now

    def call_at(self, at: float, action: Callable[[], object]) -> None:
        """Do something at a moment: speak for a user, stall a side, look at an invariant."""
        self._agenda.at(at, action)

    def poke(self, side: Endpoint) -> None:
        """A user called its machine: take what that gave."""
        self._agenda.at(self.now, lambda: self.serve(side))

    def cut(self) -> None:
        """Lose the connection: both sides learn it, and what is under way is gone."""
        for side in self._sides:
            self._lose(side)

    def run(self, until: float) -> None:
        """Play until the moment `until`, or until both sockets are closed and nothing is planned.

        Raises:
            Stuck: no time passes any more.
        """
        for side in self._sides:
            self._set_alarm(side)
        self._agenda.run(until)

    def put(self, side: Endpoint, frames: list[bytes]) -> None:
        """Write frames that somebody else took from a machine, for whom nothing waits to be written."""
        if side.closed_at is None:
            if self._observer is not None:
                self._observer.taken(side, frames)
            for frame in frames:
                side.outbound += frame
            self.serve(side)

    def serve(self, side: Endpoint) -> None:
        """Do what an adapter does after each call: write, obey `end`, read on."""
        if side.closed_at is not None or side.stalled:
            return
        self._write(side)
        link = side.link
        end = link.end
        if end is not None and not side.outbound and not side.half_closed:
            side.half_closed = True
            self._deliver(side, b"")
        if end is End.CLOSE:
            if side.outbound:
                self._agenda.at(self.now + LINGER, lambda: self._give_up(side))
            else:
                self._lose(side)
            return
        self._set_alarm(side)
        if side.inbound and not side.reading and link.wants_read:
            self._agenda.at(self.now, lambda: self._read(side))

    # Time.

    def _set_alarm(self, side: Endpoint) -> None:
        if side.closed_at is not None:
            return
        timeout = side.link.next_timeout()
        if timeout is None or (side.alarm is not None and side.alarm <= timeout):
            return
        side.alarm = timeout

        def ring() -> None:
            if side.alarm != timeout:  # an earlier one was set
                return
            side.alarm = None
            if side.closed_at is not None or side.stalled:
                return
            due = side.link.next_timeout()
            if due is not None and due <= self.now:
                side.link.handle_timeout(self.now)
                self._changed(side)
            else:
                self._set_alarm(side)

        self._agenda.at(timeout, ring)

    # Bytes.

    def _peer(self, side: Endpoint) -> Endpoint:
        return self._sides[1] if side is self._sides[0] else self._sides[0]

    def _changed(self, side: Endpoint) -> None:
        side.on_change(self.now)
        if not side.deferred and (side.link.dirty or side.outbound):
            self.serve(side)

    def _write(self, side: Endpoint) -> None:
        now, network, link = self.now, self.network, side.link
        moved = False
        while True:
            if not side.outbound:
                if moved and not link.dirty:
                    break
                frames = link.data_to_send(now)
                if not frames:
                    break
                if self._observer is not None:
                    self._observer.taken(side, frames)
                for frame in frames:
                    side.outbound += frame
            room = network.window - side.in_flight
            if room <= 0:
                break
            low, high = network.chunk
            waiting = len(side.outbound)
            size = min(waiting if low >= waiting else self._random.randint(low, high), room)
            piece = bytes(side.outbound[:size])
            del side.outbound[:size]
            side.in_flight += len(piece)
            moved = True
            self._deliver(side, piece)
        if not side.outbound:
            side.blocked = False
        elif moved or not side.blocked:
            side.blocked = True
            link.write_blocked(now)
        else:
            link.handle_timeout(now)  # it tells the time, as `data_to_send` would

    def _deliver(self, sender: Endpoint, piece: bytes) -> None:
        receiver, network, now = self._peer(sender), self.network, self.now
        least, most = network.latency
        at = now + (self._random.uniform(least, most) if most > least else least)
        at = max(at, sender.arrival)
        sender.arrival = at
        if network.silent_from is not None and now >= network.silent_from:
            return

        def arrive() -> None:
            if receiver.closed_at is None:
                receiver.inbound.append(piece)
                self._read(receiver)
            elif piece:
                self._reset(sender)  # nobody is there to read it

        self._agenda.at(at, arrive)

    def _read(self, side: Endpoint) -> None:
        """Read what has arrived, as long as the machine wants that."""
        if side.reading:  # further up in the stack it goes on
            return
        side.reading = True
        link = side.link
        while side.inbound and side.closed_at is None and not side.stalled and link.wants_read:
            piece = side.inbound.popleft()
            if self._observer is not None:
                self._observer.read(side, piece)
            if piece:
                side.received += piece
                link.receive_data(piece, self.now)
            else:
                link.receive_eof(self.now)
            peer = self._peer(side)
            peer.in_flight -= len(piece)
            self._changed(side)
            if peer.outbound:
                self.serve(peer)
        side.reading = False

    def _give_up(self, side: Endpoint) -> None:
        """Close a socket over bytes that it could not send: the peer is told that way."""
        if side.closed_at is None:
            self._lose(side)
            self._reset(self._peer(side))

    def _reset(self, side: Endpoint) -> None:
        """A side learns that nobody is there any more, if anything gets through."""
        network = self.network
        if network.silent_from is None or self.now < network.silent_from:
            self._agenda.at(self.now + network.latency[0], lambda: self._lose(side))

    def _lose(self, side: Endpoint) -> None:
        if side.closed_at is None:
            side.closed_at = self.now
            if self._observer is not None:
                self._observer.lost(side)
            side.link.connection_lost(self.now)
            side.on_change(self.now)
