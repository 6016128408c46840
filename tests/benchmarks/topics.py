"""What publishing, subscribing and unsubscribing cost in the table, as topics grow in number.

Each table has the same patterns beside its topics; each topic has a subscriber of its own and lies in
one of the patterns. The tables are measured in turn, with as many names of the same form, spread over
the whole table. What is done with them is done once before it is timed. So the same memory is used as
often in each, and only what the table itself adds can differ. The exception is publishing all over the
table: there a large one pays for memory that no cache of the processor holds, and has no goal.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Collection, Sequence

from hubbub.core.subscriptions import SubscriptionTable
from hubbub.core.topics import check_topic

from .machine import Cores, pinned
from .table import Goal, Row

_SIZES = (100, 1_000, 10_000, 100_000)
_PATTERNS = 1_000
_SUBSCRIBERS = 1_000
_NAMES = 1_000
"""Names in a batch of subscribing and unsubscribing."""
_FEW = 100
"""Topics that are published to again and again."""
_MANY = 10_000
"""Topics all over the table, and publications in a batch."""
_ALL_OVER = "publish, all over the table"
_GOAL = 1.5
"""Times the cost in the smallest table."""

Batch = Callable[[], float]
"""Does something with many names, and returns the CPU seconds of one of them."""


class _Peer:
    """A subscriber."""


class _Table:
    """A table with so many topics, and what is measured on it."""

    def __init__(self, topics: int) -> None:
        self._table = SubscriptionTable[_Peer]()
        self._peers = [_Peer() for _ in range(_SUBSCRIBERS)]
        areas = _PATTERNS // 2
        for area in range(areas):
            # Those that match, and those that agree up to their last token.
            self._table.add(self._peers[area], f"area{area}.*")
            self._table.add(self._peers[-area], f"area{area}.*.log")
        names = [f"area{number % areas}.item{number}" for number in range(topics)]
        for number, name in enumerate(names):
            self._table.add(self._peers[number % _SUBSCRIBERS], name)
        chance = random.Random(1)
        self.few = self._encoded(chance.sample(names, min(_FEW, topics)))
        self.many = self._encoded(chance.sample(names, min(_MANY, topics)))
        self.new_topics = [f"area{n % areas}.new{n}" for n in range(_NAMES)]
        self.new_patterns = [f"area{n % areas}.new{n}.*" for n in range(_NAMES)]
        self._new = _Peer()

    @staticmethod
    def _encoded(names: Sequence[str]) -> list[bytes]:
        # Made anew, one after the other, as requests are; the table's own objects lie elsewhere.
        return [name.encode() for name in names]

    def publish(self, names: Sequence[bytes]) -> float:
        """Find the receivers of each topic, which comes as bytes and is checked."""
        receivers = self._table.receivers
        found: Collection[_Peer] = ()
        began = time.process_time()
        for _ in range(_MANY // len(names)):
            for name in names:
                topic = str(name, "utf-8")
                check_topic(topic)
                found = receivers(topic)
        took = time.process_time() - began
        # The topic's own subscriber and that of the pattern, who may be the same.
        if not 1 <= len(found) <= 2:
            raise AssertionError(f"a topic has {len(found)} receivers")
        return took / _MANY

    def subscribe(self, names: Sequence[str]) -> float:
        """Subscribe to names that are not there."""
        add, remove, peer = self._table.add, self._table.remove, self._new
        for name in names:
            add(peer, name)
        for name in names:
            remove(peer, name)
        began = time.process_time()
        for name in names:
            add(peer, name)
        return (time.process_time() - began) / len(names)

    def unsubscribe(self, names: Sequence[str]) -> float:
        """Take them out again."""
        remove, peer = self._table.remove, self._new
        began = time.process_time()
        for name in names:
            remove(peer, name)
        return (time.process_time() - began) / len(names)

    def batches(self) -> dict[str, Batch]:
        """What is measured, in the order in which it must be done."""
        return {
            "publish, 100 topics": lambda: self.publish(self.few),
            _ALL_OVER: lambda: self.publish(self.many),
            "subscribe to a topic": lambda: self.subscribe(self.new_topics),
            "unsubscribe from a topic": lambda: self.unsubscribe(self.new_topics),
            "subscribe to a pattern": lambda: self.subscribe(self.new_patterns),
            "unsubscribe from a pattern": lambda: self.unsubscribe(self.new_patterns),
        }


def measure(repeat: int, seconds: float, sizes: Sequence[int] = _SIZES) -> list[Row]:
    """Return a row for each size of table and each thing measured, compared with the smallest."""
    tables = {f"of {size:,}": _Table(size).batches() for size in sizes}
    smallest = next(iter(tables))
    rows = {
        (what, who): Row(what, who, "µs") for what in next(iter(tables.values())) for who in tables
    }
    for (what, who), row in rows.items():
        if who != smallest:
            row.peers = {smallest: rows[what, smallest]}
            row.goals = () if what == _ALL_OVER else (Goal(smallest, at_most=_GOAL),)
    gc.collect()
    with pinned(Cores.available().server):
        for _ in range(repeat):
            _round(rows, tables, seconds)
    return list(rows.values())


def _round(
    rows: dict[tuple[str, str], Row], tables: dict[str, dict[str, Batch]], seconds: float
) -> None:
    """Add a figure to each row: the mean of as many batches as fit into the time of one table."""
    spent = dict.fromkeys(rows, 0.0)
    times = 0
    began = time.process_time()
    while times == 0 or time.process_time() - began < seconds * len(tables):
        for who, batches in tables.items():
            for what, batch in batches.items():
                spent[what, who] += batch()
        times += 1
    for key, row in rows.items():
        row.figures.append(spent[key] / times * 1e6)
