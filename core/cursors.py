"""Where a session stands in the log of a topic that it does not follow live."""

__all__ = ["Cursor"]


class Cursor:
    """One session's place in one topic's log.

    A session that follows a topic live has none. It gets one when it asks for what was before, or when
    it does not keep up; it loses it when it has met the head. A consumer, which acknowledges what it
    handled, always has one.

    Args:
        next: the offset that is to be sent next.
        consumer: the name of the consumer; None for a session that acknowledges nothing.
        acked: the offset up to which the consumer has acknowledged.
    """

    __slots__ = ("acked", "consumer", "deadline", "missed", "next", "reading", "told")

    def __init__(self, next: int, consumer: str | None = None, acked: int = 0) -> None:  # noqa: A002 - what it is
        self.next = next
        self.consumer = consumer
        self.acked = acked
        self.deadline: float | None = None
        """When what is out is sent again, unless it is acknowledged."""
        self.reading = False
        """Whether the store was asked for what comes next."""
        self.missed = 0
        """Publications that are lost before the next one, and of which it is still to be told."""
        self.told = next - 1 if consumer is None else acked - 1
        """The offset up to which it was told where the log has lost something, or need not be."""

    @property
    def out(self) -> int:
        """Publications that were sent and are not acknowledged."""
        return self.next - 1 - self.acked
