"""What each request of a session means: checked, asked about where there is a hook, done, answered."""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from . import messages
from .account import Account, WallClock
from .admission import Admission
from .asking import Asking
from .codecs import native
from .effects import Denied, Done, Failed, HookKind, Outcome
from .feeding import Feeding
from .grants import Grant
from .hub_events import AuthFailed
from .hub_limits import HubLimits
from .logs import Logs
from .messages import ErrorCode, Member, Position, Published, RequestId
from .placing import Placing
from .presence import PresenceBook
from .publishing import Publishing
from .registry import Registry
from .replies import Replies
from .session import Reserved, Session
from .subscribing import Subscribing
from .telling import HistoryTelling
from .topics import check_pattern, check_topic, is_pattern

__all__ = ["Requests"]

_HISTORY: Final = 100
"""Publications in an answer about history, unless more or fewer are asked for."""


class Requests:
    """Handles the requests of sessions that were let in.

    Args:
        limits: of the hub.
        registry: who is connected.
        account: what is counted.
        clock: the time of day.
        asking: how the outside is asked.
        replies: how answers are given.
        admission: what tokens grant.
        publishing: the rules of topics.
        placing: how publications get their place.
        logs: what was published.
        feeding: where sessions stand in logs.
        history: how it is told.
        subscribing: who subscribes to what.
        presence: who is where.
    """

    def __init__(
        self,
        limits: HubLimits,
        registry: Registry,
        account: Account,
        clock: WallClock,
        asking: Asking,
        replies: Replies,
        admission: Admission,
        publishing: Publishing,
        placing: Placing,
        logs: Logs,
        feeding: Feeding,
        history: HistoryTelling,
        subscribing: Subscribing,
        presence: PresenceBook[Session],
    ) -> None:
        self._limits = limits
        self._registry = registry
        self._account = account
        self._clock = clock
        self._asking = asking
        self._replies = replies
        self._admission = admission
        self._publishing = publishing
        self._placing = placing
        self._logs = logs
        self._feeding = feeding
        self._history = history
        self._subscribing = subscribing
        self._presence = presence

    def handle(self, session: Session, request: messages.Request, now: float) -> None:
        """Do what is asked and answer it, now or when the outside has answered."""
        match request:
            case messages.Publish():
                self._publish(session, request, now)
            case messages.Subscribe():
                self._subscribe(session, request, now)
            case messages.Unsubscribe():
                self._unsubscribe(session, request, now)
            case messages.Ping():
                self._replies.answer(session, messages.PongAnswer(id=request.id), now)
            case messages.QueryPresence():
                self._query_presence(session, request, now)
            case messages.Call():
                self._call(session, request, now)
            case messages.Refresh():
                self._refresh(session, request, now)
            case messages.QueryHistory():
                self._query_history(session, request, now)
            case messages.Ack():
                self._acknowledge(session, request, now)
            case messages.Authenticate() | messages.ChooseName():
                self._refuse(
                    session, request.id, ErrorCode.ALREADY_AUTHENTICATED,
                    "who is there was said before; refresh renews a token", now,
                )  # fmt: skip
            case messages.Malformed():
                self._replies.malformed(session, request, now)

    # Publishing.

    def _publish(self, session: Session, request: messages.Publish, now: float) -> None:
        if request.to is not None:
            self._direct(session, request, request.to, now)
            return
        topic = request.topic
        assert topic is not None  # the codec lets exactly one of the two through
        fault = self._may_publish(session, topic)
        if fault is not None:
            self._refuse(session, request.id, *fault, now, field="topic")
            return
        limit = self._publishing.rules.of(topic).max_message
        if limit is not None and len(native.encode_value(request.message)) > limit:
            text = f"a message on this topic has at most {limit} bytes"
            self._refuse(
                session, request.id, ErrorCode.MESSAGE_TOO_LARGE, text, now, field="message"
            )
            return
        hook = self._asking.hook(HookKind.PUBLISH, topic)
        if hook is None:
            self._place(session, request, topic, request.message, now)
            return

        def answered(outcome: Outcome, at: float) -> None:
            if self._denied(session, request.id, outcome, at):
                return
            assert isinstance(outcome, Done)
            fault = self._may_publish(session, topic)  # it may have been revoked meanwhile
            if fault is not None:
                self._refuse(session, request.id, *fault, at, field="topic")
                return
            message = request.message if outcome.value is UNSET else outcome.value
            self._place(session, request, topic, message, at)

        self._asking.run_hook(
            session, HookKind.PUBLISH, hook, answered, now, topic=topic, message=request.message
        )

    def _may_publish(self, session: Session, topic: str) -> tuple[ErrorCode, str] | None:
        """Why it may not, as an error's code and text."""
        assert session.grant is not None
        try:
            check_topic(topic)
        except ValueError as error:
            return ErrorCode.BAD_TOPIC, str(error)
        if session.grant.may_write(topic):
            return None
        return ErrorCode.FORBIDDEN, "you may not publish to this topic"

    def _place(
        self, session: Session, request: messages.Publish, topic: str, message: Any, now: float
    ) -> None:
        place: Reserved | None = None
        done = False

        def answered(published: Published | None, at: float) -> None:
            nonlocal done
            done = True
            if published is None:
                text = "it may or may not be stored: repeat it with the same idempotency_key"
                answer: messages.Answer = messages.ErrorAnswer(
                    ErrorCode.UNAVAILABLE, text, id=request.id
                )
            else:
                answer = replace(published, id=request.id)
            if place is None:
                self._replies.answer(session, answer, at)
            else:
                session.fill(place, native.encode(answer), at)

        self._placing.place(
            topic,
            message,
            now,
            answered,
            sender=session.user,
            key=request.key,
            idempotency_key=request.idempotency_key,
        )
        if not done:
            place = session.reserve(now)

    def _direct(self, session: Session, request: messages.Publish, user: str, now: float) -> None:
        assert session.grant is not None
        if session.grant.anonymous:
            text = "messages to a user need a token"
            self._refuse(session, request.id, ErrorCode.FORBIDDEN, text, now, field="to")
            return
        count = self._publishing.direct(user, request.message, now, sender=session.user)
        self._replies.answer(session, Published(recipients=count, to=user, id=request.id), now)

    # Subscribing.

    def _subscribe(self, session: Session, request: messages.Subscribe, now: float) -> None:
        topics = tuple(dict.fromkeys(request.topics))
        fault = self._may_subscribe(session, topics, request)
        if fault is not None:
            self._refuse(session, request.id, *fault, now, field="topics")
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
                if not self._denied(session, request.id, outcome, at):
                    self._ask_about(session, request, topics, rest, at)

            self._asking.run_hook(session, HookKind.SUBSCRIBE, hook, answered, now, topic=topic)
            return
        # The grant may be another one by now.
        fault = self._may_subscribe(session, topics, request)
        if fault is not None:
            self._refuse(session, request.id, *fault, now, field="topics")
            return
        positions: dict[str, Position] = {}
        for topic in topics:
            known = topic in session.subscriptions
            self._subscribing.subscribe(session, topic, now, watch=request.presence)
            if not is_pattern(topic) and self._publishing.rules.of(topic).logged:
                position = self._begin(session, topic, request, known, now)
                if position is not None:
                    positions[topic] = position
        answer = messages.Subscribed(request.topics, positions or None, id=request.id)
        self._replies.answer(session, answer, now)

    def _begin(
        self, session: Session, topic: str, request: messages.Subscribe, known: bool, now: float
    ) -> Position | None:
        """Where in its log a subscription begins: at the head, unless more is asked for."""
        log = self._logs.of(topic)
        if log is None:
            return None
        self._logs.trim(log, now)
        since = None if request.since is None else request.since.get(topic)
        begin, recovered = log.last, None
        if since is not None:
            recovered = log.recoverable(since.offset, since.epoch)
            if recovered:
                begin = since.offset
        elif request.last is not None:
            begin = max(log.first - 1, log.last - request.last)
        if request.ack:
            name = request.name or ""
            older = self._feeding.consumer(session.user, name, topic)
            if older is not None:
                self._subscribing.replace(older, topic, session, now)
            begin = self._feeding.begin_consumer(session, topic, name, begin, now)
        elif begin < log.last and (not known or since is not None):
            # A repeat replays only with `since`: what waits is still to come, and must not come twice.
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
                if not self._publishing.rules.of(topic).presence:
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
            if not self._publishing.rules.of(topic).logged:
                return ErrorCode.NO_HISTORY, "this topic keeps no history"
        return None

    def _unsubscribe(self, session: Session, request: messages.Unsubscribe, now: float) -> None:
        self._subscribing.unsubscribe(session, request.topics, now)
        self._replies.answer(session, messages.Unsubscribed(request.topics, id=request.id), now)

    # Asking.

    def _query_presence(
        self, session: Session, request: messages.QueryPresence, now: float
    ) -> None:
        topic = request.topic
        fault = self._may_ask(session, topic)
        if fault is None and not self._publishing.rules.of(topic).presence:
            fault = ErrorCode.NO_PRESENCE, "this topic does not tell who is there"
        if fault is not None:
            self._refuse(session, request.id, *fault, now, field="topic")
        else:
            members = [
                Member(user, count)
                for (user, count), _ in zip(
                    self._presence.members(topic),
                    range(self._limits.max_members_told),
                    strict=False,
                )
            ]
            count = self._presence.count(topic)
            answer = messages.Presence(topic, tuple(members), count, id=request.id)
            self._replies.answer(session, answer, now)

    def _call(self, session: Session, request: messages.Call, now: float) -> None:
        try:
            check_topic(request.name)
            hook = self._asking.hook(HookKind.CALL, request.name)
        except ValueError:
            hook = None
        if hook is None:
            text = "there is no such function"
            self._refuse(session, request.id, ErrorCode.UNKNOWN_CALL, text, now, field="name")
            return

        def answered(outcome: Outcome, at: float) -> None:
            if self._denied(session, request.id, outcome, at):
                return
            assert isinstance(outcome, Done)
            data = None if outcome.value is UNSET else outcome.value
            result = messages.CallResult(request.name, data, id=request.id)
            self._replies.answer(session, result, at)

        self._asking.run_hook(
            session, HookKind.CALL, hook, answered, now, name=request.name, data=request.data
        )

    # History.

    def _acknowledge(self, session: Session, request: messages.Ack, now: float) -> None:
        if not self._feeding.acknowledge(session, request.topic, request.offset, now):
            text = "nothing up to there waits for your acknowledgement on this topic"
            self._refuse(session, request.id, ErrorCode.NOT_SUBSCRIBED, text, now, field="topic")

    def _query_history(self, session: Session, request: messages.QueryHistory, now: float) -> None:
        fault = self._may_ask(session, request.topic)
        if fault is None and not self._publishing.rules.of(request.topic).logged:
            fault = ErrorCode.NO_HISTORY, "this topic keeps no history"
        if fault is not None:
            self._refuse(session, request.id, *fault, now, field="topic")
            return
        limit = min(self._limits.max_history_told, request.limit or _HISTORY)
        self._history.tell(session, request.topic, request.before, limit, request.id, now)

    def _may_ask(self, session: Session, topic: str) -> tuple[ErrorCode, str] | None:
        """Why it may not ask about a topic, as an error's code and text."""
        assert session.grant is not None
        try:
            check_topic(topic)
        except ValueError as error:
            return ErrorCode.BAD_TOPIC, str(error)
        if not session.grant.may_read(topic):
            return ErrorCode.FORBIDDEN, "you may not read this topic"
        return None

    # Refreshing.

    def _refresh(self, session: Session, request: messages.Refresh, now: float) -> None:
        def granted(grant: Grant, at: float) -> None:
            if session.grant is None or grant.user != session.user:
                text = "the token is another user's: connect anew with it"
                self._refuse(session, request.id, ErrorCode.FORBIDDEN, text, at, field="token")
                return
            session.grant = grant
            self._admission.note_expiry(session, at)
            self._subscribing.drop_forbidden(session, at)
            answer = messages.AuthResult("ok", username=grant.user, id=request.id)
            self._replies.answer(session, answer, at)

        def refused(why: str, at: float) -> None:
            self._account.counters.auth_failures += 1
            self._account.tell(AuthFailed(session.number, session.address, why))
            self._not_refreshed(session, request.id, "Invalid token", at)

        def failed(at: float) -> None:
            self._not_refreshed(session, request.id, "Authentication failed", at)

        self._admission.grant_of(session, request.token, now, granted, refused, failed)

    def _not_refreshed(
        self, session: Session, request_id: RequestId, message: str, now: float
    ) -> None:
        """The old grant goes on until its end."""
        answer = messages.AuthResult("error", message=message, id=request_id)
        self._replies.mistake(session, answer, now)

    # Errors.

    def _refuse(
        self,
        session: Session,
        request_id: RequestId,
        code: ErrorCode | str,
        message: str,
        now: float,
        *,
        field: str | None = None,
    ) -> None:
        self._replies.refuse(session, request_id, code, message, now, field=field)

    def _denied(
        self, session: Session, request_id: RequestId, outcome: Outcome, now: float
    ) -> bool:
        """Whether a hook refused or failed; then the request is answered."""
        match outcome:
            case Denied(code, message):
                self._refuse(session, request_id, code, message, now)
            case Failed():
                text = "the server failed with this request"
                self._refuse(session, request_id, ErrorCode.INTERNAL, text, now)
            case _:
                return False
        return True
