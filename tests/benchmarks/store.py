"""What it costs to store a record durably, alone and with others in one commit."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio

from hubbub.core.records import Record, Retention
from hubbub.transports.stores.memory import MemoryStore
from hubbub.transports.stores.protocol import Store
from hubbub.transports.stores.sqlite import SQLiteStore

from .table import Goal, Row

_DATA = b"x" * 150
"""What a chat message of 64 bytes is when it is pushed."""

_TOGETHER = 50
_GOAL = Goal("1 a commit", at_most=0.5)
_KEPT = Retention(max_records=10_000)


def measure(repeat: int, seconds: float) -> list[Row]:
    """Return a row for one record a commit, for 50, and for a store in memory; then for reading."""
    what, unit = "store, records of 150 B", "µs a record"
    alone = Row(what, "1 a commit", unit)
    together = Row(what, f"{_TOGETHER} a commit", unit, [], {alone.who: alone}, [_GOAL])
    memory = Row(what, "in memory", unit, [], {alone.who: alone})
    reading = Row(what, "read in 64 KiB", unit)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeat):
            for row, count in ((alone, 1), (together, _TOGETHER)):
                make = partial(SQLiteStore, Path(folder) / f"{row.who}-{number}.db")
                row.figures.append(_measure(make, count, seconds))
            memory.figures.append(_measure(MemoryStore, 1, seconds))
            kept = partial(SQLiteStore, Path(folder) / f"{together.who}-{number}.db")
            reading.figures.append(anyio.run(_read, kept))
    return [alone, together, memory, reading]


def _measure(make: Callable[[], Store], count: int, seconds: float) -> float:
    return anyio.run(_append, make, count, seconds)


async def _append(make: Callable[[], Store], count: int, seconds: float) -> float:
    """Microseconds for each record. Retention is part of it, as in a life."""
    store = make()
    await store.open()
    last = trimmed = 0
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds or not last:
        now = time.time()
        records = [
            Record("room.lobby", last + index, "e1", _DATA, now, "alice", f"key-{last + index}")
            for index in range(1, count + 1)
        ]
        await store.append(records, [])
        last += count
        if last - trimmed > 2 * (_KEPT.max_records or 0):
            trimmed = await store.trim("room.lobby", _KEPT) - 1
    await store.close()
    return spent / last * 1e6


async def _read(make: Callable[[], Store]) -> float:
    store = make()
    head = (await store.open()).topics["room.lobby"]
    after = head.first - 1
    began = time.perf_counter()
    while after < head.last:
        after = (await store.read("room.lobby", after, 65536))[-1].offset
    spent = time.perf_counter() - began
    await store.close()
    return spent / (head.last - head.first + 1) * 1e6
