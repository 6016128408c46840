"""The logs of all topics that keep history, and how much memory they may take together."""

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Final

from .history import Log
from .hub_limits import HubLimits
from .outbox import Publication
from .records import Heads
from .rules import Rules
from .sender import Entropy

__all__ = ["Logs"]

_EPOCH_SIZE: Final = 6

_SLACK: Final = 8
"""One part of so many is freed beyond what must be, so that it is done seldom."""


class Logs:
    """Makes, keeps and forgets logs.

    Args:
        limits: how many, and how large.
        rules: which topics keep how much.
        entropy: where the names of epochs come from.
        forgotten: called with a topic and its log when that is forgotten to make room.
        stored: whether there is a store. Without one, durable topics are kept in memory only.
    """

    def __init__(
        self,
        limits: HubLimits,
        rules: Rules,
        entropy: Entropy,
        forgotten: Callable[[str, Log], None],
        *,
        stored: bool = False,
    ) -> None:
        self._forgotten = forgotten
        self._stored = stored
        self._limits = limits
        self._rules = rules
        self._entropy = entropy
        # The one that was quiet longest comes first.
        self._logs: dict[str, Log] = {}
        self._durable = 0
        self.size = 0
        """What all keep in memory, in bytes."""

    def __len__(self) -> int:
        return len(self._logs)

    def find(self, topic: str) -> Log | None:
        """A topic's log, if there is one."""
        return self._logs.get(topic)

    def of(self, topic: str) -> Log | None:
        """The log of a topic whose rule keeps history; None if there is no room for another.

        One that is not durable makes room by having the quietest such log forgotten.
        """
        log = self._logs.get(topic)
        if log is not None:
            return log
        if len(self._logs) >= self._limits.max_logs and not self._make_room():
            return None
        rule = self._rules.of(topic)
        log = Log(
            rule,
            self._new_epoch(),
            durable=rule.durable and self._stored,
            memory=self._limits.durable_memory,
        )
        self._logs[topic] = log
        self._durable += log.durable
        return log

    def has_room(self, topic: str) -> bool:
        """Whether a topic has a log, or can have one."""
        most = self._limits.max_logs
        return topic in self._logs or len(self._logs) < most or self._durable < most

    def _make_room(self) -> bool:
        if self._durable >= self._limits.max_logs:
            return False
        for topic, log in self._logs.items():
            if not log.durable:
                self.size -= log.size
                del self._logs[topic]
                self._forgotten(topic, log)
                return True
        return False

    def append(self, topic: str, log: Log, publication: Publication, now: float) -> None:
        """Keep a publication that has its place."""
        before = log.size
        log.append(publication, now)
        self.size += log.size - before
        if self.size > self._limits.total_history_size:
            self._shrink()
        if next(reversed(self._logs)) != topic:
            self._logs[topic] = self._logs.pop(topic)

    def _shrink(self) -> None:
        """Have the largest logs let go of their oldest, until all together have some room."""
        total = self._limits.total_history_size
        level = _level((log.size for log in self._logs.values()), total - total // _SLACK)
        for log in self._logs.values():
            if log.size > level:
                before = log.size
                log.shrink(level)
                self.size -= before - log.size

    def trim(self, log: Log, now: float) -> None:
        """Let go of what is too old, before somebody reads."""
        before = log.size
        log.trim(now)
        self.size -= before - log.size

    def _new_epoch(self) -> str:
        """A name for an epoch that no other has."""
        return self._entropy(_EPOCH_SIZE).hex()

    def load(self, heads: Heads) -> None:
        """Begin anew with what a store has: each durable log in a new epoch."""
        for topic in [topic for topic, log in self._logs.items() if log.durable]:
            self.size -= self._logs.pop(topic).size
        self._durable = 0
        for topic, head in heads.topics.items():
            rule = self._rules.of(topic)
            if rule.durable:
                self._logs[topic] = Log(
                    rule,
                    self._new_epoch(),
                    durable=True,
                    memory=self._limits.durable_memory,
                    head=head,
                )
                self._durable += 1

    def topics(self) -> Iterator[tuple[str, Log]]:
        """All of them, the quietest first."""
        return iter(self._logs.items())


def _level(sizes: Iterable[int], total: int) -> int:
    """What each may have at most, so that all of them have no more than `total`."""
    left = sorted(sizes, reverse=True)
    over = sum(left) - total
    for count, (size, following) in enumerate(pairwise([*left, 0]), 1):
        # So many are the largest, and all as large as the smallest of them.
        if over <= count * (size - following):
            return size - -(-over // count)
        over -= count * (size - following)
    return 0
