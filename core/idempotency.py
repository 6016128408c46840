"""Publications that were named by their publishers, so that a repeat does not double them."""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

from .messages import Published
from .records import KEY_SECONDS, KEYS_REMEMBERED, KnownKey

__all__ = ["KnownKeys"]

_SPARE: Final = 64
"""Places of forgotten keys that are not worth a walk."""

Then = Callable[[Published | None, float], None]

_Key = tuple[str, str | None, str]


class KnownKeys:
    """The idempotency keys of all topics: scope is a user and a topic.

    A key is remembered for `KEY_SECONDS`, at most `KEYS_REMEMBERED` of a topic and `limit` of all;
    whichever ends first. A resend after that may double.

    Args:
        limit: keys of all topics together.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[_Key, tuple[float, Published]] = {}
        self._order: deque[tuple[float, _Key]] = deque()
        self._counts: dict[str, int] = {}
        self._oldest: dict[str, deque[_Key]] = {}
        self._pending: dict[_Key, list[Then]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def answer(self, topic: str, user: str | None, key: str, wall: float) -> Published | None:
        """What was answered to a publication of this name, if that is remembered."""
        self._forget(wall)
        known = self._known.get((topic, user, key))
        return None if known is None else known[1]

    def wait(self, topic: str, user: str | None, key: str, then: Then) -> bool:
        """Whether one of this name waits for the store; `then` gets its answer too."""
        waiting = self._pending.get((topic, user, key))
        if waiting is None:
            return False
        waiting.append(then)
        return True

    def begin(self, topic: str, user: str | None, key: str) -> None:
        """One of this name begins to wait for the store."""
        self._pending[topic, user, key] = []

    def end(
        self, topic: str, user: str | None, key: str, answer: Published | None, wall: float
    ) -> list[Then]:
        """The store has answered; who else waits for that. None: it is unknown whether it was stored."""
        if answer is not None:
            self.remember(topic, user, key, answer, wall)
        return self._pending.pop((topic, user, key), [])

    def remember(
        self, topic: str, user: str | None, key: str, answer: Published, wall: float
    ) -> None:
        """One of this name was answered."""
        name = (topic, user, key)
        if name not in self._known:
            self._counts[topic] = self._counts.get(topic, 0) + 1
            self._oldest.setdefault(topic, deque()).append(name)
            self._order.append((wall, name))
            self._known[name] = (wall, answer)
        if self._counts[topic] > KEYS_REMEMBERED:
            self._drop(self._oldest[topic][0])
        self._forget(wall)

    def load(self, topic: str, keys: Iterable[KnownKey]) -> None:
        """What a store remembers of a topic."""
        for one in keys:
            answer = Published(
                recipients=one.recipients, topic=topic, offset=one.offset, epoch=one.epoch
            )
            self.remember(topic, one.user, one.key, answer, one.at)

    def _forget(self, wall: float) -> None:
        order = self._order
        while order and (order[0][0] < wall - KEY_SECONDS or len(self._known) > self._limit):
            at, name = order.popleft()
            known = self._known.get(name)
            if known is not None and known[0] == at:
                self._drop(name)
        if len(order) > 2 * len(self._known) + _SPARE:
            # Those that a topic had too many of have left their places behind.
            kept = [(at, name) for at, name in order if self._known.get(name, (None,))[0] == at]
            self._order = deque(kept)

    def _drop(self, name: _Key) -> None:
        """Forget one that is the oldest of its topic."""
        del self._known[name]
        topic = name[0]
        self._oldest[topic].remove(name)
        self._counts[topic] -= 1
        if not self._counts[topic]:
            del self._counts[topic], self._oldest[topic]
