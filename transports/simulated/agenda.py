"""Virtual time: what is to happen, in order, and a clock that jumps to it."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final

__all__ = ["Agenda", "Stuck"]

_ROUNDS: Final = 100_000
"""Actions at one moment after which a simulation is taken to go in circles."""


class Stuck(Exception):
    """The machines keep each other busy without time passing: a bug in one of them."""


class Agenda:
    """Actions in the order of their moments; of one moment, in the order in which they were planned.

    Args:
        now: the time at the start, in seconds.
    """

    __slots__ = ("_order", "_planned", "now")

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._planned: list[tuple[float, int, Callable[[], object]]] = []
        self._order = 0

    def __len__(self) -> int:
        return len(self._planned)

    def at(self, moment: float, action: Callable[[], object]) -> None:
        """Plan something. A moment that has passed is now."""
        self._order += 1
        heappush(self._planned, (moment, self._order, action))

    def run(self, until: float) -> None:
        """Do all that is planned up to a moment, and what that plans.

        Raises:
            Stuck: no time passes any more.
        """
        planned = self._planned
        rounds = 0
        while planned and planned[0][0] <= until:
            moment, _, action = heappop(planned)
            if moment > self.now:
                self.now = moment
                rounds = 0
            else:
                rounds += 1
                if rounds > _ROUNDS:
                    raise Stuck(f"{_ROUNDS} steps at {self.now} s")
            action()
        self.now = max(self.now, until)
