"""Timers as data: what may expire on one connection, and when.

After quinn's ``TimerTable``: one enum, one row of moments, the least of them is the next timeout, and
what expired is handled in the order of the enum. Moments are absolute, in seconds from the origin of
the ``now`` that the caller passes in.
"""

from collections.abc import Iterator
from enum import IntEnum
from heapq import heapify, heappop, heappush
from math import inf
from typing import Generic, TypeVar

__all__ = ["Deadlines", "Timer", "Timers"]


class Timer(IntEnum):
    """Everything on one connection that may expire. The order is the order of handling."""

    OPEN = 0
    """The opening handshake took too long."""
    WRITE = 1
    """Bytes wait and nothing was taken."""
    CLOSE = 2
    """The peer did not answer our Close frame, or did not end the stream after its own."""
    DRAIN = 3
    """The peer did not end the stream after our last bytes."""
    ANSWER = 4
    """The application did not take the messages that came before a Close frame."""
    PONG = 5
    """Nothing was heard after a keepalive ping. Stands still while we do not read."""
    MESSAGE = 6
    """A message was begun and not finished. Stands still while we do not read."""
    PING = 7
    """The next keepalive ping is due."""


_TIMERS = tuple(Timer)
_STAND_STILL = (Timer.PONG, Timer.MESSAGE)


class Timers:
    """The timers of one connection: a row of moments, `inf` where nothing is armed."""

    __slots__ = ("_at", "_next", "_stopped_at", "stopped")

    def __init__(self) -> None:
        self._at = [inf] * len(_TIMERS)
        self._next: float | None = inf
        """The earliest moment, where it is known."""
        self._stopped_at = 0.0
        self.stopped = False
        """Whether `stop` was called and `go_on` was not."""

    def arm(self, timer: Timer, now: float, timeout: float | None) -> None:
        """Let `timer` expire `timeout` seconds after `now`, instead of any earlier arming.

        None is a timeout that is switched off: nothing is armed.
        """
        if timeout is None:
            return
        if self.stopped and timer in _STAND_STILL:
            now = self._stopped_at  # `go_on` adds what passed since
        self._at[timer] = now + timeout
        self._next = None

    def disarm(self, timer: Timer) -> None:
        """Forget `timer`."""
        if self._at[timer] != inf:
            self._at[timer] = inf
            self._next = None

    def disarm_all(self) -> None:
        """Forget every timer: the connection has ended."""
        self._at = [inf] * len(_TIMERS)
        self._next = inf
        self.stopped = False

    def keep_only(self, timer: Timer) -> None:
        """Forget every timer but one."""
        at = self._at[timer]
        self.disarm_all()
        self._at[timer] = self._next = at

    def armed(self, timer: Timer) -> bool:
        """Whether `timer` will expire."""
        return self._at[timer] != inf

    def stop(self, now: float) -> None:
        """We do not read: from `now` on, the timers that judge the peer's silence stand still."""
        if not self.stopped:
            self.stopped = True
            self._stopped_at = now
            self._next = None

    def go_on(self, now: float) -> None:
        """We read again: what stood still has as much left as it had."""
        if self.stopped:
            self.stopped = False
            self._next = None
            stood = max(0.0, now - self._stopped_at)
            for timer in _STAND_STILL:
                self._at[timer] += stood

    def next(self) -> float | None:
        """The earliest moment at which something expires, or None."""
        at = self._next
        if at is None:
            if not self.stopped:
                at = min(self._at)
            else:
                at = min(t for i, t in enumerate(self._at) if i not in _STAND_STILL)
            self._next = at
        return None if at == inf else at

    def expired(self, now: float) -> Iterator[Timer]:
        """Disarm and yield, in order, each timer whose moment has come.

        A timer that the handling of an earlier one disarms is not yielded.
        """
        for timer in _TIMERS:
            if self._at[timer] <= now and not (self.stopped and timer in _STAND_STILL):
                self._at[timer] = inf
                self._next = None
                yield timer


Key = TypeVar("Key")


class Deadlines(Generic[Key]):
    """One ordered queue of the next timeouts of many connections, for an adapter's single timer.

    Moving a deadline to a later moment, which keepalive does all the time, is O(1): the queue is told
    only when the old moment comes. Other moves and taking what is due are O(log n). `Key` is any
    hashable object. At most one entry a key waits in the queue beside its stale ones; when more than
    half of the queue is stale it is rebuilt, so that it never holds more than twice the keys.
    """

    def __init__(self) -> None:
        self._queue: list[tuple[float, int, Key]] = []
        self._wanted: dict[Key, float] = {}
        self._queued: dict[Key, float] = {}
        self._order = 0

    def __len__(self) -> int:
        return len(self._wanted)

    def set(self, key: Key, at: float | None) -> None:
        """Let `key` be due at the moment `at`; None forgets it."""
        if at is None:
            self._wanted.pop(key, None)
            self._queued.pop(key, None)
            return
        if self._wanted.get(key) == at:
            return
        self._wanted[key] = at
        queued = self._queued.get(key)
        if queued is None or at < queued:
            self._push(key, at)

    def next(self) -> float | None:
        """A moment not later than the earliest deadline, or None. Calling `due` then is never late."""
        self._drop_stale()
        return self._queue[0][0] if self._queue else None

    def due(self, now: float) -> list[Key]:
        """Take out and return every key whose deadline is not after `now`, earliest first."""
        due: list[Key] = []
        while True:
            self._drop_stale()
            if not self._queue or self._queue[0][0] > now:
                return due
            _, _, key = heappop(self._queue)
            del self._queued[key]
            wanted = self._wanted[key]
            if wanted <= now:
                del self._wanted[key]
                due.append(key)
            else:
                self._push(key, wanted)

    def _push(self, key: Key, at: float) -> None:
        self._order += 1
        self._queued[key] = at
        heappush(self._queue, (at, self._order, key))
        if len(self._queue) > 64 and len(self._queue) > 2 * len(self._queued):
            self._queue = [e for e in self._queue if self._queued.get(e[2]) == e[0]]
            heapify(self._queue)

    def _drop_stale(self) -> None:
        while self._queue and self._queued.get(self._queue[0][2]) != self._queue[0][0]:
            heappop(self._queue)
