"""Events that wait for the application, and when to stop reading because it does not keep up."""

from collections.abc import Sequence

from .events import BinaryMessage, Event, Pong, TextMessage
from .limits import Limits

__all__ = ["Inbox"]


class Inbox:
    """A queue of events in the order in which they happened.

    Reading stops at `max_queue` messages or `max_queue_size` characters and bytes, and goes on at a
    quarter of that: not at the first one taken, because both are system calls for most adapters.
    """

    __slots__ = ("_events", "_limits", "_messages", "_unread", "held")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # Newest first, so that taking the oldest is a pop; no deque, which takes 760 bytes when empty.
        self._events: list[Event] = []
        # Other events are few: pongs for at most `max_pending_pings`, and the first and last.
        self._messages = 0
        self._unread = 0
        self.held = False
        """Whether reading should wait for the application."""

    def __bool__(self) -> bool:
        return bool(self._events)

    @property
    def messages(self) -> int:
        """How many messages wait."""
        return self._messages

    def push(self, events: Sequence[Event]) -> None:
        """Queue events, oldest first."""
        for event in events:
            if isinstance(event, (TextMessage, BinaryMessage)):
                self._messages += 1
                self._unread += len(event.data)
        waiting = self._events
        if len(events) == 1:
            waiting.insert(0, events[0])
        else:
            waiting[:0] = events[::-1]
        limits = self._limits
        if self._messages >= limits.max_queue or self._unread >= limits.max_queue_size:
            self.held = True

    def take(self) -> Event | None:
        """Remove and return the oldest, or None."""
        if not self._events:
            return None
        event = self._events.pop()
        if isinstance(event, (TextMessage, BinaryMessage)):
            self._messages -= 1
            self._unread -= len(event.data)
            if self.held:
                self.held = (
                    self._messages > self._limits.max_queue // 4
                    or self._unread > self._limits.max_queue_size // 4
                )
        return event

    def clear(self) -> None:
        """Forget what waits."""
        self._events = []
        self._messages = self._unread = 0
        self.held = False

    def take_pongs(self) -> list[Pong]:
        """Remove and return the pongs, out of turn."""
        pongs = [event for event in reversed(self._events) if isinstance(event, Pong)]
        if pongs:
            self._events = [event for event in self._events if not isinstance(event, Pong)]
        return pongs
