"""A store that ends with the process, for tests and simulations. It needs nothing but Python.

The `Shelf` is what a disk is to the other kind: it outlives the store that was on it, and can be told to fail,
to lose its tail and to be damaged.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

from ...core.errors import LocalProtocolError
from ...core.records import (
    KEY_SECONDS,
    KEYS_REMEMBERED,
    Acknowledged,
    Damage,
    Head,
    Heads,
    KnownKey,
    Record,
    Retention,
)
from .logs import ACKNOWLEDGED_KEPT, FORGET_SECONDS, Log, check_acknowledged, plan_append
from .protocol import Counters, StoreUnavailable
from .rows import rows_of

__all__ = ["MemoryStore", "Shelf"]


class Shelf:
    """What is stored, and what is to go wrong. Its methods do not wait; a simulation may call them.

    Args:
        clock: the seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.broken: str | None = None
        """While this is set, appending, trimming and opening fail with it as the reason."""
        self.fails_after_storing = False
        """Whether what fails is stored all the same."""
        self._clock = clock
        self._logs: dict[str, Log] = {}
        self._records: dict[str, deque[Record]] = {}
        self._acknowledged: dict[tuple[str, str, str], Acknowledged] = {}
        self._damages: list[Damage] = []
        self._refused = False

    def open(self) -> Heads:
        """What is there; from now on no log goes on with an epoch that it has.

        Raises:
            StoreUnavailable: the shelf is broken.
        """
        if self.broken is not None:
            raise StoreUnavailable(self.broken)
        self._refused = False
        for log in self._logs.values():
            log.ended = True
        damages = tuple(self._damages)
        self._damages.clear()
        heads = {topic: self._head(log) for topic, log in self._logs.items()}
        return Heads(heads, tuple(self._acknowledged.values()), damages)

    def append(self, records: Sequence[Record], acknowledged: Sequence[Acknowledged]) -> None:
        """Store all of it or nothing.

        Raises:
            StoreUnavailable: the shelf is broken; it may or may not be stored.
            LocalProtocolError: something of it can't be stored; nothing was.
        """
        self._check()
        changed = plan_append(self._logs, records)
        check_acknowledged(acknowledged)
        rows_of(records, changed.values(), acknowledged)  # what one store takes the other does
        if self.broken is None or self.fails_after_storing:
            self._logs.update(changed)
            for record in records:
                self._records.setdefault(record.topic, deque()).append(record)
            for each in acknowledged:
                place = (each.user, each.name, each.topic)
                self._acknowledged.pop(place, None)
                self._acknowledged[place] = each
            while len(self._acknowledged) > ACKNOWLEDGED_KEPT:
                del self._acknowledged[next(iter(self._acknowledged))]
        if self.broken is not None:
            self._refused = True
            raise StoreUnavailable(self.broken)

    def read(self, topic: str, after: int, max_bytes: int) -> list[Record]:
        """Records from behind `after`, with at most `max_bytes`, but at least one."""
        if after < 0 or max_bytes < 1:
            raise LocalProtocolError(
                f"after={after} max_bytes={max_bytes}: must be at least 0, and at least 1"
            )
        found: list[Record] = []
        size = 0
        for record in self._records.get(topic, ()):
            if record.offset <= after:
                continue
            size += len(record.data)
            if found and size > max_bytes:
                break
            found.append(record)
        return found

    def trim(self, topic: str, retention: Retention) -> tuple[int, int]:
        """Remove what is beyond `retention`; return the first offset that is kept, and how many went.

        Raises:
            StoreUnavailable: the shelf is broken; nothing was removed.
        """
        self._check()
        if self.broken is not None:
            self._refused = True
            raise StoreUnavailable(self.broken)
        log = self._logs.get(topic)
        if log is None:
            return 1, 0
        records = self._records[topic]
        now = self._clock()
        before = log.trimmed
        while records and _beyond(records, log, retention, now):
            log.trim(records[0].offset, len(records.popleft().data))
        if not records and log.at < now - FORGET_SECONDS:
            del self._logs[topic], self._records[topic]
        return log.trimmed + 1, log.trimmed - before

    def lose(self, topic: str, after: int) -> None:
        """Let the newest records of a topic be gone as if they had never come."""
        self._cut(topic, after)
        self._logs[topic].lose(after)

    def damage(self, topic: str, offset: int) -> None:
        """Let a record be damaged: the next opening ends the log before it, and says so."""
        log = self._logs[topic]
        lost = log.last - offset + 1
        self._cut(topic, offset - 1)
        log.tear(offset - 1)
        reason = f"its record {offset} is damaged or missing"
        self._damages.append(Damage(reason, topic, offset - 1, lost))
        self._refused = True

    def _cut(self, topic: str, after: int) -> None:
        records = self._records[topic]
        while records and records[-1].offset > after:
            self._logs[topic].size -= len(records.pop().data)

    def _check(self) -> None:
        if self._refused:
            raise StoreUnavailable("it must be reopened after a failure")

    def _head(self, log: Log) -> Head:
        keys: dict[tuple[str | None, str], KnownKey] = {}
        since = self._clock() - KEY_SECONDS
        for record in reversed(self._records[log.topic]):
            if record.at < since or len(keys) == KEYS_REMEMBERED:
                break
            key = record.idempotency_key
            if key is not None:
                known = KnownKey(
                    record.user, key, record.offset, record.epoch, record.recipients, record.at
                )
                keys.setdefault((record.user, key), known)
        return log.head(tuple(reversed(keys.values())))


