"""Sends sessions what they missed: from the log, in pieces, as their outboxes drain.

A session is *live* on a topic with history when publications are queued for it as they come. It is
*behind* when it has a `Cursor`: then nothing of the topic is queued but what is read from the log at the
cursor, until that has met the head. So a resume of any length takes no more of an outbox than a piece, and
who does not keep up is set behind instead of losing anything. Only where the log no longer has the next
offset is there a loss, which a `Gap` tells.

A consumer is behind for ever: its cursor stays within `max_unacknowledged` of what it acknowledged.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from .account import Account, WallClock
from .appending import Appending
from .codecs import native
from .consumers import Acknowledgements
from .cursors import Cursor
from .effects import Done, Failed, Outcome, Read
from .history import Log
from .hub_events import RequestFailed
from .hub_limits import HubLimits
from .logs import Logs
from .messages import Gap
from .outbox import Publication
from .outgoing import PreparedMessage
from .pending import PendingEffects
from .records import Acknowledged, Record
from .rules import Rules
from .session import Moment, Session

__all__ = ["Feeding"]

_PIECE: Final = 65536
"""Bytes that are read from a log at once."""

_RETRY: Final = 1.0
"""Seconds after which a log that could not be read is read again."""

_REDELIVERED: Final = b',"redelivered":true}'


class Feeding:
    """Moves cursors.

    Args:
        limits: of the hub.
        rules: the options of topics.
        logs: what was published.
        acknowledgements: how far consumers have come.
        appending: where acknowledged positions of durable topics are stored.
        pending: where effects wait.
        clock: the time of day.
        account: what is counted.
    """

    def __init__(
        self,
        limits: HubLimits,
        rules: Rules,
        logs: Logs,
        acknowledgements: Acknowledgements,
        appending: Appending,
        pending: PendingEffects,
        clock: WallClock,
        account: Account,
    ) -> None:
        self._limits = limits
        self._rules = rules
        self._logs = logs
        self._acknowledgements = acknowledgements
        self._appending = appending
        self._pending = pending
        self._clock = clock
        self._account = account
        self._consumers: dict[tuple[str, str, str], Session] = {}
        self._piece = min(_PIECE, max(1, limits.outbox_size // 2))

    # Cursors.

    def begin(self, session: Session, topic: str, offset: int, now: float) -> None:
        """Set a session behind: it gets everything from an offset on. A consumer stays where it is."""
        if session.behind is None:
            session.behind = {}
        cursor = session.behind.get(topic)
        if cursor is None or cursor.consumer is None:
            session.behind[topic] = Cursor(offset)
        session.arm(Moment.FEED, now)

    def drop(self, session: Session, topics: Iterable[str]) -> None:
        """The session is not subscribed to these any more: forget where it stood."""
        if session.behind is None:
            return
        for topic in topics:
            cursor = session.behind.pop(topic, None)
            if cursor is not None and cursor.consumer is not None:
                del self._consumers[session.user, cursor.consumer, topic]
        if not session.behind:
            session.behind = None

    # Consumers.

    def consume_no_more(self, session: Session, topic: str) -> None:
        """The session is no consumer any more; by a pattern it still gets what it has not got."""
        cursor = None if session.behind is None else session.behind.get(topic)
        if cursor is not None and cursor.consumer is not None:
            del self._consumers[session.user, cursor.consumer, topic]
            cursor.consumer = cursor.deadline = None
            session.hungry = True  # at the head it becomes live
            session.mark()

    def consumer(self, user: str, name: str, topic: str) -> Session | None:
        """The session that consumes under this name."""
        return self._consumers.get((user, name, topic))

    def begin_consumer(
        self, session: Session, topic: str, name: str, since: int, now: float
    ) -> int:
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
        self.consume_no_more(session, topic)
        session.discard(topic.__eq__)
        known = self._acknowledgements.get(session.user, name, topic)
        if known is None:
            acked = since
            self._note(session, topic, name, acked, log, now)
        else:
            # Behind a loss its offset may mean another publication, which it has not handled.
            acked = log.kept_until(known.offset, known.epoch)
        self._consumers[session.user, name, topic] = session
        if session.behind is None:
            session.behind = {}
        session.behind[topic] = Cursor(acked + 1, name, acked)
        session.arm(Moment.FEED, now)
        return acked

    def acknowledge(self, session: Session, topic: str, offset: int, now: float) -> bool:
        """A consumer handled everything up to an offset; False if it is none, or was not sent that."""
        cursor = None if session.behind is None else session.behind.get(topic)
        log = self._logs.find(topic)
        if cursor is None or cursor.consumer is None or log is None:
            return False
        # What is sent again was sent before, and may be acknowledged meanwhile.
        if offset > max(
            cursor.next - 1, self._acknowledgements.sent(session.user, cursor.consumer, topic)
        ):
            return False
        if offset > cursor.acked:
            cursor.acked = offset
            cursor.next = max(cursor.next, offset + 1)
            self._note(session, topic, cursor.consumer, offset, log, now)
            cursor.deadline = now + self._limits.ack_timeout if cursor.out else None
            self._arm_redelivery(session)
            session.arm(Moment.FEED, now)
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
        self._arm_redelivery(session)

    def _arm_redelivery(self, session: Session) -> None:
        deadlines = [
            cursor.deadline
            for cursor in (session.behind or {}).values()
            if cursor.deadline is not None
        ]
        session.arm(Moment.REDELIVER, min(deadlines, default=None))

    # Feeding.

    def feed(self, session: Session, now: float) -> None:
        """Give a session whose outbox has room the next piece of each topic that it is behind on."""
        room = self._limits.outbox_size // 4
        for topic, cursor in tuple((session.behind or {}).items()):
            if session.outbox.size > room:
                session.hungry = True
                return
            if not cursor.reading:
                self._feed_topic(session, topic, cursor, now)
        self._arm_redelivery(session)

    def _feed_topic(self, session: Session, topic: str, cursor: Cursor, now: float) -> None:
        log = self._logs.find(topic)
        if log is None:
            # It was forgotten, and what came after the cursor with it: nobody knows how much.
            self._tell_gap(session, topic, None, None, None)
            self._met_head(session, topic, cursor)
            return
        self._logs.trim(log, now)
        if cursor.next < log.first:
            missed = log.first - cursor.next
            self._tell_gap(session, topic, missed, log.first - 1, log.epoch_of(log.first - 1))
            cursor.next = log.first
            cursor.acked = max(cursor.acked, log.first - 1)
        cursor.next = min(cursor.next, log.last + 1)  # a store that lost something ends earlier
        if cursor.next > log.last:
            self._met_head(session, topic, cursor)
        elif cursor.next >= log.first_in_memory:
            self._send(session, topic, cursor, log.read(cursor.next, self._piece), now)
        else:
            self._read(session, topic, cursor, now)

    def _met_head(self, session: Session, topic: str, cursor: Cursor) -> None:
        if cursor.consumer is None and session.behind is not None:
            session.behind.pop(topic, None)
            session.behind = session.behind or None

    def _send(
        self,
        session: Session,
        topic: str,
        cursor: Cursor,
        publications: Sequence[Publication],
        now: float,
    ) -> None:
        if cursor.consumer is not None:
            sent = self._acknowledgements.sent(session.user, cursor.consumer, topic)
            publications = publications[: max(0, self._limits.max_unacknowledged - cursor.out)]
            publications = [
                _redelivered(one) if one.offset <= sent else one for one in publications
            ]
            if not publications:
                return  # an acknowledgement makes room
            self._acknowledgements.note_sent(
                session.user, cursor.consumer, topic, publications[-1].offset
            )
            if cursor.deadline is None:
                cursor.deadline = now + self._limits.ack_timeout
        for publication in publications:
            session.put(publication)
        self._account.counters.deliveries += len(publications)
        cursor.next = publications[-1].offset + 1
        log = self._logs.find(topic)
        if log is not None and cursor.next > log.last:
            self._met_head(session, topic, cursor)
        elif session.outbox.size <= self._limits.outbox_size // 4:
            session.arm(Moment.FEED, now)
        else:
            session.hungry = True

    def _read(self, session: Session, topic: str, cursor: Cursor, now: float) -> None:
        """Have the store read what is not in memory any more."""
        after = cursor.next - 1

        def answered(outcome: Outcome, at: float) -> None:
            cursor.reading = False
            if session.behind is None or session.behind.get(topic) is not cursor:
                return
            if cursor.next != after + 1:
                session.arm(Moment.FEED, at)  # it was set back meanwhile
                return
            if not isinstance(outcome, Done):
                reason = outcome.reason if isinstance(outcome, Failed) else "denied"
                self._account.tell(RequestFailed(session.number, "read", reason))
                self._appending.suspect(at)
                session.arm(Moment.FEED, at + _RETRY)
                return
            log = self._logs.find(topic)
            # The store may have more by now than was answered.
            last = 0 if log is None else log.last
            records: Sequence[Record] = [one for one in outcome.value if one.offset <= last]
            if not records:
                # The store has trimmed, or lost, all that was asked for.
                if log is not None:
                    log.forget_before(log.first_in_memory)
                session.arm(Moment.FEED, at)
                return
            if records[0].offset > cursor.next:
                if log is not None:
                    log.forget_before(records[0].offset)
                session.arm(Moment.FEED, at)
                return
            self._send(session, topic, cursor, [self.restored(one) for one in records], at)

        cursor.reading = True
        effect = Read(self._pending.new_id(), topic, after, self._piece)
        self._pending.ask(effect, answered, now)

    def restored(self, record: Record) -> Publication:
        """A publication as the store kept it."""
        rule = self._rules.of(record.topic)
        message = PreparedMessage.of_text(record.data)
        return Publication(
            record.topic, message, rule.priority, rule.slow, record.key, record.offset
        )

    def _tell_gap(
        self,
        session: Session,
        topic: str,
        missed: int | None,
        offset: int | None,
        epoch: str | None,
    ) -> None:
        rule = self._rules.of(topic)
        gap = Gap(topic=topic, missed=missed, offset=offset, epoch=epoch)
        message = PreparedMessage.of_text(native.encode(gap))
        session.put(Publication(topic, message, rule.priority, rule.slow))
        self._account.counters.gaps += 1


def _redelivered(publication: Publication) -> Publication:
    """The same, with a mark that says that it may have been sent before."""
    data = publication.message.payload[:-1] + _REDELIVERED
    found = Publication(
        publication.topic,
        PreparedMessage.of_text(data),
        "normal",
        publication.slow,
        publication.key,
        publication.offset,
    )
    found.lane = publication.lane
    return found
