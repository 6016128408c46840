"""Answers questions about a topic's history."""

from collections.abc import Sequence

import msgspec

from .asking import Asking
from .effects import Done, Outcome, Read
from .hub_limits import HubLimits
from .logs import Logs
from .messages import ErrorCode, History, RequestId
from .records import Record
from .replies import Replies
from .session import Session
from .trimming import Trimming

__all__ = ["HistoryTelling"]


class HistoryTelling:
    """Gives parts of logs, backwards.

    Args:
        limits: of the hub.
        logs: what was published.
        trimming: what is not kept any more.
        asking: how the store is asked.
        replies: how answers are given.
    """

    def __init__(
        self, limits: HubLimits, logs: Logs, trimming: Trimming, asking: Asking, replies: Replies
    ) -> None:
        self._logs = logs
        self._trimming = trimming
        self._asking = asking
        self._replies = replies
        self._max_bytes = max(1, limits.answers_size // 2)

    def tell(
        self,
        session: Session,
        topic: str,
        before: int | None,
        limit: int,
        request_id: RequestId,
        now: float,
    ) -> None:
        """Answer with the last `limit` publications before an offset, or before the head, oldest first.

        Fewer if they would be too many bytes: then the newest of them. What is not in memory is read
        from the store; the session waits for that.
        """
        log = self._logs.find(topic)
        if log is None:
            self._answer(session, topic, [], request_id, now)
            return
        self._trimming.read(topic, log, now)
        end = log.last + 1 if before is None else min(before, log.last + 1)
        first = max(log.first, end - limit)
        if first >= log.first_in_memory or first >= end:
            found = [one.message.payload for one in log.before(end, end - first)]
            self._answer(session, topic, found, request_id, now)
        else:
            self._read(session, topic, first, end, request_id, now)

    def _read(
        self,
        session: Session,
        topic: str,
        first: int,
        end: int,
        request_id: RequestId,
        now: float,
    ) -> None:
        """Read pieces until the last one reaches the end: the newest count."""

        def answered(outcome: Outcome, at: float) -> None:
            assert session.grant is not None
            if not isinstance(outcome, Done):
                text = "history can't be read now: try again later"
                self._replies.refuse(session, request_id, ErrorCode.UNAVAILABLE, text, at)
                return
            if not session.grant.may_read(topic):
                text = "you may not read this topic"
                self._replies.refuse(session, request_id, ErrorCode.FORBIDDEN, text, at)
                return
            records: Sequence[Record] = outcome.value
            if records and records[-1].offset < end - 1:
                after = max(first, records[len(records) // 2].offset) + 1
                self._read(session, topic, after, end, request_id, at)
                return
            found = [record.data for record in records if record.offset < end]
            self._answer(session, topic, found, request_id, at)

        effect = Read(self._asking.new_id(), topic, first - 1, 2 * self._max_bytes)
        self._asking.ask(session, effect, answered, now)

    def _answer(
        self,
        session: Session,
        topic: str,
        found: list[bytes],
        request_id: RequestId,
        now: float,
    ) -> None:
        room = self._max_bytes
        kept: list[msgspec.Raw] = []
        for data in reversed(found):
            room -= len(data)
            if kept and room < 0:
                break
            kept.append(msgspec.Raw(data))
        kept.reverse()
        self._replies.answer(session, History(topic, tuple(kept), id=request_id), now)
