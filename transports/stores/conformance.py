"""What every store must do, as functions that need no test library: for those who write one.

    async def test_my_store() -> None:
        await check_store(lambda: partial(MyStore, new_folder()))

Run it on asyncio and on trio. A check that fails raises AssertionError and says what it expected.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from anyio import create_task_group

from ...core.errors import LocalProtocolError
from ...core.records import (
    EPOCHS_REMEMBERED,
    KEY_SECONDS,
    KEYS_REMEMBERED,
    Acknowledged,
    Heads,
    Record,
    Retention,
)
from .protocol import Store

__all__ = ["CHECKS", "Fresh", "Make", "check_store"]

Make = Callable[[], Store]
"""Makes a store, not open, on the same storage each time."""

Fresh = Callable[[], Make]
"""Makes a `Make` for new, empty storage."""

_PLENTY: Final = 2**20


async def check_store(fresh: Fresh) -> None:
    """Run every check, each on new storage.

    Raises:
        AssertionError: the store does not do what it must.
    """
    for check in CHECKS:
        await check(fresh())


def _equal(found: object, expected: object, what: str) -> None:
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


async def _refused(call: Awaitable[Any], what: str) -> None:
    try:
        await call
    except LocalProtocolError:
        return
    raise AssertionError(f"{what}: expected LocalProtocolError")


@asynccontextmanager
async def _opened(make: Make) -> AsyncGenerator[tuple[Store, Heads]]:
    store = make()
    heads = await store.open()
    try:
        yield store, heads
    finally:
        await store.close()


def _records(topic: str, first: int, last: int, epoch: str, **fields: Any) -> list[Record]:
    at = fields.pop("at", time.time())
    return [
        Record(topic, offset, epoch, f'{{"n":{offset}}}'.encode(), at, **fields)
        for offset in range(first, last + 1)
    ]


def _acknowledged(offset: int, user: str = "ann", name: str = "phone") -> Acknowledged:
    return Acknowledged(user, name, "alerts", offset, "e1", time.time())


async def check_empty(make: Make) -> None:
    """New storage has no topics; an append of nothing changes nothing; nobody knows a topic."""
    async with _opened(make) as (store, heads):
        _equal(heads, Heads(), "the heads of an empty store")
        await store.append([], [])
        _equal(await store.read("alerts", 0, _PLENTY), [], "records of an unknown topic")
        _equal(await store.trim("alerts", Retention(max_records=1)), 1, "its first offset")
        _equal(await store.reopen(), Heads(), "the heads after nothing")


async def check_what_is_stored_is_read(make: Make) -> None:
    """Every field comes back as it was, also text beyond ASCII, NUL, nothing, and a megabyte."""
    records = [
        Record("häuser.日本", 1, "e1", b"", 0.0),
        Record("häuser.日本", 2, "e1", bytes(range(256)), 1.5, "ann\0", "k🎉", "", 7),
        Record("häuser.日本", 3, "e1", b"x" * 2**20, 2.0**31, None, "", "key", 2**40),
        Record("a", 1, "e1", b"{}", time.time(), "ann"),
    ]
    for reopened in (False, True):
        async with _opened(make) as (store, _):
            if not reopened:
                await store.append(records, [])
            _equal(await store.read("häuser.日本", 0, 2 * 2**20), records[:3], "the records")
            _equal(await store.read("a", 0, 1), records[3:], "those of another topic")
            _equal(await store.read("b", 0, 1), [], "those of a third")


async def check_reading_in_pieces(make: Make) -> None:
    """A read has as many records as fit into its bytes, one at least, and goes on behind an offset."""
    records = _records("alerts", 1, 9, "e1")
    size = len(records[0].data)
    async with _opened(make) as (store, _):
        await store.append(records, [])
        for after, most, expected in (
            (0, 1, records[:1]),
            (0, size, records[:1]),
            (0, 3 * size - 1, records[:2]),
            (0, 3 * size, records[:3]),
            (5, _PLENTY, records[5:]),
            (9, _PLENTY, []),
            (99, _PLENTY, []),
        ):
            found = await store.read("alerts", after, most)
            _equal(found, expected, f"at most {most} bytes behind {after}")
        await _refused(store.read("alerts", -1, 1), "an offset below 0")
        await _refused(store.read("alerts", 0, 0), "no bytes at all")


async def check_offsets_go_on(make: Make) -> None:
    """An append with a hole, a repeat or a value that can't be stored is refused, and all of it."""
    good = _records("other", 1, 1, "e1")
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 1, 3, "e1"), [])
        for what, wrong in (
            ("a hole", _records("alerts", 5, 5, "e1")),
            ("a repeat", _records("alerts", 3, 3, "e1")),
            ("a hole inside", [*_records("alerts", 4, 4, "e1"), *_records("alerts", 6, 6, "e1")]),
            ("offset 0", _records("new", 0, 0, "e1")),
            ("an offset beyond 2**53", _records("new", 2**53, 2**53, "e1")),
            ("no topic", _records("", 1, 1, "e1")),
            ("no time", _records("alerts", 4, 4, "e1", at=float("nan"))),
            ("a lone surrogate", _records("alerts", 4, 4, "e1", user="\ud800")),
        ):
            await _refused(store.append([*good, *wrong], [_acknowledged(1)]), what)
        heads = await store.reopen()
        _equal(list(heads.topics), ["alerts"], "topics after what was refused")
        _equal(heads.topics["alerts"].last, 3, "the last offset after what was refused")
        _equal(heads.acknowledged, (), "positions after what was refused")


