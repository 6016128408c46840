"""Requests of a client: those that wait to be sent, and those that wait for their answer.

What was sent and not answered when a connection ended may or may not have been done. Questions are asked
again. A publication is sent again because its key lets the hub know it; but only to a hub that knows us by
the same name, and only while it remembers the key. Everything else fails, and says so.
"""

from collections import deque
from enum import Enum
from typing import Final

from .client_options import ClientLimits
from .client_streams import Stream
from .records import KEY_SECONDS

__all__ = ["Asked", "Repeat", "Requests"]

_MARGIN: Final = 10.0
"""Seconds before a hub forgets a key from which on we don't count on it."""


class Repeat(Enum):
    """Whether a request may be sent again when its answer was lost."""

    ALWAYS = "always"
    """It changes nothing, or nothing more the second time."""
    KEYED = "keyed"
    """The hub knows it by its key."""
    NEVER = "never"
    """It would be done twice."""
    DROPPED = "dropped"
    """It has no meaning on another connection."""


class Asked:
    """One request.

    Args:
        number: its id.
        text: as it is sent.
        repeat: whether it may be sent again.
        stream: what it subscribes to.
        answered: whether it has an answer, unless it is wrong.
    """

    __slots__ = ("answered", "number", "repeat", "sent_at", "stream", "text")

    def __init__(
        self,
        number: int,
        text: str,
        repeat: Repeat,
        *,
        stream: Stream | None = None,
        answered: bool = True,
    ) -> None:
        self.number = number
        self.text = text
        self.repeat = repeat
        self.stream = stream
        self.answered = answered
        self.sent_at: float | None = None
        """When it was first sent."""

    @property
    def own(self) -> bool:
        """Whether somebody outside waits for its answer."""
        return self.repeat is not Repeat.DROPPED


class Requests:
    """What a client asked for.

    Its own requests, which are few and small, go before those of its user: it subscribes again before it
    repeats publications, so that their echo is not missed.

    Args:
        limits: `max_requests` and `max_requests_size`.
    """

    __slots__ = ("_count", "_first", "_limits", "_queued", "_sent", "_size")

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._first: deque[Asked] = deque()
        self._queued: deque[Asked] = deque()
        self._sent: dict[int, Asked] = {}
        self._count = 0
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether as many wait as may."""
        return (
            self._count >= self._limits.max_requests or self._size >= self._limits.max_requests_size
        )

    @property
    def pending(self) -> bool:
        """Whether anybody waits for an answer."""
        return self._count > 0

    @property
    def asking(self) -> bool:
        """Whether an answer is still to come, for us or for somebody."""
        return self._count > 0 or bool(self._sent)

    @property
    def waits(self) -> bool:
        """Whether something is to be sent."""
        return bool(self._first or self._queued)

    def add(self, asked: Asked) -> None:
        """Queue one."""
        if asked.own:
            self._queued.append(asked)
            self._count += 1
            self._size += len(asked.text)
        else:
            self._first.append(asked)

    def send(self, now: float) -> str | None:
        """Take the text of the next one that is to be sent now."""
        if not self.waits:
            return None
        asked = (self._first or self._queued).popleft()
        if asked.sent_at is None:
            asked.sent_at = now
        if asked.answered:
            self._sent[asked.number] = asked
        return asked.text

    def answer(self, number: object) -> Asked | None:
        """The request that an answer belongs to; None if nobody waits for it."""
        asked = self._sent.pop(number, None) if isinstance(number, int) else None
        if asked is not None:
            self._done(asked)
        return asked

    def withdraw(self, number: int) -> None:
        """Nobody waits for this any more. If it was not sent, it is not."""
        for asked in self._queued:
            if asked.number == number and asked.sent_at is None:
                self._queued.remove(asked)
                self._done(asked)
                return

    def lost(self) -> list[int]:
        """The connection is gone.

        Returns:
            The requests that fail. The others are sent again, in their order, once `resume` said so.
        """
        failed = [asked for asked in self._sent.values() if asked.repeat is Repeat.NEVER]
        again = [
            asked for asked in self._sent.values() if asked.repeat in (Repeat.ALWAYS, Repeat.KEYED)
        ]
        self._sent.clear()
        self._first.clear()
        self._queued.extendleft(reversed(again))
        return self._failed(failed)

    def resume(self, now: float, *, same_name: bool) -> list[int]:
        """There is a connection again. The requests that fail because they can't be repeated safely.

        Args:
            now: the time.
            same_name: whether the hub knows us by the name that it knew us by before.
        """
        failed: list[Asked] = []
        kept: deque[Asked] = deque()
        for asked in self._queued:
            known = same_name and now < (asked.sent_at or 0.0) + KEY_SECONDS - _MARGIN
            risky = asked.repeat is Repeat.KEYED and asked.sent_at is not None
            (failed if risky and not known else kept).append(asked)
        self._queued = kept
        return self._failed(failed)

    def fail_all(self) -> list[int]:
        """The client is over: everything fails."""
        own = [asked for asked in (*self._sent.values(), *self._queued) if asked.own]
        self._sent.clear()
        self._first.clear()
        self._queued.clear()
        return self._failed(own)

    def _failed(self, failed: list[Asked]) -> list[int]:
        for asked in failed:
            self._done(asked)
        return [asked.number for asked in failed]

    def _done(self, asked: Asked) -> None:
        if asked.own:
            self._count -= 1
            self._size -= len(asked.text)
