"""What a client may wait for, and when."""

from collections.abc import Iterator
from enum import IntEnum

__all__ = ["Alarms", "Moment"]


class Moment(IntEnum):
    """Everything that may come due. The order is the order of handling."""

    CONNECT = 0
    """The next attempt."""
    IDENTIFY = 1
    """The hub has not said whether it lets us in."""
    NAME = 2
    """Our name may be free again."""
    REFRESH = 3
    """A newer token is to be fetched."""
    SUBSCRIBE = 4
    """What the hub refused for now may be asked for again."""
    ACK = 5
    """What was handled is acknowledged."""
    LEAVE = 6
    """Answers had their time: the client ends."""


class Alarms:
    """When moments come."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at: dict[Moment, float] = {}

    def arm(self, moment: Moment, at: float) -> None:
        """Let it come then, instead of at any other time."""
        self._at[moment] = at

    def hasten(self, moment: Moment, at: float) -> None:
        """Let it come then, if not sooner."""
        self._at[moment] = min(at, self._at.get(moment, at))

    def disarm(self, *moments: Moment) -> None:
        """Forget these."""
        for moment in moments:
            self._at.pop(moment, None)

    def keep_only(self, moment: Moment) -> None:
        """Forget all others."""
        self._at = {kept: at for kept, at in self._at.items() if kept is moment}

    def next(self) -> float | None:
        """The earliest, or None."""
        return min(self._at.values(), default=None)

    def due(self, now: float) -> Iterator[Moment]:
        """Forget and yield, in order, each that has come. One that an earlier one forgets is not yielded."""
        for moment in Moment:
            at = self._at.get(moment)
            if at is not None and at <= now:
                del self._at[moment]
                yield moment
