"""Effects that were asked for and are not answered yet."""

from collections import deque
from collections.abc import Callable, Iterator

from .effects import Effect, Failed, Outcome

__all__ = ["PendingEffects"]

Then = Callable[[Outcome, float], None]


class PendingEffects:
    """What was asked, and what is to be done with the outcome.

    All have the same time, so they run out in the order in which they were asked.

    Args:
        timeout: seconds after which an effect counts as failed.
        ids: numbers that no effect of the hub had before.
    """

    def __init__(self, timeout: float, ids: Iterator[int]) -> None:
        self._timeout = timeout
        self._ids = ids
        self._queue: deque[Effect] = deque()
        self._then: dict[int, tuple[float, Then]] = {}

    def __len__(self) -> int:
        return len(self._then)

    def new_id(self) -> int:
        """A number that no effect had before."""
        return next(self._ids)

    def ask(self, effect: Effect, then: Then, now: float) -> None:
        """Queue an effect; `then` is called with its outcome and the time, once."""
        self._queue.append(effect)
        self._then[effect.id] = (now + self._timeout, then)

    def next(self) -> Effect | None:
        """Take the next effect that nobody took. What timed out before is not handed out."""
        while self._queue:
            effect = self._queue.popleft()
            if effect.id in self._then:
                return effect
        return None

    def complete(self, effect_id: int, outcome: Outcome, now: float) -> bool:
        """The outcome of an effect came; False if it is not pending here any more: it is ignored."""
        pending = self._then.pop(effect_id, None)
        if pending is None:
            return False
        pending[1](outcome, now)
        return True

    def next_timeout(self) -> float | None:
        """When the oldest runs out of time."""
        for at, _ in self._then.values():
            return at
        return None

    def expire(self, now: float) -> None:
        """Give up what has taken too long."""
        while self._then:
            effect_id, (at, _) = next(iter(self._then.items()))
            if at > now:
                return
            self.complete(effect_id, Failed("it took too long"), now)