async def check_a_restart(make: Make) -> None:
    """After a restart the heads are those that were stored, for each topic apart."""
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 1, 3, "e1") + _records("room.a", 1, 1, "e1"), [])
        await store.append(_records("alerts", 4, 5, "e1"), [])
    async with _opened(make) as (store, heads):
        _equal(sorted(heads.topics), ["alerts", "room.a"], "the topics")
        _equal(heads.damages, (), "what was damaged")
        head = heads.topics["alerts"]
        _equal((head.topic, head.first, head.last), ("alerts", 1, 5), "the head")
        _equal([(e.epoch, e.last) for e in head.epochs], [("e1", 5)], "the epochs")
        _equal(head.size, 5 * len(b'{"n":1}'), "the bytes kept")
        await store.append(_records("alerts", 6, 7, "e2"), [])
        heads = await store.reopen()
        ends = [(e.epoch, e.first, e.last) for e in heads.topics["alerts"].epochs]
        _equal(ends, [("e1", 1, 5), ("e2", 6, 7)], "the epochs after a second start")
        _equal(heads.topics["room.a"].last, 1, "the other topic")


async def check_epochs(make: Make) -> None:
    """After each opening a topic needs a new epoch; a bounded number is remembered, the newest."""
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 1, 2, "e1"), [])
        await store.append(_records("alerts", 3, 3, "e2"), [])
        await _refused(store.append(_records("alerts", 4, 4, "e1"), []), "an epoch that has ended")
        await store.reopen()
        await _refused(store.append(_records("alerts", 4, 4, "e2"), []), "that of before")
        for number in range(4, EPOCHS_REMEMBERED + 10):
            await store.append(_records("alerts", number, number, f"n{number}"), [])
        head = (await store.reopen()).topics["alerts"]
        _equal(len(head.epochs), EPOCHS_REMEMBERED, "the epochs that are remembered")
        _equal(head.epochs[-1].epoch, f"n{head.last}", "the newest of them")
        _equal(head.recoverable(head.last, head.epochs[-1].epoch), True, "the newest position")
        _equal(head.recoverable(1, "e1"), False, "a position in a forgotten epoch")


async def check_a_topic_that_begins_later(make: Make) -> None:
    """A topic that the store does not know may begin at any offset."""
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 101, 103, "e1"), [])
        head = (await store.reopen()).topics["alerts"]
        _equal((head.first, head.last), (101, 103), "the head")
        _equal(len(await store.read("alerts", 0, _PLENTY)), 3, "the records from the beginning")


