"""What a hub counts, and the time that it tells: shared by its parts and its sessions."""

from datetime import UTC, datetime

from .errors import LocalProtocolError
from .hub_events import Counters, HubEvent

__all__ = ["Account", "WallClock"]


class Account:
    """Counters, what waits for all sessions, and events that nobody has taken yet.

    Args:
        max_events: events that may wait; beyond it the oldest is dropped and counted.
    """

    __slots__ = ("_events", "_max_events", "counters", "stalled", "waiting")

    def __init__(self, max_events: int) -> None:
        self.counters = Counters()
        self.waiting = 0
        """What waits in all outboxes."""
        self.stalled = 0
        """What waits there of sessions whose sockets had no room for it."""
        self._events: list[HubEvent] = []
        self._max_events = max_events

    def tell(self, event: HubEvent) -> None:
        """Queue an event."""
        self._events.append(event)
        if len(self._events) > self._max_events:
            dropped = max(1, self._max_events // 8)  # many at once, since each time all move up
            del self._events[:dropped]
            self.counters.events_dropped += dropped

    def next_event(self) -> HubEvent | None:
        """Take the oldest event."""
        return self._events.pop(0) if self._events else None


class WallClock:
    """The time of day, from the machine's own time and an offset that the adapter gives."""

    __slots__ = ("_at", "_text", "offset")

    def __init__(self) -> None:
        self.offset = 0.0
        """What is to be added to `now` for the seconds since 1970."""
        self._at: float | None = None
        self._text = ""

    def set(self, offset: float, now: float) -> None:
        """The offset is another one.

        Raises:
            LocalProtocolError: it is no time of a calendar.
        """
        try:
            datetime.fromtimestamp(now + offset, UTC)
        except (ValueError, OverflowError, OSError) as error:
            raise LocalProtocolError(
                f"offset={offset!r}: must be the seconds from `now` to 1970, negated ({error})"
            ) from None
        self.offset = offset
        self._at = None

    def seconds(self, now: float) -> float:
        """Seconds since 1970, UTC."""
        return now + self.offset

    def text(self, now: float) -> str:
        """The same as ISO 8601, with milliseconds."""
        if now != self._at:
            self._at = now
            moment = datetime.fromtimestamp(now + self.offset, UTC)
            self._text = moment.isoformat(timespec="milliseconds")
        return self._text
