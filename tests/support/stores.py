"""Stores to be damaged: small ones, their files, and what must hold of what is left of them."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from hubbub.core.records import Acknowledged, Heads, Record
from hubbub.transports.stores.database import Database
from hubbub.transports.stores.protocol import Counters

NOW = 1_900_000_000.5
"""The time in these stores."""

PLENTY = 2**30

PAGE = 2048
"""Bytes of a page, of which the first must have room for the definitions of all tables, as it has with
SQLite's own 4096."""


def records(topic: str, first: int, last: int, epoch: str = "e1") -> list[Record]:
    """Records whose data names them."""
    return [
        Record(
            topic,
            offset,
            epoch,
            f'{{"topic":"{topic}","n":{offset}}}'.encode(),
            NOW,
            f"user{offset}",
            f"key{offset}",
        )
        for offset in range(first, last + 1)
    ]


def acknowledged(topic: str, offset: int, user: str = "ann") -> Acknowledged:
    """A position in epoch `e1`."""
    return Acknowledged(user, "phone", topic, offset, "e1", NOW)


def database(path: Path, clock: Callable[[], float] = lambda: NOW) -> Database:
    """The file of a store, without threads, not open."""
    return Database(path, clock, Counters())


def small_pages(path: Path, size: int = PAGE) -> Path:
    """Make an empty file with pages of another size, so that there is less to damage."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA page_size={size}")
        connection.execute("PRAGMA journal_mode=WAL")
    return path


def copy(path: Path, to: Path) -> Path:
    """Copy the file of a store that may be open, as a crash now would leave it."""
    to.mkdir(exist_ok=True)
    for old in to.glob(f"{path.name}*"):
        old.unlink()
    for ending in ("", "-wal"):
        source = path.with_name(path.name + ending)
        if source.exists():
            shutil.copyfile(source, to / source.name)
    return to / path.name


def flip(path: Path, bit: int) -> None:
    """Turn one bit of a file over."""
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes((byte ^ 1 << bit % 8,)))


def cell_with(path: Path, content: bytes, page_size: int = PAGE) -> range:
    """Where the row that ends with `content` lies in a closed file, by bytes. It must fit a page."""
    data = path.read_bytes()
    end = data.index(content) + len(content)
    assert data.count(content) == 1
    page = (end - 1) // page_size * page_size
    head = page + (100 if page == 0 else 0)
    assert data[head] in (2, 10), "it is no page of rows"
    count = int.from_bytes(data[head + 3 : head + 5])
    begins = head + (12 if data[head] == 2 else 8)
    starts = [
        page + int.from_bytes(data[at : at + 2]) for at in range(begins, begins + 2 * count, 2)
    ]
    return range(max(start for start in starts if start < end), end)


@dataclass
class Left:
    """What is left of a store after a damage."""

    heads: Heads
    records: dict[str, list[Record]]
    counters: Counters


def what_is_left(path: Path) -> Left:
    """Open a store, read all that it has, and close it."""
    counters = Counters()
    found = Database(path, lambda: NOW, counters)
    heads = found.open()
    try:
        return Left(heads, {t: found.read(t, 0, PLENTY) for t in heads.topics}, counters)
    finally:
        found.close()


def check_honest(left: Left, before: Mapping[str, Sequence[Record]]) -> None:
    """Nothing is invented, and whoever is told that everything follows gets everything."""
    for topic, found in left.records.items():
        stored = {record.offset: record for record in before.get(topic, ())}
        head = left.heads.topics[topic]
        assert [record.offset for record in found] == list(range(head.first, head.last + 1)), topic
        assert all(stored[record.offset] == record for record in found), topic
        for offset, record in stored.items():
            if head.recoverable(offset, record.epoch):
                assert head.last == max(stored), (topic, offset)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
