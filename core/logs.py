"""The logs of all topics that keep history, and how much memory they may take together."""

from collections.abc import Iterator

from .history import Log
from .hub_limits import HubLimits
from .outbox import Publication
from .records import Heads
from .rules import Rules
from .sender import Entropy

__all__ = ["Logs"]

_EPOCH_SIZE = 6


class Logs:
    """Makes, keeps and forgets logs.

    Args:
        limits: how many, and how large.
        rules: which topics keep how much.
        entropy: where the names of epochs come from.
        stored: whether there is a store. Without one, durable topics are kept in memory only.
    """

    def __init__(
        self, limits: HubLimits, rules: Rules, entropy: Entropy, *, stored: bool = False
    ) -> None:
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

    def _make_room(self) -> bool:
        if self._durable >= self._limits.max_logs:
            return False
        for topic, log in self._logs.items():
            if not log.durable:
                self.size -= log.size
                del self._logs[topic]
                return True
        return False

    def append(self, topic: str, log: Log, publication: Publication, now: float) -> None:
        """Keep a publication that has its place."""
        before = log.size
        log.append(publication, now)
        self.size += log.size - before
        if self.size > self._limits.total_history_size:
            before = log.size
            log.shrink(self._limits.total_history_size // max(1, len(self._logs)))
            self.size -= before - log.size
        if next(reversed(self._logs)) != topic:
            self._logs[topic] = self._logs.pop(topic)

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
