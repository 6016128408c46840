"""The SQLite store and the one in memory, side by side through any life, and what must hold of both."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hubbub.core.errors import LocalProtocolError
from hubbub.core.records import Acknowledged, Heads, Record, Retention
from hubbub.transports.stores.database import Database
from hubbub.transports.stores.memory import Shelf
from hubbub.transports.stores.protocol import Counters, StoreUnavailable

TOPICS = st.sampled_from(["alerts", "room.a", "häuser"])
BOUND = st.none() | st.integers(1, 12)


class Stores(RuleBasedStateMachine):
    """Both stores live through the same; time goes on between."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_900_000_000.0
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.counters = Counters()
        self.file = Database(self.folder / "hub.db", self._clock, self.counters)
        self.shelf = Shelf(self._clock)
        self.start = 0
        self.last: dict[str, int] = {}
        self.stored: dict[tuple[str, int, str], bytes] = {}
        self._compare(self.file.open(), self.shelf.open())

    def _clock(self) -> float:
        return self.now

    def _compare(self, file: Heads, shelf: Heads) -> None:
        assert file.topics == shelf.topics
        assert set(file.acknowledged) == set(shelf.acknowledged)
        assert file.damages == shelf.damages
        self.start += 1
        for topic, head in file.topics.items():
            self.last[topic] = head.last
            records = self.file.read(topic, 0, 2**30)
            assert [record.offset for record in records] == list(range(head.first, head.last + 1))
            for record in records:
                assert self.stored[topic, record.offset, record.epoch] == record.data
                assert head.recoverable(record.offset, record.epoch) is not any(
                    epoch.torn for epoch in head.epochs if epoch.last >= record.offset
                )

    @rule(
        counts=st.dictionaries(TOPICS, st.integers(1, 4), max_size=3),
        key=st.none() | st.sampled_from(["k", "l"]),
        part=st.sampled_from(["", "a", "b"]),
        places=st.lists(st.tuples(TOPICS, st.integers(0, 50), st.sampled_from("xy")), max_size=3),
        fault=st.sampled_from(["", "", "", "before", "after", "hole"]),
    )
    def append(
        self, counts: dict[str, int], key: str | None, part: str, places: Any, fault: str
    ) -> None:
        """Append to several topics; some appends fail, before or after they are stored."""
        epoch = f"{self.start}{part}"
        records = [
            Record(topic, offset, epoch, f"{topic}{offset}{epoch}".encode(), self.now, None, key)
            for topic, count in counts.items()
            for offset in range(self.last.get(topic, 0) + 1, self.last.get(topic, 0) + count + 1)
        ]
        acknowledged = [
            Acknowledged(user, "", topic, offset, epoch, self.now) for topic, offset, user in places
        ]
        if fault == "hole" and records:
            records = [*records, records[-1]]
        try:
            if fault not in {"before", "hole"}:
                self.file.append(records, acknowledged)
        except LocalProtocolError:
            fault = "hole"  # an epoch that another has followed: both must refuse it
        if fault == "hole" and records:
            for store in (self.file, self.shelf):
                try:
                    store.append(records, acknowledged)
                except LocalProtocolError:
                    continue
                raise AssertionError("a hole is refused")
            return
        if fault in {"before", "after"}:
            self.shelf.broken = "the disk is full"
            self.shelf.fails_after_storing = fault == "after"
        try:
            if fault != "hole":
                self.shelf.append(records, acknowledged)
        except (LocalProtocolError, StoreUnavailable):
            assert self.shelf.broken is not None
        if fault in {"", "after"}:
            for record in records:
                self.stored[record.topic, record.offset, record.epoch] = record.data
                self.last[record.topic] = record.offset
        if self.shelf.broken is not None:
            self.shelf.broken = None
            self.reopen()

    @rule()
    def reopen(self) -> None:
        """Begin anew."""
        self._compare(self.file.reopen(), self.shelf.open())

    @rule()
    def restart(self) -> None:
        """End, and start again."""
        self.file.close()
        self.file = Database(self.folder / "hub.db", self._clock, self.counters)
        self._compare(self.file.open(), self.shelf.open())

    @rule(topic=TOPICS, count=BOUND, size=BOUND, age=st.none() | st.integers(1, 300))
    def trim(self, topic: str, count: int | None, size: int | None, age: int | None) -> None:
        """Remove what is old."""
        retention = Retention(
            max_records=count, max_bytes=size and size * 10, max_age=age and float(age)
        )
        first, more = self.file.trim(topic, retention)
        assert not more
        assert first == self.shelf.trim(topic, retention)[0]

    @rule(topic=TOPICS, offset=st.integers(1, 30))
    def damage(self, topic: str, offset: int) -> None:
        """Lose a record and what is behind it."""
        head = self.shelf.open().topics.get(topic)
        self.file.reopen()
        self.start += 1
        if head is None or not head.first <= offset <= head.last:
            return
        writer = self.file._writer
        assert writer is not None
        writer.execute(
            "UPDATE records SET data = 'x' WHERE topic = ? AND offset = ?", (topic, offset)
        )
        try:
            self.file.read(topic, offset - 1, 2**30)
        except StoreUnavailable:
            self.shelf.damage(topic, offset)
            self.reopen()
        else:
            raise AssertionError("damage is found")

    @rule(topic=TOPICS, after=st.integers(0, 30), most=st.integers(1, 200))
    def read(self, topic: str, after: int, most: int) -> None:
        """Read a piece."""
        assert self.file.read(topic, after, most) == self.shelf.read(topic, after, most)

    @rule(seconds=st.sampled_from([1.0, 60.0, 130.0, 8 * 86_400.0]))
    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.now += seconds

    @invariant()
    def same_records(self) -> None:
        """Both can give what they hold."""
        for topic in self.last:
            assert self.file.read(topic, 0, 2**30) == self.shelf.read(topic, 0, 2**30)

    def teardown(self) -> None:
        """Let go of the file."""
        self.file.close()
        shutil.rmtree(self.folder)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=25, stateful_step_count=25)
