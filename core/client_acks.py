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

    __slots__ = ("_before", "_began", "_ended", "_handled", "_received", "_said", "said_at")

    def __init__(self) -> None:
        self._before: dict[str, int] = {}
        self._began: dict[str, int] = {}
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
        if gone:
            self._before[topic] = max(self._handled.get(topic, 0), self._before.get(topic, 0))
            self._ended[topic] = gone
        if gone or topic not in self._handled:
            self._handled[topic] = self._began[topic] = offset
        self._received[topic] = self._said[topic] = offset

    def receive_again(self, topic: str, offset: int, epoch: str) -> None:
        """The hub sent, on this connection, a publication that was received before."""
        self._look(topic, epoch)
        known = self._received.get(topic)
        if known is not None and offset > known:
            self._received[topic] = offset

    def _look(self, topic: str, epoch: str) -> None:
        """The hub sent something of an epoch: if that had ended, it is still the log that it was."""
        if epoch in self._ended.get(topic, ()):
            del self._ended[topic]
            self._handled[topic] = max(self._handled[topic], self._before.pop(topic, 0))

    def receive(self, topic: str, offset: int, epoch: str, before: Iterable[str]) -> None:
        """The hub sent a publication that is new.

        Args:
            topic: which.
            offset: its.
            epoch: its.
            before: epochs of what was received before it.
        """
        if topic not in self._received:
            return
        self._look(topic, epoch)
        if self._began[topic] < offset <= self._handled[topic]:
            # The log had lost its tail, and this takes the place of something that was handled.
            self._handled[topic] = offset - 1
            self._ended[topic] = frozenset(before)
            self._before.pop(topic, None)
        self._said[topic] = min(self._said[topic], offset - 1)
        self._received[topic] = offset

    def lost(self) -> None:
        """The connection is gone."""
        self._received.clear()
        self._said.clear()

    def forget(self, topic: str) -> None:
        """The topic is not consumed any more."""
        self._ended.pop(topic, None)
        for known in (self._before, self._began, self._handled, self._received, self._said):
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
