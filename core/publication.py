"""What waits for sessions: publications, shared by all who get them, and marks where some were lost."""

from collections.abc import Callable
from typing import Final

from .outgoing import PreparedMessage
from .rules import Priority, SlowPolicy

__all__ = ["ENTRY", "GapMark", "Lane", "Publication"]

ENTRY: Final = 64
"""Bytes that a waiting publication counts for beyond its frame."""

_FINDING: Final[dict[SlowPolicy, int]] = {"disconnect": 0, "drop-oldest": 128, "latest": 256}
"""Bytes more for what finding it takes, once it may be dropped."""

_MANY: Final = 10**15
"""More publications than a session can miss. The mark's message has room for as many."""


class Publication:
    """One message of a topic, shared by all its receivers.

    Args:
        topic: where it was published; None for a direct message.
        message: ready for the wire.
        priority: of its topic.
        slow: what happens to a receiver that does not keep up.
        key: what it is about, where only the latest of each key counts.
        offset: its place in the topic's history; 0 where none is kept.
    """

    __slots__ = ("cost", "frame", "key", "lane", "message", "offset", "slow", "topic")

    def __init__(
        self,
        topic: str | None,
        message: PreparedMessage,
        priority: Priority = "normal",
        slow: SlowPolicy = "disconnect",
        key: str | None = None,
        offset: int = 0,
    ) -> None:
        self.topic = topic
        self.offset = offset
        self.message = message
        self.frame = message.frame
        self.lane = _LANES[priority]
        self.slow: SlowPolicy = slow
        self.key = key
        self.cost = len(self.frame) + ENTRY + _FINDING[slow]
        """What it counts for in an outbox."""


class GapMark:
    """Publications of a topic were lost here.

    It counts for no more than any publication of the topic does, if those tell the topic too.

    Args:
        topic: which.
        encode: makes the frame that tells how many.
    """

    __slots__ = ("_encode", "cost", "missed", "topic")

    def __init__(self, topic: str, encode: Callable[[str, int], bytes]) -> None:
        self.topic = topic
        self.missed = 0
        self._encode = encode
        self.cost = len(encode(topic, _MANY)) + ENTRY
        """What it counts for in an outbox."""

    @property
    def frame(self) -> bytes:
        """The frame that tells it."""
        return self._encode(self.topic, self.missed)


_LANES: Final[dict[str, int]] = {"high": 0, "normal": 1, "low": 2}

Lane = list[Publication | GapMark]
