"""Single wrong bits, in rows and anywhere else in the file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from hubbub.core.records import Record
from hubbub.transports.stores.protocol import StoreUnavailable
from support.stores import (
    acknowledged,
    cell_with,
    check_honest,
    copy,
    database,
    flip,
    records,
    small_pages,
    what_is_left,
)

TOPICS = ("alerts", "room.a", "zoo")

Stored = dict[str, list[Record]]


@pytest.fixture
def closed(quick_path: Path) -> tuple[Path, Stored]:
    """A store of three topics with six records each, which a start has followed, and what is in it."""
    path = small_pages(quick_path / "hub.db")
    before = {topic: records(topic, 1, 6) for topic in TOPICS}
    store = database(path)
    store.open()
    for topic, stored in before.items():
        store.append(stored, [acknowledged(topic, 5)])
    store.close()
    return path, before


def bits_of(cell: range) -> range:
    """The bits of these bytes."""
    return range(cell.start * 8, cell.stop * 8)


def flipped(path: Path, bits: Iterable[int]) -> Iterator[Path]:
    """A copy of the file for each bit, with that bit wrong."""
    for bit in bits:
        wrong = copy(path, path.parent / "wrong")
        flip(wrong, bit)
        yield wrong


def check_record(path: Path, before: Stored, bits: Iterable[int]) -> int:
    """With any of these bits of the fourth record of `room.a` wrong, its log ends at the third.

    Or only the length of the row is wrong, and its checksum proves what is in it. Return how many were so.
    """
    proven = 0
    for wrong in flipped(path, bits):
        left = what_is_left(wrong)
        check_honest(left, before)
        assert left.counters.damages == 1
        assert len(left.heads.acknowledged) == 3
        assert wrong.with_name("hub.db.corrupt-1").exists()
        again = what_is_left(wrong)
        assert again.heads.damages == ()
        assert again.records == left.records
        if left.records == before:
            proven += 1
            continue
        assert left.records == before | {"room.a": before["room.a"][:3]}
        room = left.heads.topics["room.a"]
        assert room.last == 3
        assert not any(room.recoverable(offset, "e1") for offset in range(7))
        assert all(left.heads.topics[topic].recoverable(2, "e1") for topic in ("alerts", "zoo"))
        assert [damage.topic for damage in left.heads.damages] == ["room.a"]
    return proven


def test_bits_of_a_record(closed: tuple[Path, Stored], caplog: pytest.LogCaptureFixture) -> None:
    """A wrong bit in a record's row is found; its log ends before it, and other topics are whole."""
    path, before = closed
    bits = bits_of(cell_with(path, before["room.a"][3].data))
    sample = Random(4).sample(bits, 40)
    assert check_record(path, before, sample) == 0
    lines = [line for line in caplog.records if line.levelno == logging.ERROR]
    assert len(lines) == len(sample)
    assert "'room.a' ends at offset 3" in lines[0].getMessage()


@pytest.mark.slow
def test_every_bit_of_a_record(closed: tuple[Path, Stored]) -> None:
    """No bit of a record's row can be wrong without being found."""
    path, before = closed
    bits = bits_of(cell_with(path, before["room.a"][3].data))
    assert check_record(path, before, bits) <= 16  # two bytes say how long the row is


@pytest.mark.slow
def test_every_bit_of_the_state_of_a_log(closed: tuple[Path, Stored]) -> None:
    """If it is wrong the records are kept, but nobody is told that they are all."""
    path, before = closed
    content = b"room.a"
    data = path.read_bytes()
    at = data.index(b'"epoch"') // 2048 * 2048  # the page of the states
    start = data.index(content, at)
    cell = range(start - 9, start + len(content) + 4)
    for wrong in flipped(path, bits_of(cell)):
        left = what_is_left(wrong)
        check_honest(left, before)
        assert left.records == before
        if left.counters.damages:
            assert not left.heads.topics["room.a"].recoverable(6, "e1")
            assert left.heads.topics["zoo"].recoverable(6, "e1")


@pytest.mark.slow
def test_every_bit_of_an_acknowledged_position(closed: tuple[Path, Stored]) -> None:
    """A wrong one is left out and told; records are not touched."""
    path, before = closed
    data = path.read_bytes()
    start = data.index(b"annphoneroom.a")
    for wrong in flipped(path, bits_of(range(start - 8, start + 30))):
        left = what_is_left(wrong)
        assert left.records == before
        assert all(each.offset == 5 for each in left.heads.acknowledged)
        assert left.counters.damages == 1
        assert len(left.heads.acknowledged) == 2


def check_anything(path: Path, before: Stored, damage: Callable[[Path], None]) -> None:
    """Whatever is wrong, nothing false is told: the store is opened honestly or not at all."""
    wrong = copy(path, path.parent / "wrong")
    damage(wrong)
    raw = wrong.read_bytes()
    try:
        left = what_is_left(wrong)
    except StoreUnavailable:
        assert wrong.read_bytes() == raw
    else:
        check_honest(left, before)


def many_records(path: Path) -> Stored:
    """Fill a store so that its tables have several pages."""
    before: Stored = {topic: [] for topic in TOPICS}
    store = database(path)
    store.open()
    for turn in range(10):
        for topic, stored in before.items():
            more = records(topic, 5 * turn + 1, 5 * turn + 5)
            store.append(more, [acknowledged(topic, 5 * turn)])
            stored += more
    store.close()
    return before


def check_bits(path: Path, seed: int, count: int) -> None:
    """Wrong bits anywhere in a store."""
    before = many_records(path)
    random = Random(seed)
    bits = range(8 * path.stat().st_size)
    for _ in range(count):
        check_anything(path, before, lambda wrong: flip(wrong, random.choice(bits)))


def check_ruins(path: Path, seed: int, count: int) -> None:
    """Pages of zeros, random bytes and an end that is missing, several at a time."""
    before = many_records(path)
    random = Random(seed)

    def ruin(wrong: Path) -> None:
        content = bytearray(wrong.read_bytes())
        for _ in range(random.randint(1, 4)):
            start = random.randrange(len(content))
            match random.randrange(3):
                case 0:
                    page = start // 4096 * 4096
                    content[page : page + 4096] = bytes(4096)
                case 1:
                    content[start : start + 20] = random.randbytes(len(content[start : start + 20]))
                case _:
                    content[start] ^= 1 << random.randrange(8)
        if random.random() < 0.1:
            del content[random.randrange(len(content)) :]
        wrong.write_bytes(content)

    for _ in range(count):
        check_anything(path, before, ruin)


def test_wrong_bits_anywhere(quick_path: Path) -> None:
    """One wrong bit anywhere never makes a store tell something false."""
    check_bits(quick_path / "hub.db", 1, 60)


def test_ruins(quick_path: Path) -> None:
    """What is left of a ruined file is told as it is."""
    check_ruins(quick_path / "hub.db", 1, 40)


@pytest.mark.slow
def test_more_wrong_bits_anywhere(quick_path: Path) -> None:
    """So with four hundred others."""
    check_bits(quick_path / "hub.db", 2, 400)


@pytest.mark.slow
def test_more_ruins(quick_path: Path) -> None:
    """So with three hundred others."""
    check_ruins(quick_path / "hub.db", 2, 300)