async def check_acknowledged(make: Make) -> None:
    """There is one position for each user, name and topic: the one that was stored last."""
    other = Acknowledged("ann", "phone", "room.a", 4, "e1", time.time())
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 1, 1, "e1"), [_acknowledged(1), _acknowledged(3)])
        await store.append([], [_acknowledged(9), _acknowledged(2), _acknowledged(5, "bob"), other])
        await store.append([], [_acknowledged(6, name="")])
    async with _opened(make) as (store, heads):
        found = {(each.user, each.name, each.topic): each.offset for each in heads.acknowledged}
        expected = {
            ("ann", "phone", "alerts"): 2,
            ("bob", "phone", "alerts"): 5,
            ("ann", "", "alerts"): 6,
            ("ann", "phone", "room.a"): 4,
        }
        _equal(found, expected, "the acknowledged positions")
        _equal([e for e in heads.acknowledged if e.topic == "room.a"], [other], "all of one")


async def check_keys(make: Make) -> None:
    """Keys are remembered for a time, each with its answer, the newest of equal ones."""
    now = time.time()
    alerts = [
        *_records("alerts", 1, 1, "e1", at=now - KEY_SECONDS - 9, idempotency_key="old"),
        *_records("alerts", 2, 2, "e1", at=now - 9, user="ann", idempotency_key="k"),
        *_records("alerts", 3, 3, "e1", at=now - 8, user="bob", idempotency_key="k", recipients=5),
        *_records("alerts", 4, 4, "e1", at=now - 7, user="ann", idempotency_key="k"),
        *_records("alerts", 5, 5, "e1", at=now - 6, user="ann"),
    ]
    async with _opened(make) as (store, _):
        await store.append([*alerts, *_records("quiet", 1, 1, "e1", at=now)], [])
    async with _opened(make) as (store, heads):
        found = [
            (known.user, known.key, known.offset, known.epoch, known.recipients, known.at)
            for known in heads.topics["alerts"].keys
        ]
        expected = [("bob", "k", 3, "e1", 5, now - 8), ("ann", "k", 4, "e1", 0, now - 7)]
        _equal(found, expected, "the keys that are remembered")
        _equal(heads.topics["quiet"].keys, (), "the keys of another topic")


async def check_many_keys(make: Make) -> None:
    """Of a topic's keys a bounded number is remembered, the newest."""
    last = KEYS_REMEMBERED + 5
    now = time.time()
    records = [
        Record("alerts", offset, "e1", b"1", now, None, f"k{offset}")
        for offset in range(1, last + 1)
    ]
    async with _opened(make) as (store, _):
        await store.append(records, [])
        keys = (await store.reopen()).topics["alerts"].keys
        _equal(len(keys), KEYS_REMEMBERED, "how many keys are remembered")
        _equal((keys[0].key, keys[-1].key), ("k6", f"k{last}"), "the oldest and the newest")


async def check_retention(make: Make) -> None:
    """Retention removes the oldest records, by number, by age and by bytes, and nothing else."""
    now = time.time()
    size = len(b'{"n":10}')
    async with _opened(make) as (store, _):
        await store.append(
            _records("alerts", 10, 59, "e1", at=now - 500)
            + _records("alerts", 60, 99, "e1", at=now),
            [],
        )
        await store.append(_records("other", 1, 99, "e1", at=now - 500), [])
        for retention, first in (
            (Retention(), 10),
            (Retention(max_records=90), 10),
            (Retention(max_records=80), 20),
            (Retention(max_bytes=75 * size), 25),
            (Retention(max_bytes=75 * size - 1), 26),
            (Retention(max_age=600), 26),
            (Retention(max_age=100), 60),
            (Retention(max_records=30, max_age=600, max_bytes=25 * size), 75),
        ):
            _equal(await store.trim("alerts", retention), first, f"what {retention} leaves")
            records = await store.read("alerts", 0, _PLENTY)
            offsets = (records[0].offset, records[-1].offset, len(records))
            _equal(offsets, (first, 99, 100 - first), f"records after {retention}")
        heads = await store.reopen()
        head = heads.topics["alerts"]
        _equal((head.first, head.last, head.size), (75, 99, 25 * size), "the head")
        _equal(head.recoverable(74, "e1"), True, "the position before the first that is kept")
        _equal(head.recoverable(73, "e1"), False, "a position before one that was removed")
        _equal(heads.topics["other"].first, 1, "the first offset of another topic")


