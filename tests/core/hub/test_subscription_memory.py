"""What the subscription table keeps: little for each subscription, nothing of those that ended."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Collection, Iterator
from itertools import count, islice, repeat
from sys import getsizeof

import pytest

from hubbub.core.subscriptions import SubscriptionTable


class Peer:
    """A subscriber, told apart by identity."""


A = Peer()


def table_of(*pairs: tuple[Peer, str]) -> SubscriptionTable[Peer]:
    """A table with these subscriptions, made in this order."""
    table = SubscriptionTable[Peer]()
    for peer, name in pairs:
        table.add(peer, name)
    return table


def test_a_subscriber_that_left_is_let_go() -> None:
    """The table keeps no reference to whoever has no subscription left."""
    table = table_of((A, "a"), (A, "a.*"))
    peer = Peer()
    for name in ("a", "a.*", "b", "b.>"):
        table.add(peer, name)
    for name in ("a", "a.*", "b", "b.>"):
        table.remove(peer, name)
    gone = weakref.ref(peer)
    del peer
    gc.collect()
    assert gone() is None


def held(table: SubscriptionTable[Peer], name: str) -> Collection[Peer]:
    """What holds the subscribers of a name."""
    return table._names[name]


def test_a_crowd_that_left_leaves_no_room_behind() -> None:
    """A name that many had takes little when few are left: dictionaries don't shrink by themselves."""
    crowd = [Peer() for _ in range(1000)]
    table = table_of(*((peer, "a") for peer in crowd))
    for left in range(999, 0, -1):
        table.remove(crowd[left], "a")
        assert getsizeof(held(table, "a")) <= 256 * left
        assert len(table.receivers("a")) == left
    assert isinstance(held(table, "a"), tuple)


def test_coming_and_going_does_not_copy() -> None:
    """The dictionary of a name is made anew only after most have gone."""
    crowd = [Peer() for _ in range(100)]
    table = table_of(*((peer, "a") for peer in crowd))
    before = held(table, "a")
    for _ in range(3):
        for peer in crowd[:40]:
            table.remove(peer, "a")
            table.add(peer, "a")
    assert held(table, "a") is before


def bytes_each(pairs: Iterator[tuple[Peer, str]], number: int) -> float:
    """What each of so many subscriptions takes, its name included where `pairs` makes it."""
    gc.collect()
    tracemalloc.start()
    table = table_of(*islice(pairs, number))
    gc.collect()
    each = tracemalloc.get_traced_memory()[0] / number
    tracemalloc.stop()
    assert table.subscriptions == number
    return each


def test_a_topic_takes_little() -> None:
    """A topic with one subscriber takes less than 300 bytes, its name included."""
    assert bytes_each(((A, f"user.{number}.inbox") for number in count()), 2000) < 300


def test_a_member_of_a_crowd_takes_little() -> None:
    """One more subscriber of a topic takes less than 100 bytes."""
    crowd = [Peer() for _ in range(500)]
    assert bytes_each(zip(crowd, repeat("topic")), 500) < 100


@pytest.mark.parametrize(
    "rest", [".*", 40 * ".ш" + ".*", 58 * ".a" + ".*", "." + 115 * "a" + "😀.*"]
)
def test_no_pattern_takes_much(rest: str) -> None:
    """A pattern takes less than 1,500 bytes with all it needs, however many tokens it has."""
    assert bytes_each(((A, f"{number}{rest}") for number in count(1000)), 500) < 1500
