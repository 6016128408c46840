"""Consumers: sessions that acknowledge what they handled, and are sent again what they did not.

A consumer is a user, a name that the user chose, and a topic. One session at a time is it.
"""

from .account import WallClock
from .appending import Appending
from .consumers import Acknowledgements
from .cursors import Cursor
from .history import Log
from .hub_limits import HubLimits
from .logs import Logs
from .records import Acknowledged
from .session import Moment, Session

__all__ = ["Consuming"]


class Consuming:
    """Who consumes what, and how far they have come.

    Args:
        limits: of the hub.
        logs: what was published.
        acknowledgements: how far consumers have come.
        appending: where acknowledged positions of durable topics are stored.
        clock: the time of day.
    """

    def __init__(
        self,
        limits: HubLimits,
        logs: Logs,
        acknowledgements: Acknowledgements,
        appending: Appending,
        clock: WallClock,
    ) -> None:
        self._limits = limits
        self._logs = logs
        self._acknowledgements = acknowledgements
        self._appending = appending
        self._clock = clock
        self._sessions: dict[tuple[str, str, str], Session] = {}

    def session(self, user: str, name: str, topic: str) -> Session | None:
        """The session that consumes under this name."""
        return self._sessions.get((user, name, topic))

    def begin(self, session: Session, topic: str, name: str, since: int, now: float) -> int:
        """Make a session the consumer of a name that no other session has now.

        Args:
            session: of an authenticated user.
            topic: one that has a log.
            name: which of the user's consumers.
            since: the offset behind which to begin if this name never acknowledged anything.
            now: the time.

        Returns:
            The offset behind which it begins.
        """
        log = self._logs.find(topic)
        assert log is not None
        cursor = None if session.behind is None else session.behind.get(topic)
        if cursor is not None and cursor.consumer == name:
            return cursor.acked  # asked for again: what is out stays out
        self.stop(session, topic)
        session.discard(topic.__eq__)
        known = self._acknowledgements.get(session.user, name, topic)
        if known is None:
            acked = since
            self._note(session, topic, name, acked, log, now)
        else:
            # Behind a loss its offset may mean another publication, which it has not handled.
            acked = log.kept_until(known.offset, known.epoch)
        self._sessions[session.user, name, topic] = session
        if session.behind is None:
            session.behind = {}
        session.behind[topic] = Cursor(acked + 1, name, acked)
        session.arm(Moment.FEED, now)
        return acked

    def stop(self, session: Session, topic: str) -> None:
        """The session is no consumer any more; by a pattern it still gets what it has not got."""
        cursor = None if session.behind is None else session.behind.get(topic)
        if cursor is not None and cursor.consumer is not None:
            self.forget(session, topic, cursor)
            cursor.consumer = cursor.deadline = None
            session.hungry = True  # at the head it becomes live
            session.mark()

    def forget(self, session: Session, topic: str, cursor: Cursor) -> None:
        """A cursor of the session, if it is that of a consumer, is about to go."""
        if cursor.consumer is not None:
            del self._sessions[session.user, cursor.consumer, topic]

    def acknowledge(self, session: Session, topic: str, offset: int, now: float) -> bool:
        """A consumer handled everything up to an offset; False if it is none, or was not sent that."""
        cursor = None if session.behind is None else session.behind.get(topic)
        log = self._logs.find(topic)
        if cursor is None or cursor.consumer is None or log is None:
            return False
        # What is sent again was sent before, and may be acknowledged meanwhile.
        sent = self._acknowledgements.sent(session.user, cursor.consumer, topic)
        if offset > max(cursor.next - 1, sent):
            return False
        if offset > cursor.acked:
            cursor.acked = offset
            cursor.next = max(cursor.next, offset + 1)
            self._note(session, topic, cursor.consumer, offset, log, now)
            cursor.deadline = now + self._limits.ack_timeout if cursor.out else None
            self.arm(session)
            session.arm(Moment.FEED, now)
        else:
            # The cursor may be further because the log has lost what is behind: that was not handled.
            known = self._acknowledgements.get(session.user, cursor.consumer, topic)
            if known is not None and offset > known.offset:
                self._note(session, topic, cursor.consumer, offset, log, now)
        return True

    def _note(
        self, session: Session, topic: str, name: str, offset: int, log: Log, now: float
    ) -> None:
        acknowledged = Acknowledged(
            session.user, name, topic, offset, log.epoch_of(offset), self._clock.seconds(now)
        )
        self._acknowledgements.put(acknowledged)
        if log.durable:
            self._appending.acknowledge(acknowledged, now)

    def redeliver(self, session: Session, now: float) -> None:
        """Time is over for some consumers: what they did not acknowledge is sent again."""
        late: set[str] = set()
        for topic, cursor in (session.behind or {}).items():
            if cursor.deadline is not None and cursor.deadline <= now:
                late.add(topic)
                cursor.next = cursor.acked + 1
                cursor.deadline = None
        if late:
            session.discard(late.__contains__)
            session.arm(Moment.FEED, now)
        self.arm(session)

    def arm(self, session: Session) -> None:
        """Note when the session's time to acknowledge is over."""
        deadlines = [
            cursor.deadline
            for cursor in (session.behind or {}).values()
            if cursor.deadline is not None
        ]
        session.arm(Moment.REDELIVER, min(deadlines, default=None))