async def check_removing_everything(make: Make) -> None:
    """Of a log of which nothing is kept the end is still known, and its offsets go on from there."""
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 1, 2000, "e1", at=time.time() - 500), [])
        _equal(await store.trim("alerts", Retention(max_age=100)), 2001, "the first offset")
        _equal(await store.read("alerts", 0, _PLENTY), [], "what is kept")
    async with _opened(make) as (store, heads):
        head = heads.topics["alerts"]
        _equal((head.first, head.last, head.size), (2001, 2000, 0), "the head")
        _equal(head.recoverable(2000, "e1"), True, "the position of the end")
        await _refused(store.append(_records("alerts", 1, 1, "e2"), []), "offsets from 1 again")
        await store.append(_records("alerts", 2001, 2001, "e2"), [])
        records = await store.read("alerts", 0, _PLENTY)
        _equal([record.offset for record in records], [2001], "what is kept then")


async def check_forgetting(make: Make) -> None:
    """A topic that keeps nothing and is long quiet may be forgotten, and may come back as it was."""
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 1, 9, "e1", at=time.time() - 10 * 86_400), [])
        _equal(await store.trim("alerts", Retention(max_age=100)), 10, "the first offset")
        head = (await store.reopen()).topics.get("alerts")
        _equal(head is None or head.last == 9, True, "whether it is forgotten or whole")
        await store.append(_records("alerts", 10, 10, "e2"), [])
        _equal((await store.reopen()).topics["alerts"].last, 10, "the end when it is back")


async def check_opening_and_closing(make: Make) -> None:
    """A store that is not open does nothing; closing twice is no mistake, opening twice is one."""
    store = make()
    await store.close()
    for again in (False, True):
        await _refused(store.append([], []), "an append before opening")
        await _refused(store.read("alerts", 0, 1), "a read before opening")
        await _refused(store.trim("alerts", Retention()), "trimming before opening")
        await _refused(store.reopen(), "reopening before opening")
        await store.open()
        await _refused(store.open(), "opening twice")
        await store.append(
            _records("alerts", 2, 2, "e2") if again else _records("alerts", 1, 1, "e1"), []
        )
        await store.close()
        await store.close()


async def check_calls_that_overlap(make: Make) -> None:
    """Appends of many tasks, reads and trimming get on; appends keep the order of their calls."""
    async with _opened(make) as (store, _), create_task_group() as tasks:
        for offset in range(1, 51):
            tasks.start_soon(_append_and_read, store, f"t{offset}")
        tasks.start_soon(partial(store.trim, "t1", Retention(max_records=1)))
    async with _opened(make) as (_, heads):
        _equal({head.last for head in heads.topics.values()}, {5}, "the ends of all topics")
        _equal(len(heads.topics), 50, "the topics")


async def _append_and_read(store: Store, topic: str) -> None:
    for offset in range(1, 6):
        await store.append(_records(topic, offset, offset, "e1"), [])
        records = await store.read(topic, offset - 1, _PLENTY)
        _equal([record.offset for record in records], [offset], "what was just stored")


async def check_counters(make: Make) -> None:
    """What is done is counted."""
    async with _opened(make) as (store, _):
        await store.append(_records("alerts", 1, 3, "e1"), [_acknowledged(1)])
        await store.append(_records("alerts", 4, 4, "e1"), [])
        await store.read("alerts", 0, 1)
        await store.trim("alerts", Retention(max_records=1))
        counters = store.counters
        found = (counters.commits, counters.records, counters.acknowledged, counters.reads)
        _equal(found, (2, 4, 1, 1), "commits, records, positions and reads")
        _equal((counters.trimmed, counters.failures, counters.damages), (3, 0, 0), "the others")


CHECKS: Final[tuple[Callable[[Make], Awaitable[None]], ...]] = (
    check_empty,
    check_what_is_stored_is_read,
    check_reading_in_pieces,
    check_offsets_go_on,
    check_a_restart,
    check_epochs,
    check_a_topic_that_begins_later,
    check_acknowledged,
    check_keys,
    check_many_keys,
    check_retention,
    check_removing_everything,
    check_forgetting,
    check_opening_and_closing,
    check_calls_that_overlap,
    check_counters,
)
