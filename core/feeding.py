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

from .account import Account
from .appending import Appending
from .codecs import native
from .consumers import Acknowledgements
from .consuming import Consuming
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
from .publishing import Publishing
from .records import Record
from .session import Moment, Session
from .trimming import Trimming

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
        logs: what was published.
        trimming: what is not kept any more.
        acknowledgements: how far consumers have come.
        consuming: who they are.
        appending: what is told when the store can't be read.
        pending: where effects wait.
        publishing: the options of topics, and how much room there is.
        account: what is counted.
    """

    def __init__(
        self,
        limits: HubLimits,
        logs: Logs,
        trimming: Trimming,
        acknowledgements: Acknowledgements,
        consuming: Consuming,
        appending: Appending,
        pending: PendingEffects,
        publishing: Publishing,
        account: Account,
    ) -> None:
        self._limits = limits
        self._logs = logs
        self._trimming = trimming
        self._acknowledgements = acknowledgements
        self._consuming = consuming
        self._appending = appending
        self._pending = pending
        self._publishing = publishing
        self._account = account

    # Cursors.

    def begin(self, session: Session, topic: str, offset: int, now: float) -> None:
        """Set a session, which is no consumer, behind: it gets everything from an offset on."""
        if session.behind is None:
            session.behind = {}
        session.behind[topic] = Cursor(offset)
        session.arm(Moment.FEED, now)

    def drop(self, session: Session, topics: Iterable[str]) -> None:
        """The session is not subscribed to these any more: forget where it stood."""
        if session.behind is None:
            return
        for topic in topics:
            cursor = session.behind.pop(topic, None)
            if cursor is not None:
                self._consuming.forget(session, topic, cursor)
        if not session.behind:
            session.behind = None

    def unsent(self, session: Session, topic: str, log: Log) -> int:
        """The first offset that a session, which gets a topic, has not been sent."""
        waiting = session.outbox.first_offset(topic)
        if waiting is not None:
            return waiting
        cursor = None if session.behind is None else session.behind.get(topic)
        return log.last + 1 if cursor is None else cursor.next

    def replaced(self, session: Session, topic: str, before: int, now: float) -> None:
        """A log that ended at `before` ends elsewhere now, or is gone. What a session misses is told."""
        log = self._logs.find(topic)
        last = 0 if log is None else log.last
        cursor = None if session.behind is None else session.behind.get(topic)
        if cursor is None:
            if last > before:  # it was stored after all
                self.begin(session, topic, before + 1, now)
            return
        if cursor.next > last:
            # What comes next, under offsets that it knows already, is something else.
            cursor.missed += max(0, before - cursor.next + 1)
            cursor.next = last + 1
            cursor.told = max(cursor.told, last)
        cursor.acked = min(cursor.acked, last)
        if not cursor.out:
            cursor.deadline = None
        self._consuming.arm(session)
        session.arm(Moment.FEED, now)

    # Feeding.

    def feed(self, session: Session, now: float) -> None:
        """Give a session whose outbox has room the next piece of each topic that it is behind on."""
        limit = self._publishing.room()
        for topic, cursor in tuple((session.behind or {}).items()):
            if session.outbox.size > limit // 4:
                session.hungry = True
                break
            self._feed_topic(session, topic, cursor, min(_PIECE, max(1, limit // 2)), now)
        self._consuming.arm(session)

    def _feed_topic(
        self, session: Session, topic: str, cursor: Cursor, piece: int, now: float
    ) -> None:
        if cursor.reading:
            return
        if cursor.missed:
            self._tell_gap(session, topic, cursor.missed)
            cursor.missed = 0
        log = self._logs.find(topic)
        if log is None:
            self._met_head(session, topic, cursor)
            return
        if self._window_is_full(cursor):
            return
        self._trimming.read(topic, log, now)
        if cursor.next < log.first:
            missed, last = log.first - cursor.next, log.first - 1
            self._tell_gap(session, topic, missed, last, log.epoch_of(last))
            cursor.next = log.first
            cursor.acked = max(cursor.acked, last)
            cursor.deadline = None  # what was out is not kept any more
        if cursor.told < cursor.next - 1 == log.torn(cursor.next - 1):
            self._tell_gap(session, topic, None)
            cursor.told = cursor.next - 1
        if cursor.next > log.last:
            self._met_head(session, topic, cursor)
        elif cursor.next >= log.first_in_memory:
            self._send(session, topic, log, cursor, log.read(cursor.next, piece), now)
        elif not any(other.reading for other in (session.behind or {}).values()):
            self._read(session, topic, log, cursor, piece, now)

    def _window_is_full(self, cursor: Cursor) -> bool:
        """Whether a consumer has as much as it may have; an acknowledgement makes room."""
        return cursor.consumer is not None and cursor.out >= self._limits.max_unacknowledged

    def _met_head(self, session: Session, topic: str, cursor: Cursor) -> None:
        if cursor.consumer is None and session.behind is not None:
            session.behind.pop(topic, None)
            session.behind = session.behind or None

    def _send(
        self,
        session: Session,
        topic: str,
        log: Log,
        cursor: Cursor,
        publications: Sequence[Publication],
        now: float,
    ) -> None:
        torn = log.torn(max(cursor.next, cursor.told + 1))
        if torn is not None:
            # Before what follows, it is told that something is missing.
            publications = [one for one in publications if one.offset <= torn]
        if cursor.consumer is not None:
            sent = self._acknowledgements.sent(session.user, cursor.consumer, topic)
            publications = publications[: self._limits.max_unacknowledged - cursor.out]
            publications = [
                _redelivered(one) if one.offset <= sent else one for one in publications
            ]
            self._acknowledgements.note_sent(
                session.user, cursor.consumer, topic, publications[-1].offset
            )
            if cursor.deadline is None:
                cursor.deadline = now + self._limits.ack_timeout
                self._consuming.arm(session)
        session.put(publications)
        self._account.counters.deliveries += len(publications)
        cursor.next = publications[-1].offset + 1
        if cursor.next > log.last and torn is None:
            self._met_head(session, topic, cursor)
        elif session.outbox.size <= self._publishing.room() // 4:
            session.arm(Moment.FEED, now)
        else:
            session.hungry = True

    def _read(
        self, session: Session, topic: str, log: Log, cursor: Cursor, piece: int, now: float
    ) -> None:
        """Have the store read what is not in memory any more. It is asked for one topic at a time."""
        after = cursor.next - 1

        def answered(outcome: Outcome, at: float) -> None:
            cursor.reading = False
            if session.behind is None:
                return
            session.arm(Moment.FEED, at)
            if session.behind.get(topic) is not cursor or self._logs.find(topic) is not log:
                return
            if cursor.next != after + 1 or self._window_is_full(cursor):
                return  # it was set back, or acknowledged, meanwhile
            if not isinstance(outcome, Done):
                reason = outcome.reason if isinstance(outcome, Failed) else "denied"
                self._account.tell(RequestFailed(session.number, "read", reason))
                self._appending.suspect(at)
                session.arm(Moment.FEED, at + _RETRY)
                return
            if session.outbox.size > self._publishing.room() // 4:
                session.hungry = True  # others have filled it meanwhile
                return
            # The store may have more by now than was answered.
            records: Sequence[Record] = [one for one in outcome.value if one.offset <= log.last]
            if not records:
                # The store has trimmed, or lost, all that was asked for.
                log.forget_before(log.first_in_memory)
            elif records[0].offset > cursor.next:
                log.forget_before(records[0].offset)
            else:
                found = [self._restored(one) for one in records]
                self._send(session, topic, log, cursor, found, at)

        cursor.reading = True
        effect = Read(self._pending.new_id(), topic, after, piece)
        self._pending.ask(effect, answered, now)

    def _restored(self, record: Record) -> Publication:
        """A publication as the store kept it."""
        rule = self._publishing.rules.of(record.topic)
        message = PreparedMessage.of_text(record.data)
        return Publication(
            record.topic, message, rule.priority, rule.slow, record.key, record.offset
        )

    def _tell_gap(
        self,
        session: Session,
        topic: str,
        missed: int | None,
        offset: int | None = None,
        epoch: str | None = None,
    ) -> None:
        """Tell that publications are missing: how many, and the position of the last, where that is known."""
        rule = self._publishing.rules.of(topic)
        gap = Gap(topic=topic, missed=missed, offset=offset, epoch=epoch)
        message = PreparedMessage.of_text(native.encode(gap))
        session.put([Publication(topic, message, rule.priority, rule.slow)])
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
