"""How far a client has come in the logs of topics: what it has seen, and where something is missing."""

from typing import Final

from .messages import Position

__all__ = ["SEEN", "Place", "Places"]

SEEN: Final = -1
"""What `Place.missed` says of a publication that was seen before."""

_EPOCHS: Final = 32
"""Older epochs of one topic that are known again. A hub remembers as many."""


class Place:
    """A place in one topic's log.

    Offsets go on from one epoch of a durable log to the next, and begin anew with a log in memory. So what
    was seen is known by epoch.

    Args:
        offset: of the last publication that was seen; 0 is before the first.
        epoch: its epoch.
    """

    __slots__ = ("_older", "epoch", "offset", "unsure")

    def __init__(self, offset: int, epoch: str) -> None:
        self.offset = offset
        self.epoch = epoch
        self.unsure = False
        """Whether nobody knows what comes next. It is still known what was seen."""
        self._older: dict[str, int] = {}

    @property
    def position(self) -> Position:
        """The same for a request."""
        return Position(self.offset, self.epoch)

    @property
    def epochs(self) -> tuple[str, ...]:
        """Those of which something was seen."""
        return (*self._older, self.epoch)

    def missed(self, offset: int, epoch: str) -> int | None:
        """How many publications are missing between the last one and this.

        Returns:
            `SEEN` if this one was seen before; None if nobody can know.
        """
        if offset <= self._older.get(epoch, 0) or (epoch == self.epoch and offset <= self.offset):
            return SEEN
        if self.unsure:
            return 0
        if epoch == self.epoch:
            return offset - self.offset - 1
        # One more than the last goes on in a later epoch; 1 is the first of another log.
        return 0 if offset in (self.offset + 1, 1) else None

    def go(self, offset: int, epoch: str) -> None:
        """Go to another place, and keep in mind what was seen."""
        if epoch != self.epoch:
            # It may go back, and what was seen beyond that was seen all the same.
            seen = self._older.pop(self.epoch, 0)
            self._older[self.epoch] = max(seen, self.offset)
            if len(self._older) > _EPOCHS:
                del self._older[next(iter(self._older))]
        self.offset = offset
        self.epoch = epoch
        self.unsure = False


class Places:
    """The places of one stream, by topic; a pattern may match any number of them.

    Args:
        limit: how many are remembered; beyond it the one that was quiet longest is forgotten.
    """

    __slots__ = ("_known", "_limit")

    def __init__(self, limit: int) -> None:
        self._known: dict[str, Place] = {}
        self._limit = limit

    def __len__(self) -> int:
        return len(self._known)

    def get(self, topic: str) -> Place | None:
        """Where it stands."""
        return self._known.get(topic)

    def forget(self, topic: str) -> None:
        """Nobody knows where it stands."""
        self._known.pop(topic, None)

    def follow(self, topic: str, offset: int, epoch: str) -> None:
        """Something that was seen came again: one that was set back goes on with it."""
        place = self._known.get(topic)
        if place is not None and offset == place.offset + 1:
            place.go(offset, epoch)

    def epochs_before(self, topic: str, epoch: str) -> tuple[str, ...]:
        """Epochs of which something was seen, but for one."""
        place = self._known.get(topic)
        return () if place is None else tuple(one for one in place.epochs if one != epoch)

    def doubt(self, topic: str) -> None:
        """Something is lost, and nobody knows how much."""
        place = self._known.get(topic)
        if place is not None:
            place.unsure = True

    def missed(self, topic: str, offset: int, epoch: str) -> int | None:
        """See `Place.missed`. Of a topic that was never met nothing is missing."""
        place = self._known.get(topic)
        return 0 if place is None else place.missed(offset, epoch)

    def go(self, topic: str, offset: int, epoch: str) -> None:
        """Go to another place."""
        place = self._known.pop(topic, None)
        if place is None:
            place = Place(offset, epoch)
        else:
            place.go(offset, epoch)
        self._known[topic] = place
        if len(self._known) > self._limit:
            del self._known[next(iter(self._known))]
