"""What the hub's store is on: a shelf that outlives processes, is slow, fails, and loses what it should not."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from ....core.effects import Append, Done, Failed, Outcome, Read, Reopen, Trim
from ....core.errors import LocalProtocolError
from ....core.records import Acknowledged, Heads, Record
from ...stores.memory import Shelf
from ...stores.protocol import StoreUnavailable
from ..agenda import Agenda
from ..violation import Violation
from .consumption import Consumption
from .faults import CrashFault, Store
from .ledger import Ledger

__all__ = ["Disk", "StoreEffect"]

StoreEffect = Append | Read | Reopen | Trim

Answer = Callable[[StoreEffect, Outcome], None]

_QUICK: Final = (0.0, 0.004)
"""Seconds that it takes while it is well."""

_TAIL: Final = 3
"""Records, at most, that one damage takes away."""


class Disk:
    """Answers a hub's effects as a store does, one after the other, but for reads.

    Args:
        agenda: whose time it is.
        random: decides everything.
        wall: the seconds since 1970.
        ledger: is told what is stored.
        consumption: is told what consumers have come to, and is stored.
        timeout: seconds after which nobody waits for an answer any more.
        occurred: how often what happened.
    """

    def __init__(
        self,
        agenda: Agenda,
        random: Random,
        wall: Callable[[], float],
        ledger: Ledger,
        consumption: Consumption,
        timeout: float,
        occurred: Counter[str],
    ) -> None:
        self.state = Store.WELL
        """How it is."""
        self.shelf = Shelf(wall)
        self._agenda = agenda
        self._random = random
        self._ledger = ledger
        self._consumption = consumption
        self._timeout = timeout
        self._occurred = occurred
        self._waiting: deque[Append | Reopen | Trim] = deque()
        self._under_way: Append | None = None
        self._busy = False
        self._process = 0
        self._answer: Answer = lambda _effect, _outcome: None

    # Processes.

    def open(self, answer: Answer) -> Heads:
        """A process begins, and opens the store.

        Args:
            answer: called with each effect that is done, and its outcome.

        Raises:
            StoreUnavailable: nothing could be stored now.
        """
        heads = self._open()
        self._answer = answer
        return heads

    def crash(self, how: CrashFault) -> None:
        """The process ends. What it had asked for and was not done is not done.

        Args:
            how: what becomes of an append that is under way.
        """
        self._process += 1
        self._busy = False
        self._waiting.clear()
        self._answer = lambda _effect, _outcome: None
        append, self._under_way = self._under_way, None
        if append is None:
            return
        self._occurred[f"fault {how}"] += 1
        if how is CrashFault.APPEND_LOST:
            self._ledger.asked(append.records)
            return
        try:
            self._append(append)
        except StoreUnavailable:
            return
        if how is CrashFault.APPEND_TORN and append.records:
            torn = self._random.choice(append.records)
            self._cut(torn.topic, torn.offset, damaged=True, answered=False)

    def lose(self, topics: Sequence[str], *, damaged: bool) -> bool:
        """Lose some of the newest records of a topic, while no process has the store; False if there is none.

        Args:
            topics: one of them.
            damaged: whether one is damaged, which is found, or they are gone without a trace.
        """
        last = self._ledger.last
        found = [topic for topic in topics if self.kept_from(topic) <= last.get(topic, 0)]
        if not found:
            return False
        topic = self._random.choice(found)
        first = max(self.kept_from(topic), last[topic] - self._random.randint(0, _TAIL - 1))
        self._cut(topic, first, damaged=damaged, answered=True)
        return True

    def _cut(self, topic: str, offset: int, *, damaged: bool, answered: bool) -> None:
        if damaged:
            self.shelf.damage(topic, offset)
        else:
            self.shelf.lose(topic, offset - 1)
        self._ledger.cut(topic, offset - 1, damaged=damaged, answered=answered)
        self._consumption.cut(topic, offset - 1)

    def kept_from(self, topic: str) -> int:
        """The oldest offset that is kept of a topic; the next one if none is."""
        kept = self.shelf.read(topic, 0, 1)
        return kept[0].offset if kept else self._ledger.last.get(topic, 0) + 1

    # Effects.

    def ask(self, effect: StoreEffect) -> None:
        """The hub asks for something."""
        if isinstance(effect, Read):
            process = self._process
            self._agenda.at(self._agenda.now + self._delay(), lambda: self._read(effect, process))
            return
        self._waiting.append(effect)
        if not self._busy:
            self._begin()

    def _begin(self) -> None:
        self._busy = bool(self._waiting)
        if not self._busy:
            return
        effect = self._waiting.popleft()
        process, random = self._process, self._random
        delay = self._delay()
        done = delay if self.state is Store.WELL else delay * random.random()
        if isinstance(effect, Append):
            self._under_way = effect
        self._agenda.at(self._agenda.now + done, lambda: self._do(effect, delay - done, process))

    def _do(self, effect: Append | Reopen | Trim, left: float, process: int) -> None:
        if process != self._process:
            return
        self._under_way = None
        outcome = self._outcome(effect)
        if left:
            self._agenda.at(self._agenda.now + left, lambda: self._done(effect, outcome, process))
        else:
            self._done(effect, outcome, process)

    def _done(self, effect: StoreEffect, outcome: Outcome, process: int) -> None:
        if process == self._process:
            self._answer(effect, outcome)
            if not isinstance(effect, Read):
                self._begin()

    def _read(self, effect: Read, process: int) -> None:
        if process != self._process:
            return
        if self.state is Store.UNREADABLE:
            self._occurred[f"fault {CrashFault.READ_ERROR}"] += 1
            self._done(effect, Failed("a read error"), process)
            return
        self._occurred["read from the store"] += 1
        records = self.shelf.read(effect.topic, effect.after, effect.max_bytes)
        self._done(effect, Done(records), process)

    def _delay(self) -> float:
        match self.state:
            case Store.SLOW:
                self._occurred[f"fault {CrashFault.SLOW}"] += 1
                return self._random.uniform(0.05, self._timeout * 0.8)
            case Store.LATE:
                self._occurred[f"fault {CrashFault.LATE}"] += 1
                return self._random.uniform(1.1, 1.6) * self._timeout
            case _:
                return self._random.uniform(*_QUICK)

    def _outcome(self, effect: Append | Reopen | Trim) -> Outcome:
        try:
            match effect:
                case Append():
                    self._append(effect)
                    return Done()
                case Reopen():
                    return Done(self._open())
                case Trim(_, topic, retention):
                    first, count = self.shelf.trim(topic, retention)
                    self._occurred["trimmed in the store"] += count
                    return Done(first)
        except StoreUnavailable as error:
            return Failed(error.reason)

    def _append(self, effect: Append) -> None:
        """Store something, or fail to.

        Raises:
            StoreUnavailable: as the shelf.
        """
        shelf, state = self.shelf, self.state
        failing = {
            Store.FAILS_BEFORE: CrashFault.FAILS_BEFORE,
            Store.FAILS_AFTER: CrashFault.FAILS_AFTER,
            Store.FULL: CrashFault.FULL,
        }.get(state)
        shelf.broken = None if failing is None else str(failing)
        shelf.fails_after_storing = state is Store.FAILS_AFTER
        names = self._ledger.asked(effect.records)
        self._consumption.asked(effect.acknowledged)
        try:
            shelf.append(effect.records, effect.acknowledged)
        except StoreUnavailable as error:
            if failing is not None:
                self._occurred[f"fault {failing}"] += 1
            if state is Store.FAILS_AFTER and error.reason == shelf.broken:
                self._keep(effect.records, names, effect.acknowledged)
            raise
        except LocalProtocolError as error:
            raise Violation("the store can take what the hub gives it", str(error)) from error
        finally:
            shelf.broken = None
        self._occurred["append"] += 1
        self._keep(effect.records, names, effect.acknowledged)

    def _keep(
        self,
        records: Sequence[Record],
        names: Sequence[str],
        acknowledged: Sequence[Acknowledged],
    ) -> None:
        self._ledger.keep(records, names)
        self._consumption.keep(acknowledged)

    def _open(self) -> Heads:
        if self.state is Store.FULL:
            raise StoreUnavailable("the disk is full")
        heads = self.shelf.open()
        self._ledger.opened({topic: head.first for topic, head in heads.topics.items()})
        self._occurred["damages told"] += len(heads.damages)
        return heads
