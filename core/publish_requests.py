"""Publications that sessions ask for: checked, asked about where there is a hook, placed, answered."""

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from . import messages
from .asking import Asking
from .codecs import native
from .effects import Done, Failed, HookKind, Outcome
from .hub_limits import HubLimits
from .messages import ErrorCode, Published
from .placing import Placing
from .publishing import Publishing
from .replies import Replies
from .rules import Rules
from .session import Reserved, Session
from .topics import check_topic

__all__ = ["PublishRequests"]


class PublishRequests:
    """Handles `publish`.

    Args:
        limits: of the hub.
        asking: how hooks are asked.
        replies: how answers are given.
        rules: the options of topics.
        placing: how publications get their place.
        publishing: how direct messages reach sessions.
    """

    def __init__(
        self,
        limits: HubLimits,
        asking: Asking,
        replies: Replies,
        rules: Rules,
        placing: Placing,
        publishing: Publishing,
    ) -> None:
        self._limits = limits
        self._asking = asking
        self._replies = replies
        self._rules = rules
        self._placing = placing
        self._publishing = publishing

    def publish(self, session: Session, request: messages.Publish, now: float) -> None:
        """Publish on a topic, or send to a user."""
        if request.to is not None:
            self._direct(session, request, request.to, now)
            return
        topic = request.topic
        assert topic is not None  # the codec lets exactly one of the two through
        fault = self._may_publish(session, topic)
        if fault is not None:
            self._replies.refuse(session, request.id, *fault, now, field="topic")
            return
        limit = self._rules.of(topic).max_message
        if limit is not None and len(native.encode_value(request.message)) > limit:
            text = f"a message on this topic has at most {limit} bytes"
            self._replies.refuse(
                session, request.id, ErrorCode.MESSAGE_TOO_LARGE, text, now, field="message"
            )
            return
        hook = self._asking.hook(HookKind.PUBLISH, topic)
        if hook is None:
            self._place(session, request, topic, request.message, now)
            return

        def answered(outcome: Outcome, at: float) -> None:
            if self._replies.denied(session, request.id, outcome, at):
                return
            assert isinstance(outcome, Done)
            fault = self._may_publish(session, topic)  # it may have been revoked meanwhile
            if fault is not None:
                self._replies.refuse(session, request.id, *fault, at, field="topic")
                return
            message = request.message
            if outcome.value is not UNSET:
                message = outcome.value
                too_large = self._too_large(topic, message)
                if too_large is not None:
                    self._asking.hook_failed(session, HookKind.PUBLISH, too_large)
                    self._replies.denied(session, request.id, Failed(too_large), at)
                    return
            self._place(session, request, topic, message, at)

        self._asking.run_hook(
            session, HookKind.PUBLISH, hook, answered, now, topic=topic, message=request.message
        )

    def _too_large(self, topic: str, message: Any) -> str | None:
        """Why a hook's message may not be sent: what is wrong with it, and what to do."""
        bounds = (
            (self._rules.of(topic).max_message, "max_message of the topic's rule"),
            (self._limits.max_size, "max_size"),
        )
        size = len(native.encode_value(message))
        for limit, name in bounds:
            if limit is not None and size > limit:
                return (
                    f"it gave a message of {size} bytes, more than {name}, {limit}: "
                    "return a shorter one, or raise the limit"
                )
        return None

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
            self._replies.refuse(session, request.id, ErrorCode.FORBIDDEN, text, now, field="to")
            return
        count = self._publishing.direct(user, request.message, now, sender=session.user)
        self._replies.answer(session, Published(recipients=count, to=user, id=request.id), now)
