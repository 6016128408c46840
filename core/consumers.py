"""How far the consumers of topics have come that acknowledge what they handled."""

from collections.abc import Iterable

from .records import Acknowledged

__all__ = ["Acknowledgements"]


class Acknowledgements:
    """The acknowledged position of each consumer: a user, a name that the user chose, and a topic.

    Args:
        limit: how many are remembered; beyond it the one that was quiet longest is forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[tuple[str, str, str], Acknowledged] = {}
        self._sent: dict[tuple[str, str, str], int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, user: str, name: str, topic: str) -> Acknowledged | None:
        """What a consumer acknowledged last."""
        return self._known.get((user, name, topic))

    def put(self, acknowledged: Acknowledged) -> None:
        """A consumer acknowledged everything up to a position."""
        key = (acknowledged.user, acknowledged.name, acknowledged.topic)
        self._known.pop(key, None)
        self._known[key] = acknowledged
        if len(self._known) > self._limit:
            oldest = next(iter(self._known))
            del self._known[oldest]
            self._sent.pop(oldest, None)

    def sent(self, user: str, name: str, topic: str) -> int:
        """The newest offset that was ever sent to a consumer, as far as this process knows."""
        return self._sent.get((user, name, topic), 0)

    def note_sent(self, user: str, name: str, topic: str, offset: int) -> None:
        """Everything up to an offset was sent to a consumer."""
        key = (user, name, topic)
        if offset > self._sent.get(key, 0):
            self._sent[key] = offset

    def load(self, acknowledged: Iterable[Acknowledged]) -> None:
        """What a store remembers of durable topics."""
        for one in acknowledged:
            self.put(one)
