"""What waits for the application in one subscription, within bounds."""

from collections import deque
from typing import Final

from .client_events import StreamEvent
from .client_options import ClientLimits
from .messages import Gap

__all__ = ["EventQueue"]

_OWN: Final = 64
"""Characters that an event of our own counts for."""


class EventQueue:
    """Events, oldest first.

    Three marks: `full` says to read nothing on, `overfull` to put nothing in, `has_room` to get what was
    left out.

    Args:
        limits: `max_events` and `max_events_size`.
    """

    __slots__ = ("_dropped", "_events", "_limits", "_size")

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._events: deque[tuple[StreamEvent, int]] = deque()
        self._size = 0
        self._dropped: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._events)

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more should be read."""
        return (
            len(self._events) >= self._limits.max_events
            or self._size >= self._limits.max_events_size
        )

    @property
    def overfull(self) -> bool:
        """Whether so much waits that nothing more may be put in."""
        return (
            len(self._events) >= 2 * self._limits.max_events
            or self._size >= 2 * self._limits.max_events_size
        )

    @property
    def has_room(self) -> bool:
        """Whether the application has made up for what waited."""
        return (
            len(self._events) <= self._limits.max_events // 2
            and self._size <= self._limits.max_events_size // 2
        )

    def put(self, event: StreamEvent, size: int = _OWN) -> None:
        """Add an event, behind the gaps that are to be told before it."""
        if self._dropped:
            self._tell_dropped()
        self._events.append((event, size))
        self._size += size

    def take(self) -> StreamEvent | None:
        """Remove and return the oldest."""
        if self._dropped and not self._events:
            self._tell_dropped()
        if not self._events:
            return None
        event, size = self._events.popleft()
        self._size -= size
        return event

    def drop(self, topic: str, count: int) -> None:
        """Something was not put in, and will not come again: a `Gap` is told in its place."""
        self._dropped[topic] = self._dropped.get(topic, 0) + count

    def clear(self) -> None:
        """Throw away what waits."""
        self._events.clear()
        self._dropped.clear()
        self._size = 0

    def _tell_dropped(self) -> None:
        for topic, missed in self._dropped.items():
            self._events.append((Gap(topic, missed), _OWN))
            self._size += _OWN
        self._dropped.clear()
