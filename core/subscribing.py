"""Who subscribes to what, who is present by it, and what is announced of that.

The table holds only what is allowed now: a subscription that its session may no longer read is removed,
with all that waits of it, in the step in which that becomes known. So delivery checks nothing.
"""

from collections.abc import Callable, Iterable, Sequence

from .account import WallClock
from .consuming import Consuming
from .feeding import Feeding
from .hub_limits import HubLimits
from .messages import PresenceChange, System, Unsubscribed
from .presence import PresenceBook
from .publishing import Publishing
from .replies import Replies
from .rules import Rule
from .session import Session
from .subscriptions import SubscriptionTable
from .topics import is_pattern

__all__ = ["Subscribing"]


class Subscribing:
    """Changes subscriptions.

    Args:
        limits: of the hub.
        table: who subscribes to what.
        presence: who is where.
        publishing: how announcements reach sessions.
        feeding: where sessions stand in logs.
        consuming: which of them acknowledge.
        replies: how answers are given.
        clock: the time that announcements carry.
    """

    def __init__(
        self,
        limits: HubLimits,
        table: SubscriptionTable[Session],
        presence: PresenceBook[Session],
        publishing: Publishing,
        feeding: Feeding,
        consuming: Consuming,
        replies: Replies,
        clock: WallClock,
    ) -> None:
        self._limits = limits
        self._table = table
        self._presence = presence
        self._publishing = publishing
        self._feeding = feeding
        self._consuming = consuming
        self._replies = replies
        self._clock = clock

    def has_room(self, topics: Sequence[str]) -> bool:
        """Whether these may be added to all that have a subscriber."""
        if len(self._table) + len(topics) <= self._limits.max_topics:
            return True
        new = sum(not self._table.exact(topic) for topic in topics)
        return len(self._table) + new <= self._limits.max_topics

    def subscribe(self, session: Session, topic: str, now: float, *, watch: bool = False) -> None:
        """Subscribe a session to a topic or pattern that it may read. Again, it changes only `watch`.

        Telling others of it may end the session, if it gets that too, by a pattern, and is too slow. Then it
        is subscribed to nothing.
        """
        known = topic in session.subscriptions
        session.subscriptions[topic] = watch
        if not known:
            self._add(session, topic, now)
        if topic not in session.subscriptions:
            return
        if watch:
            self._presence.watch(topic, session)
        elif known:
            self._presence.unwatch(topic, session)

    def _add(self, session: Session, topic: str, now: float) -> None:
        rule = self._rule_of_presence(topic)
        if rule is not None and self._presence.join(topic, session.user):
            # Before it is subscribed: the others are told, not the one who comes.
            self._announce(rule, topic, session.user, True, now)
        if topic in session.subscriptions:
            self._table.add(session, topic)

    def unsubscribe(self, session: Session, topics: Iterable[str], now: float) -> None:
        """Remove subscriptions, and what waits of them. Those that are none are passed over."""
        gone = [topic for topic in topics if topic in session.subscriptions]
        self._remove(session, gone, now)
        if gone and (session.outbox.size or session.behind):
            reached = self._reached(session)
            self._forget_places(session, gone, reached)
            session.discard(lambda topic: not reached(topic))

    def replace(self, older: Session, topic: str, newer: Session, now: float) -> None:
        """Another session consumes a topic under the name of an older one, which is told so."""
        if older is not newer:
            self.unsubscribe(older, (topic,), now)
            self._replies.answer(older, Unsubscribed((topic,), reason="replaced"), now)

    def leave(self, session: Session, now: float) -> None:
        """Remove all subscriptions of a session that has left."""
        self._remove(session, tuple(session.subscriptions), now)
        self._feeding.drop(session, tuple(session.behind or ()))

    def _forget_places(
        self, session: Session, gone: Iterable[str], reached: Callable[[str], bool]
    ) -> None:
        """A topic that no subscription reaches any more is not read on from its log."""
        for topic in tuple(session.behind or ()):
            if not reached(topic):
                self._feeding.drop(session, (topic,))
            elif topic in gone:
                self._consuming.stop(session, topic)

    def _reached(self, session: Session) -> Callable[[str], bool]:
        """What says whether one of a session's subscriptions reaches a topic.

        Many may be asked about, of a session with many subscriptions: a table costs the same for each.
        """
        left: SubscriptionTable[Session] = SubscriptionTable()
        for topic in session.subscriptions:
            left.add(session, topic)
        return lambda topic: bool(left.receivers(topic))

    def drop_forbidden(self, session: Session, now: float) -> None:
        """Remove what the session's grant does not allow any more, and tell it so."""
        grant = session.grant
        assert grant is not None
        gone = tuple(topic for topic in session.subscriptions if not grant.may_read(topic))
        if gone:
            self.unsubscribe(session, gone, now)
            self._replies.answer(session, Unsubscribed(gone, reason="revoked"), now)

    # Inside.

    def _remove(self, session: Session, topics: Sequence[str], now: float) -> None:
        for topic in topics:  # all of them first: what is told of one does not reach it by another
            self._table.remove(session, topic)
            self._presence.unwatch(topic, session)
        for topic in topics:
            if session.subscriptions.pop(topic, None) is None:
                continue  # named twice, or telling others of another one has ended the session
            rule = self._rule_of_presence(topic)
            if rule is not None and self._presence.leave(topic, session.user):
                self._announce(rule, topic, session.user, False, now)

    def _rule_of_presence(self, topic: str) -> Rule | None:
        """The rule of a topic where who is subscribed is present; by a pattern nobody is."""
        if is_pattern(topic):
            return None
        rule = self._publishing.rules.of(topic)
        return rule if rule.presence else None

    def _announce(self, rule: Rule, topic: str, user: str, came: bool, now: float) -> None:
        count = self._presence.count(topic)
        if rule.announce and count <= rule.announce_max:
            text = f"{user} {'joined' if came else 'left'} the chat"
            said = System(text, self._clock.text(now), topic)
            self._publishing.push(topic, rule, said, self._table.receivers(topic), now)
        watchers = self._presence.watchers(topic)
        if watchers:
            change = PresenceChange(topic, "join" if came else "leave", user, count)
            self._publishing.push(topic, rule, change, watchers, now)
