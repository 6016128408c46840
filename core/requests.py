"""What each request of a session means: checked, asked about where there is a hook, done, answered."""

from itertools import islice
from typing import Final

from msgspec import UNSET

from . import messages
from .account import Account
from .admission import Admission
from .asking import Asking
from .effects import Done, HookKind, Outcome
from .grants import Grant
from .hub_events import AuthFailed
from .hub_limits import HubLimits
from .messages import ErrorCode, Member, RequestId
from .presence import PresenceBook
from .publish_requests import PublishRequests
from .replies import Replies
from .rules import Rules
from .session import Session
from .subscribe_requests import SubscribeRequests
from .subscribing import Subscribing
from .telling import HistoryTelling
from .topics import check_topic

__all__ = ["Requests"]

_MEMBER: Final = 40
"""Bytes of a member in an answer about presence, beside its name."""

_HISTORY: Final = 100
"""Publications in an answer about history, unless more or fewer are asked for."""


class Requests:
    """Handles the requests of sessions that were let in.

    Args:
        limits: of the hub.
        account: what is counted.
        asking: how the outside is asked.
        replies: how answers are given.
        admission: what tokens grant.
        rules: the options of topics.
        publishes: handles publications.
        subscribes: handles subscriptions.
        subscribing: who subscribes to what.
        history: how it is told.
        presence: who is where.
    """

    def __init__(
        self,
        limits: HubLimits,
        account: Account,
        asking: Asking,
        replies: Replies,
        admission: Admission,
        rules: Rules,
        publishes: PublishRequests,
        subscribes: SubscribeRequests,
        subscribing: Subscribing,
        history: HistoryTelling,
        presence: PresenceBook[Session],
    ) -> None:
        self._limits = limits
        self._account = account
        self._asking = asking
        self._replies = replies
        self._admission = admission
        self._rules = rules
        self._publishes = publishes
        self._subscribes = subscribes
        self._subscribing = subscribing
        self._history = history
        self._presence = presence

    def handle(self, session: Session, request: messages.Request, now: float) -> None:
        """Do what is asked and answer it, now or when the outside has answered."""
        match request:
            case messages.Publish():
                self._publishes.publish(session, request, now)
            case messages.Subscribe():
                self._subscribes.subscribe(session, request, now)
            case messages.Unsubscribe():
                self._subscribes.unsubscribe(session, request, now)
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
                self._subscribes.acknowledge(session, request, now)
            case messages.Authenticate() | messages.ChooseName():
                self._refuse(
                    session, request.id, ErrorCode.ALREADY_AUTHENTICATED,
                    "who is there was said before; refresh renews a token", now,
                )  # fmt: skip
            case _:
                self._replies.malformed(session, request, now)

    # Asking.

    def _query_presence(
        self, session: Session, request: messages.QueryPresence, now: float
    ) -> None:
        topic = request.topic
        fault = self._may_ask(session, topic)
        if fault is None and not self._rules.of(topic).presence:
            fault = ErrorCode.NO_PRESENCE, "this topic does not tell who is there"
        if fault is not None:
            self._refuse(session, request.id, *fault, now, field="topic")
        else:
            members: list[Member] = []
            room = self._limits.answers_size
            for user, count in islice(self._presence.members(topic), self._limits.max_members_told):
                room -= 2 * len(user.encode()) + _MEMBER
                if room < 0:
                    break
                members.append(Member(user, count))
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
            if self._replies.denied(session, request.id, outcome, at):
                return
            assert isinstance(outcome, Done)
            data = None if outcome.value is UNSET else outcome.value
            result = messages.CallResult(request.name, data, id=request.id)
            self._replies.answer(session, result, at)

        self._asking.run_hook(
            session, HookKind.CALL, hook, answered, now, name=request.name, data=request.data
        )

    # History.

    def _query_history(self, session: Session, request: messages.QueryHistory, now: float) -> None:
        fault = self._may_ask(session, request.topic)
        if fault is None and not self._rules.of(request.topic).logged:
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
            if grant.user != session.user:
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
