"""From one message to all who get it: encoded once, queued by reference, and what happens to the slow."""

from collections.abc import Collection
from typing import Any

from .account import Account, WallClock
from .codecs import native
from .crowd import MANY, Crowd
from .cursors import Cursor
from .frames import CloseCode, Opcode, encode_frame
from .hub_events import Slow
from .hub_limits import HubLimits
from .messages import Chat, Direct, Gap, Notification, Push
from .outbox import Publication
from .outgoing import PreparedMessage
from .registry import Registry
from .rules import Rule, Rules
from .session import Moment, Session
from .subscriptions import SubscriptionTable

__all__ = ["Publishing"]


class Publishing:
    """Fans publications out to the sessions of a hub.

    Args:
        limits: of the hub.
        rules: the options of topics.
        table: who subscribes to what.
        registry: who is connected.
        account: what is counted, and what waits.
        clock: the time that publications carry.
        dirty: where sessions are noted whose adapter has something to do.
        crowd: where those are noted that a fan-out to many reaches.
    """

    def __init__(
        self,
        limits: HubLimits,
        rules: Rules,
        table: SubscriptionTable[Session],
        registry: Registry,
        account: Account,
        clock: WallClock,
        dirty: list[Session],
        crowd: Crowd,
    ) -> None:
        self._limits = limits
        self.rules = rules
        self._table = table
        self._registry = registry
        self._account = account
        self._clock = clock
        self._dirty = dirty
        self._crowd = crowd
        self._depth = 0
        self._failing: dict[Session, None] = {}
        """Sessions to be closed as too slow, once nobody walks through receivers any more."""

    def publish(
        self, topic: str, message: Any, now: float, *, sender: str | None, key: str | None = None
    ) -> int:
        """Publish on a topic without history; the sessions that were subscribed."""
        rule = self.rules.of(topic)
        push = self.compose(topic, rule, message, now, sender=sender)
        count = self.push(topic, rule, push, self._table.receivers(topic), now, key)
        self._account.counters.publications += 1  # only now: what can't be written is none
        return count

    def compose(
        self,
        topic: str,
        rule: Rule,
        message: Any,
        now: float,
        *,
        sender: str | None,
        offset: int | None = None,
        epoch: str | None = None,
    ) -> Push:
        """What the receivers of a publication are told."""
        timestamp = self._clock.text(now)
        if rule.announce and sender is not None:
            return Chat(topic, sender, message, timestamp, offset, epoch)
        return Notification(topic, message, timestamp, offset, epoch)

    def receivers(self, topic: str) -> int:
        """How many sessions get what is published on a topic now."""
        return len(self._table.receivers(topic))

    def deliver(self, publication: Publication, now: float) -> None:
        """Send a publication that has its place in a topic's log."""
        assert publication.topic is not None
        self._account.counters.publications += 1
        receivers = self._table.receivers(publication.topic)
        if receivers:
            self._fan_out(publication, receivers, now)

    def push(
        self,
        topic: str,
        rule: Rule,
        push: Push,
        receivers: Collection[Session],
        now: float,
        key: str | None = None,
    ) -> int:
        """Send one message about a topic to these; how many they are."""
        count = len(receivers)
        if count:
            self._fan_out(
                Publication(topic, _prepared(push), rule.priority, rule.slow, key), receivers, now
            )
        return count

    def direct(self, user: str, message: Any, now: float, *, sender: str) -> int:
        """Send to all sessions of one user; how many they are."""
        sessions = self._registry.of(user)
        if sessions:
            push = Direct(sender=sender, message=message, timestamp=self._clock.text(now))
            self._fan_out(Publication(None, _prepared(push)), sessions, now)
        return len(sessions)

    def _fan_out(
        self, publication: Publication, receivers: Collection[Session], now: float
    ) -> None:
        """Queue a reference for each receiver, then close those who can't be kept.

        Closing one may announce that it left, which is a fan-out again. They are closed one after the
        other, not one inside the other.
        """
        self._depth += 1
        account = self._account
        account.counters.deliveries += len(receivers)
        if publication.offset:
            self._queue_logged(publication, receivers, now)
        elif publication.lane != 1 or account.stalled > self._limits.total_outbox_size:
            self._queue_by_rule(publication, receivers)
        elif len(receivers) < MANY:
            self._queue(publication, receivers)
        else:
            limit = self._limits.outbox_size
            self._queue(publication, self._crowd.share(publication, receivers, limit))
        while self._failing and self._depth == 1:
            session, _ = self._failing.popitem()
            account.counters.dropped_disconnect += len(session.outbox)
            session.fail(CloseCode.TOO_SLOW, "too slow", now)
        self._depth -= 1

    def _queue(self, publication: Publication, receivers: Collection[Session]) -> None:
        """Where the topic is a plain one: see `_queue_by_rule`."""
        cost = publication.cost
        dirty = self._dirty
        full: list[Session] = []
        for session in receivers:
            outbox = session.outbox
            size = outbox.size + cost
            if size > outbox.limit:
                full.append(session)
                continue
            outbox.size = size
            outbox.normal.append(publication)
            if not session.told:
                session.told = True
                dirty.append(session)
        self._queued(publication, len(receivers), full)

    def _queued(self, publication: Publication, count: int, full: list[Session]) -> None:
        self._account.waiting += publication.cost * (count - len(full))
        for session in full:
            self._overflow(session, publication, session.outbox.limit)

    def _queue_logged(
        self, publication: Publication, receivers: Collection[Session], now: float
    ) -> None:
        """The same for a topic with history: who does not keep up reads it from the log instead."""
        topic = publication.topic
        assert topic is not None
        share = self._share()
        if len(receivers) >= MANY and publication.lane == 1:
            live = [session for session in receivers if session.behind is None]
            others = [session for session in receivers if session.behind is not None]
            receivers = self._crowd.share(publication, live, self._limits.outbox_size) + others
        for session in receivers:
            cursor = None if session.behind is None else session.behind.get(topic)
            if cursor is not None:
                if cursor.consumer is not None:
                    session.arm(Moment.FEED, now)
                continue
            limit = share if session.stalled else self._limits.outbox_size
            if session.outbox.size + publication.cost <= limit:
                session.push(publication)
                continue
            self._tell_slow(session, topic, "behind")
            if session.behind is None:
                session.behind = {}
            session.behind[topic] = Cursor(publication.offset)
            session.hungry = True
            session.mark()

    def room(self) -> int:
        """How much an outbox may hold now with what is read from history, which can wait."""
        return self._share_of(self._account.waiting)

    def _share(self) -> int:
        """How much an outbox may hold now whose socket does not take it.

        All others may hold what a burst brings: it leaves at the end of the turn.
        """
        return self._share_of(self._account.stalled)

    def _share_of(self, waiting: int) -> int:
        limits = self._limits
        if waiting > limits.total_outbox_size:
            # Some outbox holds more than its share, or the sum would be within the limit.
            share = limits.total_outbox_size // max(1, len(self._registry.admitted))
            return min(limits.outbox_size, share)  # sessions that leave have outboxes too
        return limits.outbox_size

    def _queue_by_rule(self, publication: Publication, receivers: Collection[Session]) -> None:
        """The same, where all outboxes together are too full, or the topic has a lane of its own."""
        share = self._share()
        for session in receivers:
            limit = share if session.stalled else self._limits.outbox_size
            if session.outbox.size + publication.cost > limit:
                self._overflow(session, publication, limit)
            else:
                session.push(publication)

    def _overflow(self, session: Session, publication: Publication, limit: int) -> None:
        """A publication does not fit: do what the topic's rule says, and say so once."""
        counters = self._account.counters
        if session in self._failing:
            counters.dropped_disconnect += 1
            return
        topic = publication.topic
        policy = publication.slow if topic is not None else "disconnect"
        if topic is not None and self.rules.of(topic).logged:
            # Who came or left is not part of the history, and no reason to lose any of it.
            counters.announcements_dropped += 1
            return
        self._tell_slow(session, topic, policy)
        outbox = session.outbox
        if policy != "disconnect":
            before = outbox.size
            lost = outbox.push_lossy(publication, limit, _gap_frame)
            self._account.waiting += outbox.size - before
            session.mark()
            if lost is not None:
                if policy == "latest":
                    counters.dropped_latest += lost
                else:
                    counters.dropped_oldest += lost
                return
        counters.dropped_disconnect += 1
        self._failing[session] = None

    def _tell_slow(self, session: Session, topic: str | None, policy: str) -> None:
        if not session.slow_told:
            session.slow_told = True
            self._account.tell(Slow(session.number, session.user, topic, policy))


def _prepared(push: Push) -> PreparedMessage:
    return PreparedMessage.of_text(native.encode(push))


def _gap_frame(topic: str, missed: int) -> bytes:
    return encode_frame(Opcode.TEXT, native.encode(Gap(topic=topic, missed=missed)))
