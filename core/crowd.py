"""Sessions that a fan-out to many has reached, in the order in which their bytes are taken.

They come after all others: what is said to few must not wait until thousands were written to. And what
is written to most of them is the same, so it is taken for many at once, without a call for each.
"""

from collections import deque
from typing import Any, Final

from .account import Account
from .publication import Lane
from .session import Session

__all__ = ["MANY", "Crowd"]

MANY: Final = 64
"""Receivers from which on a fan-out is one to many: that takes less than a millisecond to write."""

_MOST: Final = 65536
"""What may leave a session at once, as in `data_to_send`."""


class Crowd:
    """Sessions for which nothing but publications waits, as far as is known.

    Args:
        account: what is counted.
    """

    __slots__ = ("_account", "waiting")

    def __init__(self, account: Account) -> None:
        self._account = account
        self.waiting: deque[Session] = deque()
        """A fan-out appends to it those for whom nothing waited before. For some nothing waits by now."""

    def next(self) -> Session | None:
        """Take the next one, for `data_to_send`; None if none is left."""
        waiting = self.waiting
        while waiting:
            session = waiting.popleft()
            if session.outbox.normal and not session.told:
                session.told = True
                return session
        return None

    def take(self, most: int) -> list[tuple[Any, bytes]]:
        """Take all that waits for the next sessions, `most` of them; empty if none is left.

        Those for whom more is to be done than to write have their adapter look.

        Returns:
            Each session's carrier, and what is to be written to it: it is on the wire with that.
        """
        waiting = self.waiting
        taken: list[tuple[Any, bytes]] = []
        lane: Lane = []
        chunk = b""
        messages = size = cost = 0
        while waiting and len(taken) < most:
            session = waiting.popleft()
            outbox = session.outbox
            if not outbox.normal or session.told:
                continue
            ws = session.ws
            if ws.dirty or not (session.plain and ws.unchanged and outbox.size <= _MOST):
                session.mark()
                continue
            if outbox.normal != lane:  # mostly it has the very same publications
                lane = outbox.normal
                chunk = lane[0].frame if len(lane) == 1 else b"".join([one.frame for one in lane])
            outbox.normal = []
            cost += outbox.size
            outbox.size = 0
            session.slow_told = False
            messages += len(lane)
            size += len(chunk)
            taken.append((session.carrier, chunk))
        account = self._account
        account.waiting -= cost
        account.counters.messages_out += messages
        account.counters.bytes_out += size
        return taken
