"""Two links joined in memory: their bytes are cut, held and ended as the test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from hubbub.core import End
from hubbub.core.link import Link


class Side:
    """One link, and the stream that it sends into."""

    def __init__(self, link: Link, on_change: Callable[[float], object] | None = None) -> None:
        self.link = link
        self.on_change = on_change if on_change is not None else lambda _: None
        self.sent = 0
        """Bytes that it has given out."""
        self.stream = bytearray()
        """Those that the other has not been given."""
        self.ended = False
        """Whether it ended its stream."""
        self.closed = False
        """Whether its socket is closed."""
        self.limit: int | None = None
        """Bytes after which its stream ends for the other; what it sends then vanishes."""
        self.flips: dict[int, int] = {}
        """Bytes that are changed on their way, by their place, and what they are combined with."""
        self.told = False
        """Whether the other was told of the end."""


class Joined:
    """Moves bytes until nothing is left to do. It is an adapter, but for sockets and time.

    Args:
        left: one side.
        right: the other.
        sizes: of the pieces in which bytes arrive, over and over; if left out, as large as can be.
    """

    def __init__(self, left: Side, right: Side, sizes: Sequence[int] = ()) -> None:
        self.sides = (left, right)
        self.now = 0.0
        self._sizes: Iterator[int] = cycle(sizes or (1 << 30,))

    def run(self) -> None:
        """Play until both sides only wait."""
        for rounds in range(1_000_000):
            moved = False
            for side, other in (self.sides, self.sides[::-1]):
                moved |= self._take(side)
                moved |= self._give(side, other)
            if not moved:
                return
            assert rounds < 999_999, "it goes in circles"

    def advance(self, seconds: float) -> None:
        """Let time pass, in the steps that the links ask for."""
        until = self.now + seconds
        while True:
            self.run()
            moments = [s.link.next_timeout() for s in self.sides if not s.closed]
            at = min((moment for moment in moments if moment is not None), default=until)
            if at >= until:
                self.now = until
                return
            self.now = max(self.now, at)
            for side in self.sides:
                if not side.closed:
                    side.link.handle_timeout(self.now)
                    side.on_change(self.now)

    def _take(self, side: Side) -> bool:
        """What an adapter does after each call: take bytes, obey `end`."""
        if side.closed:
            return False
        data = bytearray().join(side.link.data_to_send(self.now))
        for at, flip in side.flips.items():
            if side.sent <= at < side.sent + len(data):
                data[at - side.sent] ^= flip
        room = len(data) if side.limit is None else max(0, side.limit - side.sent)
        side.stream += data[:room]
        side.sent += len(data)
        end = side.link.end
        cut = side.limit is not None and side.sent >= side.limit
        moved = bool(data) or (not side.ended and (end is not None or cut))
        side.ended = side.ended or end is not None or cut
        if end is End.CLOSE:
            moved = side.closed = True
            side.link.connection_lost(self.now)
            side.on_change(self.now)
        return moved

    def _give(self, sender: Side, receiver: Side) -> bool:
        """One piece, or the end of the stream, where the receiver reads."""
        if receiver.closed:
            moved = bool(sender.stream)
            sender.stream.clear()
            return moved
        if not receiver.link.wants_read or sender.told:
            return False
        if sender.stream:
            size = next(self._sizes)
            piece = bytes(sender.stream[:size])
            del sender.stream[:size]
            receiver.link.receive_data(piece, self.now)
        elif sender.ended:
            sender.told = True
            receiver.link.receive_eof(self.now)
        else:
            return False
        receiver.on_change(self.now)
        return True
