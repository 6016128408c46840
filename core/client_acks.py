"""How far one consumer has come: what the application handled, and what the hub was told of it."""

from collections.abc import Iterable

from .messages import Position

__all__ = ["Acks"]


class Acks:
    """The positions of one subscription that acknowledges.

    Acknowledging is cumulative, has no answer, and may be lost with a connection. So what was handled is
    kept, and said again on the next connection. A hub that was restarted does not know what it sent before,
    and takes an acknowledgement only of what it has sent since.
    """

    __slots__ = ("_ended", "_handled", "_received", "_said", "said_at")

    def __init__(self) -> None:
        self._ended: dict[str, frozenset[str]] = {}
        self._handled: dict[str, int] = {}
        self._received: dict[str, int] = {}
        self._said: dict[str, int] = {}
        self.said_at = float("-inf")
        """When the last one left."""

    def handle(self, topic: str, position: Position) -> None:
        """The application handled everything of a topic up to a position."""
        known = self._handled.get(topic)
        if known is None or position.epoch in self._ended.get(topic, ()):
            return  # the log that it was in is no more
        self._handled[topic] = max(known, position.offset)

    def begin(self, topic: str, offset: int, ended: Iterable[str] = ()) -> None:
        """The hub begins behind an offset.

        Args:
            topic: which.
            offset: what it counts as handled.
            ended: epochs of another log that was there before: nothing in them counts any more.
        """
        gone = frozenset(ended)
        if gone or topic not in self._handled:
            self._handled[topic] = offset
            self._ended[topic] = gone
        self._received[topic] = self._said[topic] = offset

    def receive(self, topic: str, offset: int) -> None:
        """The hub sent a publication on this connection."""
        known = self._received.get(topic)
        if known is not None and offset > known:
            self._received[topic] = offset

    def lost(self) -> None:
        """The connection is gone."""
        self._received.clear()
        self._said.clear()

    def forget(self, topic: str) -> None:
        """The topic is not consumed any more."""
        self._ended.pop(topic, None)
        for known in (self._handled, self._received, self._said):
            known.pop(topic, None)

    def due(self) -> list[tuple[str, int]]:
        """What may be said now: topics and offsets."""
        found: list[tuple[str, int]] = []
        for topic, said in self._said.items():
            offset = min(self._handled[topic], self._received[topic])
            if offset > said:
                found.append((topic, offset))
        return found

    def count(self, acks: Iterable[tuple[str, int]]) -> int:
        """How many publications these are."""
        return sum(offset - self._said[topic] for topic, offset in acks)

    def say(self, acks: Iterable[tuple[str, int]], now: float) -> None:
        """They leave."""
        self._said.update(acks)
        self.said_at = now
