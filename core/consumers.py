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
        self._sent: dict[str, dict[tuple[str, str], int]] = {}

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
            user, name, topic = oldest = next(iter(self._known))
            del self._known[oldest]
            sent = self._sent.get(topic)
            if sent is not None:
                sent.pop((user, name), None)
                if not sent:
                    del self._sent[topic]

    def sent(self, user: str, name: str, topic: str) -> int:
        """The newest offset that was ever sent to a consumer, as far as this process knows."""
        return self._sent.get(topic, {}).get((user, name), 0)

    def note_sent(self, user: str, name: str, topic: str, offset: int) -> None:
        """Everything up to an offset was sent to a consumer."""
        if (user, name, topic) in self._known and offset > self.sent(user, name, topic):
            self._sent.setdefault(topic, {})[user, name] = offset

    def lost(self, topic: str, last: int) -> None:
        """A topic's log now ends at an offset: what was sent of what followed is no part of it any more."""
        sent = self._sent.get(topic, {})
        for key, offset in sent.items():
            sent[key] = min(offset, last)

    def load(self, acknowledged: Iterable[Acknowledged]) -> None:
        """What a store remembers of durable topics. What is known here is newer, or the same."""
        for one in acknowledged:
            if (one.user, one.name, one.topic) not in self._known:
                self.put(one)
