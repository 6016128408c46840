"""Crashes that cut SQLite's write-ahead log off, and wrong bits in it, which SQLite takes for its end."""

from __future__ import annotations

import os
import shutil
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from hubbub.core.records import Record
from support.stores import (
    NOW,
    acknowledged,
    copy,
    database,
    flip,
    records,
    small_pages,
    what_is_left,
)

TOPICS = ("alerts", "room.a")
COMMITS = 7


@dataclass
class Crash:
    """The files of a store that was killed."""

    path: Path
    ends: list[int]
    """Where each commit ends in the log, from no commit on."""
    states: list[dict[str, list[Record]]]
    """What was stored after so many commits."""
    positions: list[int]
    """The acknowledged position after so many."""

    @property
    def wal(self) -> Path:
        return self.path.with_name("hub.db-wal")


@pytest.fixture
def crash(quick_path: Path) -> Crash:
    """A store that was killed after seven commits of one or two records each, all in the log."""
    live = small_pages(quick_path / "hub.db", 512)
    store = database(live)
    store.open()
    wal = live.with_name("hub.db-wal")
    states: list[dict[str, list[Record]]] = [{}]
    ends, positions = [wal.stat().st_size], [0]
    for number in range(1, COMMITS + 1):
        state = dict(states[-1])
        more = [
            record
            for topic in TOPICS[: 1 + number % 2]
            for last in [len(state.get(topic, ()))]
            for record in records(topic, last + 1, last + 1)
        ]
        for record in more:
            state[record.topic] = [*state.get(record.topic, ()), record]
        # Not in the last ones, so that there are fewer bytes at which they can be cut.
        places = [acknowledged("alerts", number)] if number < COMMITS - 3 else []
        store.append(more, places)
        ends.append(wal.stat().st_size)
        states.append(state)
        positions.append(number if places else positions[-1])
    path = copy(live, quick_path / "crash")
    store.close()
    return Crash(path, ends, states, positions)


def state_of(crash: Crash, path: Path) -> int:
    """After how many commits the store is as it is now. It is whole, and nothing is invented."""
    left = what_is_left(path)
    number = crash.states.index(left.records)
    assert left.heads.damages == ()
    places = [each.offset for each in left.heads.acknowledged]
    assert places == ([crash.positions[number]] if crash.positions[number] else [])
    return number


def check_state(crash: Crash, path: Path) -> int:
    """After how many commits the store is as it is now.

    Who has a position of a commit that is gone is not told that everything follows, now or later.
    """
    number = state_of(crash, path)
    store = database(path)
    store.open()
    for topic in TOPICS:
        kept = len(crash.states[number].get(topic, ()))
        store.append(records(topic, kept + 1, kept + 9, "e2"), [])
    heads = store.reopen()
    store.close()
    for topic, stored in crash.states[-1].items():
        kept = len(crash.states[number].get(topic, ()))
        for record in stored:
            found = heads.topics[topic].recoverable(record.offset, record.epoch)
            assert found is (record.offset <= kept), record
    return number


def check_cuts(crash: Crash, cuts: Iterable[int], check: Callable[[Crash, Path], int]) -> None:
    """The log ends after so many bytes: every commit before is there, and nothing else."""
    for cut in cuts:
        path = copy(crash.path, crash.path.parent.parent / "cut")
        os.truncate(path.with_name("hub.db-wal"), cut)
        assert check(crash, path) == bisect_right(crash.ends, cut) - 1


def test_the_log_is_cut(crash: Crash) -> None:
    """At both ends of each of the last commits, and at a sample of other bytes."""
    last = crash.ends[-4:]
    edges = [end + around for end in last for around in (-1, 0, 1) if end + around <= last[-1]]
    check_cuts(crash, edges + Random(3).sample(range(last[0], last[-1]), 25), check_state)


@pytest.mark.slow
def test_the_log_is_cut_at_every_byte(crash: Crash) -> None:
    """At every byte of the last three commits."""
    check_cuts(crash, range(crash.ends[-4], crash.ends[-1] + 1), state_of)


def check_flips(crash: Crash, bits: Iterable[int]) -> None:
    """A bit of the log is wrong: the commits before are there, those behind it all or not at all."""
    for bit in bits:
        path = copy(crash.path, crash.path.parent.parent / "flipped")
        flip(path.with_name("hub.db-wal"), bit)
        before = bisect_right(crash.ends, bit // 8) - 1
        assert check_state(crash, path) in {max(0, before), COMMITS}


def test_a_wrong_bit_in_the_log(crash: Crash) -> None:
    """SQLite drops the commit and all behind it without a word; nobody gets a wrong replay for it."""
    check_flips(crash, Random(5).sample(range(crash.wal.stat().st_size * 8), 40))


@pytest.mark.slow
def test_more_wrong_bits_in_the_log(crash: Crash) -> None:
    """So for a few hundred others."""
    check_flips(crash, Random(6).sample(range(crash.wal.stat().st_size * 8), 500))


def test_the_log_is_gone(crash: Crash) -> None:
    """Without it the store is what was last written to the file, and honest about it."""
    path = copy(crash.path, crash.path.parent.parent / "gone")
    path.with_name("hub.db-wal").unlink()
    assert check_state(crash, path) == 0


def test_the_log_of_another_file(crash: Crash, quick_path: Path) -> None:
    """A log that belongs to other content gives that content or none, and what is wrong is found."""
    other = small_pages(quick_path / "other.db", 512)
    store = database(other)
    store.open()
    store.append(records("zoo", 1, 40), [])
    store.close()
    path = quick_path / "mixed.db"
    shutil.copyfile(other, path)
    shutil.copyfile(crash.wal, quick_path / "mixed.db-wal")
    left = what_is_left(path)
    everything = [*crash.states[-1].values(), records("zoo", 1, 40)]
    for found in left.records.values():
        assert any(found == stored[: len(found)] for stored in everything)
    assert NOW in {record.at for found in left.records.values() for record in found}
