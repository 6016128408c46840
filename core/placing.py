"""Gives each publication its place: in a topic's log and in the store, where there are such; then sends it."""

from collections.abc import Callable
from typing import Any

import msgspec

from .account import Account, WallClock
from .appending import Appending
from .codecs import native
from .history import Log
from .hub_limits import HubLimits
from .idempotency import KnownKeys
from .logs import Logs
from .messages import Published
from .outbox import Publication
from .outgoing import PreparedMessage
from .publishing import Publishing
from .records import Record
from .rules import Rule
from .trimming import Trimming

__all__ = ["Place", "Placing"]

Place = Callable[[Published | None, float], None]
"""Called with the answer to a publication, and the time; None: it may or may not be stored."""


class Placing:
    """Publishes: on topics with history and without, durable or not, named or not.

    Args:
        limits: of the hub.
        logs: what was published.
        keys: publications that were named.
        appending: the queue in front of the store.
        trimming: what is not kept any more.
        publishing: how publications reach sessions.
        account: what is counted.
        clock: the time of day.
    """

    def __init__(
        self,
        limits: HubLimits,
        logs: Logs,
        keys: KnownKeys,
        appending: Appending,
        trimming: Trimming,
        publishing: Publishing,
        account: Account,
        clock: WallClock,
    ) -> None:
        self._limits = limits
        self._logs = logs
        self._keys = keys
        self._appending = appending
        self._trimming = trimming
        self._publishing = publishing
        self._account = account
        self._clock = clock

    def place(
        self,
        topic: str,
        message: Any,
        now: float,
        then: Place,
        *,
        sender: str | None,
        key: str | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        """Publish; `then` is called with the answer, now or when the store has it.

        Raises:
            LocalProtocolError: the message has no form in JSON.
        """
        name = idempotency_key
        wall = self._clock.seconds(now)
        if name is not None:
            answer = self._keys.answer(topic, sender, name, wall)
            if answer is not None:
                then(_repeated(answer), now)
                return
            if self._keys.wait(topic, sender, name, lambda found, at: then(_repeated(found), at)):
                return
        rule = self._publishing.rules.of(topic)
        if not rule.logged:
            count = self._publishing.publish(topic, message, now, sender=sender, key=key)
            published = Published(recipients=count, topic=topic)
        else:
            log = self._logs.of(topic)
            if log is None:
                then(None, now)  # more durable topics than there may be
                return
            if log.durable:
                if self._appending.broken:
                    self._store_later(topic, message, now, then, sender, key, name)
                else:
                    self._store(topic, rule, log, message, now, then, sender, key, name)
                return
            published, publication = self._compose(topic, rule, log, message, now, sender, key)
            self._logs.append(topic, log, publication, now)
            self._publishing.deliver(publication, now)
        if name is not None:
            self._keys.remember(topic, sender, name, published, wall)
        then(published, now)

    def _compose(
        self,
        topic: str,
        rule: Rule,
        log: Log,
        message: Any,
        now: float,
        sender: str | None,
        key: str | None,
    ) -> tuple[Published, Publication]:
        """The answer and the publication, which has the next offset."""
        offset = log.given + 1
        push = self._publishing.compose(
            topic, rule, message, now, sender=sender, offset=offset, epoch=log.epoch
        )
        prepared = PreparedMessage.of_text(native.encode(push))
        log.given = offset  # only now: what can't be written takes no place
        publication = Publication(topic, prepared, rule.priority, rule.slow, key, offset)
        count = self._publishing.receivers(topic)
        published = Published(recipients=count, topic=topic, offset=offset, epoch=log.epoch)
        return published, publication

    def _store(
        self,
        topic: str,
        rule: Rule,
        log: Log,
        message: Any,
        now: float,
        then: Place,
        sender: str | None,
        key: str | None,
        name: str | None,
    ) -> None:
        published, publication = self._compose(topic, rule, log, message, now, sender, key)
        record = Record(
            topic,
            publication.offset,
            log.epoch,
            publication.message.payload,
            self._clock.seconds(now),
            sender,
            name,
            key,
            published.recipients,
        )
        if name is not None:
            self._keys.begin(topic, sender, name)

        def stored(is_stored: bool, at: float) -> None:
            answer = published if is_stored else None
            waiting = []
            if name is not None:
                wall = self._clock.seconds(at)
                waiting = self._keys.end(topic, sender, name, answer, wall)
            then(answer, at)
            for other in waiting:
                other(answer, at)

        self._appending.append(record, publication, stored, now)

    def _store_later(
        self,
        topic: str,
        message: Any,
        now: float,
        then: Place,
        sender: str | None,
        key: str | None,
        name: str | None,
    ) -> None:
        """Nobody knows where the log ends until the store has been opened again."""
        # As it is now; and what has no form is refused now.
        message = msgspec.Raw(native.encode_value(message))

        def reopened(works: bool, at: float) -> None:
            if works:
                self.place(topic, message, at, then, sender=sender, key=key, idempotency_key=name)
            else:
                then(None, at)

        self._appending.after_reopening(reopened, now)

    def placed(self, publication: Publication, now: float) -> None:
        """A publication was stored: it is part of the log now, and goes to who subscribes."""
        topic = publication.topic
        assert topic is not None
        log = self._logs.find(topic)
        assert log is not None
        self._logs.append(topic, log, publication, now)
        self._publishing.deliver(publication, now)
        self._trimming.stored(topic, log, now)


def _repeated(answer: Published | None) -> Published | None:
    if answer is None:
        return None
    return Published(
        recipients=answer.recipients,
        topic=answer.topic,
        offset=answer.offset,
        epoch=answer.epoch,
        duplicate=True,
    )
