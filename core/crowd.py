"""Sessions that a fan-out to many has reached, in the order in which their bytes are taken.

They come after all others: what is said to few must not wait until thousands were written to. And what
is written to most of them is the same, so queues that are equal are one object (see `SharedQueue`), and
what is to be written is taken for many sessions at once, without a call for each. A session for which
something else comes than a message to many has a queue of its own from then on.
"""

from collections import deque
from collections.abc import Iterable
from typing import Any, Final

from .account import Account
from .outbox import Publication, SharedQueue
from .session import Session

__all__ = ["MANY", "Crowd"]

MANY: Final = 64
"""Receivers from which on a fan-out is one to many: that takes less than a millisecond to write."""

_MOST: Final = 65536
"""What may leave a session at once, as in `data_to_send`."""


class Crowd:
    """Sessions for which nothing waits but a queue that is shared, as far as is known.

    Args:
        account: what is counted.
    """

    __slots__ = ("_account", "_waiting")

    def __init__(self, account: Account) -> None:
        self._account = account
        self._waiting: deque[Session] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def share(
        self, publication: Publication, receivers: Iterable[Session], limit: int
    ) -> list[Session]:
        """Queue a publication for all for whom nothing waits but what they share.

        Args:
            publication: of the normal lane.
            receivers: who gets it.
            limit: what may wait for one of them.

        Returns:
            The others: it must be queued for each by itself.
        """
        after = SharedQueue(None, publication) if publication.cost <= limit else None
        before: SharedQueue | None = None
        longer: dict[SharedQueue | None, SharedQueue | None] = {None: after}
        apart: list[Session] = []
        join = self._waiting.append
        count = 0
        for session in receivers:
            # This loop is half of what a delivery costs in the machine.
            queue = session.shared
            if session.told:
                apart.append(session)
                continue
            if queue is not before:  # mostly it is the same as that of the last one
                before = queue
                if queue not in longer:
                    assert queue is not None
                    fits = queue.cost + publication.cost <= limit
                    longer[queue] = SharedQueue(queue, publication) if fits else None
                after = longer[queue]
            if after is None:
                apart.append(session)
                continue
            if queue is None:
                join(session)
            session.shared = after
            count += 1
        self._account.waiting += publication.cost * count
        return apart

    def next(self) -> Session | None:
        """Take the next one, for `data_to_send`; None if none is left."""
        while self._waiting:
            session = self._waiting.popleft()
            if session.shared is not None and not session.told:
                session.told = True
                return session
        return None

    def take(self, most: int) -> list[tuple[Any, bytes]]:
        """Take all that waits for the next sessions, `most` of them; empty if none is left.

        Those for whom more is to be done than to write have their adapter look.

        Returns:
            Each session's carrier, and what is to be written to it: it is on the wire with that.
        """
        waiting = self._waiting
        taken: list[tuple[Any, bytes]] = []
        before: SharedQueue | None = None
        chunk = b""
        messages = size = cost = 0
        while waiting and len(taken) < most:
            # This loop is the other half.
            session = waiting.popleft()
            queue = session.shared
            if queue is None or session.told:
                continue
            ws = session.ws
            if ws.dirty or not (ws.unchanged and session.plain and queue.cost <= _MOST):
                session.mark()
                continue
            if queue is not before:
                before = queue
                chunk = queue.chunk()
            session.shared = None
            taken.append((session.carrier, chunk))
            messages += queue.length
            cost += queue.cost
            size += len(chunk)
        account = self._account
        account.waiting -= cost
        account.counters.messages_out += messages
        account.counters.bytes_out += size
        return taken
