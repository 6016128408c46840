"""Subscriptions that sessions ask for, where in a topic's log they begin, and what is acknowledged."""

from collections.abc import Sequence

from . import messages
from .asking import Asking
from .consuming import Consuming
from .effects import HookKind, Outcome
from .feeding import Feeding
from .grants import Grant
from .history import Log
from .hub_limits import HubLimits
from .logs import Logs
from .messages import ErrorCode, Position
from .replies import Replies
from .rules import Rules
from .session import Session
from .subscribing import Subscribing
from .topics import check_pattern, is_pattern, matches
from .trimming import Trimming

__all__ = ["SubscribeRequests"]


class SubscribeRequests:
    """Handles `subscribe`, `unsubscribe` and `ack`.

    Args:
        limits: of the hub.
        asking: how hooks are asked.
        replies: how answers are given.
        rules: the options of topics.
        subscribing: who subscribes to what.
        logs: what was published.
        trimming: what is not kept any more.
        feeding: where sessions stand in logs.
        consuming: which of them acknowledge.
    """

    def __init__(
        self,
        limits: HubLimits,
        asking: Asking,
        replies: Replies,
        rules: Rules,
        subscribing: Subscribing,
        logs: Logs,
        trimming: Trimming,
        feeding: Feeding,
        consuming: Consuming,
    ) -> None:
        self._limits = limits
        self._asking = asking
        self._replies = replies
        self._rules = rules
        self._subscribing = subscribing
        self._logs = logs
        self._trimming = trimming
        self._feeding = feeding
        self._consuming = consuming

    def subscribe(self, session: Session, request: messages.Subscribe, now: float) -> None:
        """Subscribe to all that is asked for, or to nothing."""
        topics = tuple(dict.fromkeys(request.topics))
        fault = self._may_subscribe(session, topics, request)
        if fault is not None:
            self._replies.refuse(session, request.id, *fault, now, field="topics")
            return
        hooks = [
            (topic, hook)
            for topic in topics
            for hook in self._asking.hooks(HookKind.SUBSCRIBE, topic)
        ]
        self._ask_about(session, request, topics, hooks, now)

    def _ask_about(
        self,
        session: Session,
        request: messages.Subscribe,
        topics: tuple[str, ...],
        left: Sequence[tuple[str, int]],
        now: float,
    ) -> None:
        """Ask the hooks that are left about their topics, one after the other; then subscribe to all."""
        if left:
            (topic, hook), *rest = left

            def answered(outcome: Outcome, at: float) -> None:
                if not self._replies.denied(session, request.id, outcome, at):
                    self._ask_about(session, request, topics, rest, at)

            self._asking.run_hook(session, HookKind.SUBSCRIBE, hook, answered, now, topic=topic)
            return
        # The answer says where each log goes on, so it must come before what is published then.
        session.after_answers(lambda at: self._subscribe(session, request, topics, at), now)

    def _subscribe(
        self, session: Session, request: messages.Subscribe, topics: tuple[str, ...], now: float
    ) -> None:
        # The grant may be another one by now.
        fault = self._may_subscribe(session, topics, request)
        if fault is not None:
            self._replies.refuse(session, request.id, *fault, now, field="topics")
            return
        positions: dict[str, Position] = {}
        for topic in topics:
            logged = not is_pattern(topic) and self._rules.of(topic).logged
            known = topic in session.subscriptions
            reached = logged and any(matches(name, topic) for name in session.subscriptions)
            self._subscribing.subscribe(session, topic, now, watch=request.presence)
            if topic not in session.subscriptions:
                return  # it has ended meanwhile
            log = self._logs.of(topic) if logged else None
            if log is not None:
                self._trimming.read(topic, log, now)
                positions[topic] = self._begin(session, topic, log, request, known, reached, now)
        answer = messages.Subscribed(request.topics, positions or None, id=request.id)
        self._replies.answer(session, answer, now)

    def _begin(
        self,
        session: Session,
        topic: str,
        log: Log,
        request: messages.Subscribe,
        known: bool,
        reached: bool,
        now: float,
    ) -> Position:
        """Where a subscription begins: at the head, or where the session stands, unless more is asked for.

        Args:
            session: whose.
            topic: which.
            log: of the topic.
            request: what is asked for.
            known: whether it was subscribed to this topic before.
            reached: whether it was, or to a pattern that matches the topic.
            now: the time.
        """
        since = None if request.since is None else request.since.get(topic)
        recovered = None if since is None else log.recoverable(since.offset, since.epoch)
        # What waits for it is still to come, and must neither be lost nor come twice.
        stands = self._feeding.unsent(session, topic, log) - 1 if reached else log.last
        if since is not None:
            begin = since.offset if recovered else log.last
        elif request.last is not None and not known:
            begin = min(stands, max(log.first - 1, log.last - request.last))
        else:
            begin = stands
        cursor = None if session.behind is None else session.behind.get(topic)
        if request.ack:
            name = request.name or ""
            older = self._consuming.session(session.user, name, topic)
            if older is not None:
                self._subscribing.replace(older, topic, session, now)
            begin = self._consuming.begin(session, topic, name, begin, now)
        elif cursor is not None and cursor.consumer is not None:
            begin = cursor.acked  # a consumer stays where it is
        elif begin != stands:
            session.discard(topic.__eq__)
            self._feeding.begin(session, topic, begin + 1, now)
        return Position(begin, log.epoch_of(begin), recovered)

    def _may_subscribe(
        self, session: Session, topics: tuple[str, ...], request: messages.Subscribe
    ) -> tuple[ErrorCode, str] | None:
        """Why it may not, as an error's code and text."""
        grant = session.grant
        assert grant is not None
        for topic in topics:
            try:
                check_pattern(topic)
            except ValueError as error:
                return ErrorCode.BAD_TOPIC, str(error)
            if not grant.may_read(topic):
                return ErrorCode.FORBIDDEN, "you may not read all that this asks for"
            if request.presence:
                if is_pattern(topic):
                    return ErrorCode.BAD_TOPIC, "presence is told of topics, not of patterns"
                if not self._rules.of(topic).presence:
                    return ErrorCode.NO_PRESENCE, "this topic does not tell who is there"
        fault = self._may_resume(grant, topics, request)
        if fault is not None:
            return fault
        new = [topic for topic in topics if topic not in session.subscriptions]
        if len(session.subscriptions) + len(new) > self._limits.max_subscriptions:
            text = f"a session has at most {self._limits.max_subscriptions} subscriptions"
            return ErrorCode.TOO_MANY_SUBSCRIPTIONS, text
        if not self._subscribing.has_room(new):
            return ErrorCode.FULL, "there are too many topics: try again later"
        return None

    def _may_resume(
        self, grant: Grant, topics: tuple[str, ...], request: messages.Subscribe
    ) -> tuple[ErrorCode, str] | None:
        """Why it may not ask for what was before, or acknowledge."""
        if request.ack and grant.anonymous:
            return ErrorCode.FORBIDDEN, "to acknowledge needs a token"
        asked = tuple(request.since or ())
        if request.ack or request.last is not None:
            asked += topics
        for topic in asked:
            if topic not in topics:
                return ErrorCode.BAD_REQUEST, "since names a topic that is not among the topics"
            if is_pattern(topic):
                return ErrorCode.BAD_TOPIC, "history is kept of topics, not of patterns"
            if not self._rules.of(topic).logged:
                return ErrorCode.NO_HISTORY, "this topic keeps no history"
            if not self._logs.has_room(topic):
                return ErrorCode.FULL, "there are too many topics with history: try again later"
        return None

    def unsubscribe(self, session: Session, request: messages.Unsubscribe, now: float) -> None:
        """End subscriptions."""
        self._subscribing.unsubscribe(session, request.topics, now)
        self._replies.answer(session, messages.Unsubscribed(request.topics, id=request.id), now)

    def acknowledge(self, session: Session, request: messages.Ack, now: float) -> None:
        """A consumer handled something."""
        if not self._consuming.acknowledge(session, request.topic, request.offset, now):
            text = "nothing up to there waits for your acknowledgement on this topic"
            self._replies.refuse(
                session, request.id, ErrorCode.NOT_SUBSCRIBED, text, now, field="topic"
            )