def _beyond(records: deque[Record], log: Log, retention: Retention, now: float) -> bool:
    if retention.max_records is not None and len(records) > retention.max_records:
        return True
    if retention.max_bytes is not None and log.size > retention.max_bytes:
        return True
    return retention.max_age is not None and records[0].at < now - retention.max_age


class MemoryStore:
    """A `Store` on a shelf.

    Args:
        shelf: what is stored already; a new one if it is left out.
    """

    def __init__(self, shelf: Shelf | None = None) -> None:
        self.counters = Counters()
        self.shelf = shelf or Shelf()
        self._is_open = False

    async def open(self) -> Heads:
        """Say what is there.

        Raises:
            StoreUnavailable: the shelf is broken.
            LocalProtocolError: it is open.
        """
        if self._is_open:
            raise LocalProtocolError("the store is open: close it first, or reopen it")
        heads = self._heads()
        self._is_open = True
        return heads

    async def append(self, records: Sequence[Record], acknowledged: Sequence[Acknowledged]) -> None:
        """Store all of it or nothing. See `Store`.

        Raises:
            StoreUnavailable: it may or may not be stored; `reopen` says what was.
            LocalProtocolError: something of it can't be stored, or the store is not open; nothing was.
        """
        self._check()
        try:
            self.shelf.append(records, acknowledged)
        except StoreUnavailable:
            self.counters.failures += 1
            raise
        if records or acknowledged:
            self.counters.commits += 1
            self.counters.records += len(records)
            self.counters.acknowledged += len(acknowledged)

    async def read(self, topic: str, after: int, max_bytes: int) -> list[Record]:
        """Return records of a topic from behind `after`, with at most `max_bytes`, but at least one.

        Raises:
            LocalProtocolError: `after` or `max_bytes` is wrong, or the store is not open.
        """
        self._check()
        records = self.shelf.read(topic, after, max_bytes)
        self.counters.reads += 1
        return records

    async def reopen(self) -> Heads:
        """Begin anew after a failure, and say what is there.

        Raises:
            StoreUnavailable: the shelf is broken; try again later.
            LocalProtocolError: the store is not open.
        """
        self._check()
        return self._heads()

    async def trim(self, topic: str, retention: Retention) -> int:
        """Remove what is beyond `retention`; return the first offset that is kept.

        Raises:
            StoreUnavailable: the shelf is broken; nothing was removed.
            LocalProtocolError: the store is not open.
        """
        self._check()
        try:
            first, count = self.shelf.trim(topic, retention)
        except StoreUnavailable:
            self.counters.failures += 1
            raise
        self.counters.trimmed += count
        return first

    async def close(self) -> None:
        """Close it; closing it again does nothing."""
        self._is_open = False

    def _check(self) -> None:
        if not self._is_open:
            raise LocalProtocolError("the store is not open: open it first")

    def _heads(self) -> Heads:
        try:
            heads = self.shelf.open()
        except StoreUnavailable:
            self.counters.failures += 1
            raise
        self.counters.damages += len(heads.damages)
        return heads
